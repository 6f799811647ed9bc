"""Every recorded exchange with the Messages API, replayed: answers, streams in all slicings, requests there and back, failures.

Nothing here compares the dialect with itself alone: streams are folded a second time by the plain code below, and bodies are
compared with what was recorded. What may differ is written down with its reason.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest
from dragoman.core.errors import BadRequestError, error_for
from dragoman.dialects.anthropic_messages import DIALECT
from support.recordings import Entry, exchanges

STREAMS = exchanges("messages", streaming=True, ok=True)
ANSWERS = exchanges("messages", streaming=False, ok=True)
FAILURES = exchanges("messages", ok=False)
ALL = exchanges("messages")

if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


def by_id(entry: Entry) -> str:
    return entry.id


def decoded(pieces: Iterable[bytes]) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def cut(data: bytes, rng: random.Random, longest: int) -> list[bytes]:
    pieces, place = [], 0
    while place < len(data):
        size = rng.randint(1, longest)
        pieces.append(data[place : place + size])
        place += size
    return pieces


def single(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


# ---------------------------------------------------------------------------------------------------------------- equality
def without_silence(value: Any) -> Any:
    """Null, an empty list or object, and a count of zero say the same as a field that is not there."""
    if isinstance(value, dict):
        kept = {key: without_silence(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None and inner not in ({}, [])}
    return [without_silence(inner) for inner in value] if isinstance(value, list) else value


def said(message: dict[str, Any]) -> dict[str, Any]:
    """A message for comparison. Tool inputs stay exact; usage loses its zeros, which are written always or never."""
    usage = no_zeros(message.get("usage") or {})
    if written := usage.get("cache_creation_input_tokens"):
        # Older answers do not split them; what is not said to last an hour lasts five minutes.
        usage["cache_creation"] = usage.get("cache_creation") or {"ephemeral_5m_input_tokens": written}
    content = [exact_input(block) for block in message["content"]]
    return without_silence({**message, "content": content, "usage": usage})


def exact_input(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "input": json.dumps(block["input"], sort_keys=True)} if "input" in block else block


def no_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: no_zeros(inner) for key, inner in value.items() if inner != 0 or isinstance(inner, bool)}
    return value


# ----------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("entry", ANSWERS, ids=by_id)
def test_an_answer_comes_back_as_it_was_recorded(entry: Entry) -> None:
    """decode then encode, on the recorded JSON: no field is lost and none is invented."""
    recorded = entry.load()
    response = DIALECT.decode_response(recorded.response_bytes)
    written = json.loads(DIALECT.encode_response(response, now=0))
    assert said(written) == said(recorded.response_json)
    assert response.warnings == ()
    assert DIALECT.read_usage(recorded.response_bytes) == response.usage


# ----------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_means_the_same_in_every_slicing(entry: Entry) -> None:
    data = entry.load().response_bytes
    whole = decoded([data])
    crlf = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    rng = random.Random(entry.id)
    assert decoded(single(data)) == whole
    assert decoded(cut(data, rng, 7)) == whole
    assert decoded(cut(data, rng, 400)) == whole
    assert decoded(single(crlf)) == whole
    assert decoded(cut(crlf, rng, 90)) == whole


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_adds_up_to_what_a_plain_fold_finds(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decoded([data])
    assert isinstance(events[0], ev.ResponseStart)
    assert isinstance(events[-1], ev.ResponseEnd)
    response = assemble(events)
    assert response.warnings == ()
    assert said(json.loads(DIALECT.encode_response(response, now=0))) == said(plain_fold(data))


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_written_anew_is_in_order_and_means_the_same(entry: Entry) -> None:
    events = decoded([entry.load().response_bytes])
    encoder = DIALECT.stream_encoder(ChatRequest(model="asked"), now=0)
    data = b"".join(encoder.encode(event) for event in events)
    assert_vendor_order([json.loads(line[5:]) for line in data.split(b"\n") if line.startswith(b"data:")])
    assert assemble(decoded([data])) == assemble(events)
    assert said(plain_fold(data)) == said(json.loads(DIALECT.encode_response(assemble(events), now=0)))


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_the_tap_agrees_with_the_decoder(entry: Entry) -> None:
    data = entry.load().response_bytes
    expected = assemble(decoded([data])).usage
    rng = random.Random(entry.id)
    for pieces in ([data], single(data), cut(data.replace(b"\n", b"\r\n"), rng, 300)):
        tap = DIALECT.stream_tap()
        for piece in pieces:
            tap.feed(piece)
        assert (tap.started, tap.complete, tap.usage, tap.error, tap.error_status) == (True, True, expected, None, 0)


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    before_stop_reason = data.index(b'"type":"message_delta"')
    for end in random.Random(entry.id).sample(range(before_stop_reason), 3):
        events, tap = decoded([data[:end]]), DIALECT.stream_tap()
        assert isinstance(events[-1], ev.StreamError)
        assert events[-1].broken
        assert not any(isinstance(event, ev.ResponseEnd) for event in events)
        tap.feed(data[:end])
        assert not tap.complete


def plain_fold(data: bytes) -> dict[str, Any]:
    """What the stream amounts to, by the vendor's description of it and nothing of ours."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for line in data.decode().splitlines():
        if not line.startswith("data:") or line.endswith("[DONE]"):
            continue
        event = json.loads(line[5:])
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            fold_delta(message["content"][event["index"]], event["delta"], inputs, event["index"])
        elif event["type"] == "message_delta":
            message.update({key: value for key, value in event["delta"].items() if value is not None})
            message.update({key: value for key, value in event.items() if key not in ("type", "delta", "usage")})
            message["usage"].update({key: value for key, value in event["usage"].items() if value is not None})
    for index, text in inputs.items():
        if text:
            message["content"][index]["input"] = json.loads(text)
    return message


def fold_delta(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    kind = delta["type"]
    if kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    else:
        field = {
            "text_delta": "text",
            "thinking_delta": "thinking",
            "signature_delta": "signature",
            "compaction_delta": "content",
        }
        block[field[kind]] = (block.get(field[kind]) or "") + delta[field[kind]]


def assert_vendor_order(frames: list[dict[str, Any]]) -> None:
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert "usage" in frames[0]["message"]
    assert {"stop_reason", "stop_sequence"} <= frames[-2]["delta"].keys()
    index, open_ = -1, False
    for frame in frames[1:-2]:
        if frame["type"] == "content_block_start":
            assert not open_
            index, open_ = index + 1, True
        else:
            assert open_
            open_ = frame["type"] != "content_block_stop"
        assert frame["index"] == index
    assert not open_


# ---------------------------------------------------------------------------------------------------------------- requests
NO_REQUESTS = {
    "anthropic-messages-error_400-74ef78e1": "a message is a string here; the vendor refused it too",
    "anthropic-messages-error_400-f2ca999a": "a schema is a boolean here; the vendor refused it too",
}
CHANGED_REQUESTS = {
    "anthropic-messages-error_400-105a30e0": "the schema had no type, for which the vendor refused it; it gets one"
}


@pytest.mark.parametrize("entry", ALL, ids=by_id)
def test_a_request_loses_nothing_on_the_way_through(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    body = {"model": "in-the-path", **recorded}  # on Vertex the model stands in the URL
    if entry.id in NO_REQUESTS:
        with pytest.raises(BadRequestError, match="expected an object, found"):
            DIALECT.decode_request(json.dumps(body).encode())
        return
    encoded = DIALECT.encode_request(DIALECT.decode_request(json.dumps(body).encode()))
    if entry.id in CHANGED_REQUESTS:
        assert [warning.code for warning in encoded.warnings] == ["changed"]
        return
    assert encoded.warnings == ()
    assert plain(encoded.body) == plain(body)


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = no_nulls(body)
    if body.get("stream") is False:
        del body["stream"]  # false is the default
    if "output_format" in body:  # the name of output_config.format in its beta
        body.setdefault("output_config", {})["format"] = body.pop("output_format")
    if isinstance(body.get("system"), str):  # a text stands for one text block, here and below
        body["system"] = blocks(body["system"])
    for key in ("tools", "system"):
        if body.get(key) == []:  # none are asked for
            del body[key]
    turns: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = blocks(message["content"])
        if turns and turns[-1]["role"] == message["role"]:  # the API itself makes one turn of consecutive messages of a role
            turns[-1]["content"] += content
        else:
            turns.append({**message, "content": content})
    return {**body, "messages": [turn for turn in turns if turn["content"]]}


def no_nulls(value: Any) -> Any:
    """A copy without null fields, which the API takes for absent. Schemas have none in these recordings."""
    if isinstance(value, dict):
        return {key: no_nulls(inner) for key, inner in value.items() if inner is not None}
    return [no_nulls(inner) for inner in value] if isinstance(value, list) else value


def blocks(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []  # the API refuses an empty text, so it is left out
    found = [block for block in content if block.get("text") != ""]
    for block in found:
        if block["type"] == "tool_result":
            block["content"] = blocks(block.get("content") or "")
            if not block["content"]:
                del block["content"]  # an empty result and none are the same
        if block["type"] == "text" and not block.get("citations", True):
            del block["citations"]  # null or an empty list
    return found


# ---------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_failure_is_understood_and_can_be_told_again(entry: Entry) -> None:
    recorded = entry.load()
    told = recorded.response_json["error"]
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert (detail.message, detail.type) == (told["message"], told["type"])
    error = error_for(entry.status, detail)
    assert error.status_code == entry.status
    again = json.loads(DIALECT.encode_error(error))
    assert again["type"] == "error"
    assert again["error"]["type"] == told["type"]
    assert told["message"] in again["error"]["message"]
