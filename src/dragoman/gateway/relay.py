"""Streams on their way to the client: bytes as they came where both sides speak one dialect, rewritten events elsewhere.

A writer is pushed pieces by the transport and writes to the exchange in the same turn of the loop: no queue, no task
between them. It ends a stream in one of two ways: the provider said the answer is complete, and the client sees the
dialect's own end; or the client gets a typed error as the last event. A broken stream never looks finished.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from dragoman.core.errors import DragomanError, ErrorDetail, StreamInterruptedError
from dragoman.core.events import Event
from dragoman.core.http import TransportFailure
from dragoman.core.sse import MAX_EVENT_BYTES
from dragoman.engine import interpret
from dragoman.engine.call import Call, Settlement
from dragoman.engine.flow import OpenedStream
from dragoman.engine.streams import StreamState
from dragoman.gateway.exchange import Exchange
from dragoman.transport.base import AsyncByteStream
from dragoman.transport.fast import FastStream

_EVENT_END = re.compile(rb"\n\r?\n")


class StreamWriter(Protocol):
    """`begin` writes what was held, `feed` a piece, and one of `end` and `fail` says how the upstream's bytes ended.

    `feed` raises AnswerBrokenError once it has told the client of a break: more bytes are of no use. `close` comes last,
    whatever happened; a stream that was neither complete nor broken by then was cancelled by the client.
    """

    done: bool

    def begin(self) -> None: ...
    def feed(self, piece: bytes) -> None: ...
    def end(self) -> None: ...
    def fail(self, failure: TransportFailure) -> None: ...
    def close(self) -> None: ...


class AnswerBrokenError(Exception):
    """Ends the reading of an upstream that still sends, though the answer has broken."""


async def push(stream: AsyncByteStream | None, writer: StreamWriter, exchange: Exchange) -> None:
    """Move a whole stream. Our own transport pushes; of others the pieces are read one by one."""
    try:
        writer.begin()
        if stream is not None and not writer.done:
            await _move(stream, writer, exchange)
    except TransportFailure as failure:
        if not writer.done:
            writer.fail(failure)
    except AnswerBrokenError:
        pass  # the client knows
    else:
        if not writer.done:
            writer.end()
    finally:
        writer.close()


async def _move(stream: AsyncByteStream, writer: StreamWriter, exchange: Exchange) -> None:
    if isinstance(stream, FastStream):
        exchange.on_pressure(stream.pause, stream.resume)
        await stream.relay(writer.feed)
        return
    while not writer.done and (piece := await stream.read()):
        writer.feed(piece)
        await exchange.drain()


class Relay:
    """Bytes as they came, whole events at a time, so that an error event can follow at any point. A tap reads along."""

    def __init__(self, opened: OpenedStream, call: Call, exchange: Exchange, dialect: Any) -> None:
        self.done = False
        self._opened = opened
        self._call = call
        self._exchange = exchange
        self._dialect = dialect
        self._tap = opened.reader
        self._filter = dialect.relay_filter(call.envelope)
        self._tail = b""

    def begin(self) -> None:
        self._pass_on(self._opened.data)

    def feed(self, piece: bytes) -> None:
        if self.done:
            return
        self._tap.feed(piece)
        if self._tap.error is not None:
            self._write(self._good_part(self._tail + piece))
            self._break_on(self._tap.error, self._tap.error_status)
            raise AnswerBrokenError
        self._pass_on(piece)
        if len(self._tail) > MAX_EVENT_BYTES:
            self._break(f"an event of the stream is over {MAX_EVENT_BYTES} bytes", "too_large")
            raise AnswerBrokenError

    def end(self) -> None:
        """A last event may lack its blank line; one that is cut makes no sense with it either."""
        with suppress(AnswerBrokenError):
            if self._tail:
                self.feed(b"\n" if self._tail.endswith(b"\n") else b"\n\n")
        if self.done:
            return
        if self._tap.complete:
            self._complete()
        else:
            self._break("the stream ended before the answer was complete", None)

    def fail(self, failure: TransportFailure) -> None:
        """After a complete answer a failure is nobody's business."""
        if self._tap.complete:
            self._complete()
        else:
            self._break(interpret.transport_error(self._opened.prepared, failure, attempts=1).message, failure.kind)

    def close(self) -> None:
        self.done = True
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
        self._write(piece)

    def _write(self, events: bytes) -> None:
        if self._filter is not None:
            events = self._filter(events)
        if events:
            self._exchange.write(events)

    def _good_part(self, data: bytes) -> bytes:
        """The events before the one that is an error or garbage."""
        good = 0
        for boundary in _EVENT_END.finditer(data):
            probe = self._dialect.stream_tap()
            probe.feed(data[good : boundary.end()])
            if probe.error is not None:
                break
            good = boundary.end()
        return data[:good]

    def _complete(self) -> None:
        self.done = True
        self._call.settle(Settlement(usage=self._tap.usage))
        self._exchange.finish()

    def _break_on(self, detail: ErrorDetail, status: int) -> None:
        message = interpret.without_key(detail.message, self._opened.prepared.deployment.target)
        self._break(message, detail.code, status)

    def _break(self, message: str, code: str | None, status: int = StreamInterruptedError.status_code) -> None:
        """`status` is what the failure would have been as an answer: dialects choose their word for it by that."""
        self.done = True
        context = interpret.context(self._opened.prepared, attempts=len(self._call.attempts))
        error = StreamInterruptedError(message, code=code, **context)
        error.status_code = status
        error.deployment = self._opened.prepared.deployment.id
        self._call.settle(Settlement(usage=self._tap.usage, error=error))
        _end_with(self._exchange, self._dialect, error)


def _end_of_events(data: bytes) -> int:
    """Where the last whole event ends; 0 without one. Lines may end in LF or CR LF."""
    plain, crlf = data.rfind(b"\n\n"), data.rfind(b"\n\r\n")
    return plain + 2 if plain > crlf else crlf + 3 if crlf >= 0 else 0


class Rewrite:
    """Events of the provider's dialect, written in the client's."""

    def __init__(self, state: StreamState, exchange: Exchange, dialect: Any, encoder: Any) -> None:
        self.done = False
        self._state = state
        self._exchange = exchange
        self._dialect = dialect
        self._encode: Callable[[Any], bytes] = encoder.encode

    def begin(self) -> None:
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
        self._state.fail(failure)
        self._write([])

    def close(self) -> None:
        self.done = True
        self._state.settle()

    def _write(self, events: list[Event]) -> None:
        data = b"".join([self._encode(event) for event in events])
        if data:
            self._exchange.write(data)
        if self._state.done:
            self._finish()

    def _finish(self) -> None:
        self.done = True
        self._state.settle()
        if self._state.error is None:
            self._exchange.finish()
        else:
            _end_with(self._exchange, self._dialect, self._state.error)


def _end_with(exchange: Exchange, dialect: Any, error: DragomanError) -> None:
    exchange.write(dialect.encode_stream_error(error))
    exchange.finish()
