"""Message batches as Anthropic has them (`/v1/messages/batches`), both halves: one batch, a page of them, their results.

Requests come with the batch itself; results are JSON lines at an address of their own, and what failed stands among them.
Source: https://docs.anthropic.com/en/api/creating-message-batches
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from dragoman.core import json
from dragoman.core.batches import ENDED, Batch, BatchCounts, BatchListing, BatchRequest, BatchResult, BatchStatus, Outcome
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.dialects.anthropic_messages import DIALECT as MESSAGES
from dragoman.dialects.anthropic_messages.errors import reported
from dragoman.dialects.media_wire import left_over, objects, read_answer
from dragoman.dialects.model_lists import iso_date, seconds
from dragoman.dialects.operation_wire import Body, WholeAnswers, count

NAME = "anthropic_batches"
ENDPOINT = "/v1/messages"

_COUNTS = {"succeeded": "succeeded", "errored": "errored", "cancelled": "canceled", "expired": "expired"}
"""Our word for an outcome -> Anthropic's."""
_OURS: dict[str, Outcome] = {"succeeded": "succeeded", "errored": "errored", "canceled": "cancelled", "expired": "expired"}
_READ = frozenset(
    """
    id type processing_status request_counts ended_at created_at expires_at archived_at cancel_initiated_at results_url
    """.split()
)


class AnthropicBatches(WholeAnswers):
    name = NAME
    decode_error = staticmethod(MESSAGES.decode_error)
    encode_error = staticmethod(MESSAGES.encode_error)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return MESSAGES.headers()

    def decode_response(self, body: bytes) -> BatchListing:
        """One batch is a page of one. Raises ResponseDecodeError for what has no id or a status that nobody knows."""
        value = read_answer(body)
        items = objects(value["data"]) if "data" in value else [value]
        return BatchListing(batches=tuple(read_batch(item) for item in items), more=bool(value.get("has_more")))

    def read_result(self, line: bytes) -> BatchResult:
        return read_result(line)


def read_batch(value: Body) -> Batch:
    id_, status = value.get("id"), value.get("processing_status")
    if not isinstance(id_, str) or status not in {"in_progress", "canceling", "ended"}:
        raise ResponseDecodeError(f"expected a batch with an id and a processing_status, found {id_!r} and {status!r}")
    counts = _counts(value.get("request_counts"))
    cancelled = seconds(value.get("cancel_initiated_at"))
    return Batch(
        id=id_,
        status=_ended(counts, cancelled) if status == "ended" else "cancelling" if status == "canceling" else "in_progress",
        counts=counts,
        endpoint=ENDPOINT,
        results=bool(value.get("results_url")),
        created=seconds(value.get("created_at")),
        ended=seconds(value.get("ended_at")),
        expires=seconds(value.get("expires_at")),
        cancelled=cancelled,
        extra=left_over(value, _READ, NAME),
    )


def _ended(counts: BatchCounts, cancelled: int | None) -> BatchStatus:
    """Anthropic says how each request ended, and not the batch."""
    return "cancelled" if cancelled is not None else "expired" if counts.expired else "completed"


def write_batch(batch: Batch, results_url: str) -> Body:
    """As GET /v1/messages/batches/ID answers. `results_url`: where the results are, once there are any."""
    counts = {theirs: getattr(batch.counts, ours) for ours, theirs in _COUNTS.items()}
    over = batch.status in ENDED
    if batch.status == "failed":  # none was begun, which is no word of Anthropic's
        counts["errored"] = batch.counts.total
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if over else "canceling" if batch.status == "cancelling" else "in_progress",
        "request_counts": {"processing": 0 if over else max(0, batch.counts.total - sum(counts.values())), **counts},
        "ended_at": _date(batch.ended) if over else None,
        "created_at": iso_date(batch.created),
        "expires_at": iso_date(batch.expires),
        "archived_at": None,
        "cancel_initiated_at": _date(batch.cancelled),
        "results_url": results_url if batch.results else None,
        **batch.extra.get(NAME, {}),
    }


def _date(moment: int | None) -> str | None:
    return None if moment is None else iso_date(moment)


def _counts(value: Any) -> BatchCounts:
    given = value if isinstance(value, dict) else {}
    ended = {ours: count(given, theirs) for ours, theirs in _COUNTS.items()}
    return BatchCounts(total=count(given, "processing") + sum(ended.values()), **ended)


# ----------------------------------------------------------------------------------------------------------------- lines
class _Request(Struct):
    custom_id: Annotated[str, Meta(min_length=1)]
    params: Raw


class _Requests(Struct):
    requests: list[_Request]


class _Ended(Struct):
    type: Literal["succeeded", "errored", "canceled", "expired"]
    message: Raw = Raw()
    error: Raw = Raw()


class _Result(Struct):
    custom_id: str
    result: _Ended


_decode_requests = msgspec.json.Decoder(_Requests).decode
_decode_result = msgspec.json.Decoder(_Result).decode


def read_requests(body: bytes) -> list[BatchRequest]:
    """The requests of a new batch. Raises BadRequestError that names the place."""
    try:
        given = _decode_requests(body).requests
    except json.UNREADABLE as problem:
        message = f"requests: expected an array of objects with custom_id and params: {problem}"
        raise BadRequestError(message, attempts=0) from None
    return [BatchRequest(custom_id=each.custom_id, endpoint=ENDPOINT, body=bytes(each.params)) for each in given]


def write_requests(requests: Iterable[BatchRequest]) -> Body:
    """The body that makes a batch of them."""
    return {"requests": [{"custom_id": request.custom_id, "params": Raw(request.body)} for request in requests]}


def read_result(line: bytes) -> BatchResult:
    """A line of the results. Raises ResponseDecodeError."""
    try:
        given = _decode_result(line)
        body = bytes(given.result.message or given.result.error)
        status = reported(json.decode(body))[0] if given.result.type == "errored" else 200
    except json.UNREADABLE:
        raise ResponseDecodeError("the results hold a line that is no result of Anthropic's") from None
    return BatchResult(custom_id=given.custom_id, outcome=_OURS[given.result.type], status=status, body=body)


def write_result(result: BatchResult) -> bytes:
    said: Body = {"type": _COUNTS[result.outcome]}
    if result.outcome in {"succeeded", "errored"}:
        said["message" if result.outcome == "succeeded" else "error"] = Raw(result.body)
    return json.encode({"custom_id": result.custom_id, "result": said})


DIALECT = AnthropicBatches()
