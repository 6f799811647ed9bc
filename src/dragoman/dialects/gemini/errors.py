"""Failures, read and written: `google.rpc.Status` in an `error` field, alone or wrapped in a list.

Reading is shared with the OpenAI-shaped dialects, which meet Google's shape too (and text, HTML, nothing); a reason that the
details name becomes the code. A blocked prompt is a 200 without candidates there, and an error here.
https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.events import StreamError
from dragoman.core.sse import encode_event
from dragoman.dialects.openai_errors import decode_error as read_body
from dragoman.dialects.openai_errors import read_error

_STATUS_OF_WORD = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""

_WORD_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def decode_error(status: int, body: bytes) -> ErrorDetail:
    detail = read_body(status, body)
    try:
        value = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError):
        return detail
    return _with_reason(detail, value)


def reported(value: Any) -> tuple[int, ErrorDetail]:
    """A failure that came inside a 200: the status that it names, and what it says."""
    outer = value[0] if isinstance(value, list) and len(value) == 1 else value
    inner = outer.get("error") if isinstance(outer, dict) else None
    fields = inner if isinstance(inner, dict) else {}
    code, word = fields.get("code"), fields.get("status")
    named = code if type(code) is int and 400 <= code < 600 else None
    status = named or (_STATUS_OF_WORD.get(word, 500) if isinstance(word, str) else 500)
    return status, _with_reason(read_error(status, outer), outer)


def _with_reason(detail: ErrorDetail, value: Any) -> ErrorDetail:
    """`API_KEY_INVALID`, `RATE_LIMIT_EXCEEDED`: the ErrorInfo among the details."""
    outer = value[0] if isinstance(value, list) and value else value
    inner = outer.get("error") if isinstance(outer, dict) else None
    details = inner.get("details") if isinstance(inner, dict) else None
    infos = [info for info in details if isinstance(info, dict)] if isinstance(details, list) else []
    reason = next((info["reason"] for info in infos if isinstance(info.get("reason"), str)), None)
    return replace(detail, code=reason) if reason else detail


def stream_error(value: Any) -> StreamError:
    status, detail = reported(value)
    return StreamError(message=detail.message, status=status, code=detail.code, error_type=detail.type)


def blocked(feedback: dict[str, Any]) -> StreamError:
    """A prompt that the vendor would not answer: a 200 without candidates there, a refused request everywhere else."""
    reason = str(feedback.get("blockReason"))
    said = feedback.get("blockReasonMessage")
    message = f"the prompt was blocked ({reason})" + (f": {said}" if isinstance(said, str) else "")
    return StreamError(message=message, status=400, code="content_filter", error_type=reason)


def encode_error(error: DragomanError) -> bytes:
    return json.encode(_body(error.status_code, error.message, getattr(error, "retry_after", None)))


def encode_stream_error(error: DragomanError) -> bytes:
    return encode_event(encode_error(error))


def encode_failure(event: StreamError) -> bytes:
    """A failure that the provider's stream reported, for a client's stream."""
    known = event.error_type if event.error_type in _STATUS_OF_WORD else None
    return encode_event(json.encode(_body(event.status, event.message, None, known)))


def _body(status: int, message: str, retry_after: float | None, word: str | None = None) -> dict[str, Any]:
    word = word or _WORD_OF_STATUS.get(status) or ("INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL")
    error: dict[str, Any] = {"code": status, "message": message, "status": word}
    if retry_after is not None:
        error["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{retry_after:g}s"}]
    return {"error": error}
