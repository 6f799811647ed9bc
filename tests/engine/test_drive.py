"""The two drivers do the same: the whole loop on a transport that plays given answers, and what an interrupt leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.http import TransportFailure
from dragoman.engine.call import Call
from dragoman.engine.drive import Push, adrive, drive
from dragoman.engine.flow import answer, open_stream
from dragoman.router.retry import RetryPolicy
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.calls import ROLE, STREAM, AsyncFakeStream, FakeStream, fail, make_call, respond

AT_ONCE = RetryPolicy(base=0, max_wait=0)


def run_sync(call: Call, *answers: Any) -> Any:
    flow = open_stream if call.stream else answer
    return drive(flow(call, float, float), ReplayTransport(*answers))


def run_async(call: Call, *answers: Any) -> Any:
    flow = open_stream if call.stream else answer
    return asyncio.run(adrive(flow(call, float, float), AsyncReplayTransport(*answers)))


class InCallbacks:
    """A replay transport whose answers come in callbacks, in a later turn of the loop; `busy`: how often it cannot start."""

    def __init__(self, *answers: Any, busy: int = 0) -> None:
        self.waiting = AsyncReplayTransport(*answers)
        self.busy = busy
        self.cancelled = False
        self.send, self.stream = self.waiting.send, self.waiting.stream

    def start(self, request: Any, timeouts: Any, resume: Any) -> Any:
        if self.busy:
            self.busy -= 1
            return None
        task = asyncio.ensure_future(self.waiting.send(request, timeouts))
        task.add_done_callback(lambda done: self._tell(done, resume))
        return self

    def _tell(self, done: Any, resume: Any) -> None:
        if self.cancelled:
            done.exception()
        elif done.exception() is None:
            resume.resolve(done.result())
        else:
            resume.reject(done.exception())

    def cancel(self) -> None:
        self.cancelled = True


def run_pushed(call: Call, *answers: Any, busy: int = 0) -> Any:
    async def scenario() -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(result: Any, problem: BaseException | None) -> None:
            outcome.set_result(result) if problem is None else outcome.set_exception(problem)

        flow = open_stream if call.stream else answer
        Push(flow(call, float, float), InCallbacks(*answers, busy=busy), done).start()
        return await outcome

    return asyncio.run(scenario())


Run = Callable[..., Any]
both = pytest.mark.parametrize("run", [run_sync, run_async, run_pushed], ids=["sync", "async", "pushed"])


@both
def test_an_answer(run: Run) -> None:
    assert run(make_call(), respond()).response.model == "m-1-really"


@both
def test_failures_then_an_answer(run: Run) -> None:
    call = make_call(retry=AT_ONCE)
    assert run(call, fail(500), TransportFailure("closed", "reset"), respond()).response.model == "m-1-really"
    assert [type(attempt.error).__name__ for attempt in call.attempts] == [
        "InternalServerError",
        "APIConnectionError",
        "NoneType",
    ]


@both
def test_a_failure_to_the_end(run: Run) -> None:
    with pytest.raises(e.RateLimitError) as caught:
        run(make_call(retry=AT_ONCE), fail(429), fail(429), fail(429))
    assert caught.value.attempts == 3


@both
def test_a_stream_on_its_second_attempt(run: Run) -> None:
    opened = run(make_call(stream=True, retry=AT_ONCE), Pieces(pieces=(ROLE,)), Pieces(pieces=STREAM))
    assert opened.events


@both
def test_a_stream_that_failed_is_closed(run: Run) -> None:
    with pytest.raises(e.ResponseDecodeError):
        run(make_call(stream=True, retries=0), Pieces(pieces=(ROLE,)))


@both
def test_an_error_that_no_transport_should_raise_comes_through_and_settles(run: Run) -> None:
    settled: list[Any] = []
    with pytest.raises(LookupError, match="no answer is left"):
        run(make_call(settled=settled))
    assert isinstance(settled[0].error, LookupError)


# ----------------------------------------------------------------------------------------------------------------- interrupts
class OneStream:
    def __init__(self, stream: FakeStream) -> None:
        self._stream = stream

    def stream(self, *_: Any) -> FakeStream:
        return self._stream


class OneAsyncStream(OneStream):
    async def stream(self, *_: Any) -> FakeStream:
        return self._stream


class SilentStream(AsyncFakeStream):
    """Gives its pieces, then waits for ever."""

    async def read(self) -> bytes:
        return self.take() or await asyncio.Event().wait()


@pytest.mark.parametrize("relay", [False, True])
def test_an_interrupt_closes_the_stream(relay: bool) -> None:
    settled: list[Any] = []
    stream = FakeStream(b": ping\n\n", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        drive(open_stream(make_call(stream=True, relay=relay, settled=settled), float, float), OneStream(stream))
    assert stream.closed == 1
    assert [settlement.cancelled for settlement in settled] == [True]


@pytest.mark.parametrize("relay", [False, True])
def test_a_cancelled_task_closes_the_stream(relay: bool) -> None:
    settled: list[Any] = []
    stream = SilentStream(b": ping\n\n")

    async def main() -> None:
        call = make_call(stream=True, relay=relay, settled=settled)
        async with asyncio.timeout(0.01):
            await adrive(open_stream(call, float, float), OneAsyncStream(stream))

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert stream.closed == 1
    assert [settlement.cancelled for settlement in settled] == [True]


def test_a_task_cancelled_while_it_waits_for_a_retry_asks_no_more() -> None:
    settled: list[Any] = []
    transport = AsyncReplayTransport(fail(500), respond())

    async def main() -> None:
        call = make_call(settled=settled, retry=RetryPolicy(base=60, cap=60))
        async with asyncio.timeout(0.01):
            await adrive(answer(call, float, float), transport)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert len(transport.requests) == 1
    assert [settlement.cancelled for settlement in settled] == [True]


@pytest.mark.parametrize("busy", [0, 1, 2, 9])
def test_a_task_takes_over_where_a_step_cannot_be_started(busy: int) -> None:
    call = make_call(retry=AT_ONCE)
    found = run_pushed(call, fail(500), fail(500), respond(), busy=busy)
    assert found.response.model == "m-1-really"
    assert len(call.attempts) == 3


def test_cancelling_a_pushed_flow_ends_the_exchange_and_settles_the_call() -> None:
    call = make_call()
    told: list[Any] = []

    async def scenario() -> bool:
        transport = InCallbacks(respond())
        push = Push(answer(call, float, float), transport, lambda result, problem: told.append((result, type(problem))))
        push.start()
        push.cancel()
        push.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return transport.cancelled

    assert asyncio.run(scenario())
    assert told == [(None, asyncio.CancelledError)]
    assert call.settlement is not None
    assert call.settlement.cancelled


@pytest.mark.parametrize("turns", range(1, 6))
def test_cancelling_at_any_turn_of_a_retry_settles_the_call(turns: int) -> None:
    """Among the turns: the task that waits for the retry has been made, and has not begun yet."""
    call = make_call(retry=RetryPolicy(base=60, cap=60))

    async def scenario() -> type[BaseException]:
        told: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()
        push = Push(answer(call, float, float), InCallbacks(fail(500)), lambda _, problem: told.set_result(type(problem)))
        push.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        push.cancel()
        return await told

    assert asyncio.run(scenario()) is asyncio.CancelledError
    assert call.settlement is not None
    assert call.settlement.cancelled
