"""The connections to one origin: the newest idle one is used first, the old ones run out, a limit makes requests queue.

Called by `fast` alone, on the event loop. It knows no HTTP: a connection tells it when it is free, useless or gone.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from dragoman.core.http import TransportFailure
from dragoman.transport.fast_connection import Connection
from dragoman.transport.fast_request import Origin

_HAPPY_EYEBALLS = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305)."""


class PoolLimits(Struct, frozen=True, kw_only=True):
    """For each origin. `idle_seconds` shrinks to what a server's keep-alive header allows.

    `max_connections` None: as many as there are requests at once. With a number, further requests wait, first come first
    served; the connect timeout ends their wait.
    """

    max_idle: int = 1000
    idle_seconds: float = 60.0
    max_connections: int | None = None


class Pool:
    """`tls` gives the context for https, once it is needed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, origin: Origin, limits: PoolLimits, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        self._loop = loop
        self._origin = origin
        self._max_idle = limits.max_idle
        self._idle_seconds = limits.idle_seconds
        self._max_connections = limits.max_connections
        self._tls = tls
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._slots = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False

    # ------------------------------------------------------------------------------------------------- for the transport
    def take(self, now: float) -> Connection | None:
        """A live idle connection, if there is one. It must be started in the same turn of the loop."""
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_until > now:
                return connection
            connection.drop()
        return None

    async def obtain(self, until: float | None, kind: str) -> Connection:
        """A connection, new if need be, at the latest at `until` on the loop's clock. It must be started at once.

        Raises TransportFailure: connect, or `kind` when the time is up.
        """
        try:
            async with asyncio.timeout_at(until):
                while True:
                    connection = await self._turn() or await self._connect()
                    if not connection.closing:
                        return connection
        except TimeoutError:
            message = f"no connection to {self._place()} within the time allowed"
            raise TransportFailure(kind, message, sent=False) from None

    async def aclose(self) -> None:
        """Drop everything and wait until the sockets are closed. Requests in flight fail."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while (waiter := self._next_waiter()) is not None:  # each finds out on its own that it comes too late
            self._slots += 1
            waiter.set_result(None)
        if self._open:
            self._emptied = self._loop.create_future()
            for connection in list(self._open):
                connection.drop()
            await self._emptied

    # ----------------------------------------------------------------------------------------------- from the connections
    def opened(self, connection: Connection) -> None:
        self._open.add(connection)
        if self._closed:
            connection.drop()

    def give_back(self, connection: Connection) -> None:
        waiter = self._next_waiter() if self._waiters else None
        if waiter is not None:
            waiter.set_result(connection)
            return
        if self._closed or len(self._idle) >= self._max_idle:
            connection.drop()
            return
        allowed = self._idle_seconds
        if connection.keep_seconds is not None:  # a second less: the server must not close while a request is on its way
            allowed = min(allowed, connection.keep_seconds - 1)
        connection.idle_until = (connection.touched or self._loop.time()) + allowed
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = self._loop.call_later(self._idle_seconds, self._reap)

    def unusable(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def lost(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            self._release_slot()
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    # -------------------------------------------------------------------------------------------------------------- within
    async def _turn(self) -> Connection | None:
        """Wait for a free slot. A connection when another request hands its own on, None when a slot is now ours."""
        if self._max_connections is None or self._slots < self._max_connections:
            self._slots += 1
            return None
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it came too late for this request: pass it on
                self._return(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _return(self, handed: Connection | None) -> None:
        if handed is None:
            self._release_slot()
        elif not handed.closing:
            self.give_back(handed)

    async def _connect(self) -> Connection:
        """Open a connection in the slot that is ours, or free the slot."""
        connection = Connection(self, self._loop.time)
        options: dict[str, Any] = {}
        if self._origin.tls:
            options = {"ssl": self._tls(), "server_hostname": self._origin.host}
        if isinstance(self._loop, asyncio.BaseEventLoop):  # uvloop has no such option: it tries one address after the other
            options["happy_eyeballs_delay"] = _HAPPY_EYEBALLS
        try:
            if self._closed:
                raise self._is_closed()
            await self._loop.create_connection(lambda: connection, self._origin.host, self._origin.port, **options)
        except BaseException as problem:
            connection.closing = True  # its loop may still have to tell it that it was made
            if connection.was_made:
                connection.drop()
                self.lost(connection)  # uvloop has closed it already, and does not tell it so
            else:
                self._release_slot()
            if isinstance(problem, OSError | UnicodeError | OverflowError) and not isinstance(problem, TimeoutError):
                message = f"no connection to {self._place()}: {str(problem) or type(problem).__name__}"
                raise TransportFailure("connect", message, sent=False) from problem
            raise
        if connection.closing:
            raise TransportFailure("connect", f"the connection to {self._place()} was closed at once", sent=False)
        return connection

    def _release_slot(self) -> None:
        """A waiting request may open a connection in place of one that is gone."""
        waiter = self._next_waiter()
        if waiter is None:
            self._slots -= 1
        else:
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _reap(self) -> None:
        """Close what has been idle too long."""
        self._reaper = None
        now = self._loop.time()
        for connection in [one for one in self._idle if one.idle_until <= now]:
            connection.drop()
        if self._idle:
            soonest = min(one.idle_until for one in self._idle)
            self._reaper = self._loop.call_at(soonest, self._reap)

    def _is_closed(self) -> TransportFailure:
        return TransportFailure("connect", "the transport is closed", sent=False)

    def _place(self) -> str:
        return f"{self._origin.host}:{self._origin.port}"
