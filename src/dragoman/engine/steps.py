"""What a flow asks of its driver. A step is yielded; its outcome is sent back, a failure is thrown in.

A step knows what to call on a transport, in both worlds: `perform` in a plain thread, `aperform` to be awaited.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from msgspec import Struct

from dragoman.core.http import HttpRequest, Timeouts


class Send(Struct, frozen=True):
    """One exchange. Comes back: HttpResponse."""

    request: HttpRequest
    timeouts: Timeouts

    def perform(self, transport: Any) -> Any:
        return transport.send(self.request, self.timeouts)

    aperform = perform


class Open(Struct, frozen=True):
    """Send, and return when the response head is there. Comes back: a byte stream of the transport."""

    request: HttpRequest
    timeouts: Timeouts

    def perform(self, transport: Any) -> Any:
        return transport.stream(self.request, self.timeouts)

    aperform = perform


class Read(Struct, frozen=True):
    """The next piece of an open stream, b"" at its end. Comes back: bytes."""

    stream: Any

    def perform(self, _: Any) -> Any:
        return self.stream.read()

    aperform = perform


class Close(Struct, frozen=True):
    """Close an open stream; whatever it still held is dropped. Comes back: None."""

    stream: Any

    def perform(self, _: Any) -> Any:
        return self.stream.close()

    def aperform(self, _: Any) -> Any:
        return self.stream.aclose()


class Sleep(Struct, frozen=True):
    """Wait so many seconds. Comes back: None."""

    seconds: float

    def perform(self, _: Any) -> Any:
        return time.sleep(self.seconds)

    def aperform(self, _: Any) -> Any:
        return asyncio.sleep(self.seconds)


Step = Send | Open | Read | Close | Sleep
