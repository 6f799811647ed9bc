"""Every recorded exchange with Ollama's own chat and embedding API, replayed: answers, streams in all slicings, requests.

Not spoken: `api_generate`, which prompts without messages. What may differ between a request and its recording is written down.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ReasoningPart, TextPart, ToolCallPart
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from support.chat_streams import cuts, decode_stream
from support.ollama import read_request
from support.recordings import Entry, exchanges

CHAT = registry.get("ollama_chat")
EMBEDDINGS = registry.get("ollama_embeddings")

OF_OPENAI = {
    "ollama-api_chat-plain-aa7063f8": "its source took an answer of the OpenAI-compatible endpoint for one of this",
    "ollama-api_chat-tool_call-608c8c95": "likewise",
}
ALL = [entry for entry in exchanges("api_chat", provider="ollama") if entry.id not in OF_OPENAI]
STREAMS = [entry for entry in ALL if entry.streaming]
ANSWERS = [entry for entry in ALL if not entry.streaming]
VECTORS = exchanges("embeddings_native", provider="ollama")
BY_ID = {"ids": lambda entry: entry.id}

if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


def told(response: Any) -> dict[str, Any]:
    """An answer in Ollama's words, calls by their meaning."""
    (choice,) = response.choices
    parts = choice.parts
    return {
        "model": response.model,
        "thinking": "".join(part.text for part in parts if isinstance(part, ReasoningPart)),
        "content": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "calls": [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCallPart)],
        "done_reason": choice.finish.native,
        "counts": (response.usage.input_tokens, response.usage.output_tokens),
        "times": response.extra["ollama_chat"],
    }


def folded(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The same by plain code, straight from the lines."""
    messages, last = [line["message"] for line in lines], lines[-1]
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    return {
        "model": last["model"],
        "thinking": "".join(message.get("thinking", "") for message in messages),
        "content": "".join(message["content"] for message in messages),
        "calls": [(call["name"], call["arguments"]) for call in calls],
        "done_reason": last["done_reason"],
        "counts": (last["prompt_eval_count"], last["eval_count"]),
        "times": {key: value for key, value in last.items() if key.endswith("_duration")},
    }


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_means_the_same_in_all_slicings(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decode_stream(CHAT, data)
    for pieces in cuts(data, random.Random(entry.id), bytewise=len(data) < 20_000):
        assert decode_stream(CHAT, *pieces) == events
    assert isinstance(events[0], ev.ResponseStart)
    assert isinstance(events[-1], ev.ResponseEnd)
    response = assemble(events)
    assert told(response) == folded([json.loads(line) for line in data.splitlines()])
    assert_ends_well(response)


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    for end in random.Random(entry.id).sample(range(data.index(b'"done":true')), 3):
        events = decode_stream(CHAT, data[:end])
        assert isinstance(events[-1], ev.StreamError)
        assert events[-1].broken


@pytest.mark.parametrize("entry", ANSWERS, **BY_ID)
def test_an_answer_is_read_whole(entry: Entry) -> None:
    recorded = entry.load()
    response = CHAT.decode_response(recorded.response_bytes)
    assert told(response) == folded([recorded.response_json])
    assert_ends_well(response)


def assert_ends_well(response: Any) -> None:
    (choice,) = response.choices
    calls = [part for part in choice.parts if isinstance(part, ToolCallPart)]
    assert (choice.finish.reason == "tool_calls") == bool(calls)
    assert choice.finish.reason != "unknown" or choice.finish.native == "custom"  # written by hand
    assert all(call.id for call in calls)
    assert len({call.id for call in calls}) == len(calls)


@pytest.mark.parametrize("entry", ALL, **BY_ID)
def test_the_request_of_the_same_meaning_is_the_recorded_one(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    encoded = CHAT.encode_request(read_request(json.loads(json.dumps(recorded))))
    body = plain(json.loads(json.dumps(encoded.body)))
    for mine, theirs in zip(body["messages"], recorded["messages"], strict=True):
        if "tool_name" not in theirs:
            mine.pop("tool_name", None)  # older clients left it to the server to guess whose result it is
    assert body == plain(recorded)
    assert encoded.warnings == ()


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = {"stream": True, **body}  # the default, which is always said
    body = {key: value for key, value in body.items() if value not in (None, [], {}, "")}  # not said
    body["messages"] = [plain_message(message) for message in body["messages"]]
    return body


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    """Newer servers know which result belongs to which call; none of the recorded clients told them."""
    calls = [{"function": call["function"]} for call in message.get("tool_calls") or ()]
    kept = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_call_id")}
    return kept | ({"tool_calls": calls} if calls else {})


@pytest.mark.parametrize("entry", VECTORS, **BY_ID)
def test_vectors_are_asked_for_and_read(entry: Entry) -> None:
    recorded = entry.load()
    answer, asked = recorded.response_json, recorded.request_json
    response = EMBEDDINGS.decode_response(recorded.response_bytes)
    assert [list(embedding.vector) for embedding in response.embeddings] == answer["embeddings"]
    assert (response.model, response.usage.input_tokens) == (answer["model"], answer["prompt_eval_count"])
    if asked is not None:
        request = EmbeddingRequest(model=asked["model"], input=(asked["input"],), extra={"openai_embeddings": asked["options"]})
        body, warnings, _ = EMBEDDINGS.encode_request(request)
        assert [warning.field for warning in warnings] == ["temperature"]  # it does nothing to vectors
        assert body == {"model": asked["model"], "input": [asked["input"]]}
