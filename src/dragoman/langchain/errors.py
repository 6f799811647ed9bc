"""Our errors as LangChain's `ModelError` kinds too: retry middleware and fallbacks understand them.

An error keeps its class, its fields and its message; its class is joined with LangChain's when it leaves a model. Errors of
another library's router (one that has a `status_code`) are joined by that. Called by every class here, around every call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from langchain_core import exceptions as core

from dragoman.client.openai_errors import response_of
from dragoman.core import errors as ours

_KINDS: dict[type[Exception], type[core.ModelError]] = {
    ours.ContextWindowExceededError: core.ContextOverflowError,
    ours.AuthenticationError: core.ModelAuthenticationError,
    ours.InvalidKeyError: core.ModelAuthenticationError,
    ours.PermissionDeniedError: core.ModelPermissionDeniedError,
    ours.NotFoundError: core.ModelNotFoundError,
    ours.RateLimitError: core.ModelRateLimitError,
    ours.RateLimitExceededError: core.ModelRateLimitError,
    ours.BadRequestError: core.ModelInvalidRequestError,
    ours.UnprocessableEntityError: core.ModelInvalidRequestError,
    ours.RequestTooLargeError: core.ModelInvalidRequestError,
    ours.PaymentRequiredError: core.ModelPermissionDeniedError,
    ours.ConfigurationError: core.ModelInvalidRequestError,
    ours.Timeout: core.ModelTimeoutError,
    ours.APIConnectionError: core.ModelConnectionError,
    ours.StreamInterruptedError: core.ModelConnectionError,
    ours.APIStatusError: core.ModelAPIError,
    ours.ResponseDecodeError: core.ModelAPIError,
    ours.NoDeploymentError: core.ModelAPIError,
    ours.GatewayError: core.ModelInvalidRequestError,
    ours.DragomanError: core.ModelError,
}
"""The nearest class up our tree decides."""

_STATUSES: dict[int, type[core.ModelError]] = {
    400: core.ModelInvalidRequestError,
    401: core.ModelAuthenticationError,
    403: core.ModelPermissionDeniedError,
    404: core.ModelNotFoundError,
    408: core.ModelTimeoutError,
    422: core.ModelInvalidRequestError,
    429: core.ModelRateLimitError,
}


class _Refused(core.ModelError):
    """The model refused to answer; `raw_message` is its message. Older versions of langchain-core have no word for that."""

    def __init__(self, message: str, *, raw_message: Any = None) -> None:
        super().__init__(message)
        self.raw_message = raw_message


ModelRefusalError: Any = getattr(core, "ModelRefusalError", _Refused)


@contextmanager
def typed_errors() -> Iterator[None]:
    """Whatever fails inside leaves as one of LangChain's kinds as well."""
    try:
        yield
    except Exception as error:
        _dress(error)
        raise


def _dress(error: Any) -> None:
    theirs: Any = type(error)
    kind: Any = _kind(error)
    if kind is not None and not isinstance(error, core.ModelError):
        error.__class__ = _joined(theirs, kind)


def _kind(error: Exception) -> type[core.ModelError] | None:
    for step in type(error).__mro__:
        if step in _KINDS:
            return _KINDS[step]
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return None
    if "ContextWindow" in type(error).__name__:
        return core.ContextOverflowError
    return _STATUSES.get(status, core.ModelAPIError if status >= 500 else core.ModelInvalidRequestError)


def _is_public(kind: type[Any]) -> bool:
    """Whether a pickle would find it: classes that were joined when an error was raised are nobody's attribute."""
    return getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


@cache
def _joined(theirs: Any, kind: Any) -> type[Any]:
    plainly = next((step for step in theirs.__mro__ if _is_public(step)), theirs)

    def plain(self: Any) -> tuple[Any, ...]:
        return plainly, self.args, self.__dict__

    fields: dict[str, Any] = {"__module__": theirs.__module__, "__doc__": theirs.__doc__, "__reduce__": plain}
    if issubclass(theirs, ours.APIStatusError) and not hasattr(theirs, "response"):
        fields["response"] = property(response_of)  # tracers read body and headers of a failure from it
    return type(theirs.__name__, (theirs, kind), fields)
