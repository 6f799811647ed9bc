"""The gateway's HTTP protocol class for uvicorn (`Config(http=make_protocol(routes))`).

A request on one of our routes, an exact method and path, is answered on the parser's callbacks, with no ASGI scope and no
receive/send round trip. Every other one goes uvicorn's ordinary way to the ASGI app. Sockets, TLS, signals, workers, flow
control, the queue of pipelined requests and graceful stop are uvicorn's; parsing is llhttp's, in its strict mode. Added for all
requests: limits on the head, one sweeper for slow and idle clients, refusals that wait for their turn.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from enum import Enum
from typing import Any, ClassVar

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dragoman.core.errors import DragomanError
from dragoman.gateway.deadlines import NEVER, Sweeper
from dragoman.gateway.protocol_exchange import ProtocolExchange, ServerLines
from dragoman.gateway.request_head import (
    Refused,
    body_too_large,
    head_size,
    head_too_large,
    reason,
    split_target,
    too_many_headers,
    without_upgrade,
)
from dragoman.gateway.serving import Limits, Route, Routes, RouteTable, begin, refusal, respond_error
from dragoman.gateway.socket_options import send_at_once


class Reading(Enum):
    """What the next byte on a connection belongs to."""

    NOTHING = "between requests"
    HEAD = "head"
    BODY = "body"
    REFUSED = "dropped: the connection ends with a refusal, or has another protocol"


NOTHING, HEAD, BODY, REFUSED = Reading

Cycle = ProtocolExchange | RequestResponseCycle
"""A request of ours, or one of the ASGI app's."""


def _no_handler(_: object) -> None:
    raise LookupError("a refusal has no handler")


_NO_ROUTE = Route(_no_handler)  # of a request that was refused before anyone could know what it is for
_DEFAULT_LIMITS = Limits()


class GatewayProtocol(HttpToolsProtocol):
    """One connection. `make_protocol` makes the subclass that uvicorn is given.

    `cycle` is the last request that came, `answering` the one whose turn it is. `progress`: the read has begun a request or
    brought some body; `bodiless` counts the bytes since then.
    """

    # uvicorn's attributes just fit into a dictionary whose keys its instances share; with ours it would be 1 KB more
    __slots__ = tuple("answering bodiless peer progress read_deadline read_size reading unsent unsent_since".split())

    routes: ClassVar[RouteTable]
    limits: ClassVar[Limits]
    sweeper: ClassVar[Sweeper]
    lines: ClassVar[ServerLines]

    cycle: Cycle | None  # type: ignore[assignment] # uvicorn's, or our sibling of it
    pipeline: deque[tuple[Cycle, ASGI3Application]]  # type: ignore[assignment] # the same
    parser: httptools.HttpRequestParser

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = ""
        self.answering: Cycle | None = None
        self.reading = NOTHING
        self.read_size = 0
        self.progress = False
        self.bodiless = 0
        self.read_deadline = NEVER
        self.unsent = 0
        self.unsent_since = 0.0

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        super().connection_made(transport)
        send_at_once(transport)
        self.peer = ":".join(map(str, self.client or ()))
        self.read_deadline = self.loop.time() + self.limits.head_timeout
        self.sweeper.add(self)

    def data_received(self, data: bytes) -> None:
        if self.reading is REFUSED:
            return
        self.read_size = len(data)
        upgraded = None  # acted on below: in the handler its exception would stand before what goes wrong then
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            upgraded = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            self._refuse(reason(error))
        if upgraded is not None:
            self._upgrade(upgraded)
        if self.reading is not NOTHING:
            self._await_more()

    def eof_received(self) -> None:
        # The transport closes itself now, but connection_lost comes only when all that was written has been taken.
        self._client_gone()

    def connection_lost(self, exc: Exception | None) -> None:
        self.sweeper.discard(self)
        # uvicorn tells only the last request that the client is gone; it is the one being answered that must know.
        self.cycle = self.answering if isinstance(self.answering, RequestResponseCycle) else None
        super().connection_lost(exc)
        self._client_gone()

    def pause_writing(self) -> None:
        super().pause_writing()
        if isinstance(self.answering, ProtocolExchange):
            self.answering.pressure(paused=True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if isinstance(self.answering, ProtocolExchange):
            self.answering.pressure(paused=False)

    def check_deadlines(self, now: float) -> None:
        """The sweeper asks: has the client taken too long to send, or to take what is written?"""
        if now >= self.read_deadline:
            self._read_overdue(now)
        stalled = self.flow.write_paused or self.transport.is_closing()
        unsent = self.transport.get_write_buffer_size() if stalled else 0
        if self.unsent == 0 or unsent < self.unsent:
            self.unsent_since = now
        elif now - self.unsent_since >= self.limits.write_timeout:
            self.transport.abort()
        self.unsent = unsent

    # The parser's callbacks

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.reading = HEAD
        self.read_deadline = NEVER
        self.progress = True
        if isinstance(self.cycle, ProtocolExchange) and not self.cycle.response_complete:
            self.cycle.version()  # the parser is about to forget it

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser, limits = self.parser, self.limits
        if len(self.headers) > limits.max_header_count:
            raise Refused(too_many_headers(limits.max_header_count))
        if self.read_size > limits.max_header_bytes or not self.progress:  # else it came whole, in one small read
            self._check_head_size()
        method, path, query = parser.get_method(), self.url, b""
        if parser.should_upgrade() and self._defer_upgrade(method):
            return
        route = self.routes.exact.get((method, path))
        if route is None:
            path, query = split_target(path)
            route = self.routes.find(method, path)
        if route is None:
            self._hand_to_asgi()
        else:
            if self.limit_concurrency is not None:
                self._check_concurrency(self.limit_concurrency)
            self._enqueue(ProtocolExchange(self, route, method.decode(), path, query, self.headers, parser.should_keep_alive()))
            self.headers = []  # where trailers go, which nobody reads
        self.reading = BODY

    def on_body(self, body: bytes) -> None:
        self.progress = True
        exchange = self.cycle
        if not isinstance(exchange, ProtocolExchange):
            super().on_body(body)
            return
        exchange.pieces.append(body)
        exchange.size += len(body)
        if exchange.size > self.limits.max_body_bytes:
            raise Refused(body_too_large(self.limits.max_body_bytes))

    def on_message_complete(self) -> None:
        if self.reading is not BODY:
            return  # an upgrade, see _upgrade
        self.reading = NOTHING
        self.read_deadline = NEVER
        exchange = self.cycle
        if not isinstance(exchange, ProtocolExchange):
            super().on_message_complete()
            return
        pieces = exchange.pieces
        exchange.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        exchange.pieces = pieces[:0]
        exchange.received = True
        if exchange is self.answering:
            self._run(exchange, eager=True)

    # What the exchange and uvicorn call

    def server_lines(self) -> bytes:
        headers = self.server_state.default_headers
        return self.lines.lines if headers is self.lines.source else self.lines.render(headers)

    def log_access(self, exchange: ProtocolExchange, status: int) -> None:
        target = exchange.path + (b"?" + exchange.query if exchange.query else b"")
        line = '%s - "%s %s HTTP/%s" %d'  # uvicorn's formatter takes it apart, so it is uvicorn's
        self.access_logger.info(
            line, exchange.client, exchange.method, target.decode("ascii", "replace"), exchange.version(), status
        )

    def answered(self, exchange: ProtocolExchange) -> None:
        """The last byte of an answer is written. A kept connection does not keep its bodies."""
        self.answering = None
        if self.cycle is exchange:
            self.cycle = None
        if exchange.refused is not None:
            self._linger()
        elif not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, for its requests and ours, but that the sweeper keeps the time of an idle connection too.

        A timer made and cancelled for each request would cost as much as parsing its head.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.reading is NOTHING or self.reading is REFUSED:
            self.read_deadline = self.loop.time() + self.timeout_keep_alive

    def _start_asgi_task(self, cycle: Cycle, app: ASGI3Application) -> None:
        """It is the turn of this request: uvicorn says so for its own, and for whatever stood in the queue."""
        self.answering = cycle
        if isinstance(cycle, RequestResponseCycle):
            super()._start_asgi_task(cycle, app)
        elif cycle.refused is not None:
            respond_error(cycle, cycle.route, cycle.refused)
        elif cycle.received:
            self._run(cycle, eager=False)
        else:
            self._invite_body(cycle)

    # Inside: reading

    def _await_more(self) -> None:
        """The read ended inside a request, or the connection has been given up."""
        if self.reading is BODY:
            self.read_deadline = self.loop.time() + self.limits.body_timeout
        elif self.reading is HEAD and self.read_deadline == NEVER:
            self.read_deadline = self.loop.time() + self.limits.head_timeout
        self.bodiless = 0 if self.progress else self.bodiless + self.read_size
        self.progress = False
        if self.bodiless > self.limits.max_header_bytes:
            self._refuse(head_too_large(self.limits.max_header_bytes))
        elif self.reading is BODY and self.cycle is self.answering and isinstance(self.cycle, ProtocolExchange):
            self._invite_body(self.cycle)

    def _invite_body(self, exchange: ProtocolExchange) -> None:
        """The body is not here yet and it may come: a client that asked first is told so, once."""
        if exchange.invited:
            return
        exchange.invited = True
        declared = exchange.header(b"content-length")
        if declared is not None and int(declared) > self.limits.max_body_bytes:
            self._refuse(body_too_large(self.limits.max_body_bytes))
        elif (exchange.header(b"expect") or b"").lower() == b"100-continue" and exchange.version() == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _read_overdue(self, now: float) -> None:
        if self.flow.read_paused:
            self.read_deadline = now + self.limits.body_timeout  # it is we who keep the client waiting
        elif self.reading is NOTHING or self.reading is REFUSED:
            self.transport.close()
        else:
            seconds = self.limits.body_timeout if self.reading is BODY else self.limits.head_timeout
            self._refuse(refusal(408, f"The {self.reading.value} of the request did not come within {seconds:g} seconds."))

    def _client_gone(self) -> None:
        if isinstance(self.answering, ProtocolExchange):
            self.answering.lost()
            self.flow.resume_writing()

    # Inside: heads

    def _check_head_size(self) -> None:
        if head_size(self.url, self.headers) > self.limits.max_header_bytes:
            raise Refused(head_too_large(self.limits.max_header_bytes))

    def _check_concurrency(self, limit: int) -> None:
        if len(self.connections) >= limit or len(self.tasks) >= limit:
            self.logger.warning("Exceeded concurrency limit.")
            raise Refused(refusal(503, "The gateway serves as many requests as it may. Try again later."))

    def _defer_upgrade(self, method: bytes) -> bool:
        """A request that asks for another protocol ends for the parser with its head. What follows is up to `_upgrade`."""
        if method == b"CONNECT":
            raise Refused(refusal(405, "This is not a proxy: CONNECT is not served."))
        if self._should_upgrade():
            self._hand_to_asgi()
        return True

    def _upgrade(self, rest: bytes) -> None:
        """After an upgrade's head. A websocket is uvicorn's; any other offer is ignored (RFC 9110, 7.8)."""
        if not self._should_upgrade():
            self._read_without_upgrade(rest)
        elif self.answering is not None and not self.answering.response_complete:
            self._refuse(refusal(400, "A websocket cannot begin before the answers to earlier requests are complete."))
        else:
            self.sweeper.discard(self)
            self.reading = REFUSED
            self.handle_websocket_upgrade()

    def _read_without_upgrade(self, rest: bytes) -> None:
        """The parser has left the body out, so the request is read once more, as if it had made no offer."""
        head = without_upgrade(self.parser, self.url, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(head + rest)
        except httptools.HttpParserUpgrade:
            self._refuse(refusal(400, "Two requests with an upgrade may not be sent in one go."))
        except httptools.HttpParserError as error:
            self._refuse(reason(error))

    def _hand_to_asgi(self) -> None:
        """Run uvicorn's own callbacks, late: they build the scope that our routes do without."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = []  # trailers must not become headers of the scope

    # Inside: turns

    def _enqueue(self, exchange: ProtocolExchange) -> None:
        """Into the queue behind what came before, as uvicorn does it; or it is its turn at once."""
        busy = self.cycle is not None and not self.cycle.response_complete
        self.cycle = exchange
        if busy:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            self.answering = exchange

    def _run(self, exchange: ProtocolExchange, *, eager: bool) -> None:
        """Start the handler: at once if `eager`, which is not for queued requests, as one would begin inside another's end."""
        if self.config.reset_contextvars:
            context = contextvars.Context()
            context.run(self._begin, exchange) if eager else self.loop.call_soon(self._begin, exchange, context=context)
        elif eager:
            self._begin(exchange)
        else:
            self.loop.call_soon(self._begin, exchange)

    def _begin(self, exchange: ProtocolExchange) -> None:
        rest = begin(exchange.route, exchange)
        if rest is None:
            return
        if sys.version_info >= (3, 12):
            task = asyncio.Task(rest, loop=self.loop, eager_start=True)
            if task.done():
                return
        else:
            task = self.loop.create_task(rest)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _refuse(self, error: DragomanError) -> None:
        """Nothing more is read from this client. It gets the error as its last answer, in its turn."""
        broken = self.cycle if self.reading is BODY else None
        self.reading = REFUSED
        self.read_deadline = NEVER
        if isinstance(broken, ProtocolExchange):
            broken.refuse(error)
            exchange = broken
        elif broken is not None and not self._withdraw(broken):
            self.transport.close()
            return
        else:
            exchange = ProtocolExchange(self, self._known_route(), "-", self.url, b"", [], False)
            exchange.refuse(error)
            self._enqueue(exchange)
        if exchange is self.answering:
            respond_error(exchange, exchange.route, error)

    def _withdraw(self, cycle: RequestResponseCycle) -> bool:
        """Take a request of the ASGI app back whose body broke. False when its answer has begun."""
        if cycle is not self.answering:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self.answering
            return True
        if cycle.response_started:
            return False
        cycle.disconnected = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        self.cycle = None
        return True

    def _known_route(self) -> Route:
        """The route of a request that may be broken anywhere, for the dialect of its error."""
        try:
            return self.routes.find(self.parser.get_method(), split_target(self.url)[0]) or _NO_ROUTE
        except httptools.HttpParserError:
            return _NO_ROUTE

    def _linger(self) -> None:
        """Close after a refusal without a reset, which would overtake the answer. What still comes is dropped."""
        if not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()


def make_protocol(routes: Routes, limits: Limits = _DEFAULT_LIMITS) -> type[GatewayProtocol]:
    """The class to give to uvicorn as `http=`. Raises ValueError for a route that could not be answered here."""
    for method, path in routes:
        if method in ("HEAD", "CONNECT") or method != method.upper() or not path.startswith(b"/") or b"?" in path:
            raise ValueError(f"no route here can be {method} {path!r}: an upper-case method (not HEAD, not CONNECT) and a path")

    class BoundProtocol(GatewayProtocol):
        pass

    BoundProtocol.routes = RouteTable(routes)
    BoundProtocol.limits = limits
    BoundProtocol.sweeper = Sweeper(min(1.0, min(limits.head_timeout, limits.body_timeout, limits.write_timeout) / 4))
    BoundProtocol.lines = ServerLines()
    return BoundProtocol
