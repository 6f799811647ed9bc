"""The demo provider in this process: answers, deadlines and faults look to the engine as those of a real transport do."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.providers.demo import Settings
from dragoman.transport.demo import AsyncDemoTransport, DemoTransport

SOON = 0.02
PATIENT = Timeouts(first_token=30.0, idle=30.0, total=60.0)


def ask(model: str, *, stream: bool = False, **fields: Any) -> HttpRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "one two three"}], "stream": stream, **fields}
    return HttpRequest(method="POST", url="demo://in-process/v1/chat/completions", body=json.dumps(body).encode())


def send(kind: str, request: HttpRequest, timeouts: Timeouts = PATIENT, defaults: Settings = Settings()) -> HttpResponse:  # noqa: B008 - frozen
    if kind == "sync":
        return DemoTransport(defaults).send(request, timeouts)
    return asyncio.run(AsyncDemoTransport(defaults).send(request, timeouts))


def read_stream(
    kind: str, request: HttpRequest, timeouts: Timeouts = PATIENT
) -> tuple[int, list[bytes], TransportFailure | None]:
    """Status, the pieces that came, and the failure that ended them. A failure before the head is raised."""

    def sync() -> tuple[int, list[bytes], TransportFailure | None]:
        stream, pieces = DemoTransport().stream(request, timeouts), []
        try:
            while piece := stream.read():
                pieces.append(piece)
        except TransportFailure as failure:
            return stream.head.status, pieces, failure
        finally:
            stream.close()
        return stream.head.status, pieces, None

    async def by_loop() -> tuple[int, list[bytes], TransportFailure | None]:
        stream, pieces = await AsyncDemoTransport().stream(request, timeouts), []
        try:
            while piece := await stream.read():
                pieces.append(piece)
        except TransportFailure as failure:
            return stream.head.status, pieces, failure
        finally:
            await stream.aclose()
        return stream.head.status, pieces, None

    return sync() if kind == "sync" else asyncio.run(by_loop())


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_a_plain_answer(kind: str) -> None:
    answer = send(kind, ask("echo"))
    assert answer.status == 200
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "one two three"


@both
def test_a_stream_piece_by_piece(kind: str) -> None:
    status, pieces, failure = read_stream(kind, ask("echo?latency=5&tokens_per_second=1000", stream=True))
    assert (status, failure) == (200, None)
    assert len(pieces) == 7  # the role, four tokens, the finish, [DONE]
    assert pieces[-1] == b"data: [DONE]\n\n"


@both
def test_an_error_status_is_an_answer(kind: str) -> None:
    answer = send(kind, ask("echo?fail=429&retry_after=3"))
    assert answer.status == 429
    assert ("retry-after", "3") in answer.headers


BEFORE_THE_HEAD = [
    ("echo?fail=timeout", Timeouts(first_token=SOON), "first_token", True),
    ("echo?fail=timeout", Timeouts(first_token=None, total=SOON), "total", True),
    ("echo?latency=60000", Timeouts(first_token=SOON), "first_token", True),
    ("echo?fail=refuse", PATIENT, "connect", False),
]


@both
@pytest.mark.parametrize(("model", "timeouts", "failure", "sent"), BEFORE_THE_HEAD)
@pytest.mark.parametrize("stream", [True, False])
def test_no_head(*, kind: str, model: str, timeouts: Timeouts, failure: str, sent: bool, stream: bool) -> None:
    with pytest.raises(TransportFailure) as caught:
        (read_stream if stream else send)(kind, ask(model, stream=stream), timeouts)
    assert (caught.value.kind, caught.value.sent) == (failure, sent)


IN_A_STREAM = [
    ("echo?fail=stall&fail_after=2", Timeouts(first_token=30.0, idle=SOON), "idle", 2),
    ("echo?fail=stall&fail_after=2", Timeouts(idle=30.0, total=SOON), "total", 2),
    ("echo?fail=stall&fail_after=0", Timeouts(first_token=SOON, idle=30.0), "first_token", 0),
    ("echo?fail=cut&fail_after=2", PATIENT, "closed", 2),
    ("echo?fail=cut&fail_after=0", PATIENT, "closed", 0),
    ("echo?tokens_per_second=0.01", Timeouts(first_token=30.0, idle=SOON), "idle", 1),
]


@both
@pytest.mark.parametrize(("model", "timeouts", "failure", "pieces"), IN_A_STREAM)
def test_a_stream_that_breaks(kind: str, model: str, timeouts: Timeouts, failure: str, pieces: int) -> None:
    status, came, broken = read_stream(kind, ask(model, stream=True), timeouts)
    assert broken is not None
    assert (status, len(came), broken.kind) == (200, pieces, failure)


IN_A_BODY = [
    ("echo?fail=stall", Timeouts(first_token=SOON), "first_token"),
    ("echo?fail=stall", Timeouts(first_token=None, total=SOON), "total"),
    ("echo?fail=cut", PATIENT, "closed"),
]


@both
@pytest.mark.parametrize(("model", "timeouts", "failure"), IN_A_BODY)
def test_a_plain_body_that_breaks(kind: str, model: str, timeouts: Timeouts, failure: str) -> None:
    with pytest.raises(TransportFailure) as caught:
        send(kind, ask(model), timeouts)
    assert caught.value.kind == failure


def test_closing_ends_a_read_in_another_thread() -> None:
    stream = DemoTransport().stream(ask("echo?fail=stall&fail_after=0", stream=True), Timeouts(first_token=None, idle=None))
    failures: list[str] = []

    def read() -> None:
        with pytest.raises(TransportFailure) as caught:
            stream.read()
        failures.append(caught.value.kind)

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    reader.join(10)
    assert failures == ["closed"]


def test_closing_ends_a_read_in_another_task() -> None:
    async def closed() -> str:
        request = ask("echo?fail=stall&fail_after=0", stream=True)
        stream = await AsyncDemoTransport().stream(request, Timeouts(first_token=None, idle=None))
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(TransportFailure) as caught:
            await reading
        return caught.value.kind

    assert asyncio.run(closed()) == "closed"


def test_a_waiting_read_can_be_cancelled() -> None:
    async def cancelled() -> bool:
        stream = await AsyncDemoTransport().stream(ask("echo?fail=stall&fail_after=0", stream=True), Timeouts())
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        return reading.cancelled()

    assert asyncio.run(cancelled())


def test_a_share_of_requests_fails_and_the_same_ones_each_time() -> None:
    def statuses() -> list[int]:
        transport = DemoTransport(Settings(fail="503", fail_rate=0.5))
        return [transport.send(ask("echo"), PATIENT).status for _ in range(20)]

    assert statuses() == statuses()
    assert set(statuses()) == {200, 503}
