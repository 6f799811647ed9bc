"""The same handlers as a plain ASGI 3 app, for people who host the gateway under uvicorn, hypercorn or granian themselves.

ASGI's `send` waits and an exchange's `write` does not, so writes go into an outbox that the app's task delivers.
It does not parse, time heads or close connections: that is the server's job. ASGI has no word for "broken off": an
aborted answer raises `AnswerBrokenOffError`, upon which servers close the connection without the mark of a clean end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from dragoman.core.errors import DragomanError
from dragoman.gateway.exchange import Headers
from dragoman.gateway.exchange_base import ALREADY_SENT, NOT_BEGUN, BaseExchange
from dragoman.gateway.request_head import body_too_large
from dragoman.gateway.serving import Limits, Route, Routes, RouteTable, begin, refusal, respond_error

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HIGH_WATER = 64 * 1024
"""Bytes in the outbox from which writers are asked to pause. They may go on when it is empty."""

_DEFAULT_LIMITS = Limits()


class AnswerBrokenOffError(Exception):
    """Tells the ASGI server to close the connection: the answer could not be finished."""


class AsgiExchange(BaseExchange):
    """Implements `exchange.Exchange` over an ASGI scope."""

    def __init__(self, scope: Scope, path: bytes) -> None:
        self.method = scope["method"]
        self.path = path
        self.query = scope.get("query_string", b"")
        self.headers = list(scope["headers"])
        self.client = ":".join(map(str, scope.get("client") or ()))
        self._http1 = scope.get("http_version", "1.1").startswith("1")
        self.broken_off = False
        self._closing: Headers = []
        self._head: Message | None = None
        self._begun = False
        self._outbox: deque[Message] = deque()
        self._waiting = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def under_pressure(self) -> bool:
        return not self._room.is_set()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        self._post(body, more=False)

    def start(self, status: int, headers: Headers) -> None:
        if self.response_started or self.response_complete:
            raise RuntimeError(ALREADY_SENT)
        self._begun = True
        self._head = {"type": "http.response.start", "status": status, "headers": [*headers, *self._closing]}

    def write(self, data: bytes) -> None:
        if self.response_complete or not self._begun:
            raise RuntimeError(NOT_BEGUN)
        if data:
            self._post(data, more=True)

    async def drain(self) -> None:
        await self._room.wait()

    def finish(self) -> None:
        if self.response_complete or not self._begun:
            raise RuntimeError(NOT_BEGUN)
        self._post(b"", more=False)

    def abort(self) -> None:
        if not self.response_complete:
            self.response_complete = self.broken_off = True
            self._news.set()

    def lost(self) -> None:
        super().lost()
        self._room.set()
        self._news.set()

    def _post(self, body: bytes, *, more: bool) -> None:
        self.response_complete = not more
        self._news.set()
        if self.disconnected:
            return
        if self._head is not None:
            self._outbox.append(self._head)
            self._head = None
            self.response_started = True
        self._outbox.append({"type": "http.response.body", "body": body, "more_body": more})
        self._waiting += len(body)
        if more and self._waiting > HIGH_WATER and self._room.is_set():
            self._room.clear()
            self.pressure(paused=True)

    def refuse_rest(self) -> None:
        """What is left of the request will not be read, so an HTTP/1 connection cannot go on after the answer."""
        self._closing = [(b"connection", b"close")] if self._http1 else []

    async def deliver(self, send: Send) -> None:
        """Send what is written until the answer is complete or the client gone. Raises AnswerBrokenOffError."""
        while not self.disconnected:
            while self._outbox and not self.disconnected:
                message = self._outbox.popleft()
                await send(message)
                self._waiting -= len(message.get("body", b""))
            if self.broken_off:
                raise AnswerBrokenOffError(f"the answer to {self.method} {self.path.decode()} broke off")
            if self.response_complete:
                return
            self._make_room()
            self._news.clear()
            await self._news.wait()

    def _make_room(self) -> None:
        if not self._room.is_set():
            self._room.set()
            self.pressure(paused=False)


def asgi_app(routes: Routes, fallback_app: App, limits: Limits = _DEFAULT_LIMITS) -> App:
    """An ASGI app: `routes` are answered by their handlers, everything else (lifespan too) by `fallback_app`."""
    table = RouteTable(routes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = _wire_path(scope) if scope["type"] == "http" else b""
        route = table.find(scope.get("method", "").encode(), path)
        if route is None:
            await fallback_app(scope, receive, send)
        else:
            await _serve(route, AsgiExchange(scope, path), receive, send, limits)

    return app


def _wire_path(scope: Scope) -> bytes:
    """The path as it came, under the root path that the server was told it is mounted at."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path.removeprefix(scope.get("root_path", "").encode())


async def _serve(route: Route, exchange: AsgiExchange, receive: Receive, send: Send, limits: Limits) -> None:
    try:
        body = await _read_body(exchange, receive, limits)
    except DragomanError as error:
        exchange.refuse_rest()
        respond_error(exchange, route, error)
        await exchange.deliver(send)
        return
    if body is None:
        return
    exchange.body = body
    rest = begin(route, exchange)
    handler = asyncio.create_task(_nothing() if rest is None else rest)
    watcher = asyncio.create_task(_watch(exchange, receive))
    try:
        await exchange.deliver(send)
        await handler
    except OSError:  # what ASGI 2.4 servers raise from `send` when the client is gone
        exchange.lost()
        await handler
    finally:
        exchange.lost()
        handler.cancel()
        watcher.cancel()
        await asyncio.gather(handler, watcher, return_exceptions=True)


async def _nothing() -> None:
    """The rest of a handler that goes on in callbacks, or has answered already."""


async def _read_body(exchange: AsgiExchange, receive: Receive, limits: Limits) -> bytes | None:
    """The whole body; None if the client went away meanwhile. Raises the error that refuses it."""
    declared = exchange.header(b"content-length") or b""
    if declared.isdigit() and int(declared) > limits.max_body_bytes:
        raise body_too_large(limits.max_body_bytes)
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        try:
            async with asyncio.timeout(limits.body_timeout):
                message = await receive()
        except TimeoutError:
            raise refusal(408, f"The body of the request did not come within {limits.body_timeout:g} seconds.") from None
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if size > limits.max_body_bytes:
            raise body_too_large(limits.max_body_bytes)
        more = message.get("more_body", False)
    return b"".join(pieces)


async def _watch(exchange: AsgiExchange, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.lost()
