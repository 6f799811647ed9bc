"""Failures. Outside a stream they are OpenAI's own; inside one they are an `error` event and `response.failed`.

A failure that comes inside a 200 names a code; the table says which HTTP status it stands for. Clients of OpenAI raise on the
`error` object in the event, others read `response.failed`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.events import StreamError
from dragoman.core.sse import encode_event
from dragoman.dialects.openai_errors import embedded_status, encode_error, read_error

_CALLER = ("invalid_", "image_", "empty_image", "unsupported_image", "failed_to_download_image", "bio_policy", "cyber_policy")
"""How codes begin that blame the request."""


def reported(value: Any) -> tuple[int, ErrorDetail]:
    """A failure inside a 200 (a failed response, an error event, a bare error object): its status, and what it says."""
    if isinstance(value, dict) and value.get("type") == "error":
        value = {key: held for key, held in value.items() if key != "type"}  # that of the event, not of the error
    detail = read_error(500, value)
    code = detail.code or ""
    if code.startswith(_CALLER) and code != "invalid_api_key":
        return 400, detail
    return embedded_status(value), detail


def stream_error(value: Any) -> StreamError:
    status, detail = reported(value)
    return StreamError(message=detail.message, status=status, code=detail.code, error_type=detail.type)


def encode_stream_error(error: DragomanError) -> bytes:
    """The event alone, which clients raise on. How many came before it is not known here, so it counts from 0."""
    return error_event(json.decode(encode_error(error))["error"], 0)


def told(event: StreamError) -> dict[str, Any]:
    """A failure that came through the stream, as an error object."""
    return {
        "type": event.error_type or "server_error",
        "code": event.code or "server_error",
        "message": event.message,
        "param": None,
    }


def error_event(error: dict[str, Any], sequence_number: int) -> bytes:
    """The documented fields stand beside `type`, the vendor's own traffic has them inside `error`: readers want either."""
    beside = {key: error.get(key) for key in ("code", "message", "param")}
    frame = {"type": "error", **beside, "sequence_number": sequence_number, "error": error}
    return encode_event(json.encode(frame), "error")
