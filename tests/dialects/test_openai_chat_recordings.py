"""Every recorded chat completion of every provider, replayed: streams in all slicings, answers and requests field by field.

What is lost or changed on purpose stands in a table with its reason, and a reason that no recording needs any more fails.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest

from dragoman.core.assemble import Assembly, assemble
from dragoman.core.chat import ChatRequest, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from dragoman.core.errors import BadRequestError, ContentPolicyViolationError
from dragoman.core.events import StreamError
from dragoman.dialects.openai_chat import DIALECT
from support.chat_streams import cuts, decode_stream
from support.recordings import Entry, exchanges

STREAMS = exchanges("chat", streaming=True, ok=True)
ANSWERS = exchanges("chat", streaming=False, ok=True)
WHOLE = [entry for entry in STREAMS if "stream_error" not in entry.kind]
FAILURES = exchanges("chat", ok=False)
REQUESTS = exchanges("chat", ok=True)
BYTEWISE_BELOW = 2_000
pytestmark = pytest.mark.skipif(not STREAMS, reason="the recordings do not lie beside this checkout")


@cache
def data_of(entry: Entry) -> bytes:
    return entry.load().response_bytes


@cache
def events_of(entry: Entry) -> list[Any]:
    return decode_stream(DIALECT, data_of(entry))


def by_id(entry: Entry) -> str:
    return entry.id


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that says something: nulls, empty strings, lists and objects do not."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    elif value is not None and value != "":
        yield path, value


def differences(recorded: Any, again: Any) -> Iterator[tuple[str, Any, Any]]:
    kept = dict(leaves(again))
    for path, value in leaves(recorded):
        if kept.get(path) != value or type(kept.get(path)) is bool is not type(value):
            yield path, value, kept.get(path)


def unexplained(found: list[tuple[str, Any, Any]], reasons: dict[str, str], used: set[str]) -> list[tuple[str, Any, Any]]:
    left = []
    for difference in found:
        why = next((pattern for pattern in reasons if re.fullmatch(pattern, difference[0])), None)
        if why is None:
            left.append(difference)
        else:
            used.add(why)
    return left


# --------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_means_the_same_in_every_slicing(entry):
    data, whole = data_of(entry), events_of(entry)
    for pieces in cuts(data, random.Random(entry.id), bytewise=len(data) < BYTEWISE_BELOW, rounds=1):
        assert decode_stream(DIALECT, *pieces) == whole


def test_one_long_stream_byte_by_byte():
    data = max((data_of(entry) for entry in STREAMS if len(data_of(entry)) < 30_000), key=len)
    assert decode_stream(DIALECT, *(data[i : i + 1] for i in range(len(data)))) == decode_stream(DIALECT, data)


def chunks_of(data: bytes) -> list[dict]:
    lines = [line[5:].strip() for line in data.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def folded(data: bytes) -> dict[int, dict[str, Any]]:
    """A naive fold: what each choice says in all, without any idea of parts."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks_of(data):
        for item in chunk.get("choices") or ():
            index = 0 if chunk.get("object") == "text_completion" else item.get("index", 0)
            said = choices.setdefault(index, {"text": "", "reasoning": "", "refusal": "", "calls": {}, "finish": None})
            delta = item.get("delta") or {}
            fold_delta(said, delta)
            if item.get("finish_reason") == "eos_token":
                said["text"] = said["text"].removesuffix("</s>")
            said["finish"] = said["finish"] or item.get("finish_reason") or None
    return choices


def fold_delta(said: dict[str, Any], delta: dict[str, Any]) -> None:
    content = delta.get("content") or ""
    for piece in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if piece["type"] == "thinking":
            said["reasoning"] += "".join(inner["text"] for inner in piece["thinking"])
        else:
            said["text"] += piece["text"]
    said["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
    said["refusal"] += delta.get("refusal") or ""
    for position, call in enumerate(delta.get("tool_calls") or ()):
        held = said["calls"].setdefault(call.get("index", f"at {position}"), {"name": "", "arguments": ""})
        held["name"] = held["name"] or (call["function"].get("name") or "")
        held["arguments"] += call["function"].get("arguments") or ""


@pytest.mark.parametrize("entry", WHOLE, ids=by_id)
def test_the_assembled_stream_agrees_with_a_naive_fold(entry):
    data, response = data_of(entry), assemble(events_of(entry))
    found = {
        choice.index: {
            "text": text_of(choice.parts, TextPart),
            "reasoning": text_of(choice.parts, ReasoningPart),
            "refusal": text_of(choice.parts, RefusalPart),
            "calls": [{"name": p.name, "arguments": p.arguments} for p in choice.parts if isinstance(p, ToolCallPart)],
            "finish": choice.finish.native if choice.finish else None,
        }
        for choice in response.choices
    }
    assert found == {index: said | {"calls": list(said["calls"].values())} for index, said in folded(data).items()}


def text_of(parts: tuple, kind: type) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_events_keep_their_order(entry):
    events = events_of(entry)
    names = [type(event).__name__ for event in events]
    assert names[0] == "ResponseStart"
    assert names.count("ResponseStart") == 1
    assert names[-1] in ("ResponseEnd", "StreamError")
    open_parts: set[tuple[int, int]] = set()
    begun: dict[int, int] = {}
    for event in events[1:-1]:
        if type(event).__name__ == "PartStart":
            assert event.index == begun.get(event.choice, -1) + 1
            begun[event.choice] = event.index
            open_parts.add((event.choice, event.index))
        elif hasattr(event, "index"):
            assert (event.choice, event.index) in open_parts
            if type(event).__name__ == "PartEnd":
                open_parts.remove((event.choice, event.index))
    assert not open_parts or isinstance(events[-1], StreamError)


@pytest.mark.parametrize("entry", WHOLE, ids=by_id)
def test_a_stream_survives_our_own_encoding(entry):
    events = events_of(entry)
    encoder = DIALECT.stream_encoder(ChatRequest(model="m", include_usage=True), now=1)
    written = b"".join(encoder.encode(event) for event in events)
    assert told(assemble(decode_stream(DIALECT, written))) == told(assemble(events))


@pytest.mark.parametrize("entry", [entry for entry in ANSWERS if "error_in_200" not in entry.kind], ids=by_id)
def test_an_answer_survives_our_own_encoding(entry):
    response = DIALECT.decode_response(entry.load().response_bytes)
    assert told(DIALECT.decode_response(DIALECT.encode_response(response, now=1))) == told(response)


def told(response: Any) -> Any:
    """What a client is told: not the spelling of the reasoning, the provider's own finish word, or a missing `created`."""
    value = json.loads(json.dumps(msgspec.to_builtins(response)))
    value.pop("created", None)
    value.pop("service_tier", None)
    value.pop("system_fingerprint", None)
    for name in ("service_tier", "system_fingerprint"):
        value.get("extra", {}).get("openai_chat", {}).pop(name, None)
    for choice in value.get("choices", []):
        finish = choice.pop("finish", {})
        choice["finish"] = "stop" if finish.get("reason", "unknown") == "unknown" else finish["reason"]
        for part in choice.get("parts", []):
            held = part.get("extra", {}).get("openai_chat", {})
            held.pop("_field", None)
            held.pop("item", None)
    return without_empties(value)


def without_empties(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {key: without_empties(inner) for key, inner in value.items()}
        return {key: inner for key, inner in cleaned.items() if inner not in ({}, None)}
    return [without_empties(inner) for inner in value] if isinstance(value, list) else value


# --------------------------------------------------------------------------------------------------------------- the tap
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_the_tap_agrees_with_the_decoder(entry):
    data, assembly = data_of(entry), Assembly()
    for event in events_of(entry):
        assembly.add(event)
    for pieces in ([data], *cuts(data, random.Random(entry.id), bytewise=len(data) < BYTEWISE_BELOW, rounds=1)):
        tap = DIALECT.stream_tap()
        for piece in pieces:
            tap.feed(piece)
        assert tap.started
        assert (tap.complete, tap.usage) == (assembly.ended, assembly.response().usage)
        assert (tap.error and tap.error.message) == (assembly.error and assembly.error.message)
        assert tap.error_status == (assembly.error.status if assembly.error else 0)


@pytest.mark.parametrize("entry", ANSWERS, ids=by_id)
def test_the_usage_of_an_answer_is_read_alike_without_decoding_it(entry):
    exchange = entry.load()
    if not exchange.response_json.get("error"):
        assert DIALECT.read_usage(exchange.response_bytes) == DIALECT.decode_response(exchange.response_bytes).usage


# --------------------------------------------------------------------------------------------------------------- answers
ANSWER_REASONS = {
    r"object": "always chat.completion",
    r"created": "0 means not known: the time of writing stands there",
    r"choices\[\d\]\.finish_reason": "normalised by the table of reasons",
    r"choices\[\d\]\.delta\..*": "repeats the message (Perplexity)",
    r"choices\[\d\]\.message\.reasoning": "written as reasoning_content, which clients read",
    r"choices\[\d\]\.message\.content\[\d\]\..*": "Mistral's list: text becomes content, thinking reasoning_content",
    r"choices\[\d\]\.message\.content\.\w+": "a JSON value becomes JSON text (Cloudflare)",
    r"choices\[\d\]\.message\.tool_calls\[\d\]\.index": "the position in the list says it",
    r"choices\[\d\]\.message\.audio\.expires_at": "Snowflake's empty stand-in",
    r"choices\[\d\]\.logprobs\.content\[\d+\](\.top_logprobs\[\d+\])?\.id": "llama.cpp's own",
    r"usage\.(prompt_tokens|completion_tokens|total_tokens)": "normalised: cache and audio, reasoning included",
    r"usage\.(cache_creation_input_tokens|cache_read_input_tokens)": "0 is left out",
    r"usage\.prompt_tokens_details\.cache_write_tokens": "written as cache_creation_tokens",
    r"usage\.(prompt|completion)_tokens_details\.image_tokens": "0 is left out",
}


def test_answers_lose_nothing():
    used: set[str] = set()
    for entry in ANSWERS:
        exchange = entry.load()
        if exchange.response_json.get("error"):
            continue
        again = json.loads(DIALECT.encode_response(DIALECT.decode_response(exchange.response_bytes), now=1))
        left = unexplained(list(differences(exchange.response_json, again)), ANSWER_REASONS, used)
        assert left == [], entry.id
        assert_texts_are_kept(exchange.response_json, again, entry.id)
    assert set(ANSWER_REASONS) - used == set()


def assert_texts_are_kept(recorded: dict, again: dict, name: str) -> None:
    """Whatever moved: every text a model wrote is still somewhere in the message."""
    for item, written in zip(recorded["choices"], again["choices"], strict=True):
        texts = "\n".join(str(value) for _, value in leaves(written["message"]))
        for path, value in leaves(item["message"]):
            if isinstance(value, str) and not path.endswith(".type"):
                assert value in texts, (name, path)


def test_an_error_inside_a_200_is_raised():
    entry = next(entry for entry in ANSWERS if entry.load().response_json.get("error"))
    with pytest.raises(ContentPolicyViolationError) as caught:
        DIALECT.decode_response(entry.load().response_bytes)
    assert (caught.value.status_code, caught.value.code) == (400, "content_filter")


# -------------------------------------------------------------------------------------------------------------- requests
REQUEST_REASONS = {
    r"stream": "false is the default",
    r"stop": "one string is a list of one",
    r"tool_choice": "any is Mistral's word for required",
    r"messages\[\d+\]\.content(\[\d+\]\.(type|text))?": "one plain text in a list is written as a string",
    r"messages\[\d+\]\.content\[\d+\]\.image_url": "Mistral's bare URL is written as an object with a url",
    r"messages\[\d+\]\.cache_control\..*": "a mark on the message is written on its last part",
    r"messages\[\d+\]\.reasoning": "repeats reasoning_content",
    r"messages\[\d+\]\.tool_calls\[\d+\]\.index": "the position in the list says it",
}


def test_requests_lose_nothing():
    used: set[str] = set()
    for entry in REQUESTS:
        body = entry.load().request_json
        if body is None:
            continue
        body = {"model": "m"} | {key: value for key, value in body.items() if value is not None}
        if entry.id in REFUSED:
            continue
        encoded = DIALECT.encode_request(DIALECT.decode_request(json.dumps(body).encode()))
        assert encoded.warnings == ()
        assert unexplained(list(differences(body, encoded.body)), REQUEST_REASONS, used) == [], entry.id
        assert_request_texts_are_kept(body, encoded.body, entry.id)
        assert DIALECT.encode_request(DIALECT.decode_request(json.dumps(encoded.body).encode())) == encoded, entry.id
    assert set(REQUEST_REASONS) - used == set()


REFUSED = {"writer-chat-tool_result-stream-5a505b46": "messages[2].tool_call_id: expected a string, found nothing"}
"""A provider that takes a result without saying of what; we cannot know to which call it belongs."""


@pytest.mark.parametrize("entry", [entry for entry in REQUESTS if entry.id in REFUSED], ids=by_id)
def test_refused_requests(entry):
    with pytest.raises(BadRequestError, match=re.escape(REFUSED[entry.id])):
        DIALECT.decode_request(json.dumps(entry.load().request_json).encode())


def assert_request_texts_are_kept(recorded: dict, again: dict, name: str) -> None:
    texts = {value for _, value in leaves(again) if isinstance(value, str)}
    for path, value in leaves(recorded):
        if isinstance(value, str) and not path.endswith((".type", "tool_choice")):
            assert value in texts, (name, path)


# -------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_failures_say_what_the_provider_said(entry):
    exchange = entry.load()
    detail = DIALECT.decode_error(entry.status, exchange.response_bytes)
    body = exchange.response_json
    assert detail.message
    if body is None:
        assert detail.message == exchange.response_bytes.decode()
        return
    error = body.get("error") if isinstance(body.get("error"), dict) else body
    texts = {value for _, value in leaves(body) if isinstance(value, str)}
    assert any(text in detail.message for text in texts)
    if isinstance(error.get("message"), str):
        assert error["message"] in detail.message
    code = str(error.get("code") or "")
    assert (detail.code or "") == ("" if code == str(entry.status) else code), "a code that only repeats the status is none"
    if error.get("param"):
        assert detail.param == error["param"]
