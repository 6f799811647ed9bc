"""The transport seam: two methods, send and stream, once sync and once async. A transport moves bytes and knows no dialect.

Failures are raised as `core.http.TransportFailure`, deadlines included; an HTTP error status is a normal response.
A transport never retries, but for one case it alone can see: a pooled connection that turned out to be dead before a
single byte came back is replaced once.
"""

from __future__ import annotations

from typing import Any, Protocol

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


class Resume(Protocol):
    """Who waits for the outcome of a step in callbacks, and not in a task. One of the three is called, once."""

    def resolve(self, outcome: Any) -> None: ...

    def reject(self, problem: BaseException) -> None: ...

    def redo(self) -> None:
        """Nothing was received, and another try has to wait for something: do the step in a task."""
        ...


class Started(Protocol):
    """An exchange that runs."""

    def cancel(self) -> None:
        """End it here and upstream; nobody is told of its outcome any more."""
        ...


class AsyncTransport(Protocol):
    """A transport may also have `start(request, timeouts, resume) -> Started | None`: `send` in callbacks, with no task, where
    a connection is at hand; None where there is none, and then `send` it is.
    """

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse: ...

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream: ...

    async def aclose(self) -> None: ...
