"""How OpenAI and Anthropic write a failure: as the body of an error status, and as an event inside a stream."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from dragoman.core import json
from dragoman.core.sse import encode_event
from dragoman.providers.demo.script import Refusal

_OPENAI: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("service_unavailable_error", None),
    529: ("overloaded_error", None),
}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}
ERROR_REQUEST_ID = "req_demo_error"


class ErrorWire(Struct, frozen=True):
    """One dialect's way. `request_id` is the name of the header that carries the id of a request."""

    body: Callable[[Refusal], bytes]
    event: Callable[[Refusal], bytes]
    request_id: str


def _openai_body(refusal: Refusal) -> bytes:
    kind, code = _OPENAI[refusal.status]
    fields = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code or code}
    return json.encode({"error": fields})


def _anthropic_body(refusal: Refusal) -> bytes:
    error = {"type": _ANTHROPIC[refusal.status], "message": refusal.message}
    return json.encode({"type": "error", "error": error, "request_id": ERROR_REQUEST_ID})


OPENAI = ErrorWire(_openai_body, lambda refusal: encode_event(_openai_body(refusal)), "x-request-id")
ANTHROPIC = ErrorWire(_anthropic_body, lambda refusal: encode_event(_anthropic_body(refusal), "error"), "request-id")
