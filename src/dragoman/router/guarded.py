"""A session whose every step holds a lock: for a policy that several threads share. Made by `Router`.

The lock is held for as long as a decision takes, and never while anything is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from dragoman.router.continuation import ContinuationPolicy
from dragoman.router.state import Attempt
from dragoman.router.throughput import ThroughputGuard

if TYPE_CHECKING:
    from dragoman.router.session import Session


class Guarded:
    """See the module."""

    __slots__ = (
        "_lock",
        "_session",
        "cancelled",
        "drops",
        "failed",
        "go_on",
        "hedge",
        "hedge_after",
        "hedging",
        "next",
        "started",
        "succeeded",
        "won",
    )

    def __init__(self, session: Session, lock: AbstractContextManager[Any]) -> None:
        self._session = session
        self._lock = lock
        self.next = self._held(session.next)
        self.failed = self._held(session.failed)
        self.started = self._held(session.started)
        self.succeeded = self._held(session.succeeded)
        self.cancelled = self._held(session.cancelled)
        self.drops = self._held(session.drops)
        self.hedging = session.hedging
        self.hedge_after = self._held(session.hedge_after)
        self.hedge = self._held(session.hedge)
        self.won = self._held(session.won)
        self.go_on = self._held(session.go_on)

    @property
    def continuation(self) -> ContinuationPolicy | None:
        return self._session.continuation

    @property
    def throughput_guard(self) -> ThroughputGuard | None:
        return self._session.throughput_guard

    @property
    def trail(self) -> list[Attempt]:
        return self._session.trail

    @property
    def begun(self) -> bool:
        return self._session.begun

    @property
    def changes(self) -> dict[str, Any] | None:
        return self._session.changes

    def _held(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def held(*given: Any, **named: Any) -> Any:
            with self._lock:
                return act(*given, **named)

        return held
