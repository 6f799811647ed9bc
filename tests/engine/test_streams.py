"""A begun stream to its end, its break or its early close: what is given, what is settled, what is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core import events as ev
from dragoman.core.http import TransportFailure
from dragoman.engine.flow import open_stream
from dragoman.engine.streams import StreamState, aevents, events
from dragoman.providers.base import Quirks
from support.calls import (
    DONE,
    ERROR_EVENT,
    EVENTS,
    HEL,
    JSON,
    LO,
    ROLE,
    STOP,
    STREAM,
    AsyncFakeStream,
    FakeStream,
    completion,
    deployment,
    make_call,
    play,
)

CUT = TransportFailure("closed", "reset by peer")


class Reading:
    """A stream opened on the given pieces, and what came of reading it."""

    def __init__(self, kind: type[FakeStream], *pieces: Any, **given: Any) -> None:
        self.settled: list[Any] = []
        self.stream = kind(*pieces, headers=given.pop("headers", EVENTS))
        call = make_call(*given.pop("places", ()), stream=True, settled=self.settled, **given)
        self.state = StreamState(play(open_stream(call, float, float), self.stream).result, call)
        self.events: list[ev.Event] = []
        self.error: Any = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ev.TextDelta))

    @property
    def end(self) -> tuple[Any, bool, Any]:
        """The one settlement: its error, whether it was cancelled, the tokens it knows."""
        (settlement,) = self.settled
        return settlement.error, settlement.cancelled, settlement.usage and settlement.usage.total_tokens


def read_sync(*pieces: Any, **given: Any) -> Reading:
    reading = Reading(FakeStream, *pieces, **given)
    try:
        for batch in events(reading.state):
            reading.events += batch
    except e.DragomanError as error:
        reading.error = error
    return reading


def read_async(*pieces: Any, **given: Any) -> Reading:
    reading = Reading(AsyncFakeStream, *pieces, **given)

    async def main() -> None:
        try:
            async for batch in aevents(reading.state):
                reading.events += batch
        except e.DragomanError as error:
            reading.error = error

    asyncio.run(main())
    return reading


Read = Callable[..., Reading]
both = pytest.mark.parametrize("read", [read_sync, read_async], ids=["sync", "async"])


@both
def test_every_event_once_and_in_order(read: Read) -> None:
    reading = read(*STREAM)
    assert [type(event).__name__ for event in reading.events] == [
        "ResponseStart",
        "PartStart",
        "TextDelta",
        "TextDelta",
        "UsageReport",
        "PartEnd",
        "ResponseEnd",
    ]
    assert reading.text == "hello"
    assert reading.end == (None, False, 5)
    assert reading.stream.closed == 1
    assert reading.state.response.choices[0].parts[0].text == "hello"


BREAKS = {
    "a cut": (CUT, "closed"),
    "an idle timeout": (TransportFailure("idle", "late"), "idle"),
    "an error event": (ERROR_EVENT, "busy"),
    "garbage": (b"data: {oops\n\n", None),
    "the end without an end": (b"", None),
}


@both
@pytest.mark.parametrize(("breaking", "code"), BREAKS.values(), ids=BREAKS)
def test_a_break_after_the_first_event(read: Read, breaking: Any, code: str | None) -> None:
    reading = read(ROLE, HEL, LO, breaking)
    assert reading.text == "hello"
    error = reading.error
    assert type(error) is e.StreamInterruptedError
    assert not error.retryable
    assert error.partial.choices[0].parts[0].text == "hello"
    assert (error.llm_provider, error.model, error.deployment, error.attempts) == ("acme", "m-1", "acme/m-1", 1)
    assert error.code == code
    assert reading.end[0] is error
    assert reading.stream.closed == 1
    assert not any(isinstance(event, ev.ResponseEnd | ev.StreamError) for event in reading.events)


@both
def test_what_came_in_the_piece_that_broke_is_still_given(read: Read) -> None:
    reading = read(ROLE, HEL, LO + ERROR_EVENT)
    assert reading.text == "hello"
    assert isinstance(reading.error, e.StreamInterruptedError)


@both
def test_an_interruption_names_the_request(read: Read) -> None:
    reading = read(ROLE, HEL, CUT, headers=(*EVENTS, ("x-request-id", "r5")))
    assert reading.error.request_id == "r5"


@both
@pytest.mark.parametrize("more", [CUT, ERROR_EVENT, b"data: {oops\n\n", HEL], ids=["cut", "error", "garbage", "more"])
def test_after_a_complete_answer_nothing_is_read(read: Read, more: Any) -> None:
    """So a provider that keeps the connection open keeps nobody waiting, and one that breaks it does no harm."""
    reading = read(*STREAM, more)
    assert (reading.error, reading.text) == (None, "hello")
    assert reading.end == (None, False, 5)


@both
def test_an_answer_without_the_end_mark_is_complete_when_the_provider_closes(read: Read) -> None:
    reading = read(ROLE, HEL, LO, STOP)
    assert reading.error is None
    assert reading.end == (None, False, None)


@both
def test_an_answer_that_came_whole(read: Read) -> None:
    reading = read(json.dumps(completion("hello")).encode(), headers=JSON)
    assert reading.text == "hello"
    assert reading.end == (None, False, 5)


@both
def test_warnings_come_first(read: Read) -> None:
    place = deployment(quirks=Quirks(drop=frozenset({"seed"})))
    reading = read(*STREAM, places=(place,), body={"model": "asked", "messages": [], "seed": 3})
    assert reading.events[0].field == "seed"
    assert [warning.field for warning in reading.state.response.warnings] == ["seed"]


class PooledStream(FakeStream):
    finished = 0

    def finish(self) -> None:
        self.finished += 1


class AsyncPooledStream(AsyncFakeStream):
    finished = 0

    async def finish(self) -> None:
        self.finished += 1


@pytest.mark.parametrize(("pieces", "finished"), [(STREAM, 1), ((ROLE, HEL, CUT), 0)], ids=["complete", "broken"])
def test_a_transport_may_keep_the_connection_of_a_complete_answer(pieces: tuple[Any, ...], finished: int) -> None:
    for kind in (PooledStream, AsyncPooledStream):
        reading = Reading(kind, *pieces)

        async def read_all(reading: Reading = reading) -> None:
            async for _ in aevents(reading.state):
                pass

        try:
            if kind is PooledStream:
                list(events(reading.state))
            else:
                asyncio.run(read_all())
        except e.StreamInterruptedError:
            assert not finished
        assert (reading.stream.finished, reading.stream.closed) == (finished, 1 - finished)


# -------------------------------------------------------------------------------------------------------------- early ends
def test_a_reader_that_stops_early_has_cancelled() -> None:
    reading = Reading(FakeStream, *STREAM)
    batches = events(reading.state)
    next(batches)
    batches.close()
    assert reading.stream.closed == 1
    assert reading.end == (None, True, None)


def test_an_async_reader_that_stops_early_has_cancelled() -> None:
    reading = Reading(AsyncFakeStream, *STREAM)

    async def main() -> None:
        batches = aevents(reading.state)
        await anext(batches)
        await batches.aclose()

    asyncio.run(main())
    assert reading.stream.closed == 1
    assert reading.end == (None, True, None)


def test_stopping_after_the_end_is_no_cancellation() -> None:
    reading = Reading(FakeStream, b"".join(STREAM))
    batches = events(reading.state)
    next(batches)
    batches.close()
    assert reading.end == (None, False, 5)


class Silent(AsyncFakeStream):
    async def read(self) -> bytes:
        return self.take() or await asyncio.Event().wait()


def test_a_cancelled_reader_closes_the_stream() -> None:
    reading = Reading(FakeStream, ROLE, HEL)
    stream = Silent(LO)
    reading.state.opened.stream = stream

    async def main() -> None:
        async with asyncio.timeout(0.01):
            async for batch in aevents(reading.state):
                reading.events += batch

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert reading.text == "hello"
    assert stream.closed == 1
    assert reading.end == (None, True, None)


def test_a_failure_of_a_stream_that_was_given_up_is_nobodys_business() -> None:
    reading = Reading(FakeStream, ROLE, HEL)
    reading.state.begin()
    reading.state.settle()
    reading.state.fail(CUT)
    assert reading.state.feed(LO) == []
    assert reading.state.error is None
    assert reading.end == (None, True, None)


def test_what_has_come_can_be_asked_for_at_any_time() -> None:
    reading = Reading(FakeStream, ROLE, HEL, LO, STOP, DONE)
    batches = events(reading.state)
    seen = []
    for _ in batches:
        parts = reading.state.response.choices[0].parts
        seen.append(parts[0].text)
    assert seen == ["hel", "hello", "hello", "hello"]
