"""What comes back on a `fast_connection`, received whole or as a stream, with the deadlines of both.

Both are receivers of the parser's callbacks on one side and awaited by one task on the other. `fast` makes them.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from dragoman.core.http import Headers, HttpResponse, ResponseHead, Timeouts, TransportFailure
from dragoman.transport.base import Resume
from dragoman.transport.fast_connection import Connection
from dragoman.transport.fast_deadlines import Sweeper

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a whole answer, and of what one stream may have waiting, if not told otherwise."""

QUEUE_BOUND = 256 * 1024
"""Bytes of a stream that wait for a reader before the upstream is no longer read."""


class Incoming(ABC):
    """The part both have: one waiting task, one connection while it lasts, and how it ended.

    `answered`: what the request was sent for is there, whatever comes now: the whole answer, or a stream's head.
    """

    answered = False
    connection: Connection | None = None
    due = math.inf
    status = 0
    headers: Headers = ()
    _ended = False
    failure: BaseException | None = None
    _waiter: asyncio.Future[None] | None = None
    _size = 0

    def __init__(self, timeouts: Timeouts, sweeper: Sweeper, limit: int) -> None:
        self._timeouts = timeouts
        self._sweeper = sweeper
        self._limit = limit

    def send(self, connection: Connection, head: bytes, body: bytes, began: float, now: float) -> None:
        """Send the request whose answer comes here. `began`: when the attempt as a whole did; both on the loop's clock."""
        self.failure = None
        first_token, total = self._timeouts.first_token, self._timeouts.total
        self._first_at = math.inf if first_token is None else now + first_token
        self._total_at = math.inf if total is None else began + total
        self.due = min(self._first_at, self._total_at)
        self.connection = connection
        connection.start(self, head, body)
        self._sweeper.watch(self)

    def waiter(self) -> asyncio.Future[None]:
        """Done when woken: by what was waited for, or by a failure. Whose wait is cancelled must `abandon` the exchange."""
        waiter = self._waiter = self._sweeper.loop.create_future()
        return waiter

    async def outcome(self) -> None:
        """Wait until woken. When the waiting task is cancelled the exchange ends."""
        try:
            await self.waiter()
        except BaseException:
            self.abandon("the request was cancelled")
            raise

    def was_stale(self, connection: Connection) -> bool:
        """The pooled connection died before the request reached anyone: not a byte came back."""
        failure = self.failure
        return isinstance(failure, TransportFailure) and failure.kind == "closed" and not connection.heard

    def abandon(self, why: str) -> None:
        """No more is wanted: an open exchange ends here and upstream, at once."""
        if self.connection is not None:
            connection = self.connection
            self.fail(TransportFailure("closed", why))
            connection.abandon(self)

    def begin(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers

    @abstractmethod
    def piece(self, data: bytes) -> None: ...

    def end(self) -> None:
        self._ended = self.answered = True
        self._leave()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self._leave()

    def overdue(self, now: float) -> None:
        """The sweeper's call: what is late?"""
        if now >= self._total_at:
            self._expire("total", f"the answer was not complete after {self._timeouts.total:g} s")
        else:
            self._expire("first_token", f"no answer came within {self._timeouts.first_token:g} s")

    def _expire(self, kind: str, message: str) -> None:
        connection = self.connection
        self.fail(TransportFailure(kind, message))
        if connection is not None:
            connection.abandon(self)

    def _leave(self) -> None:
        self.connection = None
        self._sweeper.forget(self)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Whole(Incoming):
    """Collects a body of at most `limit` bytes, for a task that waits or for a `resume`."""

    _pieces: list[bytes]
    _resume: Resume | None = None

    def __init__(self, timeouts: Timeouts, sweeper: Sweeper, limit: int) -> None:
        super().__init__(timeouts, sweeper, limit)
        self._pieces = []

    def resume_with(self, resume: Resume) -> None:
        """`resume` is told the outcome, in the turn of the loop in which it comes."""
        self._resume = resume

    def cancel(self) -> None:
        """A `transport.base.Started`."""
        self._resume = None
        self.abandon("the request was cancelled")

    def response(self) -> HttpResponse:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return HttpResponse(status=self.status, headers=self.headers, body=body)

    def _leave(self) -> None:
        connection = self.connection
        super()._leave()
        resume, self._resume = self._resume, None
        if resume is None:
            return
        if self.failure is None:
            resume.resolve(self.response())
        elif connection is not None and self.was_stale(connection):
            resume.redo()
        else:
            resume.reject(self.failure)

    def piece(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TransportFailure("too_large", f"the answer is larger than {self._limit} bytes")
        self._pieces.append(data)


class FastStream(Incoming):
    """An AsyncByteStream that can also push: see `relay`. One task reads it, or relays it, at a time.

    `limit` bounds what one burst may add to the pieces that nobody has read yet.
    """

    head = ResponseHead(status=0)
    _full = False
    _held = False
    _pieces: deque[bytes] | tuple[()] = ()  # an empty deque is 600 bytes, and in most streams nothing waits

    def send(self, connection: Connection, head: bytes, body: bytes, began: float, now: float) -> None:
        super().send(connection, head, body, began, now)
        self.due = min(self.due, now + self._idle())

    async def read(self) -> bytes:
        while not self._pieces:
            if self.failure is not None:
                raise self.failure
            if self._ended:
                return b""
            await self.outcome()
        piece = self._taken()
        self._size -= len(piece)
        if self._full and self._size < QUEUE_BOUND // 2:
            self._full = False
            self._apply_pressure()
        return piece

    async def relay(self, on_data: Callable[[bytes], None]) -> None:
        """Push what has come, then every further piece, to `on_data` as it comes. Returns at the clean end.

        Raises TransportFailure; or what `on_data` raises, which ends the exchange.
        """
        try:
            while self._pieces:
                on_data(self._taken())
        except BaseException:
            self.abandon("the reader failed")
            raise
        if self.connection is not None:
            self.connection.deliver = on_data
            self._full = False
            self._apply_pressure()
            await self.outcome()
        if self.failure is not None:
            raise self.failure

    def _taken(self) -> bytes:
        piece: bytes = self._pieces.popleft()  # type: ignore[union-attr]  # there is one
        if not self._pieces:
            self._pieces = ()
        return piece

    def pause(self) -> None:
        """Stop reading from upstream until `resume`: whoever takes the pieces cannot keep up."""
        self._held = True
        self._apply_pressure()

    def resume(self) -> None:
        self._held = False
        self._apply_pressure()

    async def aclose(self) -> None:
        """An answer that is not complete yet is cut off at once; a waiting `read` fails."""
        self.abandon("the stream was closed before its end")

    def piece(self, data: bytes) -> None:
        if isinstance(self._pieces, deque):
            self._pieces.append(data)
        else:
            self._pieces = deque((data,))
        self._size += len(data)
        if self._size > self._limit:
            raise TransportFailure("too_large", f"more than {self._limit} bytes came in one burst")
        if self._size > QUEUE_BOUND and not self._full:
            self._full = True
            self._apply_pressure()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def begin(self, status: int, headers: Headers) -> None:
        self.head = ResponseHead(status=status, headers=headers)
        self.answered = True
        self._wake()

    def overdue(self, now: float) -> None:
        """After the first piece the quiet time counts, but not while it is us who do not read."""
        connection, idle = self.connection, self._idle()
        if now >= self._total_at or connection is None:
            super().overdue(now)
        elif connection.touched:
            quiet_at = (now if connection.paused else connection.touched) + idle
            if now >= quiet_at:
                self._expire("idle", f"nothing came for {idle:g} s in the middle of the answer")
            self.due = min(quiet_at, self._total_at)
        elif now >= self._first_at:
            super().overdue(now)
        else:
            self.due = min(self._first_at, self._total_at, now + idle)

    def _idle(self) -> float:
        return math.inf if self._timeouts.idle is None else self._timeouts.idle

    def _apply_pressure(self) -> None:
        if self.connection is None:
            return
        if self._full or self._held:
            self.connection.pause()
        else:
            self.connection.resume()
