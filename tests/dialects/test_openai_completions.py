"""Text completions: requests that are wrong, what a chat has no room for, streams as they are written and as they break."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import errors
from dragoman.core import events as ev
from dragoman.core import json as codec
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Finish,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    Tool,
    ToolCallPart,
    Usage,
)
from dragoman.dialects import registry
from support.chat_streams import decode_stream

DIALECT = registry.get("openai_completions")


def message(role: Any, text: str) -> Message:
    return Message(role=role, parts=(TextPart(text=text),))


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    "body, problem",
    [
        (b"nothing", "the request body is no JSON"),
        (b"[]", "the request body: expected an object, found array"),
        ({"prompt": "x"}, "model: expected a string, found nothing"),
        ({"model": "m", "prompt": 5}, "prompt: expected a string, an array of strings"),
        ({"model": "m", "prompt": []}, "prompt: expected a string, an array of strings"),
        ({"model": "m", "prompt": ["a", 1]}, "prompt: expected a string, an array of strings"),
        ({"model": "m", "prompt": "x", "max_tokens": "5"}, "max_tokens: expected an integer, found string"),
        ({"model": "m", "prompt": "x", "logprobs": True}, "logprobs: expected an integer, found boolean"),
        ({"model": "m", "prompt": "x", "stop": ["a", 1]}, "stop[1]: expected a string, found integer"),
        ({"model": "m", "prompt": "x", "stream": "yes"}, "stream: expected a boolean, found string"),
    ],
)
def test_a_wrong_request_is_told_where_and_why(body: Any, problem: str) -> None:
    with pytest.raises(errors.BadRequestError) as raised:
        DIALECT.decode_request(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert raised.value.message.startswith(problem)


@pytest.mark.parametrize("prompt", ["x", "", ["x"], ["x", "y"], [1, 2], [[1], [2, 3]], None])
def test_every_kind_of_prompt_comes_back(prompt: Any) -> None:
    body = {"model": "m", "prompt": prompt} if prompt is not None else {"model": "m"}
    request = DIALECT.decode_request(json.dumps(body).encode())
    assert DIALECT.encode_request(request) == (body, (), "application/json")
    assert bool(request.messages) == (isinstance(prompt, str) or prompt == ["x"])


def test_a_conversation_is_written_out_as_one_prompt() -> None:
    request = ChatRequest(
        model="m",
        messages=(message("system", "Be brief."), message("user", "Hi"), message("assistant", "Ho"), message("user", "Bye")),
        tools=(Tool(name="t"),),
        extra={"anthropic_messages": {"odd": 1}},
    )
    body, warnings, _ = DIALECT.encode_request(request)
    assert body == {"model": "m", "prompt": "Be brief.\n\nUser: Hi\n\nAssistant: Ho\n\nUser: Bye\n\nAssistant:"}
    assert [(warning.field, warning.code) for warning in warnings] == [
        ("tools", "dropped"),
        ("odd", "dropped"),
        ("messages", "changed"),
    ]


# ---------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[5]}', b'{"choices":[{"text":5}]}']
)
def test_a_senseless_answer_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseDecodeError):
        DIALECT.decode_response(body)


def test_an_error_inside_a_200_is_raised() -> None:
    with pytest.raises(errors.RateLimitError, match="slow down"):
        DIALECT.decode_response(b'{"error":{"message":"slow down","code":429}}')


def test_a_chats_answer_for_a_client() -> None:
    parts = (ReasoningPart(text="hm"), TextPart(text="a"), RefusalPart(text="b"), ToolCallPart(id="c", name="f"))
    choice = Choice(parts=parts, finish=Finish(reason="tool_calls"))
    written = json.loads(DIALECT.encode_response(ChatResponse(id="r", model="m", choices=(choice,)), now=5))
    assert written["choices"] == [{"text": "ab", "index": 0, "logprobs": None, "finish_reason": "tool_calls"}]
    assert (written["object"], written["created"]) == ("text_completion", 5)
    assert [lost["field"] for lost in written["dragoman"]["warnings"]] == ["choices[0]", "choices[0]"]


# ---------------------------------------------------------------------------------------------------------------- streams
def chunks(*events: ev.Event, **asked: Any) -> list[Any]:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m", **asked), now=5)
    data = b"".join(encoder.encode(event) for event in events).decode()
    return [json.loads(line[6:]) if line != "data: [DONE]" else "[DONE]" for line in data.split("\n\n")[:-1]]


BEGIN = (ev.ResponseStart(id="r"), ev.PartStart(index=0, part=TextPart(text="")))
DONE = ev.ResponseEnd(finishes=(Finish(reason="stop", stop_sequence="#"),))


def test_a_stream_as_clients_expect_it() -> None:
    usage = ev.UsageReport(usage=Usage(input_tokens=1, output_tokens=2))
    tokens = (TokenLogprob(token="Hé", logprob=-0.5), TokenLogprob(token="y", logprob=-1.0))
    found = chunks(*BEGIN, ev.TextDelta(index=0, text="A "), ev.TextDelta(index=0, text="Héy", logprobs=tokens), usage, DONE)
    head = {"id": "r", "object": "text_completion", "created": 5, "model": ""}
    assert [chunk["choices"][0]["text"] for chunk in found[:-1]] == ["A ", "Héy", ""]
    assert found[0] == head | {"choices": [{"text": "A ", "index": 0, "logprobs": None, "finish_reason": None}]}
    assert found[1]["choices"][0]["logprobs"] == {
        "tokens": ["Hé", "y"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{}, {}],
        "text_offset": [2, 4],
    }
    assert found[2]["choices"][0] | {"text": ""} == {
        "text": "",
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop",
        "stop_reason": "#",
    }
    assert found[-1] == "[DONE]"
    assert chunks(*BEGIN, usage, DONE, include_usage=True)[-2]["usage"]["total_tokens"] == 3


def test_what_is_no_text_is_told_at_the_end() -> None:
    thinking = (ev.PartStart(index=1, part=ReasoningPart()), ev.ReasoningDelta(index=1, text="hm"), ev.PartEnd(index=1))
    found = chunks(*BEGIN, *thinking, ev.TextDelta(index=0, text="x"), DONE)
    assert [lost["field"] for lost in found[-2]["dragoman"]["warnings"]] == ["choices[0]"]


def test_a_broken_stream_has_no_end_mark() -> None:
    assert "[DONE]" not in chunks(*BEGIN, ev.TextDelta(index=0, text="x"), ev.StreamError(message="cut", broken=True))
    assert b"[DONE]" not in DIALECT.encode_stream_error(errors.BadGatewayError("cut"))


def test_a_delta_without_its_part_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no PartStart"):
        chunks(ev.ResponseStart(), ev.TextDelta(index=0, text="x"))


def chunk(**choice: Any) -> bytes:
    return b"data: " + json.dumps({"id": "r", "choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: [DONE]\n\n",
        b"data: {x\n\n",
        chunk(text="a"),
        chunk(text=5),
        chunk(text="a", index=-1),
        chunk(text="a", index="0"),
    ],
)
def test_a_stream_that_did_not_end_well_is_broken(data: bytes) -> None:
    events = decode_stream(DIALECT, data)
    assert isinstance(events[-1], ev.StreamError)
    assert events[-1].broken


def test_bare_pieces_of_text_are_whole_when_the_bytes_end() -> None:
    """As Writer streams them."""
    decoder = registry.get("openai_completions").stream_decoder()
    events = [*decoder.feed(b'data: {"value": "Good"}\n\ndata: {"value": " day"}\n\n'), *decoder.close()]
    assert "".join(event.text for event in events if isinstance(event, ev.TextDelta)) == "Good day"
    assert events[-1].finishes[0].reason == "unknown"


def test_an_error_inside_a_stream() -> None:
    events = decode_stream(DIALECT, chunk(text="a") + b'data: {"error":{"message":"no more","code":503}}\n\n')
    assert events[-1] == ev.StreamError(message="no more", status=503)


@pytest.mark.parametrize(
    "pieces, complete",
    [
        ([(0, None), (1, None)], False),
        ([(0, "stop"), (1, None)], False),
        ([(0, None), (1, "stop")], False),
        ([(0, "stop"), (1, "length")], True),
    ],
)
def test_the_tap_waits_for_all_choices(pieces: list[tuple[int, str | None]], complete: bool) -> None:
    tap = DIALECT.stream_tap()
    for index, reason in pieces:
        choice = {"index": index, "text": "a", "finish_reason": reason}
        tap.feed(b"data: " + json.dumps({"object": "text_completion", "choices": [choice]}).encode() + b"\n\n")
    assert (tap.started, tap.complete) == (True, complete)


def test_the_relay_edits_the_model_and_asks_for_usage() -> None:
    envelope = codec.decode_envelope(b'{"model":"public","prompt":[ 1,2 ],"stream":true}')
    edited = DIALECT.edit_request(envelope, model="m", want_usage=True)
    assert bytes(edited["prompt"]) == b"[ 1,2 ]"
    assert codec.read(edited, "stream_options") == {"include_usage": True}
    assert DIALECT.relay_filter(envelope) is not None
