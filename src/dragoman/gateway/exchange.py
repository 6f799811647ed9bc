"""One HTTP exchange as the gateway sees it, whoever runs the socket: our protocol under uvicorn, or any ASGI server.

A handler is `handle(exchange)`. It answers either with one `respond`, or with `start`, any number of `write`, then `finish`:
before it returns, later in callbacks, or in the coroutine it returns, which is then run as a task (so it may be an
`async def`). Handlers never see a socket, a transport or an ASGI message.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]
"""Response headers: lower-case names. Framing (content-length, transfer-encoding, connection, date) is not the handler's."""


class Exchange(Protocol):
    """`path` is without the query and percent-encoded as it came; header names are lower case; `body` is whole."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str
    """The peer's address, for logs."""

    disconnected: bool
    """The client is gone: nothing that is written arrives."""

    response_started: bool
    """Bytes of the answer went out."""

    response_complete: bool
    """Nothing more will."""

    @property
    def named(self) -> Mapping[bytes, bytes]:
        """The request headers by name, in lower case; of several the first."""
        ...

    def header(self, name: bytes) -> bytes | None:
        """The first value of a request header, by its lower-case name."""
        ...

    def put_header(self, name: bytes, value: bytes) -> None:
        """From here on the request says this, in place of what it said under that name."""
        ...

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Called once, on the event loop, if the client goes away before the answer is finished. At once if it has."""
        ...

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer: one write, with its content-length."""
        ...

    def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer. The head goes out together with the first `write`."""
        ...

    def write(self, data: bytes) -> None:
        """Send a piece now: one write to the socket, never held back. After a disconnect it does nothing."""
        ...

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written. Returns at once when nothing is in the way."""
        ...

    def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """For writers that are pushed: told when the client reads too slowly, and when it has caught up."""
        ...

    def finish(self) -> None:
        """The streamed answer is complete."""
        ...

    def abort(self) -> None:
        """End a streamed answer that broke: the connection is closed without the mark of a clean end."""
        ...


Handler = Callable[[Exchange], Coroutine[Any, Any, None] | None]
