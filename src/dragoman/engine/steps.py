"""What a flow asks of its driver. A step is yielded; its outcome is sent back, a failure is thrown in.

A step knows what to call on a transport, in each world: `perform` in a plain thread, `aperform` to be awaited, `start` where
the outcome is told in a callback (None: it cannot be had that way).
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import abstractmethod
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from dragoman.core.http import HttpRequest, Timeouts
from dragoman.providers import auth
from dragoman.providers.base import Target
from dragoman.transport.base import Resume, Started

if TYPE_CHECKING:
    from dragoman.router.queue import Turn


class Step(Struct, frozen=True):
    """See the module."""

    @abstractmethod
    def perform(self, transport: Any) -> Any:
        """What it does on a sync transport."""

    def aperform(self, transport: Any) -> Any:
        """As `perform`, or what it would be if it were awaited."""
        return self.perform(transport)

    def start(self, transport: Any, resume: Resume) -> Started | None:  # noqa: ARG002 - for those who can
        return None


Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]
"""Yields steps, is sent their outcomes, and returns what it was made for."""


class Send(Step, frozen=True):
    """One exchange. Comes back: HttpResponse."""

    request: HttpRequest
    timeouts: Timeouts

    def perform(self, transport: Any) -> Any:
        return transport.send(self.request, self.timeouts)

    def start(self, transport: Any, resume: Resume) -> Started | None:
        start = getattr(transport, "start", None)
        started: Started | None = None if start is None else start(self.request, self.timeouts, resume)
        return started


class Open(Step, frozen=True):
    """Send, and return when the response head is there. Comes back: a byte stream of the transport."""

    request: HttpRequest
    timeouts: Timeouts

    def perform(self, transport: Any) -> Any:
        return transport.stream(self.request, self.timeouts)


class Read(Step, frozen=True):
    """The next piece of an open stream, b"" at its end. Comes back: bytes."""

    stream: Any

    def perform(self, _: Any) -> Any:
        return self.stream.read()


class Close(Step, frozen=True):
    """Close an open stream; whatever it still held is dropped. Comes back: None."""

    stream: Any

    def perform(self, _: Any) -> Any:
        return self.stream.close()

    def aperform(self, _: Any) -> Any:
        return self.stream.aclose()


class Sleep(Step, frozen=True):
    """Wait so many seconds. Comes back: None."""

    seconds: float

    def perform(self, _: Any) -> Any:
        return time.sleep(self.seconds)

    def aperform(self, _: Any) -> Any:
        return asyncio.sleep(self.seconds)


class Stand(Step, frozen=True):
    """Stand in a queue until the turn is called, or for so many seconds. Comes back: None."""

    turn: Turn
    seconds: float

    def perform(self, _: Any) -> Any:
        called = threading.Event()
        self.turn.wake = called.set
        try:
            if not self.turn.called:
                called.wait(self.seconds)
        finally:
            self.turn.wake = None

    async def aperform(self, _: Any) -> Any:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        self.turn.wake = partial(loop.call_soon_threadsafe, called.set)
        try:
            if not self.turn.called:
                with suppress(TimeoutError):
                    await asyncio.wait_for(called.wait(), self.seconds)
        finally:
            self.turn.wake = None


class Authorize(Step, frozen=True):
    """Put credentials on a request that no static header can carry. Comes back: HttpRequest.

    What may read a file or ask a token server does so in a thread, never on the event loop.
    """

    request: HttpRequest
    target: Target

    def perform(self, _: Any) -> Any:
        return auth.get(self.target.provider.authorizer).authorize(self.request, self.target, time.time())

    async def aperform(self, transport: Any) -> Any:
        if auth.get(self.target.provider.authorizer).ready(self.target, time.time()):
            return self.perform(transport)
        return await asyncio.to_thread(self.perform, transport)
