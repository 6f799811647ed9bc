"""How models have fared, from the real traffic of all faces: availability and latency for /healthcheck and the status page,
tokens and cost for /model-usage.

Memory is bounded: one bucket for five minutes, a day of them, and no more than so many models. It is what this worker saw, and,
with a store, what the others of this machine did; the ledger is where the books are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from dragoman.core.errors import BadRequestError
from dragoman.dialects.gptrouter.errors import status_of
from dragoman.dialects.gptrouter.wire import model_id, provider_id
from dragoman.engine.call import Attempt, Call
from dragoman.engine.price import price
from dragoman.gateway.gptrouter import providers

BUCKET_SECONDS = 300
KEPT_BUCKETS = 288
MAX_MODELS = 1000
AVAILABLE_FROM = 0.5
"""The share of attempts that must have succeeded."""
ENOUGH = 3
"""Failures in a row that tell a model is down; a success tells that it is up at once."""
HARMLESS = 400
"""The status of what was the client's own mistake: it says nothing of the model."""

Changed = Callable[[str, bool], None]


class Bucket(Struct):
    """Sums of one model over five minutes from `start`. Latency in milliseconds, cost in USD."""

    start: int
    good: int = 0
    bad: int = 0
    latency: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def add(self, other: Bucket) -> None:
        self.good += other.good
        self.bad += other.bad
        self.latency += other.latency
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost

    @property
    def available(self) -> bool:
        return self.good >= (self.good + self.bad) * AVAILABLE_FROM

    @property
    def mean_latency(self) -> float | None:
        return round(self.latency / self.good, 1) if self.good else None


class Known(Struct):
    """A model by the names it is listed as. `failed`: attempts in a row."""

    provider: str
    model: str
    buckets: dict[int, Bucket] = {}
    failed: int = 0

    def put(self, bucket: Bucket) -> None:
        """In place of the one of its time. Of more than a day of them the oldest goes."""
        if bucket.start not in self.buckets and len(self.buckets) >= KEPT_BUCKETS:
            del self.buckets[min(self.buckets)]
        self.buckets[bucket.start] = bucket

    @property
    def up(self) -> bool:
        return self.failed < ENOUGH

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def id(self) -> str:
        return model_id(self.provider, self.model)


class Row(Struct, frozen=True):
    """A bucket as a store keeps it."""

    provider: str
    model: str
    bucket: Bucket


class History:
    """`note` is told of every call that settles. Times are Unix seconds. `changed` is told the name, as provider/model, of one
    that went down or came up again.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, changed: Changed = lambda _, __: None) -> None:
        self._models: dict[str, Known] = {}
        self._unsaved: dict[tuple[str, str, int], Bucket] | None = None
        self._clock = clock
        self._changed = changed

    def note(self, call: Call) -> None:
        """The attempts of a call that has ended, of whichever face, and what it used."""
        now = self._clock()
        start = int(now) // BUCKET_SECONDS * BUCKET_SECONDS
        place = None
        for attempt in call.attempts:
            place = providers.listed_as(attempt.deployment)
            told = _attempted(attempt, start)
            if told is not None:
                self._add(*place, told)
        usage = call.settlement.usage if call.settlement else None
        cost = price(call, usage)
        if place is not None and cost is not None and (usage is not None or cost.lines):
            used = Bucket(start, cost=cost.dollars or 0.0)
            if usage is not None:
                used.input_tokens, used.output_tokens = usage.input_tokens, usage.output_tokens
            self._add(*place, used)

    # Asked for

    def health(self, since: float, until: float) -> list[dict[str, Any]]:
        """Per model, the oldest first. A time without a success has no latency: null, and not a proud 0."""
        return [
            {"modelId": known.id, "data": [_health(bucket) for bucket in _within(known, since, until)]} for known in self.models
        ]

    def usage(self, since: float, until: float) -> list[dict[str, Any]]:
        return [
            {"modelId": known.id, "data": [_usage(bucket) for bucket in _within(known, since, until)]} for known in self.models
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is, as a run of all checks answered."""
        return [
            {
                "modelId": known.id,
                "providerId": provider_id(known.provider),
                "status": "healthy" if bucket.available else "unhealthy",
                "isAvailable": bucket.available,
                "latency": bucket.mean_latency,
                "lastChecked": iso(bucket.start),
            }
            for known in self.models
            for bucket in known.buckets.values()
        ]

    @property
    def models(self) -> list[Known]:
        return list(self._models.values())

    def find(self, name: str) -> Known | None:
        """By provider/model."""
        return self._models.get(name)

    # Kept

    def keep(self, rows: Iterable[Row]) -> None:
        """What a store has; from now on what happens is collected for it."""
        unsaved = self._unsaved = self._unsaved or {}
        for row in rows:
            bucket = row.bucket
            since = unsaved.get((row.provider, row.model, bucket.start))
            if since is not None:
                bucket.add(since)
            self._known(row.provider, row.model).put(bucket)

    def take_unsaved(self) -> list[Row]:
        """What has come since it was last asked, to be added to what the store has."""
        taken, self._unsaved = self._unsaved or {}, {}
        return [Row(provider, model, bucket) for (provider, model, _), bucket in taken.items()]

    def give_back(self, rows: Iterable[Row]) -> None:
        """What was taken and could not be saved."""
        for row in rows:
            self._put_off(row.provider, row.model, row.bucket)

    def _put_off(self, provider: str, model: str, what: Bucket) -> None:
        if self._unsaved is not None:
            self._unsaved.setdefault((provider, model, what.start), Bucket(what.start)).add(what)

    def _add(self, provider: str, model: str, what: Bucket) -> None:
        known = self._known(provider, model)
        if what.start not in known.buckets:
            known.put(Bucket(what.start))
        known.buckets[what.start].add(what)
        self._put_off(provider, model, what)
        before = known.up
        known.failed = 0 if what.good else known.failed + what.bad
        if known.up is not before:
            self._changed(known.name, known.up)

    def _known(self, provider: str, model: str) -> Known:
        known = self._models.get(f"{provider}/{model}")
        if known is None:
            if len(self._models) >= MAX_MODELS:
                del self._models[next(iter(self._models))]
            known = self._models[f"{provider}/{model}"] = Known(provider, model, {})
        return known


def _attempted(attempt: Attempt, start: int) -> Bucket | None:
    """None where it says nothing of the model: a name that a client made up must not stand in any list."""
    if attempt.error is not None:
        return None if status_of(attempt.error) == HARMLESS else Bucket(start, bad=1)
    if attempt.cancelled or attempt.ended is None:
        return None
    return Bucket(start, good=1, latency=(attempt.ended - attempt.began) * 1000)


def _within(known: Known, since: float, until: float) -> list[Bucket]:
    return [known.buckets[start] for start in sorted(known.buckets) if since - BUCKET_SECONDS < start < until]


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
    asked = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
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
