"""Failures, read and written: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

Reading is shared with the OpenAI-shaped dialects: hosts that speak Anthropic also answer with Google's shape (Vertex), with
plain text, with the HTML of a proxy or with nothing.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.events import StreamError
from dragoman.core.sse import encode_event
from dragoman.dialects.anthropic_messages.common import STATUS_OF_TYPE, error_type
from dragoman.dialects.openai_errors import decode_error, read_error

__all__ = ["decode_error", "encode_error", "encode_failure", "encode_stream_error", "reported"]


def reported(value: Any) -> tuple[int, ErrorDetail]:
    """A failure that came inside a 200: the status that its type stands for, and what it says."""
    detail = read_error(500, value)
    return STATUS_OF_TYPE.get(detail.type or "", 500), detail


def encode_error(error: DragomanError) -> bytes:
    return json.encode(_body(error_type(error.status_code), error.message, getattr(error, "request_id", None)))


def encode_stream_error(error: DragomanError) -> bytes:
    return encode_event(encode_error(error), "error")


def encode_failure(event: StreamError) -> bytes:
    """A failure that the provider's stream reported, for a client's stream."""
    known = event.error_type if event.error_type in STATUS_OF_TYPE else None
    return encode_event(json.encode(_body(known or error_type(event.status), event.message, None)), "error")


def _body(kind: str, message: str, request_id: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}}
    return body | {"request_id": request_id} if request_id else body
