"""Streams of the Messages API: how they break, and in what order they are written."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from dragoman.core import errors
from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    Finish,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.dialects.anthropic_messages import DIALECT


# -------------------------------------------------------------------------------------------------------------- upstream
def frame(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = frame("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
BLOCK = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
STOP_REASON = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})


def decoded(*pieces: bytes) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


@pytest.mark.parametrize(
    "kind, status",
    [
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("billing_error", 402),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("conflict_error", 409),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("timeout_error", 504),
        ("overloaded_error", 529),
        ("brand_new_error", 500),
    ],
)
def test_an_error_event_ends_the_stream_with_its_status(kind: str, status: int) -> None:
    failure = frame("error", error={"type": kind, "message": "sorry"})
    events = decoded(START + BLOCK + DELTA + failure + DELTA + STOP_REASON)
    assert events[-1] == ev.StreamError(message="sorry", status=status, error_type=kind)
    assert sum(isinstance(event, ev.TextDelta) for event in events) == 1
    tap = DIALECT.stream_tap()
    tap.feed(START + failure)
    assert (tap.complete, tap.error_status, tap.error) == (False, status, errors.ErrorDetail(message="sorry", type=kind))


@pytest.mark.parametrize(
    "data",
    [
        b"data: {not json\n\n",
        b"data: [1]\n\n",
        b"data: \xff\n\n",
        frame("content_block_delta", index="one", delta={}),
        frame("content_block_delta", index=9, delta={"type": "text_delta", "text": "x"}),
        frame("content_block_delta", index=0, delta={"type": "text_delta", "text": 1}),
        frame("content_block_start", index=0),
        frame("content_block_start", index=0, content_block={"type": "tool_use", "id": 1}),
        frame("message_start", message="none"),
        frame("message_delta", delta=[]),
    ],
)
def test_nonsense_breaks_the_stream_and_raises_nothing(data: bytes) -> None:
    events = decoded(START, data, STOP_REASON)
    assert isinstance(events[-1], ev.StreamError)
    assert events[-1].broken
    assert events[-1].status == 502
    assert sum(isinstance(event, ev.StreamError) for event in events) == 1


@pytest.mark.parametrize(
    "data, complete",
    [
        (b"", False),
        (START, False),
        (START + BLOCK + DELTA, False),
        (START + BLOCK + DELTA + STOP_REASON[:-20], False),
        (START + BLOCK + DELTA + STOP_REASON[:-1], True),
        (START + BLOCK + DELTA + STOP_REASON, True),
        (START + BLOCK + DELTA + STOP_REASON + b'event: message_stop\ndata: {"ty', True),
    ],
)
def test_an_end_without_its_mark_is_clean_only_after_a_stop_reason(data: bytes, complete: bool) -> None:
    events = decoded(data)
    assert isinstance(events[-1], ev.ResponseEnd if complete else ev.StreamError)
    assert not complete or isinstance(events[-2], ev.PartEnd)


def test_a_tap_ignores_pings_and_waits_for_a_whole_line() -> None:
    tap = DIALECT.stream_tap()
    for piece in (b": hello\n\n", frame("ping"), b"event: message_start\n", START[20:60]):
        tap.feed(piece)
        assert (tap.started, tap.usage, tap.complete) == (False, None, False)
    tap.feed(START[60:])
    assert (tap.started, tap.usage, tap.complete) == (True, Usage(input_tokens=3, output_tokens=1), False)


# ------------------------------------------------------------------------------------------------------------ downstream
def frames(*events: ev.Event) -> list[dict[str, Any]]:
    encoder = DIALECT.stream_encoder(ChatRequest(model="asked"), now=5)
    data = b"".join(encoder.encode(event) for event in events)
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        event, body = block.split("\n")
        found.append(json.loads(body.removeprefix("data: ")))
        assert event == f"event: {found[-1]['type']}"
    return found


def shape(found: list[dict[str, Any]]) -> list[str]:
    return [f"{frame['type'].removeprefix('content_block_')}{frame.get('index', '')}" for frame in found]


DONE = ev.ResponseEnd(finishes=(Finish(reason="stop", native="stop"),))


def call(index: int) -> ev.PartStart:
    return ev.PartStart(index=index, part=ToolCallPart(id=f"c{index}", name="n", arguments=""))


def test_a_stream_is_written_in_the_vendors_order() -> None:
    found = frames(
        ev.ResponseStart(id="r"),
        ev.UsageReport(usage=Usage(input_tokens=9, cache_read_tokens=4)),
        ev.PartStart(index=0, part=ReasoningPart()),
        ev.ReasoningDelta(index=0, text="hm"),
        ev.PartEnd(index=0, signature="sig"),
        ev.PartStart(index=1, part=TextPart(text="")),
        ev.TextDelta(index=1, text='é "x"\n'),
        ev.PartEnd(index=1),
        ev.UsageReport(usage=Usage(input_tokens=9, cache_read_tokens=4, output_tokens=7)),
        DONE,
    )
    assert shape(found) == [
        *("message_start", "start0", "delta0", "delta0", "stop0", "start1", "delta1", "stop1", "message_delta", "message_stop")
    ]
    assert (
        found[0]["message"].items()
        >= {"id": "r", "model": "asked", "role": "assistant", "content": [], "stop_reason": None}.items()
    )
    assert found[0]["message"]["usage"].items() >= {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 0}.items()
    assert [found[place]["delta"] for place in (2, 3, 6)] == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig"},
        {"type": "text_delta", "text": 'é "x"\n'},
    ]
    assert found[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert found[-2]["usage"].items() >= {"input_tokens": 5, "output_tokens": 7}.items()


def test_the_head_waits_for_the_usage_and_no_longer_than_for_the_first_part() -> None:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=5)
    assert encoder.encode(ev.ResponseStart()) == b""
    assert encoder.encode(ev.PartStart(index=0, part=TextPart(text=""))).startswith(b"event: message_start\n")


def test_parts_that_interleave_wait_for_each_other() -> None:
    found = frames(
        ev.ResponseStart(),
        call(0),
        ev.ToolCallDelta(index=0, arguments='{"a":'),
        call(1),
        ev.ToolCallDelta(index=1, arguments='{"b":2}'),
        ev.PartStart(index=2, part=TextPart(text="")),
        ev.ToolCallDelta(index=0, arguments="1}"),
        ev.PartEnd(index=1),
        ev.TextDelta(index=2, text="then"),
        ev.PartEnd(index=0),
        ev.TextDelta(index=2, text=" more"),
        DONE,
    )
    assert shape(found)[1:-2] == [
        *("start0", "delta0", "delta0", "stop0", "start1", "delta1", "stop1", "start2", "delta2", "delta2", "stop2")
    ]
    texts = [
        frame["delta"].get("partial_json", frame["delta"].get("text"))
        for frame in found
        if frame["type"] == "content_block_delta"
    ]
    assert texts == ['{"a":', "1}", '{"b":2}', "then", " more"]


def test_what_a_stream_cannot_say_is_told_at_its_end() -> None:
    found = frames(
        ev.ResponseStart(),
        Warning(field="seed", message="no such parameter"),
        ev.PartStart(index=0, choice=1, part=TextPart(text="")),
        ev.TextDelta(index=0, choice=1, text="second"),
        ev.PartStart(index=0, part=OpaquePart(dialect="gemini", value={"code": 1})),
        ev.PartEnd(index=0),
        ev.PartStart(index=1, part=TextPart(text="first")),
        ev.ResponseEnd(finishes=(Finish(reason="stop"), Finish(reason="stop"))),
    )
    assert shape(found) == ["message_start", "start0", "delta0", "stop0", "message_delta", "message_stop"]
    assert [lost["field"] for lost in found[-2]["dragoman"]["warnings"]] == ["seed", "choices[1]", "content[0]"]


def test_what_has_no_pieces_is_written_whole() -> None:
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    image = base64.b64encode(b"picture").decode()
    found = frames(
        ev.ResponseStart(),
        ev.PartStart(index=0, part=OpaquePart(dialect="anthropic_messages", value=use)),
        ev.PartEnd(index=0),
        ev.PartStart(index=1, part=ReasoningPart(redacted="x")),
        ev.PartEnd(index=1),
        ev.PartStart(index=2, part=ToolCallPart(id="c", name="sh", arguments="", kind="custom")),
        ev.ToolCallDelta(index=2, arguments="ls "),
        ev.ToolCallDelta(index=2, arguments="-l"),
        ev.PartEnd(index=2),
        ev.PartStart(index=3, part=MediaPart(kind="image", media_type="image/png")),
        ev.MediaDelta(index=3, data=image),
        ev.PartEnd(index=3),
        ev.PartStart(index=4, part=MediaPart(kind="audio", media_type="audio/wav")),
        ev.MediaDelta(index=4, data="AA==", transcript="spoken"),
        ev.PartEnd(index=4),
        DONE,
    )
    blocks = [frame["content_block"] for frame in found if frame["type"] == "content_block_start"]
    assert [frame["index"] for frame in found if frame["type"] == "content_block_start"] == [0, 1, 2, 3, 4]
    assert blocks[0] == use | {"input": {}}
    assert blocks[1] == {"type": "redacted_thinking", "data": "x"}
    assert blocks[3] == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}}
    texts = [
        frame["delta"].get("partial_json", frame["delta"].get("text"))
        for frame in found
        if frame["type"] == "content_block_delta"
    ]
    assert texts == ['{"query":"q"}', '{"input":"ls -l"}', "spoken"]


def test_a_stream_that_broke_ends_in_an_error_event() -> None:
    found = frames(ev.ResponseStart(), call(0), ev.StreamError(message="cut", broken=True))
    assert shape(found) == ["message_start", "start0", "error"]
    assert found[-1]["error"] == {"type": "api_error", "message": "cut"}
    busy = frames(ev.ResponseStart(), ev.StreamError(message="busy", status=529, error_type="overloaded_error"))
    assert busy == [{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}]


def test_a_delta_without_its_part_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no PartStart"):
        frames(ev.ResponseStart(), ev.TextDelta(index=0, text="x"))


def test_an_empty_stream_is_a_whole_message() -> None:
    assert shape(frames(ev.ResponseStart(), DONE)) == ["message_start", "message_delta", "message_stop"]


def test_an_answer_relayed_twice_stays_itself() -> None:
    events = decoded(START + BLOCK + DELTA + STOP_REASON)
    response = assemble(events)
    assert DIALECT.decode_response(DIALECT.encode_response(response, now=0)) == response
