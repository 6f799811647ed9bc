"""Cohere's chats: what is lost on the way there and told, and how answers and streams break."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import errors
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
    ToolChoice,
    ToolResultPart,
)
from dragoman.dialects import registry
from support.chat_streams import decode_stream

DIALECT = registry.get("cohere_chat")


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def encoded(**fields: Any) -> Any:
    return DIALECT.encode_request(ChatRequest(model="m", **fields))


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    "fields, body, losses",
    [
        ({"n": 2}, {}, [("n", "dropped")]),
        ({"logit_bias": {"5": 1.0}}, {}, [("logit_bias", "dropped")]),
        ({"n": 1, "parallel_tool_calls": True, "metadata": {}, "service_tier": "auto"}, {}, []),
        ({"parallel_tool_calls": False}, {}, [("parallel_tool_calls", "dropped")]),
        ({"top_p": 1.0}, {"p": 0.99}, [("top_p", "changed")]),
        ({"presence_penalty": -1.0}, {"presence_penalty": 0}, [("presence_penalty", "changed")]),
        ({"logprobs": False}, {}, []),
        ({"extra": {"openai_chat": {"store": True, "_mark": 1}}}, {}, [("store", "dropped")]),
        ({"extra": {"cohere_chat": {"priority": 5}}}, {"priority": 5}, []),
        ({"reasoning": Reasoning(enabled=False)}, {"thinking": {"type": "disabled"}}, []),
        ({"reasoning": Reasoning(effort="none")}, {"thinking": {"type": "disabled"}}, []),
        ({"reasoning": Reasoning(enabled=True)}, {"thinking": {"type": "enabled"}}, []),
        (
            {"reasoning": Reasoning(enabled=True, extra={"openai_chat": {"thinking": {"token_budget": 7}}})},
            {"thinking": {"type": "enabled", "token_budget": 7}},
            [],
        ),
        (
            {"reasoning": Reasoning(effort="low")},
            {"thinking": {"type": "enabled", "token_budget": 1024}},
            [("reasoning.effort", "emulated")],
        ),
        ({"reasoning": Reasoning(effort="vast")}, {}, [("reasoning.effort", "dropped")]),
        ({"response_format": ResponseFormat(kind="text")}, {}, []),
        ({"response_format": ResponseFormat(kind="json_object")}, {"response_format": {"type": "json_object"}}, []),
        ({"tool_choice": ToolChoice(mode="none")}, {"tool_choice": "NONE"}, []),
        ({"tool_choice": ToolChoice(mode="auto")}, {}, []),
        ({"tools": (NativeTool(dialect="openai_chat", value={}),)}, {}, [("tools[0]", "dropped")]),
    ],
)
def test_parameters(fields: dict[str, Any], body: dict[str, Any], losses: list[tuple[str, str]]) -> None:
    found = encoded(**fields)
    assert found.body == {"model": "m", "messages": [], **body}
    assert [(warning.field, warning.code) for warning in found.warnings] == losses


def test_a_named_tool_is_the_only_one_that_is_offered() -> None:
    found = encoded(tools=(Tool(name="a"), Tool(name="b", strict=True)), tool_choice=ToolChoice(mode="named", name="b"))
    assert [tool["function"]["name"] for tool in found.body["tools"]] == ["b"]
    assert (found.body["tool_choice"], found.body["strict_tools"]) == ("REQUIRED", True)
    assert [(warning.field, warning.code) for warning in found.warnings] == [("tool_choice", "emulated")]


def test_all_tools_are_strict_or_none() -> None:
    found = encoded(tools=(Tool(name="a"), Tool(name="b", strict=True)))
    assert found.body["strict_tools"] is True
    assert [(warning.field, warning.code) for warning in found.warnings] == [("tools", "changed")]


@pytest.mark.parametrize(
    "message, written, losses",
    [
        (user(TextPart(text="a"), TextPart(text="b")), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], []),
        (
            user(MediaPart(kind="image", url="https://e.org/i")),
            [{"type": "image_url", "image_url": {"url": "https://e.org/i"}}],
            [],
        ),
        (user(MediaPart(kind="audio", data="AA==")), "", ["messages[0].content[0]"]),
        (user(MediaPart(kind="document", data="AA==")), "", ["messages[0].content[0]"]),
        (user(OpaquePart(dialect="gemini", value={})), "", ["messages[0].content[0]"]),
        (user(OpaquePart(dialect="cohere_chat", value={"type": "new"})), [{"type": "new"}], []),
        (Message(role="user", name="Ann", parts=(TextPart(text="a"),)), "a", ["messages[0].name"]),
        (Message(role="assistant", parts=(ReasoningPart(text="x", signature="s"),)), "", ["messages[0].content[0]"]),
        (
            Message(role="assistant", parts=(TextPart(text="a", citations=(Citation(url="https://e.org"),)),)),
            "a",
            ["messages[0].citations"],
        ),
    ],
)
def test_parts(message: Message, written: Any, losses: list[str]) -> None:
    found = encoded(messages=(message,))
    assert found.body["messages"][0]["content"] == written
    assert [warning.field for warning in found.warnings] == losses


def test_results_go_first_and_failures_are_told() -> None:
    result = ToolResultPart(tool_call_id="c", parts=(TextPart(text="no"), MediaPart(kind="image", data="AA==")), is_error=True)
    found = encoded(messages=(user(TextPart(text="And?"), result),))
    assert found.body["messages"] == [
        {"role": "tool", "tool_call_id": "c", "content": "no"},
        {"role": "user", "content": "And?"},
    ]
    assert [warning.field for warning in found.warnings] == ["messages[0].content.is_error", "messages[0].content"]


def test_its_own_citations_go_back() -> None:
    native = {"start": 0, "end": 1, "text": "a", "sources": []}
    part = TextPart(text="a", citations=(Citation(extra={"cohere_chat": native}),))
    found = encoded(messages=(Message(role="assistant", parts=(part,)),))
    assert found.body["messages"][0]["citations"] == [native]
    assert found.warnings == ()


def test_a_custom_call_is_one_of_a_function() -> None:
    call = ToolCallPart(id="c", name="sh", arguments="ls", kind="custom")
    found = encoded(messages=(Message(role="assistant", parts=(call,)),))
    assert found.body["messages"][0]["tool_calls"][0]["function"] == {"name": "sh", "arguments": "ls"}
    assert [warning.code for warning in found.warnings] == ["changed"]


# ---------------------------------------------------------------------------------------------------------------- answers
NONSENSE = [b"", b"<html>", b"[]", b"{}", b'{"message":"x","finish_reason":"COMPLETE"}', b'{"message":{"content":[{}]}}']


@pytest.mark.parametrize("body", NONSENSE)
def test_a_senseless_answer_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseDecodeError) as raised:
        DIALECT.decode_response(body)
    assert raised.value.body == body.decode()


def test_an_answer_that_failed_raises_what_it_says() -> None:
    body = {"message": {}, "finish_reason": "ERROR", "error": "no luck", "error_type": "TIMEOUT"}
    with pytest.raises(errors.Timeout, match="no luck"):
        DIALECT.decode_response(json.dumps(body).encode())


@pytest.mark.parametrize("usage", [None, {}, {"cached_tokens": 5}, 7])
def test_no_usage_is_none(usage: Any) -> None:
    body = {"message": {"content": []}, "finish_reason": "COMPLETE", "usage": usage}
    assert DIALECT.decode_response(json.dumps(body).encode()).usage is None


def test_billed_units_count_where_nothing_else_does() -> None:
    body = {"message": {}, "finish_reason": "COMPLETE", "usage": {"billed_units": {"input_tokens": 3.0, "output_tokens": 4.0}}}
    assert DIALECT.decode_response(json.dumps(body).encode()).usage.total_tokens == 7


# ---------------------------------------------------------------------------------------------------------------- streams
def frame(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = frame("message-start", id="r")
TEXT = frame("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
PIECE = frame("content-delta", index=0, delta={"message": {"content": {"text": "Hi"}}})
END = frame("message-end", delta={"finish_reason": "COMPLETE", "usage": None})


@pytest.mark.parametrize(
    "data",
    [
        b"data: {not json\n\n",
        b"data: [DONE]\n\n",
        b"data: [1]\n\n",
        frame("content-delta", index=9, delta={"message": {"content": {"text": "x"}}}),
        frame("content-delta", index=0, delta={"message": {"content": {"text": 5}}}),
        frame("content-start", index=1),
        frame("tool-call-delta", index=0, delta={}),
        frame("message-end"),
    ],
)
def test_nonsense_breaks_the_stream_and_raises_nothing(data: bytes) -> None:
    events = decode_stream(DIALECT, START + TEXT + data + END)
    assert isinstance(events[-1], ev.StreamError)
    assert events[-1].broken
    assert sum(isinstance(event, ev.StreamError) for event in events) == 1


def test_a_bare_error_ends_a_stream() -> None:
    events = decode_stream(DIALECT, START + b'data: {"id":"r","message":"overloaded"}\n\n' + END)
    assert events[-1] == ev.StreamError(message="overloaded", status=500)


def test_new_events_say_nothing_and_the_end_needs_no_mark() -> None:
    events = decode_stream(DIALECT, START + frame("debug", prompt="p") + TEXT + PIECE + END)
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["ResponseStart", "PartStart", "TextDelta", "PartEnd", "ResponseEnd"]


def test_a_citation_of_a_text_that_is_over_is_told() -> None:
    think = frame("content-start", index=1, delta={"message": {"content": {"type": "thinking", "thinking": ""}}})
    late = frame("citation-start", index=0, delta={"message": {"citations": {"start": 0, "end": 1, "content_index": 0}}})
    events = decode_stream(DIALECT, START + TEXT + PIECE + think + late + END)
    assert [event.field for event in events if isinstance(event, ev.Warning)] == ["citations"]
