"""The gateway's protocol class on a transport that only remembers: no sockets, the event loop runs for the handlers alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from dragoman.gateway.protocol import make_protocol
from dragoman.gateway.serving import Limits, Routes
from support.rawclient import RawResponse, parse_responses


class FakeTransport(asyncio.Transport):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.protocol: Any = None
        self.writes: list[bytes] = []
        self.closed = False
        self.aborted = False
        self.eof = False
        self.reading_paused = False
        self.buffered = 0

    def write(self, data: bytes) -> None:
        assert not self.eof, f"written after eof: {data!r}"
        if not self.closed:  # as a real transport, which drops it
            self.writes.append(bytes(data))

    def write_eof(self) -> None:
        self.eof = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def get_write_buffer_size(self) -> int:
        return self.buffered


class FakeConnection:
    """One client. What it sends waits while the protocol has paused reading, as it would in a socket."""

    def __init__(self, protocol_class: type[asyncio.Protocol], app: Any, **settings: Any) -> None:
        settings = {"log_config": None, "access_log": False, "lifespan": "off", "proxy_headers": False} | settings
        self.config = uvicorn.Config(app, http=protocol_class, **settings)
        self.config.load()
        self.state = ServerState()
        self.transport = FakeTransport(asyncio.get_running_loop())
        self.protocol: Any = protocol_class(config=self.config, server_state=self.state, app_state={})
        self.transport.protocol = self.protocol
        self.protocol.connection_made(self.transport)
        self._unread: list[bytes] = []

    def feed(self, *pieces: bytes) -> None:
        self._unread += pieces
        self._deliver()

    def _deliver(self) -> None:
        while self._unread and not self.transport.reading_paused and not self.transport.closed:
            self.protocol.data_received(self._unread.pop(0))

    async def settle(self) -> None:
        """Until nothing moves without the client."""
        quiet = 0
        while quiet < 5:
            before = len(self.transport.writes), len(self._unread), len(self.state.tasks)
            await asyncio.sleep(0)
            self._deliver()
            now = len(self.transport.writes), len(self._unread), len(self.state.tasks)
            quiet = quiet + 1 if now == before else 0

    async def exchange(self, *pieces: bytes) -> list[RawResponse]:
        self.feed(*pieces)
        await self.settle()
        return self.responses

    async def lose(self) -> None:
        """The client is gone."""
        self.transport.close()
        await self.settle()

    @property
    def output(self) -> bytes:
        return b"".join(self.transport.writes)

    @property
    def responses(self) -> list[RawResponse]:
        return parse_responses(self.output)

    @property
    def ended(self) -> bool:
        """The client sees the end of the connection after what was written."""
        return self.transport.closed or self.transport.eof


async def asgi_echo(scope: Any, receive: Any, send: Any) -> None:
    """The app behind the routes: says what it was asked, so that a test sees who answered."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    text = b"asgi %b %b %b" % (scope["method"].encode(), scope["raw_path"], body)
    headers = [(b"content-length", b"%d" % len(text)), (b"x-headers", b"%d" % len(scope["headers"]))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})


def with_connection(
    scenario: Callable[[FakeConnection], Coroutine[Any, Any, Any]],
    routes: Routes,
    limits: Limits | None = None,
    app: Any = asgi_echo,
    **settings: Any,
) -> Any:
    """Run `scenario` with a connection to a fresh protocol, and check that it leaves nothing behind."""

    async def run() -> Any:
        protocol_class = make_protocol(routes, limits or Limits())
        connection = FakeConnection(protocol_class, app, **settings)
        try:
            return await scenario(connection)
        finally:
            await connection.lose()
            for task in connection.state.tasks:
                task.cancel()
            await asyncio.gather(*connection.state.tasks, return_exceptions=True)
            assert not connection.state.connections

    return asyncio.run(run())
