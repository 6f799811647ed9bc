"""One timer for the deadlines of all connections of a server, instead of one for each request.

It knows no HTTP: it asks every connection, a few times within the shortest deadline, whether its time is up. `protocol` is
its only caller.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

NEVER = math.inf


class Watched(Protocol):
    loop: asyncio.AbstractEventLoop

    def check_deadlines(self, now: float) -> None:
        """Act on what is overdue at `now` (the loop's clock)."""
        ...


class Sweeper:
    """Runs while there are connections to look after. `interval` is in seconds; deadlines are kept that exactly."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watched: set[Watched] = set()

    def add(self, connection: Watched) -> None:
        if connection.loop is not self._loop:  # the class is used again, on a new loop: the old one's timers are dead
            self._loop, self._timer, self._watched = connection.loop, None, set()
        self._watched.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(self.interval, self._sweep, connection.loop)

    def discard(self, connection: Watched) -> None:
        self._watched.discard(connection)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self.interval, self._sweep, loop)
        now = loop.time()
        for connection in list(self._watched):
            connection.check_deadlines(now)
