"""Where this dialect has to decide something: what it asks for, what it refuses, what it makes of nonsense. Tables of cases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatRequest,
    Citation,
    MediaPart,
    Message,
    NativeTool,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.errors import (
    BadRequestError,
    ContentPolicyViolationError,
    DragomanError,
    RateLimitError,
    ResponseDecodeError,
    ServiceUnavailableError,
)
from dragoman.core.json import decode_envelope
from dragoman.core.json import encode as encode_json
from dragoman.dialects.gemini import DIALECT
from dragoman.dialects.gemini.partial_args import PartialArgs
from dragoman.dialects.gemini.schema import accepted, from_openapi

USER = Message(role="user", parts=(TextPart(text="Hi"),))


def encoded(*messages: Message, model: str = "gemini-2.5-flash", **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The body, and the warnings as (code, field)."""
    written = DIALECT.encode_request(ChatRequest(model=model, messages=messages or (USER,), **fields))
    return written.body, [(warning.code, warning.field) for warning in written.warnings]


# ---------------------------------------------------------------------------------------------------------------- thinking
THINKING = [
    ("gemini-2.5-flash", Reasoning(effort="low"), {"thinkingBudget": 1024, "includeThoughts": True}, ["emulated"]),
    ("gemini-2.5-flash", Reasoning(effort="high"), {"thinkingBudget": 24576, "includeThoughts": True}, ["emulated"]),
    ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}, []),
    ("gemini-2.5-flash", Reasoning(enabled=False), {"thinkingBudget": 0}, []),
    ("gemini-2.5-flash", Reasoning(enabled=True), {"includeThoughts": True}, []),
    ("gemini-2.5-flash", Reasoning(budget_tokens=99), {"thinkingBudget": 99, "includeThoughts": True}, []),
    (
        "gemini-2.5-flash",
        Reasoning(budget_tokens=99, effort="low"),
        {"thinkingBudget": 99, "includeThoughts": True},
        ["dropped"],
    ),
    ("gemini-3-flash", Reasoning(effort="medium"), {"thinkingLevel": "medium", "includeThoughts": True}, []),
    ("gemini-3.1-pro", Reasoning(effort="max"), {"thinkingLevel": "high", "includeThoughts": True}, ["changed"]),
    ("gemini-3-pro", Reasoning(effort="minimal"), {"thinkingLevel": "low", "includeThoughts": True}, ["changed"]),
    ("gemini-3-pro", Reasoning(effort="none"), {"thinkingLevel": "low"}, ["changed"]),
    ("gemini-3-flash", Reasoning(enabled=False), {"thinkingLevel": "minimal"}, ["changed"]),
    ("gemini-3-flash", Reasoning(effort="enormous"), None, ["dropped"]),
]


@pytest.mark.parametrize("model, reasoning, config, codes", THINKING)
def test_how_much_to_think(model: str, reasoning: Reasoning, config: dict[str, Any] | None, codes: list[str]):
    body, warnings = encoded(model=model, reasoning=reasoning)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert [code for code, _ in warnings] == codes


# ---------------------------------------------------------------------------------------------------------------- requests
def content(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


CALL = ToolCallPart(id="call_1", name="f", arguments='{"a":1}')
CONTENTS: list[tuple[str, tuple[Message, ...], list[dict[str, Any]], list[tuple[str, str]]]] = [
    (
        "results of parallel calls stand in one turn, under the names of their functions",
        (
            USER,
            Message(role="assistant", parts=(CALL, ToolCallPart(id="gemini_r_2", name="g", arguments=""))),
            Message(role="tool", parts=(ToolResultPart(tool_call_id="call_1", parts=(TextPart(text="1"),)),)),
            Message(role="tool", parts=(ToolResultPart(tool_call_id="gemini_r_2", parts=(TextPart(text='{"b": 2}'),)),)),
        ),
        [
            content("user", {"text": "Hi"}),
            content(
                "model",
                {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
            ),
            content(
                "user",
                {"functionResponse": {"id": "call_1", "name": "f", "response": {"output": "1"}}},
                {"functionResponse": {"name": "g", "response": {"b": 2}}},
            ),
        ],
        [],
    ),
    (
        "a result without its call has only the id",
        (Message(role="tool", parts=(ToolResultPart(tool_call_id="call_9", parts=(TextPart(text="1"),), is_error=True),)),),
        [content("user", {"functionResponse": {"id": "call_9", "name": "call_9", "response": {"error": "1"}}})],
        [("changed", "messages[0].content[0].tool_call_id")],
    ),
    (
        "arguments that are no object",
        (Message(role="assistant", parts=(ToolCallPart(id="c", name="f", arguments="[1"),)),),
        [content("model", {"functionCall": {"id": "c", "name": "f", "args": {"_raw": "[1"}}})],
        [("changed", "messages[0].content[0].arguments")],
    ),
    (
        "thoughts of others go without their signatures, sealed ones not at all",
        (
            Message(
                role="assistant",
                parts=(ReasoningPart(text="Hm", signature="s"), ReasoningPart(redacted="r"), TextPart(text="a")),
            ),
        ),
        [content("model", {"text": "Hm", "thought": True}, {"text": "a"})],
        [("dropped", "messages[0].content[0]"), ("dropped", "messages[0].content[1]")],
    ),
    (
        "a signed text keeps its signature",
        (Message(role="assistant", parts=(TextPart(text="a", signature="s"),)),),
        [content("model", {"text": "a", "thoughtSignature": "s"})],
        [],
    ),
    (
        "what only others know, and citations",
        (
            Message(
                role="assistant",
                parts=(
                    TextPart(text="a", citations=(Citation(url="https://a.example"),)),
                    OpaquePart(dialect="anthropic_messages", value={"type": "server_tool_use"}),
                    OpaquePart(dialect="gemini", value={"executableCode": {"code": "1"}}),
                ),
            ),
        ),
        [content("model", {"text": "a"}, {"executableCode": {"code": "1"}})],
        [("dropped", "messages[0].content[0].citations"), ("dropped", "messages[0].content[1]")],
    ),
    (
        "media: a type is found or assumed, a name and a resolution have no place",
        (
            Message(
                role="user",
                parts=(
                    MediaPart(kind="image", data="AAAA", detail="low"),
                    MediaPart(kind="document", url="https://a.example/b.pdf?c=d", filename="b.pdf"),
                    MediaPart(kind="document", text="né", media_type="text/plain"),
                    MediaPart(kind="video", url="https://www.youtube.com/watch?v=1"),
                    MediaPart(kind="document", file_id="files/1"),
                    MediaPart(kind="audio"),
                ),
            ),
        ),
        [
            content(
                "user",
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.example/b.pdf?c=d"}},
                {"inlineData": {"mimeType": "text/plain", "data": "bsOp"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
                {"fileData": {"fileUri": "files/1"}},
            )
        ],
        [
            ("dropped", "messages[0].content[0].detail"),
            ("changed", "messages[0].content[0].media_type"),
            ("dropped", "messages[0].content[1].filename"),
            ("dropped", "messages[0].content[5]"),
        ],
    ),
    (
        "instructions alone are said by the user",
        (Message(role="system", parts=(TextPart(text="Be brief."),)),),
        [content("user", {"text": "Be brief."})],
        [("changed", "messages")],
    ),
]


@pytest.mark.parametrize("messages, contents, warnings", [case[1:] for case in CONTENTS], ids=[case[0] for case in CONTENTS])
def test_a_conversation(messages: tuple[Message, ...], contents: list[dict[str, Any]], warnings: list[tuple[str, str]]):
    body, said = encoded(*messages)
    assert body["contents"] == contents
    assert said == warnings


def test_instructions_stand_apart():
    body, warnings = encoded(
        Message(role="system", parts=(TextPart(text="a"),)), USER, Message(role="developer", parts=(TextPart(text="b"),))
    )
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert warnings == [("changed", "messages[2].role")]


@pytest.mark.parametrize("model, signature", [("gemini-3-pro", "skip_thought_signature_validator"), ("gemini-2.5-pro", None)])
def test_calls_that_another_model_made_pass_the_check_of_gemini_3(model: str, signature: str | None):
    second = ToolCallPart(id="call_2", name="f")
    body, warnings = encoded(USER, Message(role="assistant", parts=(CALL, second)), model=model)
    first, other = body["contents"][1]["parts"]
    assert first.get("thoughtSignature") == signature
    assert "thoughtSignature" not in other
    assert warnings == ([("emulated", "messages")] if signature else [])


def test_signed_calls_and_those_of_its_own_clients_are_left_alone():
    signed = ToolCallPart(id="call_1", name="f", signature="s")
    body, warnings = encoded(USER, Message(role="assistant", parts=(signed,)), model="gemini-3-pro")
    assert (body["contents"][1]["parts"][0]["thoughtSignature"], warnings) == ("s", [])
    own = {"model": "gemini-3-pro", "contents": [content("model", {"functionCall": {"name": "f", "args": {}}})]}
    assert DIALECT.encode_request(DIALECT.decode_request(json.dumps(own).encode())).body == {"contents": own["contents"]}


FIELDS: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({"user": "u"}, {}, [("dropped", "user")]),
    ({"logit_bias": {"1": 2.0}, "metadata": {}}, {}, [("dropped", "logit_bias")]),
    ({"parallel_tool_calls": False}, {}, [("dropped", "parallel_tool_calls")]),
    ({"service_tier": "flex"}, {"serviceTier": "flex"}, []),
    ({"service_tier": "default"}, {"serviceTier": "standard"}, []),
    ({"service_tier": "scale"}, {}, [("dropped", "service_tier")]),
    (
        {"response_format": ResponseFormat(kind="json_object")},
        {"generationConfig": {"responseMimeType": "application/json"}},
        [],
    ),
    (
        {"response_format": ResponseFormat(kind="json_schema", schema={"type": "object"}, name="n", strict=False)},
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}},
        [("changed", "response_format.json_schema.strict")],
    ),
    (
        {
            "extra": {
                "openai_chat": {"safety_settings": [1], "cachedContent": "c", "modalities": ["text", "image"], "store": True}
            }
        },
        {"safetySettings": [1], "cachedContent": "c", "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        [("dropped", "store")],
    ),
    ({"extra": {"openai_chat": {"web_search_options": {}}}}, {"tools": [{"googleSearch": {}}]}, []),
    (
        {"extra": {"openai_chat": {"web_search_options": {"search_context_size": "low"}}}},
        {"tools": [{"googleSearch": {}}]},
        [("dropped", "web_search_options")],
    ),
    ({"tools": (NativeTool(dialect="anthropic_messages", value={}),)}, {}, [("dropped", "tools[0]")]),
    (
        {"tools": (Tool(name="f", parameters={"type": "object", "properties": {}}, strict=True),)},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        [("changed", "tools[0].strict")],
    ),
    (
        {
            "tools": (
                NativeTool(dialect="gemini", value={"googleSearch": {}}),
                Tool(name="f", parameters={"properties": {"a": {}}}),
            )
        },
        {
            "tools": [
                {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object", "properties": {"a": {}}}}]},
                {"googleSearch": {}},
            ]
        },
        [("changed", "tools[1].parameters.type")],
    ),
]


@pytest.mark.parametrize("fields, body, warnings", FIELDS, ids=[", ".join(case[0]) for case in FIELDS])
def test_a_field(fields: dict[str, Any], body: dict[str, Any], warnings: list[tuple[str, str]]):
    written, said = encoded(**fields)
    assert written == {"contents": [content("user", {"text": "Hi"})]} | body
    assert said == warnings


BAD_REQUESTS = [
    (b"{", "the body is not JSON"),
    (b"[]", "the body: expected an object, found array"),
    (b'{"contents": 1}', "contents: expected an array, found integer"),
    (b'{"contents": [{"role": "owner"}]}', 'contents[0].role: expected user or model, found "owner"'),
    (b'{"contents": [{"parts": [{"text": 1}]}]}', "contents[0].parts[0].text: expected a string, found integer"),
    (b'{"contents": [{"parts": [{"functionCall": {}}]}]}', "contents[0].parts[0].functionCall.name: expected a string"),
    (b'{"generation_config": {"top_k": 1.5}}', "generationConfig.topK: expected an integer, found 1.5"),
    (b'{"generationConfig": {"stopSequences": [1]}}', "generationConfig.stopSequences[0]: expected a string"),
    (b'{"generationConfig": {"temperature": true}}', "generationConfig.temperature: expected a number, found boolean"),
]


@pytest.mark.parametrize("body, message", BAD_REQUESTS)
def test_a_bad_request_is_told_where_it_is_bad(body: bytes, message: str):
    with pytest.raises(BadRequestError) as caught:
        DIALECT.decode_request(body)
    assert message in caught.value.message


def test_the_model_and_the_stream_flag_stand_in_the_path():
    request = DIALECT.decode_request(b'{"contents": []}')
    assert (request.model, request.stream) == ("", False)
    assert DIALECT.decode_request(b'{"model": "models/m", "stream": true, "contents": []}').model == "m"
    assert DIALECT.path("gemini-m", stream=True) == "/models/gemini-m:streamGenerateContent?alt=sse"
    assert DIALECT.path("tunedModels/my one", stream=False) == "/tunedModels/my%20one:generateContent"
    envelope = decode_envelope(b'{"model": "a", "stream": true, "contents": [1 ,2]}')
    assert encode_json(DIALECT.edit_request(envelope, model="b", want_usage=True)) == b'{"contents":[1 ,2]}'
    assert DIALECT.relay_filter(envelope) is None


# ----------------------------------------------------------------------------------------------------------------- schemas
ACCEPTED = [
    ({"$schema": "s", "type": "object"}, {"type": "object"}, []),
    ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}, []),
    ({"allOf": [{"type": "string"}], "title": "t"}, {"type": "string", "title": "t"}, []),
    ({"items": {"$ref": "#/$defs/a", "description": "d"}}, {"items": {"$ref": "#/$defs/a"}}, ["description"]),
    ({"enum": [{"const": 1}], "default": {"$ref": 1, "x": 2}}, {"enum": [{"const": 1}], "default": {"$ref": 1, "x": 2}}, []),
    (
        {"additionalProperties": False, "anyOf": [{"const": 1}, True]},
        {"additionalProperties": False, "anyOf": [{"enum": [1]}, True]},
        [],
    ),
]


@pytest.mark.parametrize("schema, written, lost", ACCEPTED)
def test_what_is_refused_of_a_schema_is_said_otherwise(schema: dict[str, Any], written: dict[str, Any], lost: list[str]):
    told: list[str] = []
    assert accepted(schema, told.append) == written
    assert told == lost


OPENAPI = [
    ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
    ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
    ({"any_of": [{"type": 3}], "nullable": True}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (
        {"type": "ARRAY", "minItems": "2", "items": {"type": "NUMBER"}},
        {"type": "array", "minItems": 2, "items": {"type": "number"}},
    ),
    (
        {"properties": {"max_items": {"type": "OBJECT"}}, "example": 1},
        {"properties": {"max_items": {"type": "object"}}, "examples": [1]},
    ),
]


@pytest.mark.parametrize("openapi, schema", OPENAPI)
def test_the_vendors_own_schema_is_read_as_json_schema(openapi: dict[str, Any], schema: dict[str, Any]):
    assert from_openapi(openapi) == schema


# ----------------------------------------------------------------------------------------------------------------- answers
BAD_ANSWERS = [
    b"",
    b"[]",
    b"{}",
    b"1",
    b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}',
    b'{"candidates": 1}',
    b"\xff",
]


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_an_answer_that_makes_no_sense(body: bytes):
    with pytest.raises(ResponseDecodeError, match="the provider's answer is no Gemini answer"):
        DIALECT.decode_response(body)


IN_A_200 = [
    ({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, ServiceUnavailableError, "busy"),
    ({"error": {"message": "slow", "status": "RESOURCE_EXHAUSTED"}}, RateLimitError, "slow"),
    ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, ContentPolicyViolationError, "PROHIBITED_CONTENT"),
]


@pytest.mark.parametrize("body, error, said", IN_A_200)
def test_a_failure_inside_a_200(body: dict[str, Any], error: type[Exception], said: str):
    data = json.dumps(body).encode()
    with pytest.raises(error, match=said):
        DIALECT.decode_response(data)
    for stream in (b"data: " + data + b"\n\n", b"[" + data + b"]"):
        decoder = DIALECT.stream_decoder()
        last = [*decoder.feed(stream), *decoder.close()][-1]
        assert isinstance(last, ev.StreamError)
        assert said in last.message
        assert not last.broken


HALF = b'data: {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}\n\n'


@pytest.mark.parametrize(
    "data", [b"", b"data: nonsense\n\n", HALF, HALF + b"data: {\n\n", HALF + b'data: {"candidates": 1}\n\n', b"[{", b"<html>"]
)
def test_a_stream_that_makes_no_sense_is_broken(data: bytes):
    decoder = DIALECT.stream_decoder()
    events = [*decoder.feed(data), *decoder.close()]
    assert isinstance(events[-1], ev.StreamError)
    assert events[-1].broken
    assert sum(isinstance(event, ev.StreamError) for event in events) == 1
    assert decoder.feed(HALF) == []


@given(data=st.binary(max_size=60), place=st.integers(0, 60))
def test_garbage_never_raises(data: bytes, place: int):
    for begin in (b"", b"[", b"data: ", HALF):
        decoder, tap = DIALECT.stream_decoder(), DIALECT.stream_tap()
        events = [*decoder.feed(begin + data[:place]), *decoder.feed(data[place:] + b"\n\n"), *decoder.close()]
        assert isinstance(events[-1], ev.StreamError)
        tap.feed(begin + data)
        tap.feed(b"\n\n")
        assert not tap.complete
        DIALECT.decode_error(500, data)


@pytest.mark.parametrize(
    "data, status, message",
    [
        (b'data: {"error": {"code": 429, "message": "slow"}}\n\n', 429, "slow"),
        (b"data: oops\n\n", 502, "an event that is not JSON: oops"),
        (HALF + b'data: {"error": {"status": "INTERNAL", "message": "broken"}}\n\n', 500, "broken"),
    ],
)
def test_the_tap_sees_a_failure(data: bytes, status: int, message: str):
    tap = DIALECT.stream_tap()
    tap.feed(data)
    assert (tap.started, tap.complete, tap.error_status) == (True, False, status)
    assert message in tap.error.message


def test_a_blocked_prompt_is_relayed_as_it_came():
    tap = DIALECT.stream_tap()
    tap.feed(b'data: {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}\r\n\r\n')
    assert (tap.started, tap.complete, tap.error) == (True, True, None)
    assert tap.usage.input_tokens == 4


def test_an_error_is_written_as_the_vendor_does():
    error = json.loads(DIALECT.encode_error(RateLimitError("slow down", retry_after=1.5)))["error"]
    assert error["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]
    assert DIALECT.decode_error(429, json.dumps({"error": error}).encode()).retry_after == 1.5
    assert DIALECT.encode_stream_error(DragomanError("broken")).startswith(b'data: {"error":{"code":500,')
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=0)
    failed = encoder.encode(ev.StreamError(message="no", status=403, error_type="PERMISSION_DENIED"))
    assert json.loads(failed[5:]) == {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}


BAD_PATHS = ["$", "name", "$[0].a", "$.a b[", "$.list.x", "$.text[0]", "$.a[999999]"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leads_nowhere(path: str):
    pieces = PartialArgs()
    pieces.take({"jsonPath": "$.list[0]", "numberValue": 1})
    pieces.take({"jsonPath": "$.text", "stringValue": "a"})
    with pytest.raises(ValueError, match=r"functionCall\.partialArgs"):
        pieces.take({"jsonPath": path, "stringValue": "b"})
    assert pieces.value == {"list": [1], "text": "a"}
