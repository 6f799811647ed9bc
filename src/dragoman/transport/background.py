"""A sync transport whose requests can be given up: an event loop in a thread of its own carries those that run side by side.

A thread that waits for a socket cannot be told to stop, a task can. So `engine.race` asks for its attempts `aside`; all other
requests go the plain way, in the thread that asks. A stream which was opened aside is read there until its race is over, and
from then on by the thread that asked, at some 50 microseconds a piece. The loop begins with the first race and ends with
`close`, or with the program. Made for a `Router` by its client.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from dragoman.core.errors import APIConnectionError
from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.transport.base import AsyncByteStream, AsyncTransport, ByteStream, Transport

Result = TypeVar("Result")


class BackgroundTransport:
    """A Transport, `plain` but for what is asked `aside`, on the transport that `make` makes. Threads may share it."""

    def __init__(self, plain: Transport, make: Callable[[], AsyncTransport]) -> None:
        self._make = make
        self._plain = plain
        self._lock = threading.Lock()
        self._loop: _Loop | None = None

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return self._plain.send(request, timeouts)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> ByteStream:
        return self._plain.stream(request, timeouts)

    def close(self) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()
        self._plain.close()

    def aside(self, work: Callable[[AsyncTransport], Coroutine[Any, Any, Result]]) -> Result:
        """Run `work` in the loop. An interrupt of the thread that waits cancels it, and waits until that is done.

        Raises APIConnectionError when the transport is closed meanwhile.
        """
        with self._lock:
            if self._loop is None or not self._loop.runs:  # after a fork there is no thread any more
                self._loop = _Loop(self._make)
            loop = self._loop
        carrier = _Carrier(loop)
        try:
            return loop.run(work(carrier))
        except TransportFailure as failure:
            raise APIConnectionError(failure.message) from failure
        finally:
            carrier.land()


class _Loop:
    """The loop in its thread, and the transport that belongs to it."""

    def __init__(self, make: Callable[[], AsyncTransport]) -> None:
        self.transport = make()
        self._work = work = _Work()
        self._thread = threading.Thread(target=work.forever, name="dragoman-background", daemon=True)
        self._thread.start()
        self._finish = weakref.finalize(self, _finish, work, self._thread, self.transport)

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Its result, or what it raises."""
        return self._work.run(work)

    def close(self) -> None:
        self._finish()


class _Work:
    """What threads have done in the loop. It knows nothing of who asks, so that it does not keep them alive."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._taken = True

    def forever(self) -> None:
        """Until `loop.stop`. What was begun until then comes to an end."""
        try:
            self.loop.run_forever()
            with self._lock:
                self._taken = False
            self.loop.run_until_complete(_cancelled())
        finally:
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        tasks: list[asyncio.Task[Result]] = []
        over = threading.Event()

        def begin() -> None:
            tasks.append(self.loop.create_task(work))
            tasks[0].add_done_callback(lambda _: over.set())

        self._soon(begin, work)
        try:
            over.wait()
        except BaseException:
            with suppress(RuntimeError):  # the loop has closed, so all is over
                self.loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108 - it may not have begun yet
            over.wait()
            if not tasks[0].cancelled():
                tasks[0].exception()
            raise
        if tasks[0].cancelled():
            raise TransportFailure("closed", _CLOSED)
        return tasks[0].result()

    def _soon(self, begin: Callable[[], None], work: Coroutine[Any, Any, Any]) -> None:
        with self._lock:
            if self._taken:
                self.loop.call_soon_threadsafe(begin)
                return
        work.close()
        raise TransportFailure("closed", _CLOSED, sent=False)


def _finish(work: _Work, thread: threading.Thread, transport: AsyncTransport) -> None:
    if thread is threading.current_thread():  # its last task has let go of it
        work.loop.stop()
    elif thread.is_alive():
        work.run(_end(transport))
        work.loop.call_soon_threadsafe(work.loop.stop)
        thread.join()


async def _end(transport: AsyncTransport) -> None:
    await _cancelled()
    await transport.aclose()
    await asyncio.get_running_loop().shutdown_asyncgens()


async def _cancelled() -> None:
    """Whoever waits for a task is told that it was cancelled."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_CLOSED = "the client was closed"


class _Carrier:
    """The loop's transport for one race: it knows what was opened."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._opened: list[_Stream] = []

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return await self._loop.transport.send(request, timeouts)

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream:
        made = _Stream(await self._loop.transport.stream(request, timeouts), self._loop)
        self._opened.append(made)
        return made

    async def aclose(self) -> None:
        """It is the loop's that is closed."""

    def land(self) -> None:
        for stream in self._opened:
            stream.landed = True


class _Stream:
    """An AsyncByteStream in the loop, and a ByteStream once it has `landed`: its steps are those of either world."""

    def __init__(self, stream: AsyncByteStream, loop: _Loop) -> None:
        self.head = stream.head
        self.landed = False
        self.aclose = stream.aclose
        self._stream = stream
        self._loop = loop

    def read(self) -> Any:
        piece = self._stream.read()
        return self._loop.run(piece) if self.landed else piece

    def close(self) -> None:
        with suppress(TransportFailure):  # with its client it was closed too
            self._loop.run(self._stream.aclose())

    def finish(self) -> None:
        with suppress(TransportFailure):
            self._loop.run(getattr(self._stream, "finish", self._stream.aclose)())
