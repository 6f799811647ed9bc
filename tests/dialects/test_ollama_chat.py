"""Ollama's own API: what is lost on the way there and told, what is refused, and how answers and streams break."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import errors
from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
)
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from support.chat_streams import decode_stream

DIALECT = registry.get("ollama_chat")
EMBEDDINGS = registry.get("ollama_embeddings")


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def encoded(**fields: Any) -> Any:
    return DIALECT.encode_request(ChatRequest(model="m", **fields))


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    "fields, body, losses",
    [
        ({"stream": True}, {"stream": True}, []),
        ({"n": 2}, {}, [("n", "dropped")]),
        ({"user": "u"}, {}, [("user", "dropped")]),
        (
            {"extra": {"openai_chat": {"store": True, "repeat_penalty": 1.1}}},
            {"options": {"repeat_penalty": 1.1}},
            [("store", "dropped")],
        ),
        ({"extra": {"ollama_chat": {"raw": True}}}, {"raw": True}, []),
        ({"response_format": ResponseFormat(kind="json_object")}, {"format": "json"}, []),
        ({"reasoning": Reasoning(enabled=True)}, {"think": True}, []),
        ({"reasoning": Reasoning(enabled=False, effort="high")}, {"think": False}, []),
        ({"reasoning": Reasoning(effort="none")}, {"think": False}, []),
        ({"reasoning": Reasoning(effort="minimal")}, {"think": "low"}, [("reasoning.effort", "changed")]),
        ({"reasoning": Reasoning(effort="vast")}, {}, [("reasoning.effort", "dropped")]),
        ({"reasoning": Reasoning(budget_tokens=9)}, {"think": True}, [("reasoning.budget_tokens", "dropped")]),
    ],
)
def test_parameters(fields: dict[str, Any], body: dict[str, Any], losses: list[tuple[str, str]]) -> None:
    found = encoded(**fields)
    assert found.body == {"model": "m", "messages": [], "stream": False, **body}
    assert [(warning.field, warning.code) for warning in found.warnings] == losses


@pytest.mark.parametrize(
    "choice, offered, losses",
    [
        (ToolChoice(mode="auto"), ["a", "b"], []),
        (ToolChoice(mode="none"), [], [("tool_choice", "emulated")]),
        (ToolChoice(mode="required"), ["a", "b"], [("tool_choice", "dropped")]),
        (ToolChoice(mode="named", name="b"), ["b"], [("tool_choice", "dropped")]),
    ],
)
def test_no_call_can_be_forced(choice: ToolChoice, offered: list[str], losses: list[tuple[str, str]]) -> None:
    found = encoded(tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice)
    assert [tool["function"]["name"] for tool in found.body.get("tools", [])] == offered
    assert [(warning.field, warning.code) for warning in found.warnings] == losses


@pytest.mark.parametrize("part", [MediaPart(kind="image", url="https://e.org/i.png"), MediaPart(kind="image", file_id="f")])
def test_an_image_that_is_not_embedded_is_refused(part: MediaPart) -> None:
    with pytest.raises(errors.UnsupportedParamsError, match=r"messages\[0\]\.content\[1\]: .*base64") as raised:
        encoded(messages=(user(TextPart(text="What?"), part),))
    assert raised.value.param == "messages[0].content[1]"


@pytest.mark.parametrize(
    "part, losses",
    [
        (MediaPart(kind="audio", data="AA=="), ["messages[0].content[0]"]),
        (MediaPart(kind="image", data="AA==", detail="high"), ["messages[0].content[0].detail"]),
        (MediaPart(kind="document", text="t"), ["messages[0].content[0]"]),
        (OpaquePart(dialect="gemini", value={}), ["messages[0].content[0]"]),
        (ReasoningPart(redacted="x"), ["messages[0].content[0]"]),
        (ReasoningPart(text="hm", signature="s"), []),
    ],
)
def test_parts(part: Any, losses: list[str]) -> None:
    assert [warning.field for warning in encoded(messages=(user(part),)).warnings] == losses


@pytest.mark.parametrize(
    "arguments, written", [("", {}), ('{"a":1}', {"a": 1}), ("{", {"input": "{"}), ("[1]", {"input": "[1]"})]
)
def test_arguments_are_objects(arguments: str, written: dict[str, Any]) -> None:
    found = encoded(messages=(Message(role="assistant", parts=(ToolCallPart(id="c", name="f", arguments=arguments),)),))
    assert found.body["messages"][0]["tool_calls"][0]["function"]["arguments"] == written
    assert len(found.warnings) == ("input" in written)


# ---------------------------------------------------------------------------------------------------- answers and streams
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message":"x"}', b'{"message":{"content":5}}'])
def test_a_senseless_answer_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseDecodeError):
        DIALECT.decode_response(body)


def test_an_error_inside_a_200_is_raised() -> None:
    with pytest.raises(errors.BadGatewayError, match="out of memory"):
        DIALECT.decode_response(b'{"error":"out of memory"}')


def line(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode() + b"\n"


PIECE = line(message={"content": "Hi"})
END = line(message={"content": ""}, done=True, done_reason="stop")


def test_a_line_with_an_error_ends_the_stream() -> None:
    events = decode_stream(DIALECT, PIECE + line(error="model runner has unexpectedly stopped") + END)
    assert events[-1] == ev.StreamError(message="model runner has unexpectedly stopped", status=502)


@pytest.mark.parametrize("data", [b"{not json\n", b"[1]\n", b'{"message":5}\n', b"{}\n", b'{"message":{"tool_calls":[{}]}}\n'])
def test_nonsense_breaks_the_stream_and_raises_nothing(data: bytes) -> None:
    events = decode_stream(DIALECT, PIECE + data + END)
    assert isinstance(events[-1], ev.StreamError)
    assert events[-1].broken


@pytest.mark.parametrize("data, whole", [(b"", False), (PIECE, False), (PIECE + END[:-3], False), (PIECE + END[:-1], True)])
def test_a_stream_ends_with_its_last_line(data: bytes, whole: bool) -> None:
    assert isinstance(decode_stream(DIALECT, data)[-1], ev.ResponseEnd if whole else ev.StreamError)


def test_nothing_follows_the_end() -> None:
    assert isinstance(decode_stream(DIALECT, PIECE + END + PIECE)[-1], ev.ResponseEnd)


# ------------------------------------------------------------------------------------------------------------- embeddings
def test_a_request_for_vectors() -> None:
    extra = {"openai_embeddings": {"truncate": False, "num_ctx": 9, "odd": 1}}
    request = EmbeddingRequest(model="m", input=("a", "b"), dimensions=5, user="u", extra=extra)
    body, warnings, _ = EMBEDDINGS.encode_request(request)
    assert body == {"model": "m", "input": ["a", "b"], "dimensions": 5, "truncate": False, "options": {"num_ctx": 9}}
    assert [warning.field for warning in warnings] == ["odd", "user"]


def test_token_lists_are_refused() -> None:
    with pytest.raises(errors.BadRequestError, match="no token lists"):
        EMBEDDINGS.encode_request(EmbeddingRequest(model="m", input=((1, 2),)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"embeddings":[["x"]]}'])
def test_no_vectors_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(errors.ResponseDecodeError):
        EMBEDDINGS.decode_response(body)
