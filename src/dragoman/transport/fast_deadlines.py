"""One timer for the deadlines of all exchanges of a transport, instead of one for each. Runs only while there are any."""

from __future__ import annotations

import asyncio
from typing import Protocol

RESOLUTION = 0.05
"""Seconds: a deadline is noticed at most this much late."""


class Watched(Protocol):
    due: float
    """When to look, on the loop's clock."""

    def overdue(self, now: float) -> None:
        """`due` has passed: fail, or set a later `due`."""
        ...


class Sweeper:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now = loop.time
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.forget = self._watched.discard

    def watch(self, item: Watched) -> None:
        self._watched.add(item)
        if self._timer is None:
            self._timer = self.loop.call_later(RESOLUTION, self._sweep)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        if not self._watched:
            self._timer = None
            return
        self._timer = self.loop.call_later(RESOLUTION, self._sweep)
        now = self.loop.time()
        for item in [item for item in self._watched if item.due <= now]:
            item.overdue(now)
