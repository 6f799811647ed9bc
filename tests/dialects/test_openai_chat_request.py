"""Chat requests: what a program may send, what it is told when it is wrong, what a provider is sent."""

from __future__ import annotations

import json

import pytest

from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    NativeTool,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.core.errors import BadRequestError
from dragoman.dialects.openai_chat import DIALECT

HELLO = {"role": "user", "content": "hello"}


def decode(**fields):
    return DIALECT.decode_request(json.dumps({"model": "m", "messages": [HELLO]} | fields).encode())


def encode(*messages: Message, **fields):
    return DIALECT.encode_request(ChatRequest(model="m", messages=messages, **fields))


def written(*parts, role="user", **fields):
    return encode(Message(role=role, parts=parts, **fields)).body["messages"]


# ------------------------------------------------------------------------------------------------------------ bad input
WRONG = [
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": 7}]}]},
        "messages[0].content[1].type: expected a string, found integer",
    ),
    (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content: expected a string or an array of content parts, found integer",
    ),
    (
        {"messages": [{"role": "wizard", "content": "x"}]},
        "messages[0].role: expected one of system, developer, user, assistant, tool, function, found 'wizard'",
    ),
    ({"messages": [{"content": "x"}]}, "messages[0].role: expected a string, found nothing"),
    ({"messages": ["x"]}, "messages[0]: expected an object, found string"),
    ({"messages": {}}, "messages: expected an array, found object"),
    ({"messages": None}, "messages: expected an array of messages, found nothing"),
    ({"model": None}, "model: expected a string, found nothing"),
    ({"model": 4}, "model: expected a string, found integer"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].image_url.url: expected a string, found nothing",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text: expected a string, found nothing",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
        "messages[0].content[0].file: expected file_data or file_id, found neither",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "k", "function": {"arguments": "{}"}}]}]},
        "messages[0].tool_calls[0].function.name: expected a string, found nothing",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "k", "function": {"name": "a", "arguments": {}}}]}]},
        "messages[0].tool_calls[0].function.arguments: expected a string, found object",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id: expected a string, found nothing"),
    ({"temperature": "hot"}, "temperature: expected a number, found string"),
    ({"max_tokens": 1.5}, "max_tokens: expected an integer, found number"),
    ({"max_tokens": True}, "max_tokens: expected an integer, found boolean"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens: 5 contradicts max_completion_tokens 6; send one of them"),
    ({"stream": "yes"}, "stream: expected a boolean, found string"),
    ({"stream_options": []}, "stream_options: expected an object, found array"),
    ({"stop": [1]}, "stop[0]: expected a string, found integer"),
    ({"logit_bias": {"5": "x"}}, "logit_bias.5: expected a number, found string"),
    ({"tools": [{"type": "function"}]}, "tools[0].function: expected an object, found nothing"),
    (
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
        "tools[0].function.parameters: expected an object, found array",
    ),
    ({"tool_choice": "maybe"}, "tool_choice: expected one of auto, none, required, any or an object, found 'maybe'"),
    ({"tool_choice": {"type": "magic"}}, "tool_choice.type: expected function, custom or allowed_tools, found 'magic'"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: expected an object, found nothing"),
    ({"thinking": {"budget_tokens": "many"}}, "thinking.budget_tokens: expected an integer, found string"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[message.split(":")[0] for _, message in WRONG])
def test_a_wrong_request_is_told_where_and_what(fields, message):
    with pytest.raises(BadRequestError) as caught:
        decode(**fields)
    assert str(caught.value) == message
    assert caught.value.param == message.split(":")[0]
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request body is no JSON"),
        (b"{", "the request body is no JSON"),
        (b"[]", "the request body: expected an object, found array"),
    ],
)
def test_a_body_that_is_no_json_object(body, message):
    with pytest.raises(BadRequestError, match=message):
        DIALECT.decode_request(body)


# ------------------------------------------------------------------------------------------------------------- decoding
def test_unknown_parameters_are_kept_and_written_back():
    request = decode(
        prompt_cache_key="k", modalities=["text"], stream_options={"include_usage": True, "include_obfuscation": False}
    )
    assert request.extra == {
        "openai_chat": {"prompt_cache_key": "k", "modalities": ["text"], "stream_options": {"include_obfuscation": False}}
    }
    assert request.include_usage
    body = DIALECT.encode_request(request).body
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert (body["prompt_cache_key"], body["modalities"]) == ("k", ["text"])


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_token_limit_are_one_field_and_come_back(name):
    request = decode(**{name: 9})
    body = DIALECT.encode_request(request).body
    assert (request.max_tokens, body[name]) == (9, 9)
    assert not {"max_tokens", "max_completion_tokens", "_max_tokens_field"} - {name} & body.keys()


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, Reasoning(enabled=True, budget_tokens=5)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        (
            {"thinking": {"type": "adaptive"}},
            Reasoning(enabled=True, extra={"openai_chat": {"thinking": {"type": "adaptive"}}}),
        ),
    ],
)
def test_reasoning_there_and_back(fields, reasoning):
    request = decode(**fields)
    assert request.reasoning == reasoning
    body = DIALECT.encode_request(request).body
    assert {key: body[key] for key in fields} == fields


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}},
            MediaPart(kind="image", url="https://e.org/a.png", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            MediaPart(kind="image", media_type="image/png", data="QUJD"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            MediaPart(kind="audio", media_type="audio/mpeg", data="QUJD"),
        ),
        ({"type": "input_audio", "input_audio": "https://e.org/a.mp3"}, MediaPart(kind="audio", url="https://e.org/a.mp3")),
        (
            {"type": "video_url", "video_url": {"url": "https://e.org/a.mp4"}},
            MediaPart(kind="video", url="https://e.org/a.mp4"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QUJD", "filename": "a.pdf"}},
            MediaPart(kind="document", media_type="application/pdf", data="QUJD", filename="a.pdf"),
        ),
        ({"type": "file", "file": {"file_id": "f"}}, MediaPart(kind="document", file_id="f")),
        (
            {"type": "document_url", "document_url": "https://e.org/a.pdf"},
            MediaPart(kind="document", url="https://e.org/a.pdf", extra={"openai_chat": {"type": "document_url"}}),
        ),
        (
            {"type": "file_url", "file_url": {"url": "https://e.org/a.pdf"}},
            MediaPart(kind="document", url="https://e.org/a.pdf", extra={"openai_chat": {"type": "file_url"}}),
        ),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            TextPart(text="a", cache_control={"type": "ephemeral"}),
        ),
        ({"type": "hologram", "x": 1}, OpaquePart(dialect="openai_chat", value={"type": "hologram", "x": 1})),
    ],
)
def test_content_there_and_back(item, part):
    request = decode(messages=[{"role": "user", "content": [item, {"type": "text", "text": "b"}]}])
    assert request.messages[0].parts[0] == part
    encoded = DIALECT.encode_request(request)
    assert (encoded.body["messages"][0]["content"][0], encoded.warnings) == (item, ())


def test_an_old_function_call_and_its_result_are_paired():
    messages = [
        HELLO,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ]
    request = decode(messages=messages, functions=[{"name": "f"}], function_call={"name": "f"})
    call, result = request.messages[1].parts[0], request.messages[2].parts[0]
    assert (call.id, result.tool_call_id, request.tools[0].name, request.tool_choice.name) == ("call_1", "call_1", "f", "f")
    body = DIALECT.encode_request(request).body
    assert body == {"model": "m", "messages": messages, "functions": [{"name": "f"}], "function_call": {"name": "f"}}


@pytest.mark.parametrize(
    "choice",
    [
        "auto",
        "none",
        "required",
        {"type": "function", "function": {"name": "f"}},
        {"type": "custom", "custom": {"name": "f"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    ],
)
def test_tool_choice_there_and_back(choice):
    assert DIALECT.encode_request(decode(tool_choice=choice)).body["tool_choice"] == choice


@pytest.mark.parametrize(
    ("said", "failed", "left"),
    [
        ({"is_error": True}, True, {}),
        ({"is_error": False}, False, {}),
        ({"status": "error"}, True, {}),
        ({"status": "success"}, None, {}),
        ({"status": "pending"}, None, {"openai_chat": {"status": "pending"}}),
    ],
)
def test_a_tool_that_failed_is_known_to_have(said, failed, left):
    result = {"role": "tool", "tool_call_id": "k", "content": "no such file"}
    (message,) = decode(messages=[result | said]).messages
    assert (message.parts[0].is_error, message.extra) == (failed, left)


# ------------------------------------------------------------------------------------------------------------- encoding
def test_a_failed_tool_result_is_sent_with_a_warning():
    part = ToolResultPart(tool_call_id="k", parts=(TextPart(text="no such file"),), is_error=True)
    encoded = encode(Message(role="tool", parts=(part,)))
    assert encoded.body["messages"] == [{"role": "tool", "tool_call_id": "k", "content": "no such file"}]
    assert [warning.field for warning in encoded.warnings] == ["messages[0].is_error"]


def test_tool_results_inside_a_user_message_go_first():
    result = ToolResultPart(tool_call_id="k", parts=(TextPart(text="4"),))
    assert written(TextPart(text="so?"), result) == [
        {"role": "tool", "tool_call_id": "k", "content": "4"},
        {"role": "user", "content": "so?"},
    ]


def test_reasoning_is_replayed_as_its_issuer_knows_it():
    call = ToolCallPart(id="k", name="f", arguments="{}")
    (plain,) = written(ReasoningPart(text="Hm"), call, role="assistant")
    assert (plain["reasoning_content"], plain["content"], "thinking_blocks" in plain) == ("Hm", None, False)
    (signed,) = written(ReasoningPart(text="Hm", signature="S"), ReasoningPart(redacted="R"), role="assistant")
    assert signed["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "S"},
        {"type": "redacted_thinking", "data": "R"},
    ]
    detail = {"type": "reasoning.encrypted", "format": "r"}
    (open_router,) = written(ReasoningPart(redacted="B", extra={"openai_chat": {"detail": detail}}), role="assistant")
    assert open_router["reasoning_details"] == [detail | {"data": "B"}]
    (groq,) = written(ReasoningPart(text="Hm", extra={"openai_chat": {"_field": "reasoning"}}), role="assistant")
    assert groq["reasoning"] == "Hm"


def test_a_thought_signature_rides_on_its_call():
    (message,) = written(ToolCallPart(id="k", name="f", arguments="{}", signature="S"), role="assistant")
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "S"}}


LOST = [
    (
        Message(role="assistant", parts=(OpaquePart(dialect="anthropic_messages", value={"type": "server_tool_use"}),)),
        "messages[0]",
    ),
    (Message(role="user", parts=(OpaquePart(dialect="gemini", value={}), TextPart(text="a"))), "messages[0].content[0]"),
    (Message(role="user", parts=(ReasoningPart(text="a"), TextPart(text="a"))), "messages[0].content[0]"),
    (Message(role="user", parts=(ToolResultPart(tool_call_id="k", is_error=True),)), "messages[0].is_error"),
    (Message(role="user", parts=(TextPart(text="a", extra={"gemini": {"x": 1}}),)), "messages[0].x"),
    (Message(role="user", parts=(TextPart(text="a"),), extra={"gemini": {"x": 1}}), "messages[0].x"),
    (Message(role="user", parts=(MediaPart(kind="document", text="a"),)), "messages[0].content[0]"),
    (Message(role="user", parts=(MediaPart(kind="image", file_id="f"),)), "messages[0].content[0]"),
    (Message(role="assistant", parts=(MediaPart(kind="video", url="https://e.org"),)), "messages[0]"),
]


@pytest.mark.parametrize(("message", "field"), LOST)
def test_what_cannot_be_said_is_a_warning(message, field):
    (warning,) = encode(message).warnings
    assert warning.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"extra": {"gemini": {"safety_settings": []}}}, "extra.safety_settings"),
        ({"tools": (NativeTool(dialect="anthropic_messages", value={"type": "bash_20250124"}),)}, "tools[0]"),
        ({"tools": (Tool(name="f", extra={"gemini": {"x": 1}}),)}, "tools[0].x"),
        ({"tool_choice": ToolChoice(mode="auto", extra={"gemini": {"x": 1}})}, "tool_choice.x"),
        ({"reasoning": Reasoning(effort="low", extra={"gemini": {"x": 1}})}, "reasoning.x"),
    ],
)
def test_what_a_parameter_cannot_say_is_a_warning(fields, field):
    (warning,) = encode(**fields).warnings
    assert warning.field == field


def test_a_block_of_another_dialect_goes_to_the_client_and_comes_back():
    block = OpaquePart(dialect="anthropic_messages", value={"type": "server_tool_use", "id": "s"})
    item = {
        "role": "assistant",
        "content": "a",
        "provider_specific_fields": {"opaque_parts": [{"dialect": block.dialect, "value": block.value}]},
    }
    message = decode(messages=[item]).messages[0]
    assert message == Message(role="assistant", parts=(block, TextPart(text="a")))
