"""One HTTP/1.1 connection to an upstream: an asyncio.Protocol around llhttp, one exchange at a time.

It writes a request that is bytes already, and hands what comes back to a `Receiver`, from the parser's callbacks and in
the same turn of the loop. It knows framing only: no deadlines, no retries, no URLs. `fast_pool` makes and keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from dragoman.core.http import Headers, TransportFailure
from dragoman.transport.content_coding import Inflater, inflater_for, without_coding

MAX_HEAD = 64 * 1024
"""Bytes that may come between two pieces of a body, or before the first: heads, trailers, chunk framing."""

MAX_HEADERS = 256
JOINED_UP_TO = 32 * 1024
"""A larger body is not copied to stand behind its head in one buffer."""

_NO_BODY = frozenset({204, 304})
_SPECIAL = frozenset({"transfer-encoding", "content-encoding", "keep-alive"})
_NAMES: dict[bytes, str] = {}
"""Header names seen, in lower case. Bounded: a server that invents names does not fill it for ever."""


class Receiver(Protocol):
    """Where one exchange goes. Ends with exactly one `end` or `fail`; a failure may come at any point."""

    def begin(self, status: int, headers: Headers) -> None: ...
    def piece(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def fail(self, failure: BaseException) -> None: ...


class Owner(Protocol):
    """Who keeps connections: told what becomes of this one."""

    def opened(self, connection: Connection) -> None: ...
    def give_back(self, connection: Connection) -> None: ...
    def unusable(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`deliver` is where pieces of the body go: the receiver, or what the receiver puts in its own place.

    `touched`: when the last piece came (the loop's clock), 0.0 before the first. `closing`: it is of no further use.
    `keep_seconds`: what the server's keep-alive allows.
    """

    def __init__(self, owner: Owner, now: Callable[[], float]) -> None:
        self._owner = owner
        self._now = now
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._receiver: Receiver | None = None
        self.deliver: Callable[[bytes], None] = _nowhere
        self.touched = 0.0
        self.closing = False
        self.was_made = False
        self.paused = False
        self.keep_seconds: float | None = None
        self.idle_until = 0.0
        self._headers: list[tuple[bytes, bytes]] = []
        self._error: BaseException | None = None
        self._inflater: Inflater | None = None
        self._overhead = 0
        self._informational = False
        self._until_close = False  # once it is, the connection serves no other exchange
        self._keep = False
        self._complete = False

    # ------------------------------------------------------------------------------------------------- for the transport
    def start(self, receiver: Receiver, head: bytes, body: bytes) -> None:
        """Send a request. The connection must be neither closing nor busy."""
        self._receiver = receiver
        self.deliver = receiver.piece
        self.touched = 0.0
        self._overhead = 0
        self._complete = False
        if len(body) <= JOINED_UP_TO:
            self._transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        else:
            self._transport.write(b"%b%d\r\n\r\n" % (head, len(body)))
            self._transport.write(body)

    @property
    def heard(self) -> bool:
        """Whether anything has come back for this request."""
        return self._overhead > 0 or self.touched > 0

    def abandon(self, receiver: Receiver) -> None:
        """The receiver wants no more. If its exchange is still open the connection ends here and now."""
        if self._receiver is receiver:
            self._receiver = None
            self.drop()

    def drop(self) -> None:
        self._become_useless()
        self._transport.abort()

    def pause(self) -> None:
        if not self.paused and not self.closing:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            if self.touched:  # nothing could come meanwhile: the quiet time begins anew
                self.touched = self._now()
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # ------------------------------------------------------------------------------------------------------ from the loop
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self.closing:  # it was given up while it was being made
            self._transport.abort()
            return
        self.was_made = True
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:  # nobody asked: a late answer, or a notice before the server closes
            self.drop()
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            if not self._complete:
                self._fail(self._error or TransportFailure("protocol", f"the answer is not HTTP/1.1: {problem}"))
                return
            self._keep = False  # the answer was whole; what follows it is not ours
        if self._complete:
            self._finish()
        elif self._overhead > MAX_HEAD:
            self._fail(TransportFailure("too_large", f"more than {MAX_HEAD} bytes of headers or framing came"))

    def eof_received(self) -> None:
        self._become_useless()
        if self._transport.get_write_buffer_size():  # closing would wait for a peer that has stopped reading
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._become_useless()
        self._owner.lost(self)
        receiver, self._receiver = self._receiver, None
        self._parser = None  # type: ignore[assignment]  # unties the circle of the two; nothing is fed after this
        if receiver is None:
            return
        if self._until_close and exc is None:
            self._conclude(receiver, self._inflater or Inflater(raw_allowed=False))
        else:
            reason = f": {exc}" if exc and str(exc) else ""
            receiver.fail(TransportFailure("closed", f"the connection was closed before the answer was complete{reason}"))

    # ---------------------------------------------------------------------------------------------------- from the parser
    def on_message_begin(self) -> None:
        if self._complete:
            raise TransportFailure("protocol", "a second answer came to one request")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))  # a trailer too, which nobody looks at

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._informational = True
            return
        try:
            if len(self._headers) > MAX_HEADERS:
                raise TransportFailure("too_large", f"more than {MAX_HEADERS} headers came")
            headers: Headers = tuple(
                [(_NAMES.get(name) or _lower(name), value.decode("latin-1").rstrip()) for name, value in self._headers]
            )
            fields = dict(headers)
            self.keep_seconds = None
            if "content-length" not in fields or not _SPECIAL.isdisjoint(fields):
                headers = self._heed(status, headers, fields)
            if self._receiver is not None:
                self._receiver.begin(status, headers)
        except BaseException as problem:
            self._error = problem
            raise

    def on_body(self, data: bytes) -> None:
        self.touched = self._now()
        self._overhead = 0
        try:
            if self._inflater is None:
                self.deliver(data)
            else:
                for piece in self._inflater.feed(data):
                    self.deliver(piece)
        except BaseException as problem:
            self._error = problem
            raise

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = False
            return
        self._keep = self._parser.should_keep_alive()
        self._complete = True

    # -------------------------------------------------------------------------------------------------------------- within
    def _heed(self, status: int, headers: Headers, fields: dict[str, str]) -> Headers:
        """Do what the headers say about the body and the connection. The headers without those that are done with."""
        coding = fields.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise TransportFailure("protocol", f"the transfer-encoding {coding!r} was not asked for")
        self._until_close = coding is None and "content-length" not in fields and status not in _NO_BODY
        self.keep_seconds = _keep_seconds(fields.get("keep-alive", ""))
        self._inflater = inflater_for(headers)
        return headers if self._inflater is None else without_coding(headers)

    def _finish(self) -> None:
        receiver, self._receiver = self._receiver, None
        if self._keep and not self.closing:
            if self.paused:
                self.resume()
            self._owner.give_back(self)
        else:
            self.drop()
        if receiver is None:
            return
        if self._inflater is None:
            receiver.end()
        else:
            self._conclude(receiver, self._inflater)

    def _conclude(self, receiver: Receiver, inflater: Inflater) -> None:
        self._inflater = None
        try:
            inflater.finish()
        except TransportFailure as failure:
            receiver.fail(failure)
        else:
            receiver.end()

    def _fail(self, failure: BaseException) -> None:
        receiver, self._receiver = self._receiver, None
        self.drop()
        if receiver is not None:
            receiver.fail(failure)

    def _become_useless(self) -> None:
        if not self.closing:
            self.closing = True
            self._owner.unusable(self)


def _nowhere(_: bytes) -> None:
    """Where the body of an exchange goes that nobody receives."""


def _lower(name: bytes) -> str:
    if len(_NAMES) > 1000:
        _NAMES.clear()
    text = _NAMES[name] = name.decode("latin-1").lower()
    return text


def _keep_seconds(value: str) -> float | None:
    """`timeout=5, max=100` -> 5.0; None when it does not say."""
    for part in value.split(","):
        name, _, number = part.strip().partition("=")
        if name.lower() == "timeout" and number.strip().isdigit():
            return float(number)
    return None
