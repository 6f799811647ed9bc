"""How an attempt ended, in the words that policy decides by: a success, or one of a dozen kinds of failure.

The table says for each kind what follows from it. Nothing here decides how often or when: `retry`, `fallback` and `health`
read the table. Made by the session from the errors of `core.errors`.
"""

from __future__ import annotations

from msgspec import Struct

from dragoman.core import errors as e
from dragoman.router.throughput import SlowStreamError

SUCCESS = "success"
CANCELLED = "cancelled"
SLOW = "slow"


class Kind(Struct, frozen=True, kw_only=True):
    """`counts`: against the deployment's health. `again`: the same deployment may answer another time. `elsewhere`: another
    deployment of the group may. `fallback`: another group may. `at_once`: one such failure takes the deployment out.
    """

    counts: bool = False
    again: bool = False
    elsewhere: bool = False
    fallback: bool = False
    at_once: bool = False


_SERVER = Kind(counts=True, again=True, elsewhere=True, fallback=True)

KINDS: dict[str, Kind] = {
    "connection": _SERVER,
    "timeout": _SERVER,
    "server": _SERVER,
    "unavailable": _SERVER,
    "decode": _SERVER,
    "rate_limit": Kind(again=True, elsewhere=True, fallback=True, at_once=True),
    "credential": Kind(elsewhere=True, fallback=True, at_once=True),
    "refused": Kind(counts=True, elsewhere=True, fallback=True),
    "conflict": Kind(again=True, elsewhere=True, fallback=True),
    "unsupported": Kind(elsewhere=True, fallback=True),
    "context_window": Kind(fallback=True),
    "content_policy": Kind(fallback=True),
    "request": Kind(),
    "interrupted": Kind(counts=True),
    SLOW: Kind(),
    CANCELLED: Kind(),
}
"""`refused` is 403 and 404: this deployment's fault more often than the request's. `request` is the caller's own mistake."""

_CLASSES: dict[type[BaseException], str] = {
    e.Timeout: "timeout",
    e.APIConnectionError: "connection",
    e.ContextWindowExceededError: "context_window",
    e.RequestTooLargeError: "context_window",
    e.ContentPolicyViolationError: "content_policy",
    e.UnsupportedParamsError: "unsupported",
    e.AuthenticationError: "credential",
    e.PaymentRequiredError: "credential",
    e.PermissionDeniedError: "refused",
    e.NotFoundError: "refused",
    e.ConflictError: "conflict",
    e.RateLimitError: "rate_limit",
    e.ServiceUnavailableError: "unavailable",
    e.InternalServerError: "server",
    e.BadGatewayError: "server",
    e.ResponseDecodeError: "decode",
    e.StreamInterruptedError: "interrupted",
    SlowStreamError: SLOW,
    e.CallError: "request",
}
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes of a 429 that no waiting cures: the account has no money."""


class Outcome(Struct, frozen=True, kw_only=True):
    """Seconds and tokens of one attempt. `first_token` is None when the answer came whole, or not at all."""

    kind: str = SUCCESS
    retry_after: float | None = None
    seconds: float = 0.0
    first_token: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


def kind_of(error: BaseException) -> str:
    """The kind of a failure; what is no error of a call (an interrupt, a cancelled task) is `cancelled`."""
    found = next((_CLASSES[name] for name in type(error).__mro__ if name in _CLASSES), CANCELLED)
    if found == "rate_limit" and getattr(error, "code", None) in _SPENT:
        return "credential"
    return found


def failure(error: BaseException, *, seconds: float = 0.0, first_token: float | None = None) -> Outcome:
    """The outcome that an error stands for. A stream that crawled did so from its `first_token` for as long as was waited."""
    if isinstance(error, SlowStreamError):
        begun, usage = first_token or 0.0, error.usage
        counts = {"input_tokens": usage.input_tokens, "output_tokens": max(1, usage.output_tokens)}
        return Outcome(kind=SLOW, seconds=begun + error.seconds, first_token=begun, **counts)
    asked = error.retry_after if isinstance(error, e.APIStatusError) else None
    return Outcome(kind=kind_of(error), retry_after=asked, seconds=seconds)
