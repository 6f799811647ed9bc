"""Language models on Replicate: requests, predictions in every state, the plain-text stream; recordings where there are some.

Of the recordings only predictions with a text for an output are spoken here: pictures and sound are other operations.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, MediaPart, Message, TextPart, Tool
from dragoman.core.errors import BadGatewayError, ResponseDecodeError, UnprocessableEntityError, error_for
from dragoman.core.http import HttpResponse
from dragoman.dialects import registry
from dragoman.dialects.base import Poll
from support.chat_streams import cuts, decode_stream
from support.recordings import Entry, exchanges

DIALECT = registry.get("replicate_chat")
BY_ID = {"ids": lambda entry: entry.id}
CREATED = exchanges("predictions_create", provider="replicate")
TEXTS = [entry for entry in CREATED if entry.status == 201 and "/models/meta/" in entry.load().data["request"]["url"]]
FAILURES = [entry for entry in CREATED if entry.status != 201]
ASKED = exchanges("predictions_get", provider="replicate")
STREAMS = exchanges("prediction_stream", provider="replicate")


def asking(*messages: Message, model: str = "meta/meta-llama-3-8b-instruct", **fields: Any) -> ChatRequest:
    return ChatRequest(model=model, messages=messages, **fields)


def said(role: Any, text: str) -> Message:
    return Message(role=role, parts=(TextPart(text=text),))


# --------------------------------------------------------------------------------------------------------------- requests
HELLO = said("user", "Hello")
VERSION = "ac732df83cea7fff18b8472768c88ad041fa750ff7682a21affe81863cbe77e4"


@pytest.mark.parametrize(
    "request_, body",
    [
        (asking(HELLO), {"input": {"prompt": "Hello"}}),
        (asking(HELLO, stream=True), {"input": {"prompt": "Hello"}, "stream": True}),
        (asking(said("system", "Be brief."), HELLO), {"input": {"prompt": "Hello", "system_prompt": "Be brief."}}),
        (asking(HELLO, max_tokens=5, temperature=0.5), {"input": {"prompt": "Hello", "max_tokens": 5, "temperature": 0.5}}),
        (asking(HELLO, model="meta/llama-2-7b", max_tokens=5), {"input": {"prompt": "Hello", "max_new_tokens": 5}}),
        (asking(HELLO, stop=("a", "b")), {"input": {"prompt": "Hello", "stop_sequences": "a,b"}}),
        (asking(HELLO, model=f"o/m:{VERSION}"), {"input": {"prompt": "Hello"}, "version": VERSION}),
        (
            asking(HELLO, extra={"openai_chat": {"min_tokens": 1, "input": {"top_k": 7}}}),
            {"input": {"prompt": "Hello", "min_tokens": 1, "top_k": 7}},
        ),
    ],
)
def test_requests(request_: ChatRequest, body: dict[str, Any]) -> None:
    assert DIALECT.encode_request(request_) == (body, (), "application/json")


def test_a_conversation_is_written_out() -> None:
    body, warnings, _ = DIALECT.encode_request(asking(HELLO, said("assistant", "Hi."), said("user", "Bye")))
    assert body["input"]["prompt"] == "User: Hello\n\nAssistant: Hi.\n\nUser: Bye\n\nAssistant:"
    assert [(warning.field, warning.code) for warning in warnings] == [("messages", "changed")]


def test_what_is_lost_is_told() -> None:
    images = tuple(MediaPart(kind="image", url=f"https://e.org/{place}") for place in range(2))
    request = asking(Message(role="user", parts=(*images, TextPart(text="What?"))), tools=(Tool(name="t"),), stop=("a,b",), n=2)
    body, warnings, _ = DIALECT.encode_request(request)
    assert body == {"input": {"prompt": "What?", "image": "https://e.org/0"}}
    assert [warning.field for warning in warnings] == ["n", "tools", "messages", "messages", "stop"]


@pytest.mark.parametrize(
    "model, path",
    [("meta/llama", "/models/meta/llama/predictions"), (f"o/m:{VERSION}", "/predictions"), (VERSION, "/predictions")],
)
def test_paths(model: str, path: str) -> None:
    assert DIALECT.path(model, stream=False) == path


# ---------------------------------------------------------------------------------------------------------------- answers
def prediction(status: str, **fields: Any) -> bytes:
    urls = {"get": "https://api.replicate.com/v1/predictions/p1", "stream": "https://stream.replicate.com/v1/s"}
    return json.dumps({"id": "p1", "status": status, "urls": urls, **fields}).encode()


@pytest.mark.parametrize("status, waits", [("starting", True), ("processing", True), ("succeeded", False), ("failed", False)])
def test_a_prediction_is_asked_for_until_it_has_ended(status: str, waits: bool) -> None:
    response = HttpResponse(status=201, body=prediction(status, output=["par"]))
    address = "https://api.replicate.com/v1/predictions/p1"
    assert DIALECT.poll(response) == (Poll(address, 0.5) if waits else None)
    assert DIALECT.stream_at(response) == Poll("https://stream.replicate.com/v1/s", 0.0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"urls":{}}', b'{"urls":{"stream":5}}'])
def test_an_answer_without_a_stream(body: bytes) -> None:
    assert DIALECT.stream_at(HttpResponse(status=201, body=body)) is None


@pytest.mark.parametrize("output", [["Hel", "lo"], "Hello"])
def test_an_answer(output: Any) -> None:
    metrics = {"input_token_count": 4, "output_token_count": 2, "predict_time": 0.1}
    response = DIALECT.decode_response(
        prediction("succeeded", output=output, metrics=metrics, created_at="2024-02-12T16:46:34.978064551Z")
    )
    assert response.choices[0].parts == (TextPart(text="Hello"),)
    assert response.choices[0].finish.reason == "stop"
    assert (response.id, response.created, response.usage.total_tokens) == ("p1", 1707756394, 6)
    assert response.extra["replicate_chat"]["metrics"]["predict_time"] == 0.1


@pytest.mark.parametrize(
    "status, error, message", [("failed", "out of memory", "out of memory"), ("canceled", None, "canceled")]
)
def test_a_failed_prediction_is_an_error(status: str, error: str | None, message: str) -> None:
    with pytest.raises(BadGatewayError, match=message):
        DIALECT.decode_response(prediction(status, error=error))


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", prediction("succeeded", output=[1]), prediction("succeeded", output=5)]
)
def test_nonsense_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(ResponseDecodeError):
        DIALECT.decode_response(body)


# ---------------------------------------------------------------------------------------------------------------- streams
def frame(event: str, *data: str) -> bytes:
    return f"event: {event}\nid: 1:0\n".encode() + b"".join(b"data: " + line.encode() + b"\n" for line in data) + b"\n"


WHOLE = (
    b": hi\n\n" + frame("output", "") + frame("output", "Why", " é") + frame("logs", "x") + frame("done", "{}") + b":408\n\n"
)


def test_a_stream_is_plain_text_in_lines() -> None:
    events = decode_stream(DIALECT, WHOLE)
    for pieces in cuts(WHOLE, random.Random(5), bytewise=True):
        assert decode_stream(DIALECT, *pieces) == events
    response = assemble(events)
    assert response.choices[0].parts == (TextPart(text="Why\n é"),)
    assert response.choices[0].finish.reason == "stop"


@pytest.mark.parametrize(
    "data, broken, message",
    [
        (b"", True, "before the answer was complete"),
        (frame("output", "Why"), True, "before the answer was complete"),
        (WHOLE[: WHOLE.index(b"event: done")], True, "before the answer was complete"),
        (WHOLE[: WHOLE.index(b"}\n\n:408")], True, "cut off"),
        (frame("error", '{"detail": "too long"}'), False, "too long"),
        (frame("output", "x") + frame("done", '{"reason": "canceled"}'), False, "canceled"),
    ],
)
def test_a_stream_that_did_not_end_well(data: bytes, broken: bool, message: str) -> None:
    end = decode_stream(DIALECT, data)[-1]
    assert isinstance(end, ev.StreamError)
    assert end.broken == broken
    assert message in end.message


def test_an_end_mark_without_its_blank_line_is_one() -> None:
    assert isinstance(decode_stream(DIALECT, WHOLE.removesuffix(b"\n:408\n\n"))[-1], ev.ResponseEnd)


# ------------------------------------------------------------------------------------------------------------- recordings
@pytest.mark.parametrize("entry", TEXTS, **BY_ID)
def test_a_recorded_prediction(entry: Entry) -> None:
    recorded = entry.load()
    answer, asked = recorded.response_json, recorded.request_json
    model = recorded.data["request"]["url"].partition("/models/")[2].removesuffix("/predictions")
    request = asking(said("user", asked["input"]["prompt"]), model=model, stream=asked.get("stream", False))
    assert DIALECT.encode_request(request) == (asked, (), "application/json")
    assert recorded.data["request"]["url"].endswith(DIALECT.path(model, stream=False))
    response = HttpResponse(status=201, body=recorded.response_bytes)
    assert DIALECT.poll(response) == Poll(answer["urls"]["get"], 0.5)
    assert (DIALECT.stream_at(response) or Poll("", 0)).url == answer["urls"].get("stream", "")
    text = "".join(part.text for part in DIALECT.decode_response(recorded.response_bytes).choices[0].parts)
    assert text == "".join(answer.get("output") or ())


@pytest.mark.parametrize("entry", ASKED, **BY_ID)
def test_a_recorded_question(entry: Entry) -> None:
    recorded = entry.load()
    waits = DIALECT.poll(HttpResponse(status=200, body=recorded.response_bytes)) is not None
    assert waits == (recorded.response_json["status"] == "processing")


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_recorded_stream_in_all_slicings(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decode_stream(DIALECT, data)
    for pieces in cuts(data, random.Random(entry.id), bytewise=True):
        assert decode_stream(DIALECT, *pieces) == events
    blocks = [block.split("\n") for block in data.decode().split("\n\n") if block.startswith("event: output")]
    expected = "".join("\n".join(line[6:] for line in lines if line.startswith("data: ")) for lines in blocks)
    assert assemble(events).choices[0].parts == (TextPart(text=expected),)
    assert isinstance(events[-1], ev.ResponseEnd)


@pytest.mark.parametrize("entry", FAILURES, **BY_ID)
def test_a_recorded_failure(entry: Entry) -> None:
    recorded = entry.load()
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert detail.message == recorded.response_json["detail"].strip()
    assert type(error_for(entry.status, detail)) is UnprocessableEntityError
