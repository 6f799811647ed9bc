"""The HTTP transports as test parameters, all spoken to through the async seam, and an upstream for each to talk to.

The sync transport runs in a thread of its own while the scripted upstream runs in the test's loop.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.transport.fast import FastTransport
from dragoman.transport.http import HttpTransport
from dragoman.transport.http_async import HttpAsyncTransport
from support.upstream import Peer, Script, Upstream, loops

PATIENT = Timeouts()
SYSTEM = ssl.create_default_context()
"""The ordinary verification, built once: every client would build its own."""


class InThread:
    """The sync transport behind the async seam."""

    def __init__(self, **options: Any) -> None:
        self._transport = HttpTransport(**options)

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return await asyncio.to_thread(self._transport.send, request, timeouts)

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> StreamInThread:
        return StreamInThread(await asyncio.to_thread(self._transport.stream, request, timeouts))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._transport.close)


class StreamInThread:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.head = stream.head

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._stream.read)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._stream.close)


def fast(tls: ssl.SSLContext | None = None, **options: Any) -> FastTransport:
    return FastTransport(ssl_context=tls or SYSTEM, **options)


def http_async(tls: ssl.SSLContext | None = None, **options: Any) -> HttpAsyncTransport:
    return HttpAsyncTransport(verify=tls or SYSTEM, trust_env=False, **options)


def http_sync(tls: ssl.SSLContext | None = None, **options: Any) -> InThread:
    return InThread(verify=tls or SYSTEM, trust_env=False, **options)


every_transport = pytest.mark.parametrize("make", [fast, http_async, http_sync])
every_loop = pytest.mark.parametrize("loop", loops())


@asynccontextmanager
async def serving(make: Callable[..., Any], script: Script, **options: Any) -> AsyncIterator[tuple[Any, Upstream]]:
    """A transport, and an upstream that follows the script."""
    async with Upstream(script) as upstream:
        transport = make(**options)
        try:
            yield transport, upstream
        finally:
            await transport.aclose()


def post(upstream: Upstream, body: bytes = b"{}", headers: tuple[tuple[str, str], ...] = ()) -> HttpRequest:
    return HttpRequest(method="POST", url=f"{upstream.url}/v1/chat?x=1", headers=headers, body=body)


async def read_all(stream: Any) -> list[bytes]:
    pieces = []
    while piece := await stream.read():
        pieces.append(piece)
    return pieces


async def outcome(transport: Any, request: HttpRequest, timeouts: Timeouts = PATIENT, *, streamed: bool = False) -> Any:
    """The whole response, or the failure that came instead of it."""
    try:
        if not streamed:
            return await transport.send(request, timeouts)
        stream = await transport.stream(request, timeouts)
        try:
            return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=b"".join(await read_all(stream)))
        finally:
            await stream.aclose()
    except TransportFailure as failure:
        return failure


def says(*data: bytes) -> Script:
    """Answer the first request with these bytes, then close."""

    async def script(peer: Peer) -> None:
        await peer.answer(*data)

    return script
