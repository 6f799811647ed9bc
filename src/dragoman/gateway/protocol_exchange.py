"""One request on one of our routes and its answer, as bytes on a uvicorn connection: the sibling of uvicorn's own
RequestResponseCycle, whose names it keeps where uvicorn's protocol looks at them (`response_complete`, `keep_alive`,
`disconnected`).

It refuses to read: bytes come in through `protocol.GatewayProtocol`, its only caller. It frames the answer; what is said
in it is the handler's. Header lines are checked, so an answer cannot be split by a value that holds a line break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from dragoman.core.errors import DragomanError
from dragoman.gateway.exchange import Headers
from dragoman.gateway.exchange_base import ALREADY_SENT, NOT_BEGUN, BaseExchange
from dragoman.gateway.serving import Route
from dragoman.gateway.socket_options import reset_on_close

if TYPE_CHECKING:
    from dragoman.gateway.protocol import GatewayProtocol

_BODYLESS = frozenset({*range(100, 200), 204, 304})
_CHUNKS = ((b"transfer-encoding", b"chunked"),)
_KEPT = (b"connection", b"keep-alive")
_CLOSED = (b"connection", b"close")


class ServerLines:
    """uvicorn's default response headers (date, server) as bytes, made anew when uvicorn replaces the list, once a second."""

    def __init__(self) -> None:
        self.source: list[tuple[bytes, bytes]] = []
        self.lines = b""

    def render(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        self.source = headers
        self.lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self.lines


class ProtocolExchange(BaseExchange):
    """Implements `exchange.Exchange`. `pieces` and `size` are the body as it arrives, `body` the whole once it has."""

    status = 0
    http_version: str | None = None
    size = 0
    received = False
    invited = False
    refused: DragomanError | None = None
    chunked = True
    _pending_head = b""

    def __init__(  # noqa: PLR0917 - one call, on the hot path
        self,
        connection: GatewayProtocol,
        route: Route,
        method: str,
        path: bytes,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        keep_alive: bool,  # noqa: FBT001 - the same
    ) -> None:
        self.connection = connection
        self.route = route
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.keep_alive = keep_alive
        self.client = connection.peer
        self.pieces: list[bytes] = []

    def under_pressure(self) -> bool:
        return self.connection.flow.write_paused

    async def drain(self) -> None:
        flow = self.connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        if self.response_started or self.response_complete:
            raise RuntimeError(ALREADY_SENT)
        if not self.disconnected:
            data = self._head(status, headers, (b"content-length", b"%d" % len(body))) + body
            self.response_started = True
            if self.connection.access_log:
                self.connection.log_access(self, status)
            self.connection.transport.write(data)
        self.response_complete = True
        self.connection.answered(self)

    def start(self, status: int, headers: Headers) -> None:
        if self.response_started or self.response_complete:
            raise RuntimeError(ALREADY_SENT)
        self.status = status
        if self.disconnected:
            return
        self.chunked = self.version() == "1.1"
        if not self.chunked:
            self.keep_alive = False  # the end of the connection is the end of the answer
        self._pending_head = self._head(status, headers, *(_CHUNKS if self.chunked else ()))

    def write(self, data: bytes) -> None:
        self._require_begun()
        if self.disconnected or not data:
            return
        head = self._take_head()
        if self.chunked:
            self.connection.transport.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        else:
            self.connection.transport.write(head + data)

    def finish(self) -> None:
        self._require_begun()
        if not self.disconnected:
            end = self._take_head() + (b"0\r\n\r\n" if self.chunked else b"")
            if end:
                self.connection.transport.write(end)
        self.response_complete = True
        self.connection.answered(self)

    def abort(self) -> None:
        if self.response_complete:
            return
        self.response_complete = True
        if not self.chunked:
            reset_on_close(self.connection.transport)  # without chunks only that says that the answer is not whole
        self.connection.transport.close()

    # What the connection does with it

    def refuse(self, error: DragomanError) -> None:
        """Let this be the answer, in its turn. The rest of the request is not read, so the connection cannot go on."""
        self.refused = error
        self.keep_alive = False
        self.pieces = []

    def version(self) -> str:
        """The request's HTTP version. Looked up late, since few need it and the parser takes half a microsecond to say."""
        if self.http_version is None:
            self.http_version = self.connection.parser.get_http_version()
        return self.http_version

    # Inside

    def _require_begun(self) -> None:
        if self.response_complete or not self.status:
            raise RuntimeError(NOT_BEGUN)

    def _take_head(self) -> bytes:
        head = self._pending_head
        if head:
            self._pending_head = b""
            self.response_started = True
            if self.connection.access_log:
                self.connection.log_access(self, self.status)
        return head

    def _head(self, status: int, headers: Headers, *framing: tuple[bytes, bytes]) -> bytes:
        if status in _BODYLESS:
            raise ValueError(f"status {status} has no body; routes here always answer with one")
        lines = b"\r\n".join(map(b": ".join, (*headers, *framing, _KEPT if self.keep_alive else _CLOSED)))
        breaks = len(headers) + len(framing)
        if lines.count(b"\n") != breaks or lines.count(b"\r") != breaks or b"\0" in lines:
            raise ValueError(f"a line break or NUL in the response headers {[name for name, _ in headers]}")
        return b"%b%b%b\r\n\r\n" % (STATUS_LINE[status], self.connection.server_lines(), lines)
