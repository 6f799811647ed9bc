"""The throughput guard at work: a stream that is timed through its first window, and the handing over of one that crawls.

Only time that is spent waiting for the provider counts: whoever reads slowly makes nobody slow. A stream that crawls fails as
a broken one does (`TransportFailure`, kind "slow"), but stays open until another deployment has shown its first token; when
nobody can take over, it goes on as it was. Loaded where a guard is configured (`flow`); the rules are those of `continuation`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from dragoman.catalog.estimate import estimate
from dragoman.core import events as ev
from dragoman.core.errors import DragomanError
from dragoman.core.http import TransportFailure
from dragoman.dialects.base import StreamDecoder
from dragoman.engine import continuation, interpret
from dragoman.engine.call import Call
from dragoman.engine.flow import OpenedStream, open_rest
from dragoman.engine.steps import Close, Flow
from dragoman.engine.streams import SLOW, StreamState
from dragoman.engine.tape import MOST
from dragoman.router.direct import Capable
from dragoman.router.throughput import SlowStreamError, ThroughputGuard, crawls


class CrawlingStream(TransportFailure):
    """It came too slowly for so many seconds; nothing of it is lost, and it can be read on."""

    def __init__(self, tokens: int, seconds: float) -> None:
        super().__init__(SLOW, f"{tokens} tokens came in {seconds:.3g} s")
        self.seconds = seconds


def watch(opened: OpenedStream, guard: ThroughputGuard, call: Call) -> None:
    """Have the stream timed, if it is one that might be continued elsewhere."""
    if opened.stream is not None and call.clock is not None and continuation.may_be_continued(call):
        opened.stream = PacedStream(opened, guard, call.clock)


class PacedStream:
    """A byte stream of either world. The read after the window of one that crawls raises CrawlingStream, once."""

    def __init__(self, opened: OpenedStream, guard: ThroughputGuard, clock: Callable[[], float]) -> None:
        self.inner = opened.stream
        self._fresh: Callable[[], StreamDecoder] = opened.prepared.dialect.stream_decoder
        self._guard = guard
        self._clock = clock
        self._data = bytearray(opened.data)
        self._waited = 0.0
        self._over = False
        self._found: CrawlingStream | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read(self) -> Any:
        if self._found is not None:
            found, self._found = self._found, None
            raise found
        if self._over:
            return self.inner.read()
        began = self._clock()
        piece = self.inner.read()
        return self._awaited(piece, began) if hasattr(piece, "__await__") else self._taken(piece, began)

    async def _awaited(self, coming: Awaitable[bytes], began: float) -> bytes:
        return self._taken(await coming, began)

    def _taken(self, piece: bytes, began: float) -> bytes:
        self._waited += self._clock() - began
        self._data += piece
        if not piece or len(self._data) > MOST:  # at its end, or so much that it could not be decoded anew
            self._over = True
        elif self._waited >= self._guard.window:
            self._over = True
            tokens = _written(self._fresh(), bytes(self._data))
            if tokens is not None and crawls(self._guard, tokens, self._waited):
                self._found = CrawlingStream(tokens, self._waited)
        if self._over:
            self._data.clear()
        return piece


def _written(decoder: StreamDecoder, data: bytes) -> int | None:
    """Tokens, as reported or by estimate; None where nothing more is to come, or something is wrong."""
    events = decoder.feed(data)
    over = any(isinstance(event, ev.StreamError) for event in events)
    if over or any(isinstance(event, ev.ResponseEnd) for event in [*events, *decoder.close()]):
        return None
    text = "".join(getattr(event, "text", "") or getattr(event, "arguments", "") for event in events)
    told = (event.usage.output_tokens for event in events if isinstance(event, ev.UsageReport))
    return max(estimate(text), *told, 0)


def relieved(state: StreamState, wall: Callable[[], float] = time.time) -> Flow[bool]:
    """Ask another deployment for the rest of a stream that crawls. True: `state` goes on, there or as it was."""
    state.opened.stream = state.opened.stream.inner
    text = continuation.text_of(state.call, state.response)
    writing = text == "" or state.open_part is not None
    if text is None or not writing or state.call.settlement is not None or not (yield from _handed_over(state, text, wall)):
        state.resume()
    return True


def _handed_over(state: StreamState, text: str, wall: Callable[[], float]) -> Flow[bool]:
    call, session, slow = state.call, cast("Capable", state.call.session), cast("CrawlingStream", state.slow)
    guard, error, clock = session.throughput_guard, state.error, cast("Callable[[], float]", call.clock)
    rest = continuation.rest_of_stream(state, text, instead=guard)
    if guard is None or rest is None or error is None:
        return False
    attempt, warnings = call.attempts[-1], call.warnings
    tried = next(one for one in session.trail if one.outcome is None)
    try:
        opened = yield from open_rest(call, rest, clock, wall, most_wait=guard.most_wait)
    except BaseException as problem:
        call.attempts.remove(attempt)
        call.attempts.append(attempt)  # whose answer it is comes last
        call.warnings = warnings
        session.won(tried, clock())
        if not isinstance(problem, DragomanError):
            state.resume()  # whoever read it has left: that is no failure of the stream
            raise
        return False
    left, used = state.opened, continuation.used(call, state, text)
    where = interpret.context(left.prepared, attempts=1)
    attempt.error = SlowStreamError(error.message, usage=used, seconds=slow.seconds, **where)
    attempt.error.deployment = attempt.deployment.id
    attempt.usage = used
    session.failed(attempt.error, clock(), tried)
    continuation.join(state, opened, text, "was given up as slow")
    yield Close(left.stream)
    return True
