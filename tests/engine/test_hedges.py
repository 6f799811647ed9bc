"""A second attempt beside a silent one: the first answer wins, the other is cancelled upstream, and both are told of."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

import pytest

from dragoman.core.http import HttpResponse, ResponseHead, TransportFailure
from dragoman.engine.call import Call
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import answer, open_stream
from dragoman.engine.streams import StreamState, aevents, events
from dragoman.router.hedge import HedgePolicy
from dragoman.router.policy import Policy
from dragoman.router.retry import RetryPolicy
from dragoman.router.session import Session
from dragoman.router.state import RequestFacts, Settings
from dragoman.transport.background import BackgroundTransport
from support.calls import EVENTS, STREAM, deployment, make_call, play, respond
from support.routing import InOrder, listed

SILENT = None
ANSWER = respond()
BROKEN = TransportFailure("closed", "reset by peer")
SOON = HedgePolicy(at_least=0.0, share=1.0)


class Upstreams:
    """An async transport of hosts: each gives what its name stands for, SILENT until it is cancelled. `cancelled`: who was."""

    def __init__(self, **outcomes: Any) -> None:
        self.outcomes = outcomes
        self.asked: list[str] = []
        self.cancelled: list[str] = []

    async def send(self, request: Any, timeouts: Any) -> HttpResponse:
        return await self._outcome(request)

    async def stream(self, request: Any, timeouts: Any) -> Any:
        name = self._asked(request)
        return Held(self, name) if self.outcomes[name] is SILENT else Held(self, name, *self.outcomes[name])

    async def _outcome(self, request: Any) -> Any:
        name = self._asked(request)
        outcome = self.outcomes[name]
        if outcome is SILENT:
            await self.silence(name)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def silence(self, name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.append(name)

    async def aclose(self) -> None: ...

    def _asked(self, request: Any) -> str:
        name: str = request.url.split("/")[2].split(".")[1]
        self.asked.append(name)
        return name


class Held:
    """A stream of these pieces; without any it is silent behind its head."""

    def __init__(self, upstreams: Upstreams, name: str, *pieces: bytes) -> None:
        self.head = ResponseHead(status=200, headers=EVENTS)
        self.closed = False
        self._upstreams, self._name = upstreams, name
        self._pieces: Iterator[bytes] | None = iter(pieces) if pieces else None

    async def read(self) -> bytes:
        if self._pieces is None:
            await self._upstreams.silence(self._name)
            return b""
        return next(self._pieces, b"")

    async def aclose(self) -> None:
        self.closed = True


def session_of(*names: str, stream: bool, hedge: HedgePolicy | None = SOON, retries: int = 2) -> Session:
    """Over deployments of these names, of which the first is asked first; each is known to answer in an instant."""
    places = [deployment(name) for name in names]
    settings = Settings(hedge=hedge, retry=RetryPolicy(max_retries=retries, base=0.0))
    policy = Policy(listed(*places), settings, strategy=InOrder())
    for node in policy.group("m-1").nodes:
        for _ in range(20):
            node.speed.learn(input_tokens=1, output_tokens=1, first_token=0.0 if stream else None, seconds=0.0, now=0.0)
    made = policy.begin(RequestFacts(group="m-1", stream=stream), Random(1))
    assert isinstance(made, Session)
    return made


def call_of(session: Session, *, stream: bool, settled: list[Any] | None = None) -> Call:
    call = make_call(stream=stream, settled=settled)
    call.session = session
    return call


Run = Callable[[Call, Upstreams], Any]


@pytest.fixture(params=["in a task", "in a thread"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """A call to its result, or to the first event of its stream. A thread has its attempts run in a loop beside it."""
    background: list[BackgroundTransport] = []

    def made(call: Call, upstreams: Upstreams) -> Any:
        ticks = count()
        flow = (open_stream if call.stream else answer)(call, lambda: float(next(ticks)), float)
        if request.param == "in a task":
            return asyncio.run(adrive(flow, upstreams))
        background.append(BackgroundTransport(Plain(upstreams), lambda: upstreams))
        return drive(flow, background[0])

    yield made
    for transport in background:
        transport.close()


class Plain:
    """For what needs no loop beside it."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    def send(self, request: Any, timeouts: Any) -> HttpResponse:
        found: HttpResponse = asyncio.run(self._upstreams.send(request, timeouts))
        return found

    def stream(self, request: Any, timeouts: Any) -> Any:
        raise AssertionError("a thread was sent, which nobody could call back")

    def close(self) -> None: ...


def told(call: Call) -> list[tuple[str, str, str]]:
    """Each attempt: who, why it was made, how it ended."""
    return [
        (
            attempt.deployment.target.provider.name,
            attempt.reason,
            "cancelled" if attempt.cancelled else "good" if attempt.error is None else type(attempt.error).__name__,
        )
        for attempt in call.attempts
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_answers_for_a_silent_first(stream: bool, run: Run) -> None:
    settled: list[Any] = []
    session = session_of("acme", "bond", stream=stream)
    call = call_of(session, stream=stream, settled=settled)
    upstreams = Upstreams(acme=SILENT, bond=STREAM if stream else ANSWER)
    found = run(call, upstreams)
    assert found.prepared.deployment.id == "bond/m-1"
    assert upstreams.asked == ["acme", "bond"]
    assert upstreams.cancelled == ["acme"]
    assert told(call) == [("acme", "", "cancelled"), ("bond", "hedge", "good")]
    assert all(attempt.ended is not None for attempt in call.attempts)
    assert [attempt.outcome and attempt.outcome.kind for attempt in session.trail] == [
        "cancelled",
        None if stream else "success",
    ]
    assert len(settled) == (0 if stream else 1)


def test_the_first_may_still_win_and_is_then_the_last_attempt(run: Run) -> None:
    session = session_of("acme", "bond", stream=False)
    call = call_of(session, stream=False)
    released = asyncio.Event()

    class Late(Upstreams):
        async def _outcome(self, request: Any) -> Any:
            if self._asked(request) == "acme":
                await released.wait()
                return ANSWER
            released.set()
            return await self.silence("bond")

    upstreams = Late()
    assert run(call, upstreams).prepared.deployment.id == "acme/m-1"
    assert upstreams.cancelled == ["bond"]
    assert told(call) == [("bond", "hedge", "cancelled"), ("acme", "", "good")]
    assert [attempt.outcome.kind for attempt in session.trail if attempt.outcome] == ["success", "cancelled"]


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_fails_leaves_the_other_running(stream: bool) -> None:
    session = session_of("acme", "bond", "cern", stream=stream)
    call = call_of(session, stream=stream)
    upstreams = Upstreams(acme=SILENT, bond=(b"data: {nonsense\n\n",) if stream else BROKEN, cern=SILENT)

    async def scenario() -> Any:
        flow = open_stream if stream else answer
        task = asyncio.ensure_future(adrive(flow(call, float, float), upstreams))
        while len(told(call)) < 2 or told(call)[-1][2] == "good":  # noqa: ASYNC110 - there is no event for what a call notes
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert upstreams.asked == ["acme", "bond"], "while one runs nobody else is asked"
    assert upstreams.cancelled == ["acme"]
    assert call.settlement is not None
    assert call.settlement.cancelled
    assert all(attempt.outcome is not None for attempt in session.trail)


def test_when_both_fail_the_call_goes_on_as_ever(run: Run) -> None:
    session = session_of("acme", "bond", "cern", stream=False)
    call = call_of(session, stream=False)
    failing = asyncio.Event()

    class Failing(Upstreams):
        async def _outcome(self, request: Any) -> Any:
            name = self._asked(request)
            if name == "acme":
                await failing.wait()
            failing.set()
            if name == "cern":
                return ANSWER
            raise BROKEN

    upstreams = Failing()
    assert run(call, upstreams).prepared.deployment.id == "cern/m-1"
    assert upstreams.asked == ["acme", "bond", "cern"]
    assert [name for name, _, _ in told(call)] == ["acme", "bond", "cern"]


def test_two_answers_of_one_moment_cost_two_and_one_is_given(run: Run) -> None:
    settled: list[Any] = []
    call = call_of(session_of("acme", "bond", stream=False), stream=False, settled=settled)
    gate = asyncio.Event()

    class Together(Upstreams):
        async def _outcome(self, request: Any) -> Any:
            if self._asked(request) == "bond":
                gate.set()
            await gate.wait()
            return ANSWER

    found = run(call, Together())
    assert found.prepared.deployment.id == "acme/m-1"
    assert told(call) == [("bond", "hedge", "cancelled"), ("acme", "", "good")]
    loser = call.attempts[0].usage
    assert (loser and loser.total_tokens, settled[0].usage.total_tokens) == (5, 10)


def test_a_stream_that_opened_in_the_same_moment_is_closed(run: Run) -> None:
    streams: dict[str, Held] = {}
    gate = asyncio.Event()

    class Together(Upstreams):
        async def stream(self, request: Any, timeouts: Any) -> Any:
            name = self._asked(request)
            if name == "bond":
                gate.set()
            await gate.wait()
            streams[name] = Held(self, name, *STREAM)
            return streams[name]

    call = call_of(session_of("acme", "bond", stream=True), stream=True)
    found = run(call, Together())
    assert found.prepared.deployment.id == "acme/m-1"
    assert {name: stream.closed for name, stream in streams.items()} == {"acme": False, "bond": True}


def test_a_stream_that_began_in_the_moment_in_which_the_caller_left_is_closed() -> None:
    call = call_of(session_of("acme", "bond", stream=True, hedge=HedgePolicy(at_least=3600.0)), stream=True)
    opened: list[Held] = []

    class Leaving(Upstreams):
        async def stream(self, request: Any, timeouts: Any) -> Any:
            opened.append(Held(self, self._asked(request), *STREAM))
            task.cancel()
            return opened[0]

    async def scenario() -> None:
        nonlocal task
        task = asyncio.ensure_future(adrive(open_stream(call, float, float), Leaving()))
        with pytest.raises(asyncio.CancelledError):
            await task

    task: asyncio.Future[Any]
    asyncio.run(scenario())
    assert [stream.closed for stream in opened] == [True]
    assert call.settlement is not None
    assert call.settlement.cancelled


def test_the_winners_stream_is_read_on_and_settles_for_the_winner() -> None:
    settled: list[Any] = []
    session = session_of("acme", "bond", stream=True)
    call = call_of(session, stream=True, settled=settled)
    upstreams = Upstreams(acme=SILENT, bond=STREAM)

    async def scenario() -> str:
        opened = await adrive(open_stream(call, float, float), upstreams)
        state = StreamState(opened, call)
        async for _ in aevents(state, upstreams):
            pass
        return str(state.response.choices[0].parts[0].text)  # type: ignore[union-attr]  # a text

    assert asyncio.run(scenario()) == "hello"
    assert [(one.error, one.cancelled, one.usage.total_tokens) for one in settled] == [(None, False, 5)]
    assert [attempt.outcome and attempt.outcome.kind for attempt in session.trail] == ["cancelled", "success"]


def test_a_thread_reads_the_winners_stream_on() -> None:
    settled: list[Any] = []
    call = call_of(session_of("acme", "bond", stream=True), stream=True, settled=settled)
    upstreams = Upstreams(acme=SILENT, bond=STREAM)
    transport = BackgroundTransport(Plain(upstreams), lambda: upstreams)
    state = StreamState(drive(open_stream(call, float, float), transport), call)
    for _ in events(state, transport):
        pass
    transport.close()
    assert state.response.choices[0].parts[0].text == "hello"  # type: ignore[union-attr]  # a text
    assert [(one.error, one.cancelled, one.usage.total_tokens) for one in settled] == [(None, False, 5)]
    assert upstreams.cancelled == ["acme"]


def test_an_interrupt_of_the_thread_that_waits_ends_both_attempts() -> None:
    call = call_of(session_of("acme", "bond", stream=True), stream=True)

    class Interrupting(Upstreams):
        async def silence(self, name: str) -> None:
            if name == "bond":
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await super().silence(name)

    upstreams = Interrupting(acme=SILENT, bond=SILENT)
    transport = BackgroundTransport(Plain(upstreams), lambda: upstreams)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            drive(open_stream(call, float, float), transport)
    finally:
        signal.signal(signal.SIGINT, usual)
    transport.close()
    assert sorted(upstreams.cancelled) == ["acme", "bond"]
    assert call.settlement is not None
    assert call.settlement.cancelled


@pytest.mark.parametrize(
    "hedge",
    [
        None,
        HedgePolicy(at_least=3600.0),
        HedgePolicy(reserve=0.0, share=0.0, at_least=0.0),
        HedgePolicy(most_cost=0, at_least=0.0),
    ],
    ids=["off", "not silent for long enough", "no budget", "no known price"],
)
def test_nobody_is_asked_beside(hedge: HedgePolicy | None, run: Run) -> None:
    call = call_of(session_of("acme", "bond", stream=False, hedge=hedge), stream=False)
    upstreams = Upstreams(acme=ANSWER, bond=ANSWER)
    run(call, upstreams)
    assert upstreams.asked == ["acme"]


def test_a_thread_whose_transport_has_no_loop_runs_the_first_alone() -> None:
    """It could not end the loser."""
    call = call_of(session_of("acme", "bond", stream=False), stream=False)

    class Plain:
        def send(self, request: Any, timeouts: Any) -> HttpResponse:
            return ANSWER

    assert drive(answer(call, float, float), Plain()).prepared.deployment.id == "acme/m-1"  # type: ignore[arg-type]
    assert told(call) == [("acme", "", "good")]


def test_without_a_hedge_no_race_is_run() -> None:
    call = call_of(session_of("acme", "bond", stream=False, hedge=None), stream=False)
    assert play(answer(call, float, float), ANSWER).names == "Send"
    assert play(answer(make_call(), float, float), ANSWER).names == "Send"
