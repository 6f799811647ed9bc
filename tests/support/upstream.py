"""A scriptable TCP server for transport tests: it says the bytes a test tells it to, when the test tells it to.

    async with Upstream(script) as upstream: ...   # `script` is awaited with a Peer for every connection

Scripts are gated by events, never by sleeping. It runs in the test's own loop and closes everything at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

import pytest

Script = Callable[["Peer"], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """One connection, seen from the server. `number` counts connections from 0; `requests` what came on this one."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.requests: list[tuple[bytes, bytes]] = []
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[bytes, bytes]:
        """The head and body of the next request. Raises EOFError when the client has left."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        body = await self._reader.readexactly(size)
        self.requests.append((head, body))
        return head, body

    async def send(self, *data: bytes) -> None:
        for piece in data:
            self._writer.write(piece)
            await self._writer.drain()

    async def answer(self, *data: bytes) -> None:
        """Read one request, then say this."""
        await self.request()
        await self.send(*data)

    async def left(self) -> None:
        """Until the client has closed its side, cleanly or not."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while await self._reader.read(65536):
                pass

    def unsent(self) -> int:
        """Bytes that the client has not taken yet and the kernel has no room for."""
        return self._writer.transport.get_write_buffer_size()

    def push(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close without a goodbye."""
        self._writer.transport.abort()


class Upstream:
    """`url` has no slash at its end; `peers` are the connections so far."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self._script = script
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for failure in self.failures:
            raise failure

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(len(self.peers), reader, writer)
        self.peers.append(peer)
        try:
            await self._script(peer)
        except (EOFError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        except BaseException as failure:  # noqa: BLE001 - a script's assertion must reach the test
            self.failures.append(failure)
        finally:
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()


async def serve_ok(peer: Peer) -> None:
    """Answer every request with OK."""
    while True:
        await peer.answer(OK)


def loops() -> list[Any]:
    """The event loops a test of ours runs on, as pytest parameters."""
    found = [pytest.param(asyncio.new_event_loop, id="asyncio")]
    with contextlib.suppress(ImportError):
        import uvloop

        found.append(pytest.param(uvloop.new_event_loop, id="uvloop"))
    return found


def run(main: Coroutine[Any, Any, Any], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> Any:
    """Run a test's coroutine. A test that hangs fails instead."""

    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(bounded())
