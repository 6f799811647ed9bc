"""The throughput guard in virtual time: who is too slow, who takes over, and that nobody is worse off for having a guard."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.catalog.estimate import estimate
from dragoman.core import errors as e
from dragoman.core import events as ev
from dragoman.core import sse
from dragoman.core.http import Timeouts, TransportFailure
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import open_stream
from dragoman.engine.streams import StreamState, aevents, events
from dragoman.router.continuation import ContinuationPolicy
from dragoman.router.deployment import Deployment, Terms
from dragoman.router.policy import Policy
from dragoman.router.retry import RetryPolicy
from dragoman.router.state import RequestFacts, Settings
from dragoman.router.throughput import ThroughputGuard, crawls
from support.calls import DONE, HELLO, ROLE, STOP, FakeStream, chunk, deployment, make_call
from support.routing import InOrder, listed

GUARD = ThroughputGuard(tokens_per_second=5, window=3, most_wait=4)
CUT = TransportFailure("closed", "reset by peer")
SLOW_TEXT = "one two three four five six"
MESSAGE = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 3}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def words(text: str, *, seconds: float) -> list[Any]:
    """A stream that says these words, each after so many seconds."""
    spaced = [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))]
    return [(0.0, ROLE), *((seconds, chunk({"content": word})) for word in spaced), (0.0, STOP), (0.0, DONE)]


def event(kind: str, **fields: Any) -> bytes:
    """One of Anthropic's."""
    return sse.encode_event(json.dumps({"type": kind, **fields}).encode(), kind)


class TimedStream(FakeStream):
    """Pieces that come so many seconds after the one before was read."""

    def __init__(self, world: World, pieces: list[Any]) -> None:
        super().__init__(*(piece for _, piece in pieces))
        self._world = world
        self._waits = iter([seconds for seconds, _ in pieces])

    def take(self) -> bytes:
        self._world.now += next(self._waits, 0.0)
        return super().take()


class AsyncTimedStream(TimedStream):
    async def read(self) -> bytes:  # type: ignore[override]
        return self.take()

    async def aclose(self) -> None:
        self.close()


class World:
    """Upstreams by name, with a clock. An exception is what opening fails with. `asked`: (name, body, timeouts)."""

    Stream = TimedStream

    def __init__(self, **streams: Any) -> None:
        self.now = 0.0
        self.streams = streams
        self.asked: list[tuple[str, dict[str, Any], Timeouts]] = []
        self.opened: dict[str, TimedStream] = {}

    def clock(self) -> float:
        return self.now

    def stream(self, request: Any, timeouts: Timeouts) -> Any:
        name = request.url.split("/")[2].split(".")[1]
        self.asked.append((name, json.loads(request.body), timeouts))
        given = self.streams[name]
        if isinstance(given, Exception):
            raise given
        self.opened[name] = self.Stream(self, given)
        return self.opened[name]


class AsyncWorld(World):
    Stream = AsyncTimedStream

    async def stream(self, request: Any, timeouts: Timeouts) -> Any:  # type: ignore[override]
        return super().stream(request, timeouts)


def place(name: str, *, prefill: bool = True) -> Deployment:
    terms = Terms(info={"supports_assistant_prefill": prefill})
    dialect = "anthropic_messages" if name == "claude" else "openai_chat"
    return Deployment(deployment(name, dialect).target, group="m", id=name, terms=terms)


class Streamed:
    """A call over `acme`, then `bond`, read to its end by a reader who takes `reader` seconds for each piece."""

    def __init__(
        self,
        world: World,
        *,
        guard: ThroughputGuard | None = GUARD,
        continuation: ContinuationPolicy | None = ContinuationPolicy(),  # noqa: B008 - frozen
        body: dict[str, Any] | None = None,
        prefill: bool = True,
        reader: float = 0.0,
        settled: list[Any] | None = None,
    ) -> None:
        self.world = world
        self.router = Policy(
            listed(*(place(name, prefill=prefill) for name in world.streams)),
            Settings(throughput_guard=guard, continuation=continuation, retry=RetryPolicy(base=0.0)),
            strategy=InOrder(),
        )
        self.settled: list[Any] = [] if settled is None else settled
        fields = {"model": "m", "messages": HELLO, **(body or {})}
        self.call = make_call(body=fields, stream=True, settled=self.settled)
        self.call.session = self.router.begin(RequestFacts(group="m", stream=True), Random(1))
        self.events: list[ev.Event] = []
        self.error: e.CallError | None = None
        self._reader = reader
        try:
            if isinstance(world, AsyncWorld):
                asyncio.run(self._awaited(world))
            else:
                self._read(world)
        except e.CallError as error:
            self.error = error

    def _read(self, world: Any) -> None:
        state = StreamState(drive(open_stream(self.call, world.clock, float), world), self.call)
        for batch in events(state, world):
            self._take(batch)

    async def _awaited(self, world: Any) -> None:
        state = StreamState(await adrive(open_stream(self.call, world.clock, float), world), self.call)
        async for batch in aevents(state, world):
            self._take(batch)

    def _take(self, batch: list[ev.Event]) -> None:
        self.events += batch
        self.world.now += self._reader

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ev.TextDelta))

    @property
    def went(self) -> list[tuple[str, str, str | None]]:
        return [
            (one.deployment.id, one.reason, None if one.error is None else type(one.error).__name__)
            for one in self.call.attempts
        ]

    @property
    def in_flight(self) -> dict[str, int]:
        return {told["deployment"]: told["in_flight"] for told in self.router.explain(self.world.now)}


@pytest.fixture(params=[World, AsyncWorld], ids=["sync", "async"])
def world(request: pytest.FixtureRequest) -> Any:
    return request.param


# --------------------------------------------------------------------------------------------------------- it hands over
def test_another_deployment_writes_the_rest_of_a_stream_that_crawls(world: Any) -> None:
    streamed = Streamed(world(acme=words(SLOW_TEXT, seconds=1), bond=words(" five six", seconds=0.01)))
    assert streamed.error is None
    assert streamed.text == "one two three four five six"
    assert streamed.went == [("acme", "", "SlowStreamError"), ("bond", "continuation", None)]
    (_, _, _), (second, body, timeouts) = streamed.world.asked
    assert second == "bond"
    assert body["messages"] == [*HELLO, {"role": "assistant", "content": "one two three four"}]
    assert timeouts.first_token == GUARD.most_wait
    assert [stream.closed for stream in streamed.world.opened.values()] == [1, 1]
    assert streamed.in_flight == {"acme": 0, "bond": 0}


def test_it_is_told_and_both_legs_are_billed() -> None:
    usage = chunk(None, usage={"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22})
    bond = [*words(" five six", seconds=0.01)[:-1], (0.0, usage), (0.0, DONE)]
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=1), bond=bond))
    (mark,) = streamed.call.warnings
    assert mark.message == "the stream was given up as slow after 18 characters; bond wrote the rest"
    first = streamed.call.attempts[0].usage
    assert first is not None
    assert first.output_tokens == 4
    assert streamed.settled[0].usage.output_tokens == 4 + 2
    assert streamed.settled[0].usage.input_tokens == first.input_tokens + 20


def test_where_nothing_was_delivered_it_begins_anew() -> None:
    """A part that has begun, and has no text yet."""
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    claude = [(0.0, event("message_start", message=MESSAGE)), (0.0, block), *[(1.0, event("ping"))] * 9]
    streamed = Streamed(World(claude=claude, bond=words("all of it", seconds=0)), prefill=False)
    assert streamed.text == "all of it"
    assert streamed.went == [("claude", "", "SlowStreamError"), ("bond", "continuation", None)]
    assert streamed.world.asked[1][1]["messages"] == HELLO


def test_the_router_learns_how_slow_it_was_and_holds_nothing_else_against_it() -> None:
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=1), bond=words(" five six", seconds=0.01)))
    acme = streamed.router.explain(streamed.world.now)[0]
    assert acme["tokens_per_second"] == pytest.approx(4 / 3)
    assert (acme["state"], acme["success_rate"]) == ("in", 1.0)


def test_usage_that_is_told_counts_before_an_estimate() -> None:
    told = chunk({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": 900, "total_tokens": 901})
    acme = [(0.0, ROLE), *[(1.0, told)] * 6, (0.0, STOP), (0.0, DONE)]
    assert Streamed(World(acme=acme, bond=[])).went == [("acme", "", None)]


def test_once_a_call() -> None:
    crawl = words(" five six seven eight nine ten", seconds=1)
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=1), bond=crawl, cern=words("never", seconds=0)))
    assert [name for name, _, _ in streamed.world.asked] == ["acme", "bond"]
    assert streamed.text == "one two three four five six seven eight nine ten"


def test_who_takes_over_may_break_and_is_continued_in_turn() -> None:
    bond = [(0.0, ROLE), (0.1, chunk({"content": " five"})), (0.0, CUT)]
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=1), bond=bond, cern=words(" six", seconds=0)))
    assert streamed.text == SLOW_TEXT
    assert [body["messages"][1:] for _, body, _ in streamed.world.asked[1:]] == [
        [{"role": "assistant", "content": "one two three four"}],
        [{"role": "assistant", "content": "one two three four five"}],
    ]


# ------------------------------------------------------------------------------------------------------- it does not harm
FAILS: dict[str, Any] = {
    "refused": TransportFailure("connect", "nobody there"),
    "broken at once": [(0.0, CUT)],
    "silent": [(4.0, TransportFailure("first_token", "nothing came"))],
    "garbage": [(0.0, b"data: {half\n\n"), (0.0, b"")],
}


@pytest.mark.parametrize("bond", FAILS.values(), ids=FAILS)
def test_when_nobody_can_take_over_the_stream_goes_on(world: Any, bond: Any) -> None:
    streamed = Streamed(world(acme=words(SLOW_TEXT, seconds=1), bond=bond))
    assert streamed.error is None
    assert streamed.text == SLOW_TEXT
    assert [name for name, _, _ in streamed.went] == ["bond", "acme"], "who answered comes last"
    assert streamed.went[-1] == ("acme", "", None)
    assert streamed.call.warnings == ()
    assert streamed.world.opened["acme"].closed == 1
    assert streamed.in_flight == {"acme": 0, "bond": 0}
    assert [one.error for one in streamed.settled] == [None]


ALONE: dict[str, dict[str, Any]] = {
    "nobody takes a beginning": {"prefill": False},
    "no more attempts": {"continuation": ContinuationPolicy(most=0)},
    "tools": {"body": {"tools": TOOLS}},
    "JSON": {"body": {"response_format": {"type": "json_object"}}},
    "several answers": {"body": {"n": 2}},
    "no guard": {"guard": None},
    "a lower floor": {"guard": ThroughputGuard(tokens_per_second=1)},
    "a window longer than the answer": {"guard": ThroughputGuard(window=60)},
}


@pytest.mark.parametrize("given", ALONE.values(), ids=ALONE)
def test_nobody_else_is_asked(world: Any, given: dict[str, Any]) -> None:
    streamed = Streamed(world(acme=words(SLOW_TEXT, seconds=1), bond=[]), **given)
    assert (streamed.text, streamed.error) == (SLOW_TEXT, None)
    assert streamed.went == [("acme", "", None)]


def test_nobody_else_is_asked_without_another_deployment() -> None:
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=1)), guard=GUARD)
    assert (streamed.text, streamed.went) == (SLOW_TEXT, [("acme", "", None)])


def test_one_that_is_known_to_crawl_is_not_asked() -> None:
    world = World(acme=words(SLOW_TEXT, seconds=1), bond=[])
    policy = Policy(listed(place("acme"), place("bond")), Settings(throughput_guard=GUARD), strategy=InOrder())
    for node in policy.group("m").nodes:
        node.speed.rate = 1.0
    session = policy.begin(RequestFacts(group="m", stream=True), Random(1))
    call = make_call(body={"model": "m", "messages": HELLO}, stream=True)
    call.session = session
    state = StreamState(drive(open_stream(call, world.clock, float), world), call)  # type: ignore[arg-type]
    assert [event for batch in events(state, world) for event in batch]  # type: ignore[arg-type]
    assert [name for name, _, _ in world.asked] == ["acme"]


def test_a_reader_who_takes_his_time_makes_nobody_slow() -> None:
    streamed = Streamed(World(acme=words(SLOW_TEXT, seconds=0.1), bond=[]), reader=30.0)
    assert streamed.went == [("acme", "", None)]


def test_an_answer_that_only_lacks_its_end_is_complete() -> None:
    """Its last word came in time, the end of its connection did not."""
    acme = [*words("one two", seconds=0.1)[:-1], (9.0, chunk(None)), (0.0, DONE)]
    assert Streamed(World(acme=acme, bond=[])).went == [("acme", "", None)]


def test_a_text_that_has_ended_is_not_written_on() -> None:
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    text = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "one"})
    pings = [(1.0, event("ping"))] * 5
    end = [(0.0, event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}))]
    begun = [(0.0, event("message_start", message=MESSAGE)), (0.0, block), (0.0, text)]
    claude = [*begun, (0.0, event("content_block_stop", index=0)), *pings, *end, (0.0, event("message_stop"))]
    streamed = Streamed(World(claude=claude, bond=[]))
    assert (streamed.text, streamed.went) == ("one", [("claude", "", None)])


def test_what_was_changed_for_one_who_did_not_take_over_is_not_told() -> None:
    """Anthropic has no seed."""
    world = World(acme=words(SLOW_TEXT, seconds=1), claude=TransportFailure("connect", "no"))
    streamed = Streamed(world, body={"seed": 1})
    assert [name for name, _, _ in world.asked] == ["acme", "claude"]
    assert (streamed.text, streamed.call.warnings) == (SLOW_TEXT, ())


def test_a_crawling_stream_that_breaks_after_nobody_took_over_is_continued() -> None:
    acme = [*words(SLOW_TEXT, seconds=1)[:6], (0.0, CUT)]
    streamed = Streamed(World(acme=acme, bond=TransportFailure("connect", "no"), cern=words(" six", seconds=0)))
    assert streamed.text == SLOW_TEXT
    assert [name for name, _, _ in streamed.went] == ["bond", "acme", "cern"]
    assert streamed.world.asked[-1][1]["messages"] == [*HELLO, {"role": "assistant", "content": "one two three four five"}]


def test_who_leaves_while_another_is_asked_has_left_and_nothing_else() -> None:
    class Leaving(AsyncWorld):
        async def stream(self, request: Any, timeouts: Timeouts) -> Any:
            if self.asked:
                raise asyncio.CancelledError
            return await super().stream(request, timeouts)

    settled: list[Any] = []
    world = Leaving(acme=words(SLOW_TEXT, seconds=1), bond=[])
    with pytest.raises(asyncio.CancelledError):
        Streamed(world, settled=settled)
    (settlement,) = settled
    assert (settlement.cancelled, settlement.error) == (True, None)
    assert world.opened["acme"].closed == 1


# ------------------------------------------------------------------------------------------------------------ properties
quarters = st.integers(2, 40).map(lambda count: count / 4)
"""Seconds whose sums are exact."""
guards = st.builds(ThroughputGuard, tokens_per_second=st.floats(0.5, 20), window=quarters, most_wait=quarters)


@settings(max_examples=100, deadline=None)
@given(guard=guards, waits=st.lists(st.just(0.0) | quarters, min_size=2, max_size=25))
def test_it_hands_over_exactly_when_the_window_was_too_slow(guard: ThroughputGuard, waits: list[float]) -> None:
    """And whatever it does, each word comes once, in order."""
    said = [f" w{place}" for place in range(len(waits))]
    acme = [
        (0.0, ROLE),
        *((wait, chunk({"content": word})) for wait, word in zip(waits, said, strict=True)),
        (0.0, STOP),
        (0.0, DONE),
    ]
    waited, over = 0.0, None
    for place, wait in enumerate(waits):
        waited += wait if place else 0.0
        if waited >= guard.window:
            over = place
            break
    slow = over is not None and crawls(guard, estimate("".join(said[: over + 1])), waited)
    rest = said[over + 1 :] if slow and over is not None else []
    bond = [(0.0, ROLE), (0.0, chunk({"content": "".join(rest) or " end"})), (0.0, STOP), (0.0, DONE)]
    streamed = Streamed(World(acme=acme, bond=bond), guard=guard)
    assert streamed.text == "".join(said) + (" end" if slow and not rest else "")
    assert len(streamed.world.asked) == 1 + slow
    assert len(streamed.settled) == 1
    assert streamed.settled[0].error is None
    assert streamed.in_flight == {"acme": 0, "bond": 0}


@given(guard=guards, tokens=st.integers(0, 500), seconds=st.floats(0, 100))
def test_more_tokens_are_never_slower(guard: ThroughputGuard, tokens: int, seconds: float) -> None:
    if crawls(guard, tokens + 1, seconds):
        assert crawls(guard, tokens, seconds)
    assert crawls(guard, tokens, seconds) == (tokens < guard.tokens_per_second * seconds)
