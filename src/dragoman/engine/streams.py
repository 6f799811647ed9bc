"""Reading a begun stream to its end as events, for threads and for the event loop. Closing early settles as cancelled.

`StreamState` is the pure part: it feeds bytes to the decoder, keeps the assembly (usage, the partial answer), leaves out a
malformed event where the stream goes on after it, and makes a StreamInterruptedError of a break, after which `continuation`
may find who writes the rest. The two iterators only move bytes. A stream is over with its ResponseEnd: a provider that
keeps the connection open after that keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

import msgspec

from dragoman.core.assemble import Assembly
from dragoman.core.chat import ChatResponse, ToolCallPart, Usage, Warning
from dragoman.core.errors import BadRequestError, StreamInterruptedError
from dragoman.core.events import Event, ResponseEnd, StreamError
from dragoman.core.http import TransportFailure, header
from dragoman.engine import interpret
from dragoman.engine.call import Call, Settlement
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import OpenedStream
from dragoman.engine.steps import Flow
from dragoman.engine.tape import PIECES, Tape
from dragoman.transport.base import AsyncTransport, Transport

if TYPE_CHECKING:
    from dragoman.engine.splice import Splice


SLOW = "slow"
"""Kind of failure of a stream that crawls, and could be read on."""
MOST_SKIPPED = 8
"""Malformed events of one stream that are no accident any more."""


class StreamState:
    """What has come of one stream. `response` is the answer so far; `done`: there is nothing more to read; `opened` is the leg
    that is read now, which began after `characters` of text. `slow`: why it is left, though it could be read on.
    """

    def __init__(self, opened: OpenedStream, call: Call) -> None:
        self.opened = opened
        self.call = call
        self.done = False
        self.error: StreamInterruptedError | None = None
        self.slow: TransportFailure | None = None
        self.characters = 0
        self._assembly = Assembly()
        self._splice: Splice | None = None
        self._notes: tuple[Warning, ...] = opened.prepared.warnings
        self._tape = Tape(opened.data)
        self._count = len(opened.events)
        self._skips = MOST_SKIPPED

    @property
    def complete(self) -> bool:
        return self._assembly.ended

    @property
    def response(self) -> ChatResponse:
        return self._assembly.response()

    @property
    def open_part(self) -> int | None:
        return self._assembly.open_part

    @property
    def leg_usage(self) -> Usage | None:
        """As far as the leg that is read now has reported it."""
        return self._assembly.usage if self._splice is None else self._splice.usage

    def begin(self) -> list[Event]:
        """The events that were held back, those of the preparation's warnings first."""
        notes, self._notes = self._notes, ()
        events, self.opened.events = self.opened.events, []
        return self._accept([*notes, *events])

    def feed(self, piece: bytes) -> list[Event]:
        """The events of the next piece, b"" being the end. What came before a break is still given; then `error` is set."""
        if self.done:
            return []
        if piece:
            pieces = self._tape.pieces
            pieces.append(piece)
            if len(pieces) >= PIECES:
                self._tape.pack()
            events = self.opened.reader.feed(piece)
            self._count += len(events)
            if events and isinstance(events[-1], StreamError) and events[-1].broken:
                events = self._skipping(events)
            return self._accept(events)
        events = self._accept(self.opened.reader.close())
        if not self.done:
            self._interrupt("the stream ended before the answer was complete", None)
        return events

    def fail(self, failure: TransportFailure) -> list[Event]:
        """The transport gave up. After a complete answer that is nobody's business: then these are its last events."""
        if self.done:
            return []
        if failure.kind == SLOW:
            self.slow = failure
            self._interrupt(failure.message, SLOW)
            return []
        events = self.opened.reader.close()
        if events and isinstance(events[-1], ResponseEnd):
            return self._accept(events)
        self._interrupt(interpret.transport_error(self.opened.prepared, failure, attempts=1).message, failure.kind)
        return []

    def go_on(self, opened: OpenedStream, joined: Splice, mark: Warning) -> None:
        """The rest of the broken answer comes from here. Its first events are those of `begin`."""
        self.call.warnings += (mark,)
        self.characters = sum(len(getattr(part, "text", "")) for choice in self.response.choices for part in choice.parts)
        self.opened, self._splice, self._notes = opened, joined, (mark, *opened.prepared.warnings)
        self._tape, self._count = Tape(opened.data), len(opened.events)
        self.resume()

    def resume(self) -> None:
        """It can be read on after all."""
        self.done, self.error, self.slow = False, None, None

    def settle(self) -> None:
        """The reader is finished with it: complete, broken, or closed early by the client."""
        self.done = True
        cancelled = self.error is None and not self._assembly.ended
        response = self.response if self.call.observers and self.call.settlement is None else None
        usage = self._assembly.usage
        self.call.settle(Settlement(usage=usage, response=response, error=self.error, cancelled=cancelled))

    def _accept(self, events: list[Event]) -> list[Event]:
        if self._splice is not None:
            events = self._splice.of(events)
        add = self._assembly.add
        for place, event in enumerate(events):
            add(event)
            if isinstance(event, StreamError):
                self._interrupt(event.message, event.code, event.status)
                return events[:place]
        self.done = self.done or self._assembly.ended
        return events

    def _skipping(self, events: list[Event]) -> list[Event]:
        """The events of a piece with a malformed one in it, as if that were not there; as they are where it has to break."""
        head = self.opened.stream.head
        if "event-stream" not in (header(head.headers, "content-type") or "") or not (self._tape.whole and self._may_lose()):
            return events
        from dragoman.engine.skipping import reread  # noqa: PLC0415 - it hardly ever happens

        found = reread(self._tape.read(), self.opened.prepared.dialect.stream_decoder, self._skips)
        if found is None:
            return events
        mask = interpret.masking(self.opened.prepared.deployment.target)
        skipped = [msgspec.structs.replace(note, message=mask(note.message)) for note in found.skipped]
        self._skips -= len(skipped)
        before = self._count - len(events)
        self.opened.reader, self._tape, self._count = found.reader, Tape(found.data), len(found.events)
        self.call.warnings += tuple(skipped)
        return [*skipped, *found.events[before:]]

    def _may_lose(self) -> bool:
        """A hole in a text can be read over. In what programs read, a tool's arguments or JSON, it would pass for the truth."""
        try:
            formed = getattr(self.call.request, "response_format", None)
        except BadRequestError:  # the provider has taken it: it may say anything
            return False
        parts = [part for choice in self.response.choices for part in choice.parts]
        return (formed is None or formed.kind == "text") and not any(isinstance(part, ToolCallPart) for part in parts)

    def _interrupt(self, message: str, code: str | None, status: int = 0) -> None:
        """`status` is what the failure would have been as an answer: dialects choose their word for it by that."""
        self.done = True
        if self._skips < MOST_SKIPPED:
            message = f"{message} (malformed events that were skipped before: {MOST_SKIPPED - self._skips})"
        mask = interpret.masking(self.opened.prepared.deployment.target)
        stream = self.opened.stream
        headers = () if stream is None else stream.head.headers
        context = interpret.context(self.opened.prepared, attempts=len(self.call.attempts), headers=headers)
        self.error = StreamInterruptedError(mask(message), partial=self.response, code=code and mask(code), **context)
        self.error.status_code = status or self.error.status_code
        self.error.deployment = self.opened.prepared.deployment.id


def rest(state: StreamState) -> Flow[bool]:
    """Who writes the rest of the answer that broke off, or crawls? See `continuation.continued` and `pace.relieved`."""
    if state.slow is not None:
        from dragoman.engine.pace import relieved  # noqa: PLC0415 - few have a guard

        return relieved(state)
    from dragoman.engine.continuation import continued  # noqa: PLC0415 - most streams do not break

    return continued(state)


def events(state: StreamState, transport: Transport | None = None) -> Generator[list[Event]]:
    """The events of the stream, in lists as they come; raises StreamInterruptedError if it breaks. Close it to stop early.

    `transport` carries the request for the rest of a stream that broke; without one it is not asked for.
    """
    more = True
    try:
        while more:
            yield state.begin()
            while not state.done:
                try:
                    piece = state.opened.stream.read()
                except TransportFailure as failure:
                    yield state.fail(failure)
                else:
                    yield state.feed(piece)
            more = state.error is not None and transport is not None and drive(rest(state), transport)
        if state.error is not None:
            raise state.error
    finally:
        state.settle()
        stream = state.opened.stream
        if stream is not None:
            _ending(stream, stream.close, state)()


async def aevents(state: StreamState, transport: AsyncTransport | None = None) -> AsyncGenerator[list[Event]]:
    """As `events`; a cancelled task stops it too."""
    more = True
    try:
        while more:
            yield state.begin()
            while not state.done:
                try:
                    piece = await state.opened.stream.read()
                except TransportFailure as failure:
                    yield state.fail(failure)
                else:
                    yield state.feed(piece)
            more = state.error is not None and transport is not None and await adrive(rest(state), transport)
        if state.error is not None:
            raise state.error
    finally:
        state.settle()
        stream = state.opened.stream
        if stream is not None:
            await _ending(stream, stream.aclose, state)()


def _ending(stream: Any, close: Callable[[], Any], state: StreamState) -> Callable[[], Any]:
    """After a complete answer a transport may want to see the end of the body, to use its connection again."""
    finish: Callable[[], Any] | None = getattr(stream, "finish", None)
    return finish if finish is not None and state.complete else close
