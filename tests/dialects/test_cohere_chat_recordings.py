"""Every recorded exchange with Cohere's Chat API v2, replayed: answers, streams in all slicings, requests, failures.

Streams are folded a second time by plain code, bodies compared with what was recorded; what may differ is written down here.
Not spoken: `chat_v1` and `generate_v1` are APIs that Cohere has switched off; `chat` is OpenAI's dialect.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ReasoningPart, TextPart, ToolCallPart
from dragoman.core.errors import AuthenticationError, error_for
from dragoman.dialects.cohere_chat import DIALECT
from support.chat_streams import cuts, decode_stream
from support.cohere import read_request
from support.recordings import Entry, exchanges

ALL = exchanges("chat_v2", provider="cohere")
STREAMS = [entry for entry in ALL if entry.streaming and entry.status == 200]
ANSWERS = [entry for entry in ALL if not entry.streaming and entry.status == 200]
FAILURES = [entry for entry in ALL if entry.status != 200]
BY_ID = {"ids": lambda entry: entry.id}
LONG = 20_000
"""Bytes of a stream that is not cut byte by byte, to save time."""

if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


# ---------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_means_the_same_in_all_slicings(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decode_stream(DIALECT, data)
    for pieces in cuts(data, random.Random(entry.id), bytewise=len(data) < LONG):
        assert decode_stream(DIALECT, *pieces) == events
    assert isinstance(events[0], ev.ResponseStart)
    assert not any(isinstance(event, ev.Warning) for event in events)
    message = folded(data)
    if message["finish_reason"] == "ERROR":
        assert events[-1] == ev.StreamError(message=message["error"], status=500, error_type="INVALID_TOOL_GENERATION")
        return
    assert isinstance(events[-1], ev.ResponseEnd)
    assert told(assemble(events)) == message


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    for end in random.Random(entry.id).sample(range(data.index(b"message-end")), 3):
        events = decode_stream(DIALECT, data[:end])
        assert isinstance(events[-1], ev.StreamError)
        assert events[-1].broken


def told(response: Any) -> dict[str, Any]:
    """An answer in Cohere's words."""
    (choice,) = response.choices
    usage = response.usage
    return {
        "content": [block_of(part) for part in choice.parts if not isinstance(part, ToolCallPart)],
        "calls": [(part.id, part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCallPart)],
        "citations": [
            cited.extra["cohere_chat"] for part in choice.parts if isinstance(part, TextPart) for cited in part.citations
        ],
        "finish_reason": choice.finish.native,
        "usage": usage
        and {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cache_read_tokens,
            "billed": usage.extra["cohere_chat"]["billed_units"],
        },
    }


def block_of(part: Any) -> tuple[str, str]:
    return ("thinking", part.text) if isinstance(part, ReasoningPart) else ("text", part.text)


def counted(usage: dict[str, Any]) -> dict[str, Any]:
    tokens = usage["tokens"]
    return {
        "input": tokens["input_tokens"] + tokens.get("image_tokens", 0),
        "output": tokens["output_tokens"],
        "cached": usage.get("cached_tokens", 0),
        "billed": usage["billed_units"],
    }


def folded(data: bytes) -> dict[str, Any]:
    """The same by plain code, straight from the lines."""
    content: list[list[str]] = []
    calls: list[list[str]] = []
    message: dict[str, Any] = {"citations": []}
    plan = ""
    for line in data.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        delta = event.get("delta") or {}
        said = delta.get("message") or {}
        match event["type"]:
            case "content-start":
                kind = said["content"]["type"]
                content.append([kind, said["content"][kind]])
            case "content-delta":
                content[event["index"]][1] += next(iter(said["content"].values()))
            case "tool-plan-delta":
                plan += said["tool_plan"]
            case "tool-call-start":
                call = said["tool_calls"]
                calls.append([call["id"], call["function"]["name"], call["function"]["arguments"]])
            case "tool-call-delta":
                calls[event["index"]][2] += said["tool_calls"]["function"]["arguments"]
            case "citation-start":
                message["citations"].append(said["citations"])
            case "message-end":
                message["finish_reason"] = delta["finish_reason"]
                message["usage"] = counted(delta["usage"]) if delta["usage"] else None
                message |= {"error": delta["error"]} if "error" in delta else {}
    blocks = [(kind, text) for kind, text in content] + ([("text", plan)] if plan else [])
    return {**message, "content": blocks, "calls": [tuple(call) for call in calls]}


# ---------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("entry", ANSWERS, **BY_ID)
def test_an_answer_is_read_whole(entry: Entry) -> None:
    recorded = entry.load()
    answer = recorded.response_json
    message = answer["message"]
    response = DIALECT.decode_response(recorded.response_bytes)
    plan = [("text", message["tool_plan"])] if message.get("tool_plan") else []
    assert told(response) == {
        "content": [(block["type"], block[block["type"]]) for block in message.get("content", [])] + plan,
        "calls": [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", [])
        ],
        "citations": message.get("citations", []),
        "finish_reason": answer["finish_reason"],
        "usage": counted(answer["usage"]),
    }
    assert response.id == answer["id"]
    assert response.choices[0].finish.reason != "unknown"
    for part in response.choices[0].parts:
        for cited in getattr(part, "citations", ()):
            assert part.text[cited.start_index : cited.end_index] == cited.extra["cohere_chat"]["text"]


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize("entry", ALL, **BY_ID)
def test_the_request_of_the_same_meaning_is_the_recorded_one(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    encoded = DIALECT.encode_request(read_request(json.loads(json.dumps(recorded))))
    assert plain(json.loads(json.dumps(encoded.body))) == plain(recorded)
    assert encoded.warnings == ()


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = {key: value for key, value in body.items() if value not in (None, [], False)}  # not said, or the default
    body["messages"] = [plain_message(message) for message in body["messages"]]
    return body


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    """Empty lists and texts and null fields are left out; a string stands for one block of text."""
    content = message.get("content") or []
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    kept = {key: value for key, value in message.items() if value not in (None, [])}
    return {**kept, "content": [block for block in blocks if block.get("text") != ""]}


# --------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, **BY_ID)
def test_a_failure_is_understood(entry: Entry) -> None:
    recorded = entry.load()
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert detail.message == recorded.response_json["message"]
    assert type(error_for(entry.status, detail)) is AuthenticationError
