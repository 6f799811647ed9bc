"""Streams of Bedrock that go wrong: exceptions in frames, cut and damaged bytes, words of a later API version."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.aws_eventstream import Header, Message, encode
from dragoman.core.errors import ResponseDecodeError
from dragoman.dialects import registry
from support.bedrock import frames
from support.slicing import cut, cut_places

CONVERSE, INVOKE = registry.get("bedrock_converse"), registry.get("anthropic_bedrock")
BOTH = pytest.mark.parametrize("dialect", [CONVERSE, INVOKE], ids=lambda dialect: dialect.name)

START = ("messageStart", {"role": "assistant"})
TEXT = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Good day"}})
STOP = ("messageStop", {"stopReason": "end_turn"})
META = ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}})


def chunk(event: dict[str, Any]) -> tuple[str, Any]:
    return "chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}


CLAUDE = [
    chunk({"type": "message_start", "message": {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 1}}}),
    chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good\n\ndata: day"}}),
    chunk({"type": "content_block_stop", "index": 0}),
    chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
    chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}),
]
BEGUN = {"bedrock_converse": [START, TEXT], "anthropic_bedrock": CLAUDE[:3]}


def decoded(dialect: Any, *pieces: bytes) -> list[ev.Event]:
    decoder = dialect.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


# ------------------------------------------------------------------------------------------------------------- exceptions
@BOTH
@pytest.mark.parametrize(
    ("kind", "message", "status", "code"),
    [
        ("throttlingException", "Too many tokens, please wait before trying again.", 429, None),
        ("validationException", "Too many input tokens for it.", 400, "context_length_exceeded"),
        ("modelStreamErrorException", "The model broke off.", 500, None),
        ("internalServerException", "Oh.", 500, None),
        ("serviceUnavailableException", "Later.", 503, None),
        ("modelTimeoutException", "Too slow.", 504, None),
        ("newException", "What?", 500, None),
    ],
)
def test_an_exception_ends_the_stream(dialect: Any, kind: str, message: str, status: int, code: str | None):
    data = frames(*BEGUN[dialect.name]) + frames((kind, {"message": message}), kind="exception") + frames(STOP)
    events = decoded(dialect, data)
    assert events[-1] == ev.StreamError(message=f"{kind}: {message}", status=status, code=code, error_type=kind)
    assert sum(isinstance(event, ev.StreamError) for event in events) == 1
    assert decoded(dialect, *(data[place : place + 1] for place in range(len(data)))) == events


@BOTH
def test_an_error_without_a_body_says_itself_in_headers(dialect: Any):
    headers = (
        Header(":message-type", "error"),
        Header(":error-code", "ThrottlingException"),
        Header(":error-message", "Slow down."),
    )
    (error,) = decoded(dialect, encode(Message(b"", headers)))
    assert error == ev.StreamError(message="ThrottlingException: Slow down.", status=429, error_type="ThrottlingException")


# ----------------------------------------------------------------------------------------------------------- broken streams
@BOTH
def test_a_stream_that_just_stops_is_broken(dialect: Any):
    for data in (b"", frames(*BEGUN[dialect.name]), frames(*BEGUN[dialect.name])[:-3]):
        last = decoded(dialect, data)[-1]
        assert isinstance(last, ev.StreamError)
        assert last.broken


@BOTH
def test_a_damaged_frame_breaks_the_stream_and_nothing_follows(dialect: Any):
    good = frames(*BEGUN[dialect.name])
    damaged = bytearray(good)
    damaged[-6] ^= 1
    decoder = dialect.stream_decoder()
    (*_, last) = decoder.feed(bytes(damaged))
    assert last.broken
    assert "checksum" in last.message
    assert decoder.feed(good) == decoder.close() == []


@BOTH
def test_what_came_whole_before_the_damage_is_read(dialect: Any):
    begun = frames(*BEGUN[dialect.name])
    damaged = bytearray(begun)
    damaged[12] ^= 1
    events = dialect.stream_decoder().feed(begun + damaged)
    assert events[:-1] == dialect.stream_decoder().feed(begun)
    assert events[-1].broken


@BOTH
@given(st.binary(max_size=60))
def test_garbage_is_an_error_and_no_exception(dialect: Any, data: bytes):
    events = decoded(dialect, data)
    assert isinstance(events[-1], ev.StreamError)


NONSENSE = [
    ("contentBlockDelta", {}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "x"}}}),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {}}}),
    ("contentBlockDelta", []),
    ("messageStop", {}),
]


@pytest.mark.parametrize("event", NONSENSE, ids=json.dumps)
def test_nonsense_in_a_good_frame_is_an_error_too(event: tuple[str, Any]):
    last = decoded(CONVERSE, frames(START, event))[-1]
    assert isinstance(last, ev.StreamError)
    assert last.broken


@pytest.mark.parametrize("payload", [{}, {"bytes": "no base64!"}, {"bytes": 5}, []])
def test_nonsense_around_an_event_of_invoke_is_an_error(payload: Any):
    last = decoded(INVOKE, frames(("chunk", payload)))[-1]
    assert isinstance(last, ev.StreamError)
    assert last.broken


# ------------------------------------------------------------------------------------------------------------ whole streams
def test_the_answer_is_whole_when_only_the_usage_got_lost():
    response = assemble(decoded(CONVERSE, frames(START, TEXT, STOP)))
    assert response.choices[0].parts[0].text == "Good day"
    assert response.choices[0].finish.reason == "stop"
    assert response.usage is None


def test_words_of_a_later_version_are_a_warning_once():
    new = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"smell": "fresh"}})
    events = decoded(CONVERSE, frames(START, new, ("newEvent", {}), TEXT, new, ("newEvent", {}), STOP, META))
    assert [event.field for event in events if isinstance(event, ev.Warning)] == ["delta.smell", "newEvent"]
    assert isinstance(events[-1], ev.ResponseEnd)


def test_what_follows_the_end_is_nobodys_business():
    data = frames(START, TEXT, STOP, META)
    assert decoded(CONVERSE, data, frames(TEXT)) == decoded(CONVERSE, data)


@given(cut_places)
def test_cuts_change_nothing(places: list[int]):
    for dialect, data in ((CONVERSE, frames(START, TEXT, STOP, META)), (INVOKE, frames(*CLAUDE))):
        assert decoded(dialect, *cut(data, [place * 5 for place in places])) == decoded(dialect, data)


def test_invoke_carries_texts_with_line_ends():
    response = assemble(decoded(INVOKE, frames(*CLAUDE)))
    assert response.choices[0].parts[0].text == "Good\n\ndata: day"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (1, 2)


# ------------------------------------------------------------------------------------------------------------------ answers
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"output": {}}',
        b'{"output": {"message": {"content": [{"text": 5}]}}, "stopReason": "end_turn"}',
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(body: bytes):
    with pytest.raises(ResponseDecodeError, match="no Converse answer"):
        CONVERSE.decode_response(body)


@pytest.mark.parametrize("body", [b"", b"<html><title>Bad</title></html>", b"[1]", b'{"message": null}', b"\xff\xfe"])
def test_reading_a_failure_never_fails(body: bytes):
    for dialect in (CONVERSE, INVOKE, registry.get("bedrock_embeddings")):
        assert dialect.decode_error(500, body).message
