"""What our vocabulary says survives this dialect, or a Warning names it: requests, answers and streams made up by Hypothesis.

Bodies are also held against the types of Google's own client, which forbid fields that they do not know.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Finish,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from dragoman.dialects.gemini import DIALECT
from support.slicing import cut, cut_places
from support.strategies import chat_requests, chat_responses, event_streams

steady = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


# ----------------------------------------------------------------------------------------------------------------- answers
FINISHES = {"refusal": "content_filter", "pause": "stop", "error": "unknown"}
"""Reasons without a word here -> what the nearest word means."""


def told(response: ChatResponse) -> ChatResponse:
    """The answer as a client of the dialect gets it: what it has no place for is gone, neighbouring texts are one."""
    choices = []
    for choice in response.choices:
        reason = FINISHES.get(choice.finish.reason, choice.finish.reason)
        called = any(isinstance(part, ToolCallPart) for part in choice.parts)
        if called and reason in ("stop", "tool_calls"):
            reason = "tool_calls"
        elif reason == "tool_calls":
            reason = "stop"
        parts = joined([plain(part) for part in choice.parts])
        choices.append(replace(choice, parts=tuple(parts), finish=Finish(reason=reason)))
    usage = response.usage or Usage()
    return replace(response, choices=tuple(choices), created=None, system_fingerprint=None, usage=usage)


def plain(part: Any) -> Any:
    if isinstance(part, RefusalPart):
        return TextPart(text=part.text)
    if isinstance(part, ToolCallPart):
        return replace(part, arguments=json.encode(json.decode(part.arguments)).decode())
    return part


def joined(parts: list[Any]) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        last = found[-1] if found else None
        texts = isinstance(part, TextPart) and isinstance(last, TextPart)
        unsigned = isinstance(last, ReasoningPart) and not (last.signature or last.redacted)
        if texts or (unsigned and isinstance(part, ReasoningPart) and not part.redacted):
            found[-1] = replace(part, text=last.text + part.text)
        else:
            found.append(part)
    return found


def compared(response: ChatResponse) -> ChatResponse:
    """Without counts by kind, which are the usage codec's business, and without what only this dialect adds."""
    choices = tuple(
        replace(choice, finish=replace(choice.finish, native=None), parts=tuple(plain(part) for part in choice.parts))
        for choice in response.choices
    )
    usage = response.usage and Usage(input_tokens=response.usage.input_tokens, output_tokens=response.usage.output_tokens)
    return replace(response, choices=choices, usage=usage)


@given(response=chat_responses())
@steady
def test_answers_survive(response: ChatResponse):
    read = DIALECT.decode_response(DIALECT.encode_response(response, now=1))
    assert compared(read) == compared(told(response))


@given(events=event_streams(), places=cut_places)
@steady
def test_streams_survive(events: list[ev.Event], places: list[int]):
    encoder, decoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1), DIALECT.stream_decoder()
    sent = b"".join(encoder.encode(event) for event in events)
    read = [*(event for piece in cut(sent, places) for event in decoder.feed(piece)), *decoder.close()]
    assert isinstance(read[-1], ev.ResponseEnd)
    there, back = compared(told(assemble(events))), compared(assemble(read))
    assert kinds(back) == kinds(there), "calls wait until they are complete, so parts that interleaved stand in another order"
    assert replace(back, choices=()) == replace(there, choices=(), service_tier=None)


def kinds(response: ChatResponse) -> list[Any]:
    return [
        (choice.finish, calls_of(choice.parts), *(text_of(choice.parts, kind) for kind in SPOKEN))
        for choice in response.choices
    ]


SPOKEN = (TextPart, ReasoningPart)


def calls_of(parts: tuple[Any, ...]) -> list[str]:
    return sorted(repr(part) for part in parts if isinstance(part, ToolCallPart))


def text_of(parts: tuple[Any, ...], kind: type) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


# ---------------------------------------------------------------------------------------------------------------- requests
def spoken(request: ChatRequest, *kinds_: type) -> list[Any]:
    return [part for message in request.messages for part in message.parts if isinstance(part, kinds_)]


@given(request=chat_requests())
@steady
def test_requests_survive_or_a_warning_says_what_was_lost(request: ChatRequest):
    written = DIALECT.encode_request(request)
    read = DIALECT.decode_request(json.encode(written.body))
    fields = [warning.field for warning in written.warnings]
    texts = "".join(part.text for part in spoken(request, TextPart, RefusalPart))
    assert sorted("".join(part.text for part in spoken(read, TextPart))) == sorted(texts)
    calls = [(call.id, call.name, json.decode(call.arguments)) for call in spoken(request, ToolCallPart)]
    assert [(call.id, call.name, json.decode(call.arguments)) for call in spoken(read, ToolCallPart)] == calls
    there, back = spoken(request, ToolResultPart), spoken(read, ToolResultPart)
    assert [result.tool_call_id for result in back] == [result.tool_call_id for result in there]
    assert [bool(result.is_error) for result in back] == [bool(result.is_error) for result in there]
    assert [result.extra["gemini"]["_name"] for result in back] == names_of_results(request)
    media = [part.data or part.url or part.file_id or part.text for part in spoken(request, MediaPart)]
    assert len(spoken(read, MediaPart)) == len(media)
    for name in ("max_tokens", "temperature", "top_p", "top_k", "n", "stop", "seed", "logprobs", "top_logprobs"):
        assert getattr(read, name) == getattr(request, name)
    for name in ("user", "metadata", "logit_bias"):
        assert not getattr(request, name) or name in fields
    assert [tool.name for tool in read.tools] == [tool.name for tool in request.tools]
    assert (request.tool_choice and (request.tool_choice.mode, request.tool_choice.name)) == (
        read.tool_choice and (read.tool_choice.mode, read.tool_choice.name)
    )
    assert not spoken(read, OpaquePart)


def names_of_results(request: ChatRequest) -> list[str]:
    """The function that each result is of: that of the last call of its id."""
    names: dict[str, str] = {}
    found = []
    for part in spoken(request, ToolCallPart, ToolResultPart):
        if isinstance(part, ToolCallPart):
            names[part.id] = part.name
        else:
            found.append(names[part.tool_call_id])
    return found


@given(request=chat_requests())
@steady
def test_bodies_are_what_googles_client_would_send(request: ChatRequest):
    types = pytest.importorskip("google.genai").types
    body = DIALECT.encode_request(request).body
    for content in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "safetySettings"}
    assert body.keys() <= known


@given(response=chat_responses())
@steady
def test_answers_are_what_googles_client_reads(response: ChatResponse):
    types = pytest.importorskip("google.genai").types
    body = json.decode(DIALECT.encode_response(response, now=1))
    body.pop("dragoman", None)
    body["usageMetadata"].pop("serviceTier", None)  # the service sends it; its client's type lacks it
    types.GenerateContentResponse.model_validate(body)
