"""Failures: `{"message"}` with the kind in a header, and exceptions inside an event stream.

The status decides, as everywhere. The body's `__type`, where there is one, becomes the type; messages by which models on
Bedrock say "too long" or "blocked" become a code that `core.errors.refine` knows.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.aws_eventstream import Message
from dragoman.core.errors import ErrorDetail
from dragoman.core.events import StreamError
from dragoman.dialects import openai_errors

_STATUSES = {
    "accessDeniedException": 403,
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 504,
    "modelNotReadyException": 429,
    "resourceNotFoundException": 404,
    "serviceQuotaExceededException": 429,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""Exceptions of an event stream and the status each stands for. A model that failed midway is a server's failure here."""

_CODES = {
    "too many input tokens": "context_length_exceeded",
    "input tokens exceeded": "context_length_exceeded",
    "exceeds maximum length": "context_length_exceeded",
    "maximum input length": "context_length_exceeded",
    "blocked by our content filters": "content_filter",
    "violates our usage policies": "content_filter",
}
"""Pieces of messages, lower case, beside those that `core.errors` knows from everywhere."""


def decode_error(status: int, body: bytes) -> ErrorDetail:
    """Never raises."""
    detail = openai_errors.decode_error(status, body)
    return replace(detail, code=detail.code or _code(detail.message), type=detail.type or _named_type(body))


def stream_error(message: Message) -> StreamError:
    """An exception or an error of the event stream, as the event that ends it."""
    kind = message.header(":exception-type") or message.header(":error-code") or ""
    detail = decode_error(500, message.payload)
    told = message.header(":error-message")
    text = told if isinstance(told, str) and not message.payload else detail.message
    status = _STATUSES.get(kind[:1].lower() + kind[1:], 500)
    return StreamError(message=f"{kind}: {text}" if kind else text, status=status, code=detail.code, error_type=kind or None)


def _code(message: str) -> str | None:
    lower = message.lower()
    return next((code for piece, code in _CODES.items() if piece in lower), None)


def _named_type(body: bytes) -> str | None:
    """`__type`, with the namespace before it or the address behind it taken off."""
    try:
        value: Any = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    named = value.get("__type") if isinstance(value, dict) else None
    return named.partition(":")[0].rpartition("#")[2] or None if isinstance(named, str) else None
