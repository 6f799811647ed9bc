"""Plays the scripts of `providers.demo` on a socket: HTTP/1.1 on asyncio.Protocol and httptools; keep-alive, pipelining.

It is the upstream of our tests and benchmarks, so it is cheap (a repeated request is planned once) and it can do what an
ordinary server cannot: close inside a body, stay silent, reset without a byte. It shares no code with the gateway's
server, which it helps to test. It refuses to be more than that: no TLS, no HTTP/2, and any key will do unless told otherwise.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus

import httptools
from msgspec import Struct

from dragoman.core import json
from dragoman.core.http import HttpRequest, ResponseHead
from dragoman.providers.demo import Plan, Script, Settings, plan, refuse
from dragoman.providers.demo.script import Refusal, whole

MAX_BODY_BYTES = 64 * 1024 * 1024
CACHED_PLANS = 256
CACHED_BODY_BYTES = 256 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time


class Frames(Struct, frozen=True):
    """A script as bytes: each step is a write with the delay before it; the head, framing and end mark are in them."""

    script: Script
    steps: tuple[tuple[float, bytes], ...] = ()
    streaming: bool = False


class _Ready(Struct, frozen=True):
    """A plan with both of its scripts framed."""

    plan: Plan
    clean: Frames
    faulty: Frames | None

    def at(self, turn: int) -> Frames:
        chosen = self.plan.at(turn)
        return self.clean if chosen is self.plan.clean or self.faulty is None else self.faulty


class Stats:
    """What happened since the start or the last reset. `cancelled`: the client left before the end of its answer."""

    def __init__(self) -> None:
        self.reset()
        self.open_streams = 0

    def reset(self) -> None:
        self.requests = 0
        self.cancelled = 0
        self.by_model: Counter[str] = Counter()
        self.turns = itertools.count()

    def body(self) -> bytes:
        fields = ("requests", "cancelled", "open_streams", "by_model")
        return json.encode({name: getattr(self, name) for name in fields})


class DemoServer:
    """Starts with `start`, ends with `stop`, which closes what is open. `url` has the real port, without a path."""

    def __init__(
        self, defaults: Settings, *, host: str = "127.0.0.1", port: int = 8090, require_key: str | None = None
    ) -> None:
        self.stats = Stats()
        self._address = (host, port)
        self._key = require_key
        self._defaults = defaults
        self._planned = lru_cache(CACHED_PLANS)(self._prepare)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), *self._address, backlog=1024)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.transport.abort()
            await self._server.wait_closed()

    def joined(self, connection: _Connection) -> None:
        self._connections.add(connection)

    def left(self, connection: _Connection) -> None:
        self._connections.discard(connection)

    def answer(self, request: _Request) -> Frames:
        """What to play. The paths under /demo/ are our own."""
        path = request.path.partition("?")[0]
        if path == "/demo/stats":
            return _framed(whole(200, self.stats.body()))
        if path == "/demo/reset":
            self.stats.reset()
            return _framed(whole(200, b"{}"))
        return self._played(request, path)

    def _played(self, request: _Request, path: str) -> Frames:
        self.stats.requests += 1
        if self._key is not None and not hmac.compare_digest(request.key.encode(), self._key.encode()):
            return _framed(refuse(path, Refusal(401, "Incorrect API key provided to the demo provider.")))
        if request.size > MAX_BODY_BYTES:
            return _framed(refuse(path, Refusal(413, f"The body is over {MAX_BODY_BYTES} bytes.")))
        body = b"".join(request.body)
        planned = self._planned if len(body) <= CACHED_BODY_BYTES else self._prepare
        ready = planned(request.method, path, body)
        if ready.plan.model:
            self.stats.by_model[ready.plan.model] += 1
        return ready.at(next(self.stats.turns))

    def _prepare(self, method: str, path: str, body: bytes) -> _Ready:
        planned = plan(HttpRequest(method=method, url=f"http://demo{path}", body=body), self._defaults)
        faulty = None if planned.faulty is None else _framed(planned.faulty)
        return _Ready(planned, _framed(planned.clean), faulty)


class _Request:
    """One request as it comes in. `key` is the credential, from whichever header carries it."""

    __slots__ = ("body", "expects", "keep_alive", "key", "method", "path", "size")

    def __init__(self) -> None:
        self.method = ""
        self.path = ""
        self.key = ""
        self.expects = False
        self.keep_alive = True
        self.body: list[bytes] = []
        self.size = 0


class _Connection(asyncio.Protocol):
    """The parser's callbacks build requests; they are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: DemoServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._request = _Request()
        self._waiting: deque[_Request] = deque()
        self._playing: _Player | None = None

    # asyncio's side
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a TCP server's transports read and write
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.left(self)
        self._waiting.clear()
        if self._playing is not None:
            self._playing.lost()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def pause_writing(self) -> None:
        if self._playing is not None:
            self._playing.pause()

    def resume_writing(self) -> None:
        if self._playing is not None:
            self._playing.resume()

    # httptools' side
    def on_message_begin(self) -> None:
        self._request = _Request()

    def on_url(self, url: bytes) -> None:
        self._request.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"authorization":
            self._request.key = value.decode("latin-1").removeprefix("Bearer ")
        elif lowered == b"x-api-key":
            self._request.key = value.decode("latin-1")
        elif lowered == b"expect":
            self._request.expects = True

    def on_headers_complete(self) -> None:
        self._request.method = self._parser.get_method().decode()
        if self._request.expects:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._request.size += len(body)
        if self._request.size <= MAX_BODY_BYTES:
            self._request.body.append(body)

    def on_message_complete(self) -> None:
        self._request.keep_alive = self._parser.should_keep_alive()
        self._waiting.append(self._request)
        if self._playing is None:
            self._next()

    # ours
    def _next(self) -> None:
        """Answer what waits, one after the other. An answer that takes time calls `played` when it is over."""
        self._playing = None
        while self._waiting and not self.transport.is_closing():
            request = self._waiting.popleft()
            player = _Player(self.transport, self._server.stats, self._server.answer(request), keep_alive=request.keep_alive)
            self._playing = player
            player.begin(self._next)
            if not player.over:
                return
            self._playing = None


class _Player:
    """Sends one answer: as fast as its script says and the client reads."""

    __slots__ = ("_due", "_frames", "_index", "_keep_alive", "_paused", "_stats", "_then", "_timer", "_transport", "over")

    def __init__(self, transport: asyncio.Transport, stats: Stats, frames: Frames, *, keep_alive: bool) -> None:
        self._transport = transport
        self._stats = stats
        self._frames = frames
        self._keep_alive = keep_alive
        self._index = 0
        self._due = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._then: Callable[[], None] | None = None
        self.over = False
        stats.open_streams += frames.streaming

    def begin(self, then: Callable[[], None]) -> None:
        """Play. `then` is called at the end, unless that is reached before this returns."""
        self._run()
        self._then = then

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._timer is None and not self.over:
            self._run()

    def lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.over:
            self._stats.cancelled += 1
            self._finish()

    def _run(self) -> None:
        steps = self._frames.steps
        while not self._paused and self._index < len(steps):
            delay, data = steps[self._index]
            if delay and not self._due:
                self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)
                return
            self._due = False
            self._index += 1
            self._transport.write(data)
        if self._index == len(steps):
            self._end()

    def _on_timer(self) -> None:
        self._timer = None
        self._due = True
        self._run()

    def _end(self) -> None:
        """A stall ends when the client has had enough of it, in `lost`."""
        script = self._frames.script
        if script.end == "stall":
            return
        self._finish()
        if script.end == "cut":
            self._cut(reset=script.head is None)
        elif not self._keep_alive:
            self._transport.close()
        elif self._then is not None:
            self._then()

    def _finish(self) -> None:
        self.over = True
        self._stats.open_streams -= self._frames.streaming

    def _cut(self, *, reset: bool) -> None:
        """Close after what was written, or with a reset where not a byte was, as near to a refusal as an open port can be."""
        if not reset:
            self._transport.close()
            return
        connected = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()


# -------------------------------------------------------------------------------------------------------------- framing
def _framed(script: Script) -> Frames:
    """The head goes out with the first piece, and the end mark with the last one, unless time lies between."""
    if script.head is None:
        return Frames(script)
    chunked = script.streaming
    steps = [(script.delay, _head_bytes(script.head, chunked=chunked))]
    for place, (delay, data) in enumerate(script.pieces):
        frame = b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
        if place == 0 and not delay:
            steps[0] = (script.delay, steps[0][1] + frame)
        else:
            steps.append((delay, frame))
    if chunked and script.end == "done":
        steps[-1] = (steps[-1][0], steps[-1][1] + b"0\r\n\r\n")
    return Frames(script, tuple(steps), chunked)


def _head_bytes(head: ResponseHead, *, chunked: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {head.status} {_PHRASES.get(head.status, 'Overloaded')}",
        *(f"{name}: {value}" for name, value in head.headers),
    ]
    if chunked:
        lines.append("transfer-encoding: chunked")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
