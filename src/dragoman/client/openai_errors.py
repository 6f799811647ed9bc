"""Our errors as OpenAI's too: `except openai.RateLimitError` catches a dragoman.RateLimitError in a program that uses `openai`.

Decided when an error is raised: only if the program has imported `openai` by then, so nothing is imported for it.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from dragoman.core import errors

_COUNTERPARTS: dict[type[errors.DragomanError], str] = {
    errors.BadRequestError: "BadRequestError",
    errors.AuthenticationError: "AuthenticationError",
    errors.PermissionDeniedError: "PermissionDeniedError",
    errors.NotFoundError: "NotFoundError",
    errors.ConflictError: "ConflictError",
    errors.UnprocessableEntityError: "UnprocessableEntityError",
    errors.RateLimitError: "RateLimitError",
    errors.InternalServerError: "InternalServerError",
    errors.BadGatewayError: "InternalServerError",
    errors.ServiceUnavailableError: "InternalServerError",
    errors.Timeout: "APITimeoutError",
    errors.APIConnectionError: "APIConnectionError",
    errors.ResponseDecodeError: "APIResponseValidationError",
    errors.APIStatusError: "APIStatusError",
    errors.CallError: "APIError",
    errors.DragomanError: "OpenAIError",
}
"""The nearest class up our tree decides; `openai` makes InternalServerError of every status from 500 up."""


def dress(error: errors.DragomanError) -> None:
    """Give the error a class that is also the matching class of `openai`, if that is loaded."""
    openai = sys.modules.get("openai")
    root = getattr(openai, "OpenAIError", None)
    if root is None or isinstance(error, root):
        return
    ours: Any = type(error)
    counterpart = next(_COUNTERPARTS[kind] for kind in ours.__mro__ if kind in _COUNTERPARTS)
    error.__class__ = _joined(ours, getattr(openai, counterpart))


@cache
def _joined(ours: type[Any], theirs: type[Any]) -> type[Any]:
    def plain(self: errors.DragomanError) -> tuple[Any, ...]:
        return ours, self.args, self.__dict__

    fields: dict[str, Any] = {"__module__": ours.__module__, "__doc__": ours.__doc__, "__reduce__": plain}
    return type(ours.__name__, (ours, theirs), fields | {"request": property(request_of), "response": property(response_of)})


def request_of(_: Any) -> Any:
    import httpx2  # noqa: PLC0415 - loaded by `openai` already; nobody else pays for it

    return httpx2.Request("POST", "https://upstream.invalid")


def response_of(self: Any) -> Any:
    """The HTTP response that `openai` and LangChain look for on an error, rebuilt from what the error kept."""
    import httpx2  # noqa: PLC0415 - as above

    body, request = getattr(self, "body", ""), request_of(self)
    framing = ("content-length", "content-encoding", "transfer-encoding")
    headers = {name: value for name, value in getattr(self, "headers", {}).items() if name not in framing}
    return httpx2.Response(self.status_code, headers=headers, text=body if isinstance(body, str) else "", request=request)
