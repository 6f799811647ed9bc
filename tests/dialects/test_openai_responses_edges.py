"""What is refused, what is lost and said so, what makes no sense: the edges of the Responses dialect, as tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json as codec
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Citation,
    Finish,
    MediaPart,
    Message,
    NativeTool,
    OpaquePart,
    Part,
    Reasoning,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
    Usage,
)
from dragoman.core.errors import (
    APIStatusError,
    BadRequestError,
    InternalServerError,
    RateLimitError,
    ResponseDecodeError,
)
from dragoman.dialects.openai_responses import DIALECT


def decoded(body: Any) -> ChatRequest:
    return DIALECT.decode_request(json.dumps(body).encode())


def sent(*messages: Message, **fields: Any) -> Any:
    return DIALECT.encode_request(ChatRequest(model="m", messages=messages, **fields))


# ------------------------------------------------------------------------------------------------- requests that are refused
REFUSED = [
    ([], "the request body: expected an object, found array"),
    ({"input": "hi"}, "model: expected a string, found nothing"),
    ({"model": 1, "input": "hi"}, "model: expected a string, found integer"),
    ({"model": "m", "input": 1}, "input: expected a string or an array, found integer"),
    ({"model": "m", "input": ["hi"]}, "input[0]: expected an object, found string"),
    ({"model": "m", "input": [{"content": "hi"}]}, "input[0].type: expected the kind of the item, or a role"),
    ({"model": "m", "input": [{"role": "tool", "content": "hi"}]}, "input[0].role: expected one of system, developer, user"),
    (
        {"model": "m", "input": [{"role": "user", "content": 1}]},
        "input[0].content: expected a string or an array, found integer",
    ),
    (
        {"model": "m", "input": [{"role": "user", "content": [{}]}]},
        "input[0].content[0].type: expected a string, found nothing",
    ),
    (
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "input[0].content[0].text: expected a string, found nothing",
    ),
    ({"model": "m", "input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id: expected a string, found nothing"),
    ({"model": "m", "input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id: expected a string"),
    ({"model": "m", "input": [{"type": "reasoning", "summary": [1]}]}, "input[0].summary[0].text: expected a string"),
    ({"model": "m", "input": "hi", "instructions": []}, "instructions: expected a string, found array"),
    ({"model": "m", "input": "hi", "tools": [{"name": "f"}]}, "tools[0].type: expected a string, found nothing"),
    ({"model": "m", "input": "hi", "tools": [{"type": "function"}]}, "tools[0].name: expected a string, found nothing"),
    ({"model": "m", "input": "hi", "tool_choice": "any"}, "tool_choice: expected one of auto, none, required or an object"),
    ({"model": "m", "input": "hi", "tool_choice": {"type": "function"}}, "tool_choice.name: expected a string"),
    ({"model": "m", "input": "hi", "include": [1]}, "include[0]: expected a string, found integer"),
    ({"model": "m", "input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type: expected one of text, json_object"),
    ({"model": "m", "input": "hi", "reasoning": "low"}, "reasoning: expected an object, found string"),
    ({"model": "m", "input": "hi", "max_output_tokens": "5"}, "max_output_tokens: expected an integer, found string"),
    ({"model": "m", "input": "hi", "temperature": "hot"}, "temperature: expected a number, found string"),
    ({"model": "m", "input": "hi", "stream": 1}, "stream: expected a boolean, found integer"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_wrong_request_is_refused_with_path_finding_and_expectation(body: Any, message: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        decoded(body)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="the request body is no JSON"):
        DIALECT.decode_request(body)


# ------------------------------------------------------------------------------------------------- what requests cannot say
USER, ASSISTANT = "user", "assistant"
CHECK = {"type": "ephemeral"}
LOST: list[tuple[str, Any, Part, list[tuple[str, str]], list[Any]]] = [
    ("video", USER, MediaPart(kind="video", url="https://e.com/v"), [("", "dropped")], []),
    ("sound by its url", USER, MediaPart(kind="audio", url="https://e.com/a"), [("", "dropped")], []),
    ("a text document", USER, MediaPart(kind="document", text="T"), [("", "changed")], ["T"]),
    ("a file without a name", USER, MediaPart(kind="document", data="QQ=="), [(".filename", "changed")], ["document.pdf"]),
    ("a mark for a cache", USER, TextPart(text="T", cache_control=CHECK), [(".cache_control", "dropped")], ["T"]),
    ("citations of a user", USER, TextPart(text="T", citations=(Citation(url="u"),)), [(".citations", "dropped")], ["T"]),
    ("another dialect's field", USER, TextPart(text="T", extra={"other": {"x": 1}}), [(".x", "dropped")], ["T"]),
    ("another dialect's block", ASSISTANT, OpaquePart(dialect="other", value={"type": "b"}), [("", "dropped")], []),
    ("a picture of another model", ASSISTANT, MediaPart(kind="image", data="QQ=="), [("", "dropped")], []),
    ("spoken words", ASSISTANT, MediaPart(kind="audio", data="QQ==", transcript="T"), [("", "changed")], ["T"]),
    ("sound", ASSISTANT, MediaPart(kind="audio", data="QQ=="), [("", "dropped")], []),
    ("a result in an assistant's message", ASSISTANT, ToolResultPart(tool_call_id="c"), [("", "dropped")], []),
    ("a result in a user's own words", USER, RefusalPart(text="T"), [("", "changed")], ["T"]),
    (
        "a resolution of a document",
        USER,
        MediaPart(kind="document", file_id="f", detail="low"),
        [(".detail", "dropped")],
        ["f"],
    ),
    ("another dialect's block of a user", USER, OpaquePart(dialect="other", value={}), [("", "dropped")], []),
    ("a failed result", USER, ToolResultPart(tool_call_id="c", is_error=True), [(".is_error", "dropped")], ["c"]),
    ("a signature of a call", ASSISTANT, ToolCallPart(id="c", name="f", signature="s"), [(".signature", "dropped")], ["c"]),
]


@pytest.mark.parametrize(("role", "part", "warned", "shown"), [row[1:] for row in LOST], ids=[row[0] for row in LOST])
def test_what_cannot_be_said_is_warned_of(role: Any, part: Part, warned: list[tuple[str, str]], shown: list[str]) -> None:
    encoded = sent(Message(role=role, parts=(part,)))
    expected = [("messages[0].content[0]" + end, code) for end, code in warned]
    assert [(warning.field, warning.code) for warning in encoded.warnings] == expected
    written = json.dumps(encoded.body["input"])
    assert bool(encoded.body["input"]) == bool(shown)
    assert all(text in written for text in shown)


REASONINGS = [
    (Reasoning(effort="low"), {"effort": "low"}, []),
    (Reasoning(enabled=False), {"effort": "none"}, ["emulated"]),
    (Reasoning(budget_tokens=1024), {"effort": "low"}, ["emulated"]),
    (Reasoning(budget_tokens=8000), {"effort": "medium"}, ["emulated"]),
    (Reasoning(budget_tokens=20_000), {"effort": "high"}, ["emulated"]),
    (Reasoning(effort="high", budget_tokens=1024), {"effort": "high"}, ["dropped"]),
    (Reasoning(enabled=True), None, []),
]


@pytest.mark.parametrize(("asked", "expected", "codes"), REASONINGS)
def test_how_much_to_think_is_an_effort(asked: Reasoning, expected: Any, codes: list[str]) -> None:
    encoded = sent(reasoning=asked)
    assert encoded.body.get("reasoning") == expected
    assert [warning.code for warning in encoded.warnings] == codes


def test_tools_of_others_are_left_out_and_choices_are_said() -> None:
    tools = (NativeTool(dialect="anthropic_messages", value={"type": "web_search_20250305"}), Tool(name="f", strict=True))
    encoded = sent(tools=tools, tool_choice=ToolChoice(mode="named", name="f"))
    assert [warning.field for warning in encoded.warnings] == ["tools[0]"]
    assert encoded.body["tools"] == [{"type": "function", "name": "f", "parameters": None, "strict": True}]
    assert encoded.body["tool_choice"] == {"type": "function", "name": "f"}


def test_what_needs_a_store_is_kept_and_is_a_loss_elsewhere() -> None:
    request = decoded({"model": "m", "input": "hi", "previous_response_id": "resp_0", "store": True})
    assert request.extra["openai_responses"] == {"previous_response_id": "resp_0", "store": True, "_input": "string"}
    assert decoded({"model": "m", "input": "hi", "store": False}).extra["openai_responses"]["_store"] is False


def test_a_request_without_input_is_one() -> None:
    body = {"model": "m", "prompt": {"id": "pmpt_1"}}
    assert DIALECT.encode_request(decoded(body)).body == body


# ------------------------------------------------------------------------------------------------------------------ answers
def failed(**error: str) -> bytes:
    return json.dumps({"id": "r", "status": "failed", "output": [], "error": error}).encode()


@pytest.mark.parametrize(
    ("code", "expected", "status"),
    [
        ("rate_limit_exceeded", RateLimitError, 429),
        ("server_error", InternalServerError, 500),
        ("invalid_prompt", BadRequestError, 400),
        ("image_too_large", BadRequestError, 400),
        ("of_tomorrow", APIStatusError, 502),
    ],
)
def test_a_failure_inside_a_200_is_raised(code: str, expected: type[APIStatusError], status: int) -> None:
    with pytest.raises(expected, match="no luck") as raised:
        DIALECT.decode_response(failed(code=code, message="no luck"))
    assert (raised.value.status_code, raised.value.code) == (status, code)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"output": 1}', b'{"output": [1]}', b'{"output": [{"type": 1}]}']
)
def test_a_senseless_answer_is_an_error_that_shows_it(body: bytes) -> None:
    with pytest.raises(ResponseDecodeError, match="the provider's answer is no response object") as raised:
        DIALECT.decode_response(body)
    assert raised.value.body == body.decode()


FINISHES = [
    (Finish(reason="stop"), "completed", None),
    (Finish(reason="tool_calls"), "completed", None),
    (Finish(reason="unknown"), "completed", None),
    (Finish(reason="unknown", native="eos_of_tomorrow"), "completed", None),
    (Finish(reason="length"), "incomplete", "max_output_tokens"),
    (Finish(reason="length", native="max_tokens"), "incomplete", "max_tokens"),
    (Finish(reason="content_filter", native="SAFETY"), "incomplete", "content_filter"),
    (Finish(reason="refusal"), "incomplete", "refusal"),
    (Finish(reason="pause", native="pause_turn"), "incomplete", "pause"),
    (Finish(reason="error"), "failed", None),
    (Finish(reason="unknown", native="in_progress"), "in_progress", None),
    (Finish(reason="unknown", native="incomplete: steered"), "incomplete", "steered"),
]


@pytest.mark.parametrize(("finish", "status", "reason"), FINISHES)
def test_how_an_answer_ended(finish: Finish, status: str, reason: str | None) -> None:
    response = ChatResponse(id="r", model="m", choices=(Choice(parts=(TextPart(text="Hi"),), finish=finish),))
    body = json.loads(DIALECT.encode_response(response, now=1))
    assert (body["status"], (body["incomplete_details"] or {}).get("reason")) == (status, reason)
    assert (body["error"] is not None) == (status == "failed")


def test_an_end_that_nobody_knows_is_given_back_as_it_came() -> None:
    body = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "steered"}, "output": []}
    response = DIALECT.decode_response(json.dumps(body).encode())
    assert response.choices[0].finish == Finish(reason="unknown", native="incomplete: steered")
    assert json.loads(DIALECT.encode_response(response, now=1)).items() >= body.items()


def test_a_second_choice_is_told_as_a_loss() -> None:
    choices = tuple(Choice(index=index, parts=(TextPart(text="Hi"),)) for index in (0, 1))
    body = json.loads(DIALECT.encode_response(ChatResponse(id="r", model="m", choices=choices), now=1))
    assert [warning["field"] for warning in body["dragoman"]["warnings"]] == ["choices[1]"]
    assert (body["status"], len(body["output"])) == ("completed", 1)


SOUND = MediaPart(kind="audio", id="a1", data="QUJD", transcript="Hi", media_type="audio/wav")


def test_generated_sound_reaches_a_client() -> None:
    response = ChatResponse(id="r", model="m", choices=(Choice(parts=(SOUND,), finish=Finish(reason="stop")),))
    (part,) = DIALECT.decode_response(DIALECT.encode_response(response, now=1)).choices[0].parts
    assert replace(part, extra={}) == SOUND
    encoder, decoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1), DIALECT.stream_decoder()
    pieces: list[ev.Event] = [
        ev.ResponseStart(id="r"),
        ev.PartStart(index=0, part=replace(SOUND, data=None, transcript=None)),
        ev.MediaDelta(index=0, data="QU", transcript="H"),
        ev.MediaDelta(index=0, data="JD", transcript="i"),
        ev.PartEnd(index=0),
        ev.ResponseEnd(finishes=(Finish(reason="stop"),)),
    ]
    read = [event for piece in pieces for event in decoder.feed(encoder.encode(piece))]
    (part,) = assemble(read).choices[0].parts
    assert replace(part, extra={}) == SOUND


def test_warnings_that_make_no_sense_are_nobodys() -> None:
    body = {"id": "r", "status": "completed", "output": [], "dragoman": {"warnings": 1}}
    assert DIALECT.decode_response(json.dumps(body).encode()).warnings == ()


def test_warnings_of_a_gateway_of_our_kind_are_heard() -> None:
    said = {"warnings": [{"field": "stop", "message": "left out", "code": "dropped"}]}
    body = {"id": "r", "status": "completed", "output": [], "dragoman": said}
    assert [warning.field for warning in DIALECT.decode_response(json.dumps(body).encode()).warnings] == ["stop"]


# ------------------------------------------------------------------------------------------------------------------ streams
def events_of(*datas: bytes) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    return [event for data in datas for event in decoder.feed(b"data: " + data + b"\n\n")] + decoder.close()


SENSELESS = [
    b"no json",
    b"[]",
    b'{"type": 1}',
    b'{"type": "response.completed"}',
    b'{"type": "response.output_item.added", "output_index": 0}',
    b'{"type": "response.output_text.delta", "output_index": 3, "delta": 1}',
    b'{"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "x"}',
    b'{"type": "response.output_item.done", "item": {"type": "function_call"}}',
]


@pytest.mark.parametrize("data", SENSELESS)
def test_a_senseless_event_breaks_the_stream_and_never_raises(data: bytes) -> None:
    *_, last = events_of(b'{"type": "response.created", "response": {"id": "r"}}', data)
    assert isinstance(last, ev.StreamError)
    assert last.broken


@given(st.binary(max_size=60))
def test_garbage_is_never_a_clean_end(data: bytes) -> None:
    assert not any(isinstance(event, ev.ResponseEnd) for event in events_of(data))


def test_usage_of_a_response_that_failed_is_known() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    error = {"code": "server_error", "message": "no luck"}
    data = json.dumps({"type": "response.failed", "response": {"status": "failed", "error": error, "usage": usage}}).encode()
    report, failure = events_of(data)
    assert report == ev.UsageReport(usage=Usage(input_tokens=3, output_tokens=1))
    assert failure == ev.StreamError(message="no luck", status=500, code="server_error")


# -------------------------------------------------------------------------------------------------------------------- relay
def test_only_the_model_is_edited() -> None:
    body = b'{"model":"public/name","input":"hi","stream":true,"of_tomorrow":[1, 2]}'
    edited = DIALECT.edit_request(codec.decode_envelope(body), model="m", want_usage=True)
    assert codec.encode(edited) == body.replace(b"public/name", b"m")
    assert DIALECT.relay_filter(codec.decode_envelope(body)) is None


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"usage": null}', b'{"usage": 1}'])
def test_no_usage_is_none(body: bytes) -> None:
    assert DIALECT.read_usage(body) is None


def test_the_tap_sees_what_is_no_event() -> None:
    tap = DIALECT.stream_tap()
    tap.feed(b'data: {"type":"response.created","response":{"usage":null,"error":null}}\n\ndata: <html>\n\n')
    assert (tap.started, tap.complete, tap.error_status) == (True, False, 502)
    assert "<html>" in tap.error.message


def test_the_tap_does_not_start_on_signs_of_life_nor_mind_what_follows_the_end() -> None:
    tap = DIALECT.stream_tap()
    tap.feed(b': hello\n\ndata: {"type":"keepalive"}\n\n')
    assert not tap.started
    tap.feed(
        b'data: {"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2}}}\n\ndata: [DONE]\n\n'
    )
    assert (tap.complete, tap.error, tap.usage) == (True, None, Usage(input_tokens=1, output_tokens=2))
