"""DragomanError -> an error of GPTRouter's: the few statuses that its clients have a class for, and a body that says why.

Whatever a provider did is 503 (or 429 where it was too much), because the client's key and request are not to blame; the
client's own mistakes are 400. A stream says it in an `error` event: the one form that every client shows to its user.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import errors as e
from dragoman.core import json
from dragoman.dialects.gptrouter.wire import TRAILER, event

_STATUSES: dict[type[e.DragomanError], int] = {
    e.DragomanError: 500,
    e.ConfigurationError: 500,
    e.CallError: 503,
    e.NoDeploymentError: 503,
    e.BadRequestError: 400,
    e.NotFoundError: 400,
    e.ConflictError: 400,
    e.RequestTooLargeError: 400,
    e.UnprocessableEntityError: 400,
    e.RateLimitError: 429,
    e.GatewayError: 400,
    e.InvalidKeyError: 401,
    e.BudgetExceededError: 403,
    e.RateLimitExceededError: 429,
}
"""Class -> the status it is told with; a class that is not here is told as its nearest ancestor that is."""

_OWN = frozenset({401, 403, 500, 503})
"""What the gateway itself, and no provider, fails or refuses with."""


def status_of(error: e.DragomanError) -> int:
    if getattr(error, "llm_provider", None) is None and error.status_code in _OWN:
        return error.status_code
    return next(_STATUSES[ancestor] for ancestor in type(error).__mro__ if ancestor in _STATUSES)


def told(error: e.DragomanError, attempts: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """What a program may want to know beside the message."""
    return {
        "type": error.type,
        "code": getattr(error, "code", None),
        "param": getattr(error, "param", None),
        "provider": getattr(error, "llm_provider", None),
        "model": getattr(error, "model", None),
        "attempts": list(attempts),
    }


def encode_error(error: e.DragomanError, attempts: tuple[dict[str, Any], ...] = ()) -> bytes:
    return json.encode({"message": error.message, "error": told(error, attempts), "statusCode": status_of(error)})


def encode_stream_error(error: e.DragomanError, attempts: tuple[dict[str, Any], ...] = ()) -> bytes:
    """Ends a stream: the event with its message at the top, where clients look, then the trailer. No `end`."""
    data = told(error, attempts) | {"statusCode": status_of(error)}
    return event({"event": "error", "message": error.message, "data": data}) + TRAILER
