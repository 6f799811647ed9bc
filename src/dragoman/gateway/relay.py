"""Streams on their way to the client: bytes as they came where both sides speak one dialect, rewritten events elsewhere.

A writer is pushed pieces by the transport and writes to the exchange in the same turn of the loop: no queue, no task
between them. It ends a stream in one of two ways: the provider said the answer is complete, and the client sees the
dialect's own end; or the client gets a typed error as the last event. A broken stream never looks finished; where another
deployment writes the rest (`engine.continuation`), it goes on behind a comment that says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from msgspec.structs import replace

from dragoman.core.chat import Warning
from dragoman.core.errors import DragomanError, StreamInterruptedError
from dragoman.core.events import Event
from dragoman.core.http import TransportFailure
from dragoman.core.sse import MAX_EVENT_BYTES
from dragoman.engine import interpret
from dragoman.engine.call import Call, Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import OpenedStream
from dragoman.engine.streams import StreamState, rest
from dragoman.engine.tape import PIECES, Tape
from dragoman.gateway.exchange import Exchange
from dragoman.transport.base import AsyncByteStream, AsyncTransport
from dragoman.transport.fast import FastStream


class StreamWriter(Protocol):
    """`begin` writes what was held, `feed` a piece, and one of `end` and `fail` says how the upstream's bytes ended.

    `feed` raises AnswerBrokenError once the answer has broken: more bytes are of no use. `torn` is then what may be gone on
    with, from `begin`, and `give_up` tells the client that nobody does; None where it has been told. `close` comes last,
    whatever happened; a stream that was neither complete nor broken by then was cancelled by the client.
    """

    @property
    def done(self) -> bool: ...
    @property
    def torn(self) -> StreamState | None: ...
    def begin(self) -> None: ...
    def feed(self, piece: bytes) -> None: ...
    def end(self) -> None: ...
    def fail(self, failure: TransportFailure) -> None: ...
    def give_up(self) -> None: ...
    def close(self) -> None: ...


class AnswerBrokenError(Exception):
    """Ends the reading of an upstream that still sends, though the answer has broken."""


async def push(
    stream: AsyncByteStream | None, writer: StreamWriter, exchange: Exchange, transport: AsyncTransport | None = None
) -> None:
    """Move a whole stream, which the caller closes. Our own transport pushes; of others the pieces are read one by one.

    `transport` carries the request for the rest of a stream that breaks; without one it is not asked for.
    """
    try:
        await _pass(stream, writer, exchange)
        while (torn := writer.torn) is not None:
            if transport is not None and await adrive(rest(torn), transport):
                await _pass_rest(torn.opened.stream, writer, exchange)
            else:
                writer.give_up()
    finally:
        writer.close()


async def _pass_rest(stream: AsyncByteStream | None, writer: StreamWriter, exchange: Exchange) -> None:
    try:
        await _pass(stream, writer, exchange)
    finally:
        if stream is not None:
            await stream.aclose()


async def _pass(stream: AsyncByteStream | None, writer: StreamWriter, exchange: Exchange) -> None:
    """One stream of bytes to its end or its break."""
    try:
        writer.begin()
        if stream is not None and not writer.done:
            await _move(stream, writer, exchange)
    except TransportFailure as failure:
        if not writer.done:
            writer.fail(failure)
    except AnswerBrokenError:
        pass  # the writer knows
    else:
        if not writer.done:
            writer.end()


async def _move(stream: AsyncByteStream, writer: StreamWriter, exchange: Exchange) -> None:
    if isinstance(stream, FastStream):
        exchange.on_pressure(stream.pause, stream.resume)
        await stream.relay(writer.feed)
        return
    while not writer.done and (piece := await stream.read()):
        writer.feed(piece)
        await exchange.drain()


class Rewrite:
    """Events of the provider's dialect, written in the client's."""

    def __init__(self, state: StreamState, exchange: Exchange, dialect: Any, encoder: Any) -> None:
        self.done = False
        self.torn: StreamState | None = None
        self._state = state
        self._exchange = exchange
        self._dialect = dialect
        self._encode: Callable[[Any], bytes] = encoder.encode
        self._seen = state.call.warnings
        self._told = set(self._seen)

    def begin(self) -> None:
        self.done, self.torn = False, None
        self._write(self._state.begin())

    def feed(self, piece: bytes) -> None:
        if self.done:
            return
        self._write(self._state.feed(piece))
        if self._state.error is not None:
            raise AnswerBrokenError

    def end(self) -> None:
        self._write(self._state.feed(b""))

    def fail(self, failure: TransportFailure) -> None:
        self._write(self._state.fail(failure))

    def give_up(self) -> None:
        error, self.torn = self._state.error, None
        self._state.settle()
        if error is not None:
            _end_with(self._exchange, self._dialect, error)

    def close(self) -> None:
        self.done = True
        self._state.settle()

    def _write(self, events: list[Event]) -> None:
        data = b"".join([self._encode(event) for event in events])
        warnings = self._state.call.warnings
        if warnings is not self._seen:  # those of another leg may be fewer, and are others
            self._seen = warnings
            data = b"".join([_comment(warning) for warning in warnings if warning not in self._told]) + data
            self._told.update(warnings)
        if data:
            self._exchange.write(data)
        if not self._state.done:
            return
        self.done = True
        if self._state.error is None:
            self._state.settle()
            self._exchange.finish()
        else:
            self.torn = self._state


class Relay:
    """Bytes as they came, whole events at a time, so that an error event can follow at any point. A tap reads along.

    At the first trouble the bytes so far are decoded, and a `Rewrite` takes over which stands where the relay stood: what skips
    a malformed event and what continues an answer that broke off is written once, for events.
    """

    def __init__(self, opened: OpenedStream, call: Call, exchange: Exchange, dialect: Any) -> None:
        self._opened = opened
        self._call = call
        self._exchange = exchange
        self._dialect = dialect
        self._tap = opened.reader
        self._filter = dialect.relay_filter(call.envelope)
        self._tail = b""
        self._tape = Tape(opened.data)
        self._pieces = self._tape.pieces
        self._over = False
        self._successor: Rewrite | None = None

    @property
    def done(self) -> bool:
        return self._over if self._successor is None else self._successor.done

    @property
    def torn(self) -> StreamState | None:
        return None if self._successor is None else self._successor.torn

    def begin(self) -> None:
        if self._successor is not None:
            self._successor.begin()
        else:
            self._pass_on(self._opened.data)

    def feed(self, piece: bytes) -> None:
        if self._successor is not None:
            self._successor.feed(piece)
            return
        if self._over:
            return
        self._tap.feed(piece)
        self._pieces.append(piece)
        if len(self._pieces) >= PIECES:
            self._tape.pack()
        found = self._tap.error
        if found is not None:
            successor = self._succeed(self._tail + piece, found.message, found.code, self._tap.error_status)
            if successor is None or successor.torn is not None:
                raise AnswerBrokenError
            return
        self._pass_on(piece)
        if len(self._tail) > MAX_EVENT_BYTES:
            self._break(f"an event of the stream is over {MAX_EVENT_BYTES} bytes", "too_large")
            raise AnswerBrokenError

    def end(self) -> None:
        """A last event may lack its blank line; one that is cut makes no sense with it either."""
        if self._tail and self._successor is None:
            with suppress(AnswerBrokenError):
                self.feed(b"\n" if self._tail.endswith(b"\n") else b"\n\n")
        if self.done:
            return
        if self._successor is None and self._tap.complete:
            self._complete()
            return
        successor = self._successor or self._succeed(self._tail, "the stream ended before the answer was complete", None)
        if successor is not None and not successor.done:
            successor.end()

    def fail(self, failure: TransportFailure) -> None:
        """After a complete answer a failure is nobody's business."""
        if self._successor is None and self._tap.complete:
            self._complete()
            return
        message = interpret.transport_error(self._opened.prepared, failure, attempts=1).message
        successor = self._successor or self._succeed(self._tail, message, failure.kind)
        if successor is not None and not successor.done:
            successor.fail(failure)

    def give_up(self) -> None:
        if self._successor is not None:
            self._successor.give_up()

    def close(self) -> None:
        if self._successor is not None:
            self._successor.close()
        self._over = True
        self._call.settle(Settlement(usage=self._tap.usage, cancelled=True))

    def _pass_on(self, piece: bytes) -> None:
        """All that is whole by now; the beginning of an event waits for its end."""
        if self._tail:
            piece = self._tail + piece
            self._tail = b""
        if not piece.endswith(b"\n\n"):
            cut = _end_of_events(piece)
            self._tail = piece[cut:]
            piece = piece[:cut]
        if self._filter is not None:
            piece = self._filter(piece)
        if piece:
            self._exchange.write(piece)

    def _complete(self) -> None:
        self._over = True
        self._call.settle(Settlement(usage=self._tap.usage))
        self._exchange.finish()

    def _succeed(
        self, undelivered: bytes, message: str, code: str | None, status: int = StreamInterruptedError.status_code
    ) -> Rewrite | None:
        """Who goes on from here, told what the client has not got yet. None: nobody can, and the client knows that."""
        successor = self._successor = self._made_successor(len(undelivered))
        if successor is None:
            self._break(message, code, status)
        elif undelivered:
            with suppress(AnswerBrokenError):
                successor.feed(undelivered)
        return successor

    def _made_successor(self, undelivered: int) -> Rewrite | None:
        """None where the bytes are not there any more, or the provider has taken a request that we cannot read."""
        try:
            request = self._call.request if self._tape.whole else None
        except DragomanError:
            request = None
        if request is None:
            return None
        decoder = self._opened.prepared.dialect.stream_decoder()
        state = StreamState(replace(self._opened, relay=False, reader=decoder, data=b""), self._call)
        encoder = self._dialect.stream_encoder(request, now=int(time.time()))
        kept = self._tape.read()
        for event in state.feed(kept[: len(kept) - undelivered]):
            encoder.encode(event)
        return Rewrite(state, self._exchange, self._dialect, encoder)

    def _break(self, message: str, code: str | None, status: int = StreamInterruptedError.status_code) -> None:
        """`status` is what the failure would have been as an answer: dialects choose their word for it by that."""
        self._over = True
        mask = interpret.masking(self._opened.prepared.deployment.target)
        context = interpret.context(self._opened.prepared, attempts=len(self._call.attempts))
        error = StreamInterruptedError(mask(message), code=code and mask(code), **context)
        error.status_code = status
        error.deployment = self._opened.prepared.deployment.id
        self._call.settle(Settlement(usage=self._tap.usage, error=error))
        _end_with(self._exchange, self._dialect, error)


def _end_of_events(data: bytes) -> int:
    """Where the last whole event ends; 0 without one. Lines may end in LF or CR LF."""
    plain, crlf = data.rfind(b"\n\n"), data.rfind(b"\n\r\n")
    return plain + 2 if plain > crlf else crlf + 3 if crlf >= 0 else 0


def _comment(warning: Warning) -> bytes:
    """What happened to a stream whose headers are gone. Clients of event streams pass over comments."""
    return b": " + ascii(warning.message)[1:-1].encode() + b"\n\n"


def _end_with(exchange: Exchange, dialect: Any, error: DragomanError) -> None:
    exchange.write(dialect.encode_stream_error(error))
    exchange.finish()
