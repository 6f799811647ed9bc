"""Token counts: every recorded exchange with the four vendors that count, and what of a chat request is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.chat import ChatRequest, Message, Reasoning, TextPart, Tool
from dragoman.core.errors import BadRequestError, NotFoundError, ResponseDecodeError, error_for
from dragoman.core.json import decode_envelope
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects import registry
from support.bedrock import read_request as read_converse
from support.recordings import Entry, exchanges

SPOKEN_BY = {
    "anthropic": "anthropic_count_tokens",
    "openai": "openai_count_tokens",
    "gemini": "gemini_count_tokens",
    "vertex": "vertex_count_tokens",
    "bedrock": "bedrock_count_tokens",
}
COUNT = {
    "anthropic": "input_tokens",
    "openai": "input_tokens",
    "gemini": "totalTokens",
    "vertex": "totalTokens",
    "bedrock": "inputTokens",
}
RECORDED = [*exchanges("count_tokens"), *exchanges("responses_input_tokens")]
BOTH_HALVES = ("anthropic_count_tokens", "openai_count_tokens", "gemini_count_tokens", "vertex_count_tokens")


def dialect_of(entry: Entry) -> Any:
    return registry.get(SPOKEN_BY[entry.provider])


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if entry.status == 200], ids=lambda entry: entry.id)
def test_recorded_counts(entry: Entry) -> None:
    recorded = entry.load()
    answer = dialect_of(entry).decode_response(recorded.response_bytes)
    assert answer == TokenCountResponse(input_tokens=recorded.response_json[COUNT[entry.provider]])


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if entry.status != 200], ids=lambda entry: entry.id)
def test_recorded_failures(entry: Entry) -> None:
    recorded = entry.load()
    detail = dialect_of(entry).decode_error(recorded.status, recorded.response_bytes)
    kind = NotFoundError if recorded.status == 404 else BadRequestError
    assert isinstance(error_for(recorded.status, detail), kind)
    assert detail.message in json.dumps(recorded.response_json)


# ---------------------------------------------------------------------------------------------------------------- requests
def asked(entry: Entry) -> Any:
    """What was asked; None for what Bedrock takes in another maker's API, which is not spoken here."""
    sent = entry.load().request_json
    return None if "invokeModel" in sent.get("input", {}) else sent


def read(entry: Entry, sent: Any) -> ChatRequest:
    if entry.provider == "bedrock":
        return read_converse("m", sent["input"]["converse"])
    if entry.provider == "vertex":
        return registry.get("gemini").decode_request(json.dumps(sent).encode())
    return dialect_of(entry).decode_request(json.dumps(sent).encode())


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if asked(entry)], ids=lambda entry: entry.id)
def test_recorded_requests_lose_nothing(entry: Entry) -> None:
    sent = asked(entry)
    request = read(entry, sent)
    if entry.provider == "gemini":
        request = ChatRequest(**{**fields(request), "model": "gemini-3.5-flash"})
    written, warnings, _ = dialect_of(entry).encode_request(request)
    assert warnings == ()
    assert plain(written) == plain(sent)


def fields(request: ChatRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def plain(value: Any) -> Any:
    """Deliberate differences: a text for its only text part, `message` for the type of an item, snake for camel case, system
    instructions without a role or in a list of parts, and what is empty (a message too) for what is not there."""
    if isinstance(value, list):
        items = [made for item in value if (made := plain(item)) not in ({}, {"role": "user"})]
        return items[0]["text"] if len(items) == 1 and texts_only(items[0]) else items
    if not isinstance(value, dict):
        return value
    made = {camel(key): plain(held) for key, held in value.items()}
    if made.get("type") == "message":
        del made["type"]
    if "systemInstruction" in made:
        parts = made["systemInstruction"].get("parts")
        made["systemInstruction"] = parts["text"] if isinstance(parts, dict) else parts
    return {key: held for key, held in made.items() if held not in ("", [], {}, None) and key not in IGNORED}


IGNORED = {"maxOutputTokens"}  # takes no tokens of the prompt


def texts_only(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() <= {"type", "text"}
        and item.get("type", "text") in {"text", "inputText", "input_text"}
    )


def camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


FULL = ChatRequest(
    model="m",
    messages=(
        Message(role="system", parts=(TextPart(text="be brief"),)),
        Message(role="user", parts=(TextPart(text="hi"),)),
    ),
    tools=(Tool(name="f", parameters={"type": "object", "properties": {}}),),
    max_tokens=5,
    temperature=0.5,
    seed=3,
    n=2,
    stop=("x",),
    stream=True,
    logit_bias={"1": 2},
    metadata={"a": "b"},
    reasoning=Reasoning(budget_tokens=2048, enabled=True),
)


@pytest.mark.parametrize(
    ("name", "path", "places"),
    [
        ("anthropic_count_tokens", "/v1/messages/count_tokens", {"model", "messages", "system", "tools", "thinking"}),
        (
            "anthropic_vertex_count_tokens",
            "/publishers/anthropic/models/count-tokens:rawPredict",
            {"model", "messages", "system", "tools", "thinking"},
        ),
        ("openai_count_tokens", "/responses/input_tokens", {"model", "input", "tools", "reasoning"}),
        ("gemini_count_tokens", "/models/m:countTokens", {"generateContentRequest"}),
        (
            "vertex_count_tokens",
            "/publishers/google/models/m:countTokens",
            {"contents", "systemInstruction", "tools", "generationConfig"},
        ),
        ("bedrock_count_tokens", "/model/m/count-tokens", {"input"}),
    ],
)
def test_what_is_counted_and_nothing_else(name: str, path: str, places: set[str]) -> None:
    dialect = registry.get(name)
    encoded = dialect.encode_request(FULL)
    assert (dialect.name, dialect.path("m")) == (name, path)
    assert encoded.body.keys() - {"instructions"} == places
    said = json.dumps(encoded.body)
    assert "be brief" in said
    assert not any(word in said for word in ("temperature", "seed", "stream", "max_tokens", "maxOutputTokens", "logit"))
    assert not any(warning.field in {"seed", "n", "logit_bias", "stop"} for warning in encoded.warnings)


@pytest.mark.parametrize("name", sorted({*SPOKEN_BY.values()}))
@pytest.mark.parametrize("answer", [b"{", b"[]", b"{}", b'{"input_tokens": "7", "totalTokens": true, "inputTokens": -1}'])
def test_answers_without_a_count(name: str, answer: bytes) -> None:
    with pytest.raises(ResponseDecodeError):
        registry.get(name).decode_response(answer)


@pytest.mark.parametrize("name", BOTH_HALVES)
def test_answers_there_and_back(name: str) -> None:
    dialect = registry.get(name)
    assert dialect.decode_response(dialect.encode_response(TokenCountResponse(input_tokens=7), now=0)).input_tokens == 7
    assert dialect.read_usage(b"anything") is None


@pytest.mark.parametrize(
    ("name", "envelope", "edited"),
    [
        ("anthropic_count_tokens", b'{"model": "x", "messages": [ 1 ]}', {"model": b'"m"', "messages": b"[ 1 ]"}),
        ("openai_count_tokens", b'{"model": "x", "input": "a"}', {"model": b'"m"', "input": b'"a"'}),
        ("gemini_count_tokens", b'{"contents": [ 1 ]}', {"contents": b"[ 1 ]"}),
        (
            "gemini_count_tokens",
            b'{"generateContentRequest": {"model": "models/x", "contents": []}}',
            {"generateContentRequest": b'{"model":"models/m","contents":[]}'},
        ),
    ],
)
def test_the_relay(name: str, envelope: bytes, edited: dict[str, bytes]) -> None:
    made = registry.get(name).edit_request(decode_envelope(envelope), model="m", want_usage=True)
    assert {key: bytes(value) for key, value in made.items()} == edited


@pytest.mark.parametrize("sent", [b"{", b"[]", b'{"generateContentRequest": {"contents": 3}}', b'{"contents": 3}'])
def test_bad_requests_to_count_for_gemini(sent: bytes) -> None:
    with pytest.raises(BadRequestError):
        registry.get("gemini_count_tokens").decode_request(sent)
