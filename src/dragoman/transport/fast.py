"""The gateway's own upstream client: HTTP/1.1 on asyncio and llhttp, pooled, and pushing: `FastStream.relay` hands on each
piece of a body in the turn of the loop in which it came, without a queue or a task in between.

It does HTTP/1.1 over TCP and TLS and nothing else: no proxies, no HTTP/2, no redirects, no cookies. `wants_httpx` tells
when the environment asks for a proxy, so that the caller takes `http_async` instead. One transport belongs to one loop.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from functools import lru_cache

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts
from dragoman.transport.base import Resume
from dragoman.transport.env_proxies import wants_httpx
from dragoman.transport.fast_connection import Connection
from dragoman.transport.fast_deadlines import Sweeper
from dragoman.transport.fast_incoming import MAX_BODY, FastStream, Incoming, Whole
from dragoman.transport.fast_pool import Pool, PoolLimits
from dragoman.transport.fast_request import Origin, encode_head

__all__ = ["FastStream", "FastTransport", "PoolLimits", "wants_httpx"]


class FastTransport:
    """An AsyncTransport. `max_body` bounds what `send` collects; `ssl_context` replaces the default verification.

    Raises ValueError for a request that must not be sent (a line break in a header or URL, a framing header).
    """

    def __init__(
        self, *, limits: PoolLimits | None = None, max_body: int = MAX_BODY, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._limits = limits or PoolLimits()
        self._max_body = max_body
        self._ssl_context = ssl_context
        self._encode = lru_cache(maxsize=1024)(encode_head)
        self._pools: dict[Origin, Pool] = {}
        self._sweeper: Sweeper | None = None

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        sweeper = self._running()
        whole = Whole(timeouts, sweeper, self._max_body)
        await self._exchange(request, timeouts, whole, sweeper)
        return whole.response()

    def start(self, request: HttpRequest, timeouts: Timeouts, resume: Resume) -> Whole | None:
        """As `send`, in callbacks and on a pooled connection; None if there is none. Call it on the transport's loop.

        A connection that turns out to be dead takes the other idle ones with it, so that the second try has a new one.
        """
        sweeper = self._sweeper
        if sweeper is None:
            return None
        origin, head = self._encode(request.method, request.url, request.headers)
        pool = self._pools.get(origin)
        if pool is None:
            return None
        began = sweeper.now()
        connection = pool.take(began)
        if connection is None:
            return None
        whole = Whole(timeouts, sweeper, self._max_body)
        whole.resume_with(resume)
        whole.send(connection, head, request.body, began, began)
        return whole

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> FastStream:
        sweeper = self._running()
        stream = FastStream(timeouts, sweeper, self._max_body)
        await self._exchange(request, timeouts, stream, sweeper)
        return stream

    async def aclose(self) -> None:
        """Drop all connections; requests in flight fail with `closed`."""
        for pool in self._pools.values():
            await pool.aclose()
        if self._sweeper is not None:
            self._sweeper.stop()

    async def _exchange(self, request: HttpRequest, timeouts: Timeouts, incoming: Incoming, sweeper: Sweeper) -> None:
        """Send, and wait for what `incoming` wakes us for first: the whole answer, or a stream's head."""
        origin, head = self._encode(request.method, request.url, request.headers)
        began = sweeper.now()
        pool = self._pools.get(origin) or self._pool(sweeper.loop, origin)
        connection = pool.take(began)
        if connection is not None:
            incoming.send(connection, head, request.body, began, began)
            try:
                await incoming.waiter()
            except BaseException:
                incoming.abandon("the request was cancelled")
                raise
            if incoming.answered:
                return
            if incoming.failure is not None and not incoming.was_stale(connection):
                raise incoming.failure
        connection = await _connected(pool, timeouts, began)
        incoming.send(connection, head, request.body, began, sweeper.now())
        await incoming.outcome()
        if incoming.failure is not None and not incoming.answered:
            raise incoming.failure

    def _running(self) -> Sweeper:
        """The timer of the running loop, which must be the one of the first request."""
        loop = asyncio.get_running_loop()
        if self._sweeper is None:
            self._sweeper = Sweeper(loop)
        if self._sweeper.loop is not loop:
            raise RuntimeError("a FastTransport serves the event loop of its first request; make one for each loop")
        return self._sweeper

    def _pool(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> Pool:
        pool = self._pools[origin] = Pool(loop, origin, self._limits, self._tls)
        return pool

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = default_context()
        return self._ssl_context


def default_context() -> ssl.SSLContext:
    """Verifies against the system's store. SSL_CERT_FILE and SSL_CERT_DIR name another, which OpenSSL reads itself."""
    if sys.platform in ("darwin", "win32"):
        import truststore  # noqa: PLC0415 - only where OpenSSL cannot read the system's store; comes with httpx2

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    else:
        context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _connected(pool: Pool, timeouts: Timeouts, began: float) -> Connection:
    """Whichever of the two deadlines is sooner names the failure."""
    connect, total = timeouts.connect, timeouts.total
    if total is not None and (connect is None or total <= connect):
        return await pool.obtain(began + total, "total")
    return await pool.obtain(None if connect is None else began + connect, "connect_timeout")
