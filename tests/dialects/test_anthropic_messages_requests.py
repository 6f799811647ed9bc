"""Requests in the Messages API: what is said how, what cannot be said and is named, what a wrong request is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import errors
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
    ToolChoice,
    ToolResultPart,
)
from dragoman.dialects.anthropic_messages import DIALECT

HELLO = (Message(role="user", parts=(TextPart(text="Hello"),)),)
LOOK = Tool(name="look", parameters={"type": "object"})


def sent(**fields: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The body for a request, and its warnings as field -> code."""
    encoded = DIALECT.encode_request(ChatRequest(model="m", **{"messages": HELLO, **fields}))
    json.dumps(encoded.body)
    return encoded.body, {warning.field: warning.code for warning in encoded.warnings}


def turns(*messages: Message, **fields: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    body, warned = sent(messages=messages, **fields)
    return body["messages"], warned


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Any) -> Message:
    return Message(role="assistant", parts=parts)


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


# -------------------------------------------------------------------------------------------------------------- upstream
def test_the_least_request_gets_the_default_limit() -> None:
    assert sent() == ({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": [text("Hello")]}]}, {})


@pytest.mark.parametrize(
    "fields, path",
    [
        ({"n": 2}, "n"),
        ({"seed": 7}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1.0}, "presence_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"stop": ("\n",)}, "stop"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": ResponseFormat(kind="json_object")}, "response_format"),
        ({"tools": (NativeTool(dialect="openai_chat", value={"type": "custom"}),)}, "tools[0]"),
        ({"extra": {"openai_chat": {"store": True}}}, "store"),
        ({"reasoning": Reasoning(effort="enormous")}, "reasoning.effort"),
        ({"messages": (Message(role="user", name="Ann", parts=HELLO[0].parts),)}, "messages[0].name"),
        ({"messages": (*HELLO, assistant(ReasoningPart(text="unsigned"), TextPart(text="x")))}, "messages[1].content[0]"),
        ({"messages": (user(TextPart(text="x"), MediaPart(kind="audio", data="AA==")),)}, "messages[0].content[1]"),
        ({"messages": (user(OpaquePart(dialect="gemini", value={}), TextPart(text="x")),)}, "messages[0].content[0]"),
        ({"messages": (user(TextPart(text="x", signature="gemini's")),)}, "messages[0].content[0].signature"),
        ({"messages": (user(MediaPart(kind="image", url="https://e.org/a", detail="high")),)}, "messages[0].content[0].detail"),
        ({"messages": (user(TextPart(text="x", citations=(Citation(url="u"),))),)}, "messages[0].content[0].citations[0]"),
    ],
)
def test_what_cannot_be_said_is_left_out_and_named(fields: dict[str, Any], path: str) -> None:
    body, warned = sent(**fields)
    assert warned == {path: "dropped"}
    assert body.keys() <= {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "frequency_penalty": 0.0, "presence_penalty": 0, "logprobs": False, "logit_bias": {}, "metadata": {}},
        {"response_format": ResponseFormat(kind="text")},
        {"include_usage": True},
        {"messages": (*HELLO, user(TextPart(text="")))},
    ],
)
def test_what_asks_for_nothing_is_left_out_quietly(fields: dict[str, Any]) -> None:
    assert sent(**fields) == sent()


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"stop": ("END", " ", "x")}, {"stop_sequences": ["END", "x"]}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        (
            {"user": "u1", "extra": {"anthropic_messages": {"metadata": {"team": "t"}}}},
            {"metadata": {"team": "t", "user_id": "u1"}},
        ),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"temperature": 1.7}, {"temperature": 1}),
        ({"stream": True}, {"stream": True}),
        (
            {"response_format": ResponseFormat(kind="json_schema", name="n", schema={"type": "object"}, strict=True)},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_body_fields(fields: dict[str, Any], said: dict[str, Any]) -> None:
    assert sent(**fields)[0].items() >= said.items()


@pytest.mark.parametrize(
    "fields, choice",
    [
        ({"tool_choice": ToolChoice(mode="auto")}, {"type": "auto"}),
        ({"tool_choice": ToolChoice(mode="required")}, {"type": "any"}),
        ({"tool_choice": ToolChoice(mode="none")}, {"type": "none"}),
        ({"tool_choice": ToolChoice(mode="named", name="look")}, {"type": "tool", "name": "look"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": ToolChoice(mode="required"), "parallel_tool_calls": True},
            {"type": "any", "disable_parallel_tool_use": False},
        ),
    ],
)
def test_tool_choice_there_and_back(fields: dict[str, Any], choice: dict[str, Any]) -> None:
    body, warned = sent(tools=(LOOK,), **fields)
    assert (body["tool_choice"], warned) == (choice, {})
    assert DIALECT.decode_request(json.dumps(body).encode()).parallel_tool_calls == fields.get("parallel_tool_calls")


@pytest.mark.parametrize(
    "parameters, schema, warned",
    [
        (None, {"type": "object", "properties": {}}, {}),
        ({"type": "object"}, {"type": "object"}, {}),
        ({"properties": {}}, {"type": "object", "properties": {}}, {"tools[0].parameters.type": "changed"}),
    ],
)
def test_a_tool_always_has_an_object_schema(parameters: Any, schema: Any, warned: Any) -> None:
    body, warnings = sent(tools=(Tool(name="t", parameters=parameters),))
    assert (body["tools"], warnings) == ([{"name": "t", "input_schema": schema}], warned)


@pytest.mark.parametrize(
    "reasoning, fields, expected, warned",
    [
        (Reasoning(budget_tokens=2000), {"max_tokens": 3000}, (3000, 2000), {}),
        (Reasoning(budget_tokens=2000), {}, (6096, 2000), {}),
        (Reasoning(budget_tokens=2000), {"max_tokens": 500}, (2500, 2000), {"max_tokens": "changed"}),
        (Reasoning(budget_tokens=10), {}, (5120, 1024), {"reasoning.budget_tokens": "changed"}),
        (Reasoning(effort="minimal"), {}, (5120, 1024), {"reasoning.effort": "emulated"}),
        (Reasoning(effort="high"), {}, (8192, 4096), {"reasoning.effort": "emulated"}),
        (Reasoning(effort="max"), {"max_tokens": 9}, (16393, 16384), {"reasoning.effort": "emulated", "max_tokens": "changed"}),
        (Reasoning(enabled=True), {}, (6144, 2048), {"reasoning.enabled": "emulated"}),
        (Reasoning(effort="low", budget_tokens=2000), {}, (6096, 2000), {"reasoning.effort": "dropped"}),
        (
            Reasoning(effort="low"),
            {"temperature": 0.2},
            (5120, 1024),
            {"reasoning.effort": "emulated", "temperature": "dropped"},
        ),
        (Reasoning(effort="low"), {"tool_choice": ToolChoice(mode="required")}, (4096, None), {"reasoning.effort": "dropped"}),
        (Reasoning(effort="none"), {}, (4096, "disabled"), {}),
        (Reasoning(enabled=False), {}, (4096, "disabled"), {}),
        (Reasoning(), {}, (4096, None), {}),
    ],
)
def test_thinking(reasoning: Reasoning, fields: dict[str, Any], expected: tuple[int, Any], warned: dict[str, str]) -> None:
    body, warnings = sent(reasoning=reasoning, **fields)
    thinking = body.get("thinking", {})
    assert thinking.get("type") in (None, "enabled", "disabled")
    found = "disabled" if thinking.get("type") == "disabled" else thinking.get("budget_tokens")
    assert ((body["max_tokens"], found), warnings) == (expected, warned)


def test_an_effort_yields_to_tool_calls_without_signed_thinking() -> None:
    call, result = assistant(ToolCallPart(id="c", name="look")), Message(role="tool", parts=(ToolResultPart(tool_call_id="c"),))
    body, warned = sent(reasoning=Reasoning(effort="low"), messages=(*HELLO, call, result))
    assert ("thinking" in body, warned) == (False, {"reasoning.effort": "dropped"})
    signed = assistant(ReasoningPart(text="t", signature="s"), *call.parts)
    assert "thinking" in sent(reasoning=Reasoning(effort="low"), messages=(*HELLO, signed, result))[0]


def test_system_messages_become_the_system_prompt() -> None:
    front = (Message(role="system", parts=(TextPart(text="a"),)), Message(role="developer", parts=(TextPart(text="b"),)))
    body, warned = sent(messages=(*front, *HELLO))
    assert (body["system"], warned) == ([text("a"), text("b")], {})
    body, warned = sent(messages=(*HELLO, front[0]))
    assert (body["system"], warned) == ([text("a")], {"messages[1].role": "changed"})


def test_messages_of_one_side_become_one_with_tool_results_first() -> None:
    call = assistant(ToolCallPart(id="c1", name="look"), ToolCallPart(id="c2", name="look"))
    results = [
        Message(role="tool", parts=(ToolResultPart(tool_call_id=f"c{place}", parts=(TextPart(text="ok"),)),))
        for place in (1, 2)
    ]
    written, warned = turns(*HELLO, call, *results, user(TextPart(text="and?")))
    assert warned == {}
    assert [(turn["role"], [block["type"] for block in turn["content"]]) for turn in written] == [
        ("user", ["text"]),
        ("assistant", ["tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]
    late, warned = turns(*HELLO, call, user(TextPart(text="and?")), *results)
    assert (late, warned) == (written, {"messages": "changed"})


@pytest.mark.parametrize(
    "arguments, kind, expected, changed",
    [
        ('{"a": 1.0}', "function", {"a": 1.0}, False),
        ("", "function", {}, False),
        ('{"a": ', "function", {"_raw": '{"a": '}, True),
        ("[1]", "function", {"_raw": "[1]"}, True),
        ("free text", "custom", {"input": "free text"}, True),
    ],
)
def test_tool_arguments_become_an_object(arguments: str, kind: Any, expected: dict[str, Any], changed: bool) -> None:
    written, warned = turns(*HELLO, assistant(ToolCallPart(id="c", name="look", arguments=arguments, kind=kind)))
    assert written[1]["content"][0]["input"] == expected
    assert warned == ({"messages[1].content[0].arguments": "changed"} if changed else {})


@pytest.mark.parametrize(
    "part, block",
    [
        (MediaPart(kind="image", data="AA==", media_type="image/gif"), ("base64", {"media_type": "image/gif", "data": "AA=="})),
        (MediaPart(kind="image", url="https://e.org/a.png", detail="auto"), ("url", {"url": "https://e.org/a.png"})),
        (MediaPart(kind="document", file_id="f"), ("file", {"file_id": "f"})),
        (MediaPart(kind="document", text="t"), ("text", {"media_type": "text/plain", "data": "t"})),
    ],
)
def test_media_sources(part: MediaPart, block: tuple[str, dict[str, str]]) -> None:
    written, warned = turns(user(part))
    assert (written[0]["content"], warned) == ([{"type": part.kind, "source": {"type": block[0], **block[1]}}], {})


# ------------------------------------------------------------------------------------------------------------ downstream
@pytest.mark.parametrize(
    "body, message",
    [
        (b"{", "the body is not JSON"),
        (b'"\xff"', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body: expected an object, found array"),
        ({}, "messages: expected an array, found nothing"),
        ({"messages": "hi"}, "messages: expected an array, found string"),
        ({"messages": [], "model": 1}, "model: expected a string, found integer"),
        ({"messages": [1]}, "messages[0]: expected an object, found integer"),
        ({"messages": [{"role": "bot", "content": "x"}]},
         'messages[0].role: expected one of user, assistant, system, found "bot"'),
        ({"messages": [{"role": "user"}]}, "messages[0].content: expected a string or an array, found nothing"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content: expected a string or an array, found object"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": 1}]}]},
         "messages[0].content[1].type: expected a string, found integer"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]},
         "messages[0].content[0].text: expected a string, found nothing"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": 1}}]}]},
         "messages[0].content[0].source.data: expected a string, found integer"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{}]}]}]},
         "messages[0].content[0].content[0].type: expected a string, found nothing"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": "{}"}]}]},
         "messages[0].content[0].input: expected an object, found string"),
        ({"messages": [], "model": "m", "max_tokens": True}, "max_tokens: expected an integer, found boolean"),
        ({"messages": [], "model": "m", "temperature": "hot"}, "temperature: expected a number, found string"),
        ({"messages": [], "model": "m", "stream": "yes"}, "stream: expected a boolean, found string"),
        ({"messages": [], "model": "m", "system": [{"type": "text", "text": 5}]},
         "system[0].text: expected a string, found integer"),
        ({"messages": [], "model": "m", "tools": [{"input_schema": {}}]}, "tools[0].name: expected a string, found nothing"),
        ({"messages": [], "model": "m", "tool_choice": {"type": "all"}},
         'tool_choice.type: expected one of auto, any, none, tool, found "all"'),
        ({"messages": [], "model": "m", "stop_sequences": ["a", None]}, "stop_sequences[1]: expected a string, found null"),
        ({"messages": [], "model": "m", "metadata": {"user_id": 1}}, "metadata.user_id: expected a string, found integer"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_where_and_why(body: Any, message: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps({"model": "m", "max_tokens": 1, **body}).encode()
    with pytest.raises(errors.BadRequestError) as raised:
        DIALECT.decode_request(data)
    assert raised.value.message.startswith(message)
    assert raised.value.status_code == 400


def test_a_beta_spelling_and_texts_for_blocks_are_read() -> None:
    body = {
        "model": "m",
        "system": "s",
        "messages": [{"role": "user", "content": "u"}],
        "output_format": {"type": "json_schema", "schema": {}},
    }
    request = DIALECT.decode_request(json.dumps(body).encode())
    assert request.messages == (Message(role="system", parts=(TextPart(text="s"),)), user(TextPart(text="u")))
    assert request.response_format == ResponseFormat(kind="json_schema", schema={})
    assert request.max_tokens is None
