"""What a session is to the engine, and the one without policy: a few deployments in turn, which costs next to nothing.

    step = session.next(now)        a Deployment to ask; a Wait to sleep; or Exhausted, with the error to raise
    session.failed(error, now)      then `next` again
    session.started(now)            the first token has come (streams)
    session.succeeded(now, ...)     or session.cancelled(now): it is over

Nothing of the router's state is imported here: the SDK's plain call needs no more. `session.Session` is the one with policy.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from dragoman.core.errors import CallError, DragomanError
from dragoman.router.deployment import Deployment
from dragoman.router.retry import RetryPolicy, wait_before_retry

if TYPE_CHECKING:
    from dragoman.router.continuation import ContinuationPolicy, Rest
    from dragoman.router.queue import Turn
    from dragoman.router.state import Attempt
    from dragoman.router.throughput import ThroughputGuard


class Wait(Struct, frozen=True):
    """Sleep `seconds`, then ask `next` again: an attempt will follow, unless the deadline or others were quicker. With a `turn`
    it is in a queue, and need not sleep any longer once that is called.
    """

    seconds: float
    turn: Turn | None = None


class Exhausted(Struct, frozen=True, kw_only=True):
    """Nobody else is asked. `error` is what to raise: the last failure, or why nobody could be asked at all.
    `drops`: who was left out and why (`plan.Drop`). `retry_after`: the soonest time in seconds that may change.
    """

    error: DragomanError
    drops: tuple[Any, ...] = ()
    retry_after: float | None = None


Step = Deployment | Wait | Exhausted


class Chooser(Protocol):
    """What the call loop asks who is next. `now` is its monotonic clock. `hedging`: it is a `Capable` that may hedge.
    `throughput_guard`: where it is not None, a `Capable` says who takes over a stream that crawls.
    """

    @property
    def hedging(self) -> bool: ...
    @property
    def throughput_guard(self) -> ThroughputGuard | None: ...
    def next(self, now: float) -> Step: ...
    def failed(self, error: BaseException, now: float) -> None: ...
    def started(self, now: float) -> None: ...


class Sessionlike(Chooser, Protocol):
    """What the engine needs of a session. Token counts are 0 where they are not known.

    `changes`: what the latest attempt's request is to have different, as field -> value; `begun`: with them its last message
    is the beginning of the answer. `drops`: who is left out, and why.
    `continuation`: where it is not None, a `Capable` says who writes the rest of a stream.
    """

    @property
    def continuation(self) -> ContinuationPolicy | None: ...
    @property
    def changes(self) -> dict[str, Any] | None: ...
    @property
    def begun(self) -> bool: ...
    def drops(self, now: float) -> tuple[Any, ...]: ...
    def succeeded(self, now: float, *, input_tokens: int = 0, output_tokens: int = 0) -> None: ...
    def cancelled(self, now: float) -> None: ...


class Capable(Sessionlike, Protocol):
    """One with policy. An attempt of its `trail` says which of several that run at once is meant."""

    @property
    def trail(self) -> list[Attempt]: ...
    def failed(self, error: BaseException, now: float, attempt: Attempt | None = None) -> None: ...
    def hedge_after(self) -> float | None: ...
    def hedge(self, now: float) -> Attempt | None: ...
    def won(self, attempt: Attempt, now: float) -> None: ...
    def go_on(self, now: float, rest: Rest, instead: ThroughputGuard | None = None) -> Deployment | None: ...


class Direct:
    """`deployments` in turn, by `retry.wait_before_retry`, and nothing remembered between calls."""

    __slots__ = ("_deployments", "_errors", "_retry", "_rng", "_waited")
    changes = None
    begun = False
    hedging = False
    continuation = None
    throughput_guard = None

    def __init__(self, deployments: tuple[Deployment, ...], retry: RetryPolicy, rng: Random) -> None:
        self._deployments = deployments
        self._retry = retry
        self._rng = rng
        self._errors: list[CallError] | None = None
        self._waited = False

    def next(self, now: float) -> Step:  # noqa: ARG002 - as every session
        errors, places = self._errors, self._deployments
        if errors is None:
            return places[0]
        if not self._waited:
            before = errors[-len(places)] if len(errors) >= len(places) else None
            wait = wait_before_retry(self._retry, errors[-1], before=before, attempts=len(errors), rng=self._rng)
            if wait is None:
                return Exhausted(error=errors[-1])
            if wait:
                self._waited = True
                return Wait(wait)
        self._waited = False
        return places[len(errors) % len(places)]

    def failed(self, error: BaseException, now: float) -> None:  # noqa: ARG002 - as every session
        if not isinstance(error, CallError):
            return
        if self._errors is None:
            self._errors = [error]
        else:
            self._errors.append(error)

    def drops(self, now: float) -> tuple[Any, ...]:  # noqa: ARG002 - as every session
        return ()

    def started(self, now: float) -> None: ...
    def succeeded(self, now: float, *, input_tokens: int = 0, output_tokens: int = 0) -> None: ...
    def cancelled(self, now: float) -> None: ...
