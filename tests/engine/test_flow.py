"""The call loop, driven by hand: what is asked of the driver, in which order, and what comes out. No transport, no clock."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.http import TransportFailure
from dragoman.engine.call import Call
from dragoman.engine.flow import answer, open_stream
from dragoman.engine.streams import StreamState
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
    USAGE,
    FakeStream,
    deployment,
    fail,
    make_call,
    play,
    respond,
)


def ask(call: Call, *outcomes: Any) -> Any:
    ticks = count()
    flow = open_stream if call.stream else answer
    return play(flow(call, lambda: float(next(ticks)), lambda: 1_000_000.0), *outcomes)


def closed() -> TransportFailure:
    return TransportFailure("closed", "reset by peer")


# ------------------------------------------------------------------------------------------------------------ whole answers
def test_an_answer_takes_one_request_and_settles_once() -> None:
    settled: list[Any] = []
    call = make_call(settled=settled)
    played = ask(call, respond())
    assert played.names == "Send"
    assert played.result.response.choices[0].parts[0].text == "hi"
    assert [(s.error, s.cancelled, s.usage.input_tokens) for s in settled] == [(None, False, 3)]
    assert [(a.error, a.ended is not None) for a in call.attempts] == [(None, True)]


def test_who_hears_of_the_end_hears_how_long_every_attempt_took() -> None:
    heard: list[list[bool]] = []
    call = make_call()
    call.watch(lambda ended: heard.append([attempt.ended is not None for attempt in ended.attempts]))
    ask(call, fail(503), respond())
    assert heard == [[True, True]]


RETRIED = [*(fail(status) for status in (409, 429, 500, 502, 503, 529, 599)), closed(), TransportFailure("idle", "late")]
RETRIED += [respond(b"<html>"), respond({"error": {"message": "busy", "code": 503}}), fail(504), fail(408)]


@pytest.mark.parametrize("outcome", RETRIED, ids=repr)
def test_a_failure_that_may_pass_is_tried_again(outcome: Any) -> None:
    settled: list[Any] = []
    call = make_call(settled=settled)
    played = ask(call, outcome, respond())
    assert played.names == "Send Sleep Send"
    assert played.error is None
    assert isinstance(call.attempts[0].error, e.CallError)
    assert len(settled) == 1
    assert not settled[0].error


FINAL = {400: e.BadRequestError, 401: e.AuthenticationError, 402: e.PaymentRequiredError, 403: e.PermissionDeniedError}
FINAL |= {404: e.NotFoundError, 413: e.RequestTooLargeError, 418: e.BadRequestError, 422: e.UnprocessableEntityError}


@pytest.mark.parametrize("status", FINAL)
def test_a_failure_that_will_not_pass_stops_at_once(status: int) -> None:
    settled: list[Any] = []
    played = ask(make_call(deployment("acme"), deployment("bond"), settled=settled), fail(status))
    assert played.names == "Send"
    assert type(played.error) is FINAL[status]
    assert played.error.status_code == status
    assert [s.error for s in settled] == [played.error]


def test_there_is_no_sleep_after_the_last_attempt() -> None:
    played = ask(make_call(retries=2), fail(500), closed(), fail(429, retry_after="1"))
    assert played.names == "Send Sleep Send Sleep Send"
    assert isinstance(played.error, e.RateLimitError)
    assert played.error.attempts == 3


def test_without_retries_there_is_one_request() -> None:
    assert ask(make_call(retries=0), fail(500)).names == "Send"


def test_the_next_deployment_is_asked_without_a_wait() -> None:
    call = make_call(deployment("acme"), deployment("bond"), deployment("cern"))
    played = ask(call, fail(429, retry_after="900"), closed(), respond())
    assert played.names == "Send Send Send"
    hosts = [request.url.split("/")[2] for request in played.requests]
    assert hosts == ["api.acme.test", "api.bond.test", "api.cern.test"]
    assert [attempt.deployment.id for attempt in call.attempts] == ["acme/m-1", "bond/m-1", "cern/m-1"]


def test_who_named_a_wait_is_given_it_when_its_turn_comes_again() -> None:
    call = make_call(deployment("acme"), deployment("bond"))
    played = ask(call, fail(429, retry_after="20"), fail(500), respond())
    assert played.names == "Send Send Sleep Send"
    assert 20 <= played.sleeps[0] < 21


def test_retry_after_is_obeyed() -> None:
    (slept,) = ask(make_call(), fail(429, retry_after="7"), respond()).sleeps
    assert 7 <= slept < 7.1


def test_a_wait_that_is_too_long_is_an_error_at_once_with_the_time_in_it() -> None:
    played = ask(make_call(), fail(429, retry_after="61"))
    assert played.names == "Send"
    assert played.error.retry_after == 61
    assert played.error.attempts == 1


def test_an_error_says_who_was_asked_and_how_often() -> None:
    played = ask(make_call(retries=1), fail(500), fail(500, "out of order", x_request_id="req_9"))
    error = played.error
    assert (error.llm_provider, error.provider, error.model, error.deployment) == ("acme", "acme", "m-1", "acme/m-1")
    assert (error.request_id, error.attempts, error.status_code) == ("req_9", 2, 500)
    assert "acme" in error.message
    assert "out of order" in error.message


def test_a_transport_failure_is_the_cause_of_its_error() -> None:
    failure = closed()
    played = ask(make_call(retries=0), failure)
    assert type(played.error) is e.APIConnectionError
    assert played.error.__cause__ is failure


def test_an_answer_that_makes_no_sense_says_who_gave_it() -> None:
    error = ask(make_call(retries=0), respond(b"<html>", x_request_id="r1")).error
    assert type(error) is e.ResponseDecodeError
    assert (error.llm_provider, error.body, error.request_id) == ("acme", "<html>", "r1")


def test_a_redirect_is_not_followed_and_says_what_to_do() -> None:
    settled: list[Any] = []
    played = ask(make_call(settled=settled), respond(b"", 308, location="https://elsewhere.test/v1?token=abc"))
    assert played.names == "Send"
    assert isinstance(played.error, e.ConfigurationError)
    assert "https://elsewhere.test/v1" in played.error.message
    assert "abc" not in played.error.message
    assert [s.error for s in settled] == [played.error]


def test_an_error_of_the_transport_itself_settles_the_call() -> None:
    settled: list[Any] = []
    played = ask(make_call(settled=settled), e.ConfigurationError("no transport for ftp"))
    assert isinstance(played.error, e.ConfigurationError)
    assert [s.error for s in settled] == [played.error]


def test_a_request_that_the_transport_refuses_is_told_where_it_was_going() -> None:
    error = ask(make_call(), e.BadRequestError("no such model file")).error
    assert (error.llm_provider, error.model, error.deployment) == ("acme", "m-1", "acme/m-1")


def test_a_bad_body_is_an_error_before_anything_is_sent() -> None:
    settled: list[Any] = []
    call = make_call(deployment(dialect="anthropic_messages"), body={"model": "asked", "messages": 7}, settled=settled)
    played = ask(call)
    assert played.names == ""
    assert isinstance(played.error, e.BadRequestError)
    assert played.error.attempts == 0
    assert call.attempts == []
    assert len(settled) == 1


def test_what_is_relayed_is_not_decoded() -> None:
    settled: list[Any] = []
    raw = b'{"usage": {"prompt_tokens": 3, "completion_tokens": 2}, "odd": 1}'
    played = ask(make_call(relay=True, settled=settled), respond(raw))
    assert played.result.response is None
    assert played.result.raw.body == raw
    assert settled[0].usage.output_tokens == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("interrupt", [asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
def test_an_interrupt_settles_as_cancelled(interrupt: BaseException, stream: bool) -> None:
    settled: list[Any] = []
    played = ask(make_call(stream=stream, settled=settled), interrupt)
    assert played.error is interrupt
    assert [(s.cancelled, s.error) for s in settled] == [(True, None)]


def test_a_flow_that_is_dropped_settles_as_cancelled() -> None:
    settled: list[Any] = []
    flow = answer(make_call(settled=settled), float, float)
    next(flow)
    flow.close()
    assert [s.cancelled for s in settled] == [True]


# ------------------------------------------------------------------------------------------------------------------ streams
def test_a_stream_is_held_until_its_first_event() -> None:
    settled: list[Any] = []
    stream = FakeStream(b": ping\n\n", HEL[:9], HEL[9:], LO, STOP, DONE)
    played = ask(make_call(stream=True, settled=settled), stream)
    assert played.names == "Open Read Read Read"
    assert played.result.events
    assert played.result.stream is stream
    assert (stream.closed, settled) == (0, [])


def test_a_role_alone_promises_nothing() -> None:
    played = ask(make_call(stream=True), FakeStream(ROLE, ERROR_EVENT), FakeStream(*STREAM))
    assert played.error is None
    assert played.names.startswith("Open Read Read Close Sleep Open")


GARBAGE = b"data: {not json\n\n"
BEFORE_THE_FIRST_EVENT = {
    "an error event": (ERROR_EVENT,),
    "a role and an error event": (ROLE, ERROR_EVENT),
    "a cut": (closed(),),
    "a cut after the role": (ROLE, closed()),
    "an empty stream": (),
    "garbage": (GARBAGE,),
    "only comments": (b": one\n\n", b": two\n\n"),
    "an idle timeout": (TransportFailure("idle", "late"),),
    "only the end mark": (DONE,),
}


@pytest.mark.parametrize("pieces", BEFORE_THE_FIRST_EVENT.values(), ids=BEFORE_THE_FIRST_EVENT)
def test_before_the_first_event_a_stream_is_tried_again(pieces: tuple[Any, ...]) -> None:
    settled: list[Any] = []
    broken, good = FakeStream(*pieces), FakeStream(*STREAM)
    call = make_call(stream=True, settled=settled)
    played = ask(call, broken, good)
    assert played.error is None
    assert played.result.stream is good
    assert broken.closed == 1
    assert [attempt.error is None for attempt in call.attempts] == [False, True]
    assert settled == []


@pytest.mark.parametrize("pieces", BEFORE_THE_FIRST_EVENT.values(), ids=BEFORE_THE_FIRST_EVENT)
def test_the_last_such_failure_is_raised_and_settled(pieces: tuple[Any, ...]) -> None:
    settled: list[Any] = []
    stream = FakeStream(*pieces)
    played = ask(make_call(stream=True, retries=0, settled=settled), stream)
    assert isinstance(played.error, e.CallError)
    assert (played.error.llm_provider, played.error.attempts, stream.closed) == ("acme", 1, 1)
    assert [s.error for s in settled] == [played.error]


@pytest.mark.parametrize("relay", [False, True])
def test_an_error_event_keeps_its_status(relay: bool) -> None:
    stream = FakeStream(ERROR_EVENT, headers=(*EVENTS, ("x-request-id", "r7")))
    error = ask(make_call(stream=True, retries=0, relay=relay), stream).error
    assert type(error) is e.ServiceUnavailableError
    assert (error.status_code, error.request_id) == (503, "r7")
    assert "overloaded" in error.message


@pytest.mark.parametrize("relay", [False, True])
def test_after_the_first_event_a_failure_is_not_the_flows(relay: bool) -> None:
    stream = FakeStream(ROLE, HEL, closed())
    played = ask(make_call(stream=True, relay=relay), stream)
    assert played.error is None
    assert played.names in ("Open Read Read", "Open Read")
    assert stream.closed == 0


@pytest.mark.parametrize("pieces", [(), (b": ping\n\n",), (closed(),)], ids=["empty", "comments", "cut"])
def test_a_relayed_stream_without_a_first_event_is_tried_again(pieces: tuple[Any, ...]) -> None:
    broken = FakeStream(*pieces)
    played = ask(make_call(stream=True, relay=True), broken, FakeStream(*STREAM))
    assert played.result.relay
    assert played.result.data == ROLE
    assert broken.closed == 1


def test_a_relayed_stream_keeps_the_bytes_as_they_came() -> None:
    played = ask(make_call(stream=True, relay=True), FakeStream(b": ping\n\n", ROLE[:5], ROLE[5:] + HEL[:3], HEL[3:]))
    assert played.result.data == b": ping\n\n" + ROLE + HEL[:3]
    assert played.result.events == []


def test_a_failure_status_is_read_and_the_stream_closed() -> None:
    body = b'{"error": {"message": "slow down"}}'
    stream = FakeStream(body[:10], body[10:], status=429, headers=(*JSON, ("retry-after", "90")))
    played = ask(make_call(stream=True), stream)
    assert played.names == "Open Read Read Read Close"
    assert stream.closed == 1
    assert isinstance(played.error, e.RateLimitError)
    assert played.error.retry_after == 90
    assert "slow down" in played.error.message


def test_a_failure_status_stays_what_it_is_when_its_body_is_cut() -> None:
    stream = FakeStream(b'{"error": {"mess', closed(), status=401, headers=JSON)
    error = ask(make_call(stream=True), stream).error
    assert type(error) is e.AuthenticationError
    assert stream.closed == 1


def test_of_a_huge_failure_only_the_beginning_is_read() -> None:
    stream = FakeStream(*[b"x" * 16_384] * 100, status=400)
    played = ask(make_call(stream=True), stream)
    assert played.names.count("Read") == 4


@pytest.mark.parametrize("relay", [False, True])
def test_a_json_answer_to_a_stream_request_is_unfolded(relay: bool) -> None:
    body = b'{"id": "c1", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},'
    rest = b'"finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}'
    stream = FakeStream(body, rest, headers=(("content-type", "Application/JSON; charset=utf-8"),))
    call = make_call(stream=True, relay=relay)
    played = ask(call, stream)
    opened = played.result
    assert (opened.stream, opened.relay, stream.closed) == (None, False, 1)
    state = StreamState(opened, call)
    state.begin()
    assert state.done
    assert state.response.choices[0].parts[0].text == "hi"
    assert state.response.usage.input_tokens == 3


def test_a_json_error_in_place_of_a_stream_is_that_error() -> None:
    stream = FakeStream(b'{"error": {"message": "no", "code": 401}}', headers=JSON)
    error = ask(make_call(stream=True), stream).error
    assert type(error) is e.AuthenticationError
    assert (error.llm_provider, error.deployment, stream.closed) == ("acme", "acme/m-1", 1)


@pytest.mark.parametrize("pieces", [(ROLE,), (b'{"id"',)], ids=["events", "json"])
def test_a_task_that_is_cancelled_while_it_waits_closes_the_stream(pieces: tuple[bytes, ...]) -> None:
    settled: list[Any] = []
    headers = JSON if pieces[0].startswith(b"{") else EVENTS
    stream = FakeStream(*pieces, asyncio.CancelledError(), headers=headers)
    played = ask(make_call(stream=True, settled=settled), stream)
    assert isinstance(played.error, asyncio.CancelledError)
    assert played.names.endswith("Close")
    assert stream.closed == 1
    assert [s.cancelled for s in settled] == [True]


def test_a_whole_stream_in_one_piece_is_complete_when_it_is_opened() -> None:
    call = make_call(stream=True)
    played = ask(call, FakeStream(b"".join(STREAM)))
    state = StreamState(played.result, call)
    state.begin()
    assert state.done
    assert state.response.usage.total_tokens == 5


def test_usage_before_the_first_event_promises_nothing() -> None:
    played = ask(make_call(stream=True), FakeStream(ROLE, USAGE, closed()), FakeStream(*STREAM))
    assert played.error is None


def test_an_embedding_is_answered_too() -> None:
    place = deployment(dialects={"embedding": "openai_embeddings"})
    body = {"model": "asked", "input": "x"}
    call = make_call(place, operation="embedding", dialect="openai_embeddings", body=body)
    found = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    played = ask(call, respond(found))
    assert played.result.response.embeddings[0].vector == (0.5,)
