"""Plays the scripts of `providers.demo` in this process, for URLs `demo://in-process/v1/...`: sync and async.

It keeps the four deadlines of a real transport: a script that is too slow, or silent for ever, ends in the same
TransportFailure as a slow or silent server would. Each transport counts its requests, which decides who gets a fault.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from time import monotonic
from typing import NamedTuple

from dragoman.core.http import HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure
from dragoman.providers.demo import Plan, Script, Settings, plan


class _Wait(NamedTuple):
    """Wait so long (None: for ever); then the answer goes on, or `deadline` has passed."""

    seconds: float | None
    deadline: str = ""


class _Playback:
    """Where one exchange stands. Waiting itself is left to the two kinds of stream below."""

    def __init__(self, script: Script, timeouts: Timeouts, *, whole: bool) -> None:
        self._script = script
        self._timeouts = timeouts
        self._whole = whole
        self._started = self._last = monotonic()
        self._index = -1
        self.head = ResponseHead(status=0)

    def wait(self) -> _Wait:
        """How long until the next thing happens, and which deadline comes before it, if one does."""
        needed, now = self._needed(), monotonic()
        waits = [_Wait(needed)] if needed is not None else []
        waits.extend(
            _Wait(max(0.0, since + limit - now), name) for name, since, limit in self._deadlines() if limit is not None
        )
        return min(waits, key=_seconds, default=_Wait(None))

    def arrive(self, wait: _Wait) -> bytes:
        """What is there after the wait: a piece, b"" for the head and for the end."""
        if wait.deadline:
            raise TransportFailure(wait.deadline, f"the demo provider was silent past the {wait.deadline} deadline")
        self._last = monotonic()
        script, self._index = self._script, self._index + 1
        if script.head is None:
            raise TransportFailure("connect", "the demo provider refuses the connection (fail=refuse)", sent=False)
        if self._index == 0:
            self.head = script.head
            return b""
        if self._index <= len(script.pieces):
            return script.pieces[self._index - 1].data
        if script.end == "cut":
            raise TransportFailure("closed", "the demo provider closed the connection inside the body (fail=cut)")
        return b""

    def _needed(self) -> float | None:
        """Seconds until the next step; None: it never comes."""
        script, following = self._script, self._index + 1
        if following == 0 and (script.head is not None or script.end == "cut"):
            return script.delay
        if 0 < following <= len(script.pieces):
            return script.pieces[following - 1].delay
        return None if script.end == "stall" else 0.0

    def _deadlines(self) -> tuple[tuple[str, float, float | None], ...]:
        """Name, from when, how long. The first byte of the body counts, and the whole body when it is read whole."""
        limits = self._timeouts
        beginning = self._whole or self._index < 1
        step = ("first_token", self._started, limits.first_token) if beginning else ("idle", self._last, limits.idle)
        return step, ("total", self._started, limits.total)


def _seconds(wait: _Wait) -> float:
    return wait.seconds if wait.seconds is not None else float("inf")


def _closed() -> TransportFailure:
    return TransportFailure("closed", "the stream was closed on our side")


class DemoStream(_Playback):
    """A ByteStream. `close` may come from another thread and ends a `read` that waits."""

    def __init__(self, script: Script, timeouts: Timeouts, *, whole: bool) -> None:
        super().__init__(script, timeouts, whole=whole)
        self._closing = threading.Event()

    def read(self) -> bytes:
        wait = self.wait()
        if self._closing.wait(wait.seconds):
            raise _closed()
        return self.arrive(wait)

    def close(self) -> None:
        self._closing.set()


class AsyncDemoStream(_Playback):
    """An AsyncByteStream. `aclose` ends a `read` that waits in another task."""

    def __init__(self, script: Script, timeouts: Timeouts, *, whole: bool) -> None:
        super().__init__(script, timeouts, whole=whole)
        self._closing = asyncio.Event()

    async def read(self) -> bytes:
        wait = self.wait()
        if wait.seconds == 0:
            await asyncio.sleep(0)
        else:
            await self._pause(wait.seconds)
        if self._closing.is_set():
            raise _closed()
        return self.arrive(wait)

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def aclose(self) -> None:
        self._closing.set()


class _Counting:
    """Plans requests and numbers them."""

    def __init__(self, defaults: Settings = Settings()) -> None:  # noqa: B008 - frozen
        self._defaults = defaults
        self._turns = itertools.count()

    def _script(self, request: HttpRequest) -> Script:
        planned: Plan = plan(request, self._defaults)
        return planned.at(next(self._turns))


class DemoTransport(_Counting):
    """A Transport. `defaults` are parameters for requests that name none."""

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        stream = DemoStream(self._script(request), timeouts, whole=True)
        stream.read()
        body = b"".join(iter(stream.read, b""))
        return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=body)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> DemoStream:
        stream = DemoStream(self._script(request), timeouts, whole=False)
        stream.read()
        return stream

    def close(self) -> None:
        """Nothing is held between requests."""


class AsyncDemoTransport(_Counting):
    """An AsyncTransport."""

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        stream = AsyncDemoStream(self._script(request), timeouts, whole=True)
        await stream.read()
        pieces = []
        while piece := await stream.read():
            pieces.append(piece)
        return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=b"".join(pieces))

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncDemoStream:
        stream = AsyncDemoStream(self._script(request), timeouts, whole=False)
        await stream.read()
        return stream

    async def aclose(self) -> None:
        """Nothing is held between requests."""
