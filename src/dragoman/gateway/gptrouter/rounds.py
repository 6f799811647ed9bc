"""`maxRetries` of a request with several candidates: when all of them have failed they are asked once more, in their order, as
long as there are retries left. What is a retry and what waits before it is the router's rule; its budget against storms holds.

    Rounds(begin, budget, retry, retries=2, rng=rng)      a session, made of as many sessions as there are rounds
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from dragoman.core.errors import CallError
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct, Exhausted, Sessionlike, Step, Wait
from dragoman.router.outcome import KINDS, failure
from dragoman.router.retry import Budget, RetryPolicy, back_off


class Rounds:
    """`begin` begins a round's session; `retries` further attempts after the first round. Nothing is hedged."""

    begun = False
    hedging = False
    continuation = None
    throughput_guard = None

    def __init__(
        self, begin: Callable[[], Sessionlike], budget: Budget, retry: RetryPolicy, *, retries: int, rng: Random
    ) -> None:
        self._begin = begin
        self._budget = budget
        self._retry = retry
        self._left = retries
        self._rng = rng
        self._session = begin()
        self._round = 1
        self._paid = False
        self._error: CallError | None = None

    @property
    def changes(self) -> dict[str, Any] | None:
        return self._session.changes

    def next(self, now: float) -> Step:
        later = self._round > 1
        if later and self._error and not self._left:
            return Exhausted(error=self._error)
        step = self._session.next(now)
        if isinstance(step, Exhausted):
            return self._again(step)
        if later and isinstance(step, Deployment):
            self._left -= 1
            self._paid = self._budget.take()
            if self._error and not self._paid:  # others were quicker to use it up
                self._session.cancelled(now)
                return Exhausted(error=self._error)
        return step

    def failed(self, error: BaseException, now: float) -> None:
        if isinstance(error, CallError):
            self._error = error
        self._settle(failed=True)
        self._session.failed(error, now)

    def started(self, now: float) -> None:
        self._session.started(now)

    def succeeded(self, now: float, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        self._settle(failed=False)
        self._session.succeeded(now, input_tokens=input_tokens, output_tokens=output_tokens)

    def cancelled(self, now: float) -> None:
        self._settle(failed=False)
        self._session.cancelled(now)

    def drops(self, now: float) -> tuple[Any, ...]:
        return self._session.drops(now)

    def _again(self, over: Exhausted) -> Step:
        """The next round, after a wait; or that it is over."""
        error = self._error
        if error is None or not self._left or self._budget.tokens < 1.0 or not KINDS[failure(error).kind].again:
            return over
        named = getattr(error, "retry_after", None) or 0.0
        if named > self._retry.max_wait:
            return over
        wait = max(named, back_off(self._retry, self._round, self._rng))
        self._session = self._begin()
        self._round += 1
        return Wait(wait)

    def _settle(self, *, failed: bool) -> None:
        if self._paid:
            self._paid = False
            self._budget.settle(1.0, failed=failed)


class Turns(Direct):
    """Deployments in turn, as `Direct`, and each has its turn for every failure that another group may mend (a 401 too)."""

    __slots__ = ()

    def next(self, now: float) -> Step:
        errors, places = self._errors or (), self._deployments
        if errors and len(errors) < len(places) and KINDS[failure(errors[-1]).kind].fallback:
            return places[len(errors)]
        return super().next(now)
