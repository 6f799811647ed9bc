"""Batches as OpenAI has them (`/batches`), both halves: one batch, a page of them, and the lines of their files.

Requests and results are JSON lines in files; what failed stands in a file of its own. Whoever speaks OpenAI's chat and keeps
batches keeps them so. Source: https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from dragoman.core import json
from dragoman.core.batches import ENDED, Batch, BatchCounts, BatchListing, BatchRequest, BatchResult, BatchStatus, Outcome
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.dialects.media_wire import left_over, objects, read_answer, text_or_none
from dragoman.dialects.operation_wire import Body, WholeAnswers, count

NAME = "openai_batches"

_STATUSES: tuple[BatchStatus, ...] = (
    "validating",
    "in_progress",
    "finalizing",
    "cancelling",
    "completed",
    "failed",
    "expired",
    "cancelled",
)
_TIMES = ("completed_at", "failed_at", "expired_at", "cancelled_at")
_FILES = {"input_file": "input_file_id", "output_file": "output_file_id", "error_file": "error_file_id"}
_READ = frozenset(
    {"id", "object", "status", "endpoint", "created_at", "expires_at", "cancelling_at", "request_counts", "metadata"}
)
_FAILURES: dict[Outcome, tuple[str, str]] = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed, because its batch was cancelled."),
}
"""What a request that was never answered says: code and message."""


class OpenAIBatches(WholeAnswers):
    name = NAME

    def decode_response(self, body: bytes) -> BatchListing:
        """One batch is a page of one. Raises ResponseDecodeError for what has no id or a status that nobody knows."""
        value = read_answer(body)
        listed = value.get("object") == "list"
        items = objects(value.get("data")) if listed else [value]
        return BatchListing(batches=tuple(read_batch(item) for item in items), more=bool(value.get("has_more")))

    def read_result(self, line: bytes) -> BatchResult:
        return read_result(line)


def read_batch(value: Body) -> Batch:
    id_, status = value.get("id"), value.get("status")
    if not isinstance(id_, str) or status not in _STATUSES:
        raise ResponseDecodeError(f"expected a batch with an id and a status, found {id_!r} and {status!r}")
    files = {ours: text_or_none(value.get(theirs)) for ours, theirs in _FILES.items()}
    metadata = value.get("metadata")
    return Batch(
        id=id_,
        status=status,
        counts=_counts(value.get("request_counts"), status),
        endpoint=text_or_none(value.get("endpoint")),
        results=status in ENDED and bool(files["output_file"] or files["error_file"]),
        created=_moment(value, "created_at"),
        ended=next((moment for name in _TIMES if (moment := _moment(value, name)) is not None), None),
        expires=_moment(value, "expires_at"),
        cancelled=_moment(value, "cancelling_at"),
        metadata=metadata if isinstance(metadata, dict) else None,
        extra=left_over(value, _READ | {*_TIMES, *_FILES.values()}, NAME),
        **files,
    )


def write_batch(batch: Batch) -> Body:
    """As GET /batches/ID answers."""
    counts = batch.counts
    failed = counts.errored + counts.cancelled + counts.expired
    ended = f"{batch.status}_at" if batch.status in ENDED else ""
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": None,
        "completion_window": "24h",
        "status": batch.status,
        **{theirs: getattr(batch, ours) for ours, theirs in _FILES.items()},
        "created_at": batch.created,
        "expires_at": batch.expires,
        "cancelling_at": batch.cancelled,
        **{name: batch.ended if name == ended else None for name in _TIMES},
        "request_counts": {"total": counts.total, "completed": counts.succeeded, "failed": failed},
        "metadata": batch.metadata,
        **batch.extra.get(NAME, {}),
    }


def _counts(value: Any, status: str) -> BatchCounts:
    """Requests without an answer count as what ended the batch, once it has ended."""
    given = value if isinstance(value, dict) else {}
    total, done, failed = (count(given, name) for name in ("total", "completed", "failed"))
    left = {status: total - done - failed} if status in {"expired", "cancelled"} else {}
    return BatchCounts(total=total, succeeded=done, errored=failed, **left)


def _moment(value: Body, name: str) -> int | None:
    found = value.get(name)
    return found if type(found) is int else None


# ----------------------------------------------------------------------------------------------------------------- lines
class _Request(Struct):
    custom_id: str
    url: str
    body: Raw


class _Response(Struct):
    status_code: int
    body: Raw


class _Result(Struct):
    custom_id: str
    response: _Response | None
    error: dict[str, Any] | None = None


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_result = msgspec.json.Decoder(_Result).decode


def read_requests(data: bytes) -> list[BatchRequest]:
    """The lines of an input file. Raises BadRequestError that names the line."""
    return [_request(line, number) for number, line in enumerate(data.splitlines(), 1) if line.strip()]


def _request(line: bytes, number: int) -> BatchRequest:
    try:
        given = _decode_request(line)
    except json.UNREADABLE as problem:
        message = f"line {number}: expected a JSON object with custom_id, method, url and body: {problem}"
        raise BadRequestError(message, attempts=0) from None
    return BatchRequest(custom_id=given.custom_id, endpoint=given.url, body=bytes(given.body))


def write_requests(requests: Iterable[BatchRequest]) -> bytes:
    """An input file of them."""
    return b"".join(
        json.encode({"custom_id": each.custom_id, "method": "POST", "url": each.endpoint, "body": Raw(each.body)}) + b"\n"
        for each in requests
    )


def read_result(line: bytes) -> BatchResult:
    """A line of an output or error file. Raises ResponseDecodeError."""
    try:
        id_, response, error = msgspec.structs.astuple(_decode_result(line))
    except json.UNREADABLE:
        raise ResponseDecodeError("the results hold a line that is no result of OpenAI's") from None
    if response is not None:
        outcome: Outcome = "succeeded" if response.status_code < 300 else "errored"
        return BatchResult(custom_id=id_, outcome=outcome, status=response.status_code, body=bytes(response.body))
    never = next((outcome for outcome, (code, _) in _FAILURES.items() if error and code == error.get("code")), None)
    return BatchResult(custom_id=id_, outcome=never or "errored", status=500, body=json.encode({"error": error}))


def write_result(result: BatchResult) -> bytes:
    never = _FAILURES.get(result.outcome)
    answered = {"status_code": result.status, "request_id": "", "body": Raw(result.body or b"null")}
    return json.encode(
        {
            "id": f"batch_req_{result.custom_id}",
            "custom_id": result.custom_id,
            "response": None if never else answered,
            "error": {"code": never[0], "message": never[1]} if never else None,
        }
    )


DIALECT = OpenAIBatches()
