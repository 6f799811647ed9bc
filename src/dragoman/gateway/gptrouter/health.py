"""How models have fared, from real traffic: availability and latency for /healthcheck, tokens and cost for /model-usage.

Nobody is asked for it: no probe is ever sent. Memory is bounded: one bucket for five minutes, a day of them, and no more
than so many models. It is what this worker saw; the ledger is where the books are kept.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from dragoman.core.errors import BadRequestError
from dragoman.dialects.gptrouter.errors import status_of
from dragoman.dialects.gptrouter.wire import model_id, provider_id
from dragoman.engine.call import Call
from dragoman.gateway.governance.facts import price
from dragoman.gateway.gptrouter import providers

BUCKET_SECONDS = 300
KEPT_BUCKETS = 288
MAX_MODELS = 1000
AVAILABLE_FROM = 0.5
"""The share of attempts that must have succeeded."""
HARMLESS = 400
"""The status of what was the client's own mistake: it says nothing of the model."""


class Bucket(Struct):
    """Sums of one model over five minutes from `start`. Latency in milliseconds, cost in USD."""

    start: int
    good: int = 0
    bad: int = 0
    latency: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    @property
    def available(self) -> bool:
        return self.good >= (self.good + self.bad) * AVAILABLE_FROM

    @property
    def mean_latency(self) -> float | None:
        return round(self.latency / self.good, 1) if self.good else None


class Known(Struct):
    provider_id: str
    model_id: str
    buckets: dict[int, Bucket]


class History:
    """`note` what happened, then ask for spans of time. Times are Unix seconds."""

    def __init__(self) -> None:
        self._models: dict[str, Known] = {}

    def note(self, call: Call, now: float) -> None:
        """The attempts of a call that has ended, of whichever face, and what the last of them used."""
        bucket = None
        for attempt in call.attempts:
            provider, model = providers.listed_as(attempt.deployment)
            bucket = self._bucket(provider_id(provider), model_id(provider, model), now)
            if attempt.error is None:
                bucket.good += 1
                bucket.latency += ((attempt.ended or attempt.began) - attempt.began) * 1000
            elif status_of(attempt.error) != HARMLESS:
                bucket.bad += 1
        usage = call.settlement.usage if call.settlement else None
        if bucket is not None and usage is not None:
            cost = price(call, usage)
            bucket.input_tokens += usage.input_tokens
            bucket.output_tokens += usage.output_tokens
            bucket.cost += (cost.dollars if cost else None) or 0.0

    def health(self, since: float, until: float) -> list[dict[str, Any]]:
        """Per model, the oldest first. A time without a success has no latency: null, and not a proud 0."""
        return [
            {"modelId": known.model_id, "data": [_health(bucket) for bucket in _within(known, since, until)]}
            for known in self._models.values()
        ]

    def usage(self, since: float, until: float) -> list[dict[str, Any]]:
        return [
            {"modelId": known.model_id, "data": [_usage(bucket) for bucket in _within(known, since, until)]}
            for known in self._models.values()
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is, as a run of all checks answered."""
        return [
            {
                "modelId": known.model_id,
                "providerId": known.provider_id,
                "status": "healthy" if bucket.available else "unhealthy",
                "isAvailable": bucket.available,
                "latency": bucket.mean_latency,
                "lastChecked": iso(bucket.start),
            }
            for known in self._models.values()
            for bucket in known.buckets.values()
        ]

    def _bucket(self, provider_id: str, model_id: str, now: float) -> Bucket:
        known = self._models.get(model_id)
        if known is None:
            if len(self._models) >= MAX_MODELS:
                del self._models[next(iter(self._models))]
            known = self._models[model_id] = Known(provider_id, model_id, {})
        start = int(now) // BUCKET_SECONDS * BUCKET_SECONDS
        found = known.buckets.get(start)
        if found is None:
            if len(known.buckets) >= KEPT_BUCKETS:
                del known.buckets[next(iter(known.buckets))]
            found = known.buckets[start] = Bucket(start)
        return found


def _within(known: Known, since: float, until: float) -> list[Bucket]:
    return [bucket for bucket in known.buckets.values() if since - BUCKET_SECONDS < bucket.start < until]


def _health(bucket: Bucket) -> dict[str, Any]:
    return {"time": iso(bucket.start), "isAvailable": bucket.available, "latency": bucket.mean_latency}


def _usage(bucket: Bucket) -> dict[str, Any]:
    return {
        "promptTokens": bucket.input_tokens,
        "completionTokens": bucket.output_tokens,
        "totalTokens": bucket.input_tokens + bucket.output_tokens,
        "cost": bucket.cost,
        "createdAt": iso(bucket.start),
    }


def iso(moment: float) -> str:
    """RFC 3339, in UTC with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(query: bytes) -> tuple[float, float]:
    """`startDate` and `endDate` of a query as Unix seconds; a last day is meant as a whole. Raises BadRequestError.

    Left out they mean from the beginning, and until now.
    """
    asked = dict(parse_qsl(query.decode("latin-1")))
    since = _moment(asked.get("startDate"), "startDate") if "startDate" in asked else 0.0
    until = _moment(asked.get("endDate"), "endDate") if "endDate" in asked else float("inf")
    if len(asked.get("endDate", "")) == _DATE_LENGTH:
        until += timedelta(days=1).total_seconds()
    return since, until


_DATE_LENGTH = len(date.min.isoformat())


def _moment(text: str | None, name: str) -> float:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        raise BadRequestError(f"{name}: expected a date as 2026-01-31 or 2026-01-31T12:00:00Z, found {text!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
