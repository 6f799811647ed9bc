"""The async transport on httpx2: for the SDK, and for the gateway where its own client does not reach (`fast.wants_httpx`).

One client for all calls, built when the first request is made; it belongs to the event loop that runs then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

import httpx2

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.transport import http_shared as shared
from dragoman.transport.content_coding import Inflater

_GRACE = 0.05
"""Seconds that httpx2's own timeouts get to fire before we cut a head that drips in: a TLS handshake that is cancelled
from outside leaves its socket open, one that httpx2 ends does not."""


class HttpAsyncTransport:
    """An AsyncTransport. `options` go to httpx2.AsyncClient as they are (`verify`, `proxy`, `mounts`, `transport`...)."""

    def __init__(self, *, max_body: int = shared.MAX_BODY, **options: Any) -> None:
        self._max_body = max_body
        self._options = options

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(**shared.client_options(self._options))

    @cached_property
    def _requests(self) -> shared.Requests:
        return shared.Requests(self._client)

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        stream = await self._open(request, timeouts, whole=True)
        pieces, size = [], 0
        try:
            while piece := await stream.read():
                pieces.append(piece)
                size += len(piece)
                if size > self._max_body:
                    raise shared.too_large(self._max_body)
        finally:
            await stream.aclose()
        return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=b"".join(pieces))

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> HttpAsyncStream:
        return await self._open(request, timeouts, whole=False)

    async def aclose(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def _open(self, request: HttpRequest, timeouts: Timeouts, *, whole: bool) -> HttpAsyncStream:
        client = self._client
        now = asyncio.get_running_loop().time()
        deadlines = shared.Deadlines(timeouts, now, whole=whole)
        limit, kind = deadlines.next(now)
        built = self._requests.build(request, timeouts, read=shared.finite(limit - now))
        try:
            async with asyncio.timeout_at(shared.finite(limit + _GRACE)):
                response = await client.send(built, stream=True)
        except httpx2.HTTPError as error:
            raise shared.failure(error, kind) from error
        except TimeoutError:
            raise shared.overdue(kind) from None
        try:
            return HttpAsyncStream(response, deadlines)
        except BaseException:
            await response.aclose()
            raise


class HttpAsyncStream:
    """An AsyncByteStream. One task reads it; another may close it meanwhile."""

    def __init__(self, response: httpx2.Response, deadlines: shared.Deadlines) -> None:
        self.head, self._inflater = shared.read_head(response)
        self._response = response
        self._deadlines = deadlines
        self._data: AsyncIterator[bytes] = response.stream.__aiter__()  # type: ignore[union-attr]  # an async client's stream
        self._now = asyncio.get_running_loop().time
        self._ready: deque[bytes] = deque()
        self._ended = False

    async def read(self) -> bytes:
        try:
            if self._inflater is None:
                return b"" if self._ended else await self._piece()
            while not self._ready and not self._ended:
                self._inflate(await self._piece(), self._inflater)
        except BaseException:
            await self._response.aclose()
            raise
        return self._ready.popleft() if self._ready else b""

    async def aclose(self) -> None:
        self._ended = True
        self._ready.clear()
        await self._response.aclose()

    async def finish(self) -> None:
        self._deadlines.hurry(self._now() + shared.END_GRACE)
        try:
            with contextlib.suppress(TransportFailure):
                await self.read()
        finally:
            await self.aclose()

    async def _piece(self) -> bytes:
        """What comes next of the body as it travels, b"" at its end."""
        limit, kind = self._deadlines.next(self._now())
        try:
            async with asyncio.timeout_at(shared.finite(limit)):
                data = await anext(self._data, b"")
        except httpx2.HTTPError as error:
            raise shared.failure(error, kind) from error
        except TimeoutError:
            raise shared.overdue(kind) from None
        self._deadlines.piece_came()
        self._ended = self._ended or not data
        return data

    def _inflate(self, data: bytes, inflater: Inflater) -> None:
        if data:
            self._ready.extend(inflater.feed(data))
        else:
            inflater.finish()
