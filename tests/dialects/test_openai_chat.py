"""The OpenAI chat dialect on golden cases of our own: one small file for each quirk and kind of `tests/golden/openai_chat`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest

from dragoman.core.assemble import Assembly, assemble
from dragoman.core.chat import ChatRequest, Warning
from dragoman.core.events import ResponseEnd, StreamError
from dragoman.dialects.openai_chat import DIALECT
from support.chat_streams import cuts, decode_stream

GOLDEN = Path(__file__).parents[1] / "golden" / "openai_chat"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
STREAMS = [name for name, case in CASES.items() if "body" not in case]
ANSWERS = [name for name, case in CASES.items() if "body" in case]
QUIRKS = {*range(1, 35), 66, *range(86, 90)} - {35}


def stream_bytes(case: dict) -> bytes:
    if "sse" in case:
        return case["sse"].encode()
    lines = (chunk if chunk == "[DONE]" else json.dumps(chunk) for chunk in case["stream"])
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def assert_holds(found: object, expected: object, path: str = "answer") -> None:
    """Objects must hold the expected fields, and choices, parts and usage nothing beyond them."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in found or value in ("", None), f"{path}.{key} is missing in {found}"
            assert_holds(found.get(key, value), value, f"{path}.{key}")
        if path != "answer":
            assert set(found) <= set(expected), f"{path} holds more: {found}"
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{path}: {found}"
        for index, value in enumerate(expected):
            assert_holds(found[index], value, f"{path}[{index}]")
    else:
        assert found == expected, path


def test_every_quirk_has_a_case():
    assert {quirk for case in CASES.values() for quirk in case["quirks"]} >= QUIRKS


@pytest.mark.parametrize("name", STREAMS)
def test_stream_case(name):
    case = CASES[name]
    assembly = Assembly()
    for event in decode_stream(DIALECT, stream_bytes(case)):
        assembly.add(event)
    found = msgspec.to_builtins(assembly.response())
    if assembly.error is not None:
        found["error"] = msgspec.to_builtins(assembly.error)
        found["error"].pop("type")
    else:
        assert assembly.ended
        assert "error" not in case["expect"]
    found.setdefault("error", {})
    if "error" in case["expect"]:
        found["error"].setdefault("status", 502)
    assert_holds(found, case["expect"])


@pytest.mark.parametrize("name", STREAMS)
def test_stream_case_is_the_same_however_it_is_cut(name):
    data = stream_bytes(CASES[name])
    whole = decode_stream(DIALECT, data)
    for pieces in cuts(data, random.Random(name), bytewise=True):
        assert decode_stream(DIALECT, *pieces) == whole


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_case(name):
    case = CASES[name]
    response = DIALECT.decode_response(json.dumps(case["body"]).encode())
    assert_holds(msgspec.to_builtins(response), case["expect"])


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_survives_our_own_encoding(name):
    response = DIALECT.decode_response(json.dumps(CASES[name]["body"]).encode())
    again = DIALECT.decode_response(DIALECT.encode_response(response, now=1))
    assert comparable(again) == comparable(response)


@pytest.mark.parametrize("name", [name for name in STREAMS if "error" not in CASES[name]["expect"]])
def test_stream_survives_our_own_encoding(name):
    events = decode_stream(DIALECT, stream_bytes(CASES[name]))
    written = encode_stream(events)
    assert written.endswith(b"data: [DONE]\n\n")
    assert comparable(assemble(decode_stream(DIALECT, written))) == comparable(assemble(events))


def encode_stream(events: list) -> bytes:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m", include_usage=True), now=1)
    return b"".join(encoder.encode(event) for event in events)


def comparable(response: object) -> object:
    """Without what a client is not told: the spelling of the reasoning, the provider's own finish word, empty stand-ins."""
    text = json.dumps(msgspec.to_builtins(response))
    value = json.loads(text)
    for choice in value["choices"]:
        choice["finish"].pop("native", None)
        if choice["finish"]["reason"] == "unknown":
            choice["finish"]["reason"] = "stop"
        for part in choice["parts"]:
            held = part.get("extra", {}).get("openai_chat", {})
            held.pop("_field", None)
            held.pop("item", None)
            if not held:
                part.pop("extra", None)
    value.pop("created", None)
    return value


def test_a_stream_error_is_never_a_clean_end():
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    events = decode_stream(DIALECT, stream_bytes(CASES["groq_error"]))
    assert isinstance(events[-1], StreamError)
    assert b"[DONE]" not in b"".join(encoder.encode(event) for event in events)


def test_warnings_have_no_bytes():
    assert DIALECT.stream_encoder(ChatRequest(model="m"), now=1).encode(Warning(field="x", message="y")) == b""


def test_the_usage_chunk_comes_only_when_asked_for():
    events = decode_stream(DIALECT, stream_bytes(CASES["usage_chunk"]))
    quiet = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    assert b"prompt_tokens" not in b"".join(quiet.encode(event) for event in events)
    *_, last, done = encode_stream(events).strip().split(b"\n\n")
    assert (json.loads(last[6:])["choices"], done) == ([], b"data: [DONE]")


def test_created_is_now_where_the_provider_gave_none():
    case = CASES["snowflake_empties"]["body"] | {"created": 0}
    written = json.loads(DIALECT.encode_response(DIALECT.decode_response(json.dumps(case).encode()), now=77))
    assert written["created"] == 77


@pytest.mark.parametrize("index", [-1, 10**9])
def test_a_choice_index_out_of_all_bounds_breaks_the_stream(index):
    data = b'data: {"id":"c","choices":[{"index":%d,"delta":{"content":"x"}}]}\n\n' % index
    assert decode_stream(DIALECT, data)[-1].broken


@pytest.mark.parametrize(
    "data", [b"", b"data: [DONE]\n\n", b"data: 5\n\n", b'data: {"choices": 5}\n\n', b"data: " + b"[" * 5000, b"\xff\xfe"]
)
def test_garbage_is_a_stream_error_and_never_an_exception(data):
    (event,) = decode_stream(DIALECT, data)
    assert isinstance(event, StreamError)
    assert event.broken


def test_nothing_follows_the_end():
    decoder = DIALECT.stream_decoder()
    events = decoder.feed(stream_bytes(CASES["usage_chunk"]))
    assert isinstance(events[-1], ResponseEnd)
    assert decoder.feed(b"data: {}\n\n") == []
    assert decoder.close() == []
