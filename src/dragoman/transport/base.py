"""The transport seam: two methods, send and stream, once sync and once async. A transport moves bytes and knows no dialect.

Failures are raised as `core.http.TransportFailure`, deadlines included; an HTTP error status is a normal response.
A transport never retries, but for one case it alone can see: a pooled connection that turned out to be dead before a
single byte came back is replaced once.
"""

from __future__ import annotations

from typing import Protocol

from dragoman.core.http import HttpRequest, HttpResponse, ResponseHead, Timeouts


class ByteStream(Protocol):
    """A response whose body is read piece by piece. Must be closed; closing early ends the upstream request at once.

    A stream may also have `finish()`, for a reader that has the whole answer: it waits a moment for the end of the body, so
    that the connection can be used again, and closes.
    """

    head: ResponseHead

    def read(self) -> bytes:
        """The next piece, b"" at the end. Raises TransportFailure (idle, total, first_token, closed, protocol)."""
        ...

    def close(self) -> None: ...


class AsyncByteStream(Protocol):
    """As ByteStream, for the event loop. `aclose` may be called at any time, also while a `read` is waiting."""

    head: ResponseHead

    async def read(self) -> bytes: ...

    async def aclose(self) -> None: ...


class Transport(Protocol):
    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """One exchange, the body read whole."""
        ...

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> ByteStream:
        """Returns when the response head is there."""
        ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse: ...

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream: ...

    async def aclose(self) -> None: ...
