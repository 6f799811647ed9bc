"""Reading a begun stream to its end as events, for threads and for the event loop. Closing early settles as cancelled.

`StreamState` is the pure part: it feeds bytes to the decoder, keeps the assembly (usage, the partial answer) and makes a
StreamInterruptedError of a break. The two iterators only move bytes. A stream is over with its ResponseEnd: a provider
that keeps the connection open after that keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from dragoman.core.assemble import Assembly
from dragoman.core.chat import ChatResponse
from dragoman.core.errors import StreamInterruptedError
from dragoman.core.events import Event, StreamError
from dragoman.core.http import TransportFailure
from dragoman.engine import interpret
from dragoman.engine.call import Call, Settlement
from dragoman.engine.flow import OpenedStream


class StreamState:
    """What has come of one stream. `response` is the answer so far; `done`: there is nothing more to read."""

    def __init__(self, opened: OpenedStream, call: Call) -> None:
        self.opened = opened
        self.call = call
        self.done = False
        self.error: StreamInterruptedError | None = None
        self._assembly = Assembly()

    @property
    def complete(self) -> bool:
        return self._assembly.ended

    @property
    def response(self) -> ChatResponse:
        return self._assembly.response()

    def begin(self) -> list[Event]:
        """The events that were held back, those of the preparation's warnings first."""
        events = [*self.opened.prepared.warnings, *self.opened.events]
        self.opened.events = []
        return self._accept(events)

    def feed(self, piece: bytes) -> list[Event]:
        """The events of the next piece, b"" being the end. What came before a break is still given; then `error` is set."""
        if self.done:
            return []
        if piece:
            return self._accept(self.opened.reader.feed(piece))
        events = self._accept(self.opened.reader.close())
        if not self.done:
            self._interrupt("the stream ended before the answer was complete", None)
        return events

    def fail(self, failure: TransportFailure) -> None:
        """The transport gave up. After a complete answer that is nobody's business; before it, it is an interruption."""
        if not self.done:
            self._interrupt(interpret.transport_error(self.opened.prepared, failure, attempts=1).message, failure.kind)

    def settle(self) -> None:
        """The reader is finished with it: complete, broken, or closed early by the client."""
        self.done = True
        ended = self._assembly.ended
        self.call.settle(Settlement(usage=self._assembly.usage, response=self._seen(), cancelled=not ended))

    def _seen(self) -> ChatResponse | None:
        """The answer so far, for those who watch the call."""
        return self.response if self.call.observers and self.call.settlement is None else None

    def _accept(self, events: list[Event]) -> list[Event]:
        add = self._assembly.add
        for place, event in enumerate(events):
            add(event)
            if isinstance(event, StreamError):
                message = interpret.without_key(event.message, self.opened.prepared.deployment.target)
                self._interrupt(message, event.code, event.status)
                return events[:place]
        self.done = self.done or self._assembly.ended
        return events

    def _interrupt(self, message: str, code: str | None, status: int = 0) -> None:
        """`status` is what the failure would have been as an answer: dialects choose their word for it by that."""
        self.done = True
        stream = self.opened.stream
        headers = () if stream is None else stream.head.headers
        context = interpret.context(self.opened.prepared, attempts=len(self.call.attempts), headers=headers)
        partial = self.response
        self.error = StreamInterruptedError(message, partial=partial, code=code, **context)
        self.error.status_code = status or self.error.status_code
        self.error.deployment = self.opened.prepared.deployment.id
        self.call.settle(Settlement(usage=self._assembly.usage, response=partial, error=self.error))


def events(state: StreamState) -> Generator[list[Event]]:
    """The events of the stream, in lists as they come; raises StreamInterruptedError if it breaks. Close it to stop early."""
    stream = state.opened.stream
    try:
        yield state.begin()
        while not state.done:
            try:
                piece = stream.read()
            except TransportFailure as failure:
                state.fail(failure)
            else:
                yield state.feed(piece)
        if state.error is not None:
            raise state.error
    finally:
        state.settle()
        if stream is not None:
            _ending(stream, stream.close, state)()


async def aevents(state: StreamState) -> AsyncGenerator[list[Event]]:
    """As `events`; a cancelled task stops it too."""
    stream = state.opened.stream
    try:
        yield state.begin()
        while not state.done:
            try:
                piece = await stream.read()
            except TransportFailure as failure:
                state.fail(failure)
            else:
                yield state.feed(piece)
        if state.error is not None:
            raise state.error
    finally:
        state.settle()
        if stream is not None:
            await _ending(stream, stream.aclose, state)()


def _ending(stream: Any, close: Callable[[], Any], state: StreamState) -> Callable[[], Any]:
    """After a complete answer a transport may want to see the end of the body, to use its connection again."""
    finish: Callable[[], Any] | None = getattr(stream, "finish", None)
    return finish if finish is not None and state.complete else close
