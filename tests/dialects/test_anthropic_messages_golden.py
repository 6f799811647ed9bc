"""Our own small cases of the Messages API: one for each quirk of its traffic (the number leads the name) and each kind of body.

A case holds what comes over the wire and, under `expect`, what it means in our words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import error_for
from dragoman.dialects.anthropic_messages import DIALECT
from dragoman.dialects.base import EncodedRequest

FOLDER = Path(__file__).parents[1] / "golden" / "anthropic_messages"
CASES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name) for name, case in CASES.items() if case["kind"] == kind]
    )


def bytes_of(body: Any) -> bytes:
    return json.dumps(body).encode()


def answer_of(data: bytes, size: int) -> ChatResponse:
    decoder = DIALECT.stream_decoder()
    events = [event for place in range(0, len(data), size) for event in decoder.feed(data[place : place + size])]
    return assemble([*events, *decoder.close()])


def test_every_quirk_has_a_case() -> None:
    assert {name.split("_")[0] for name in CASES} >= {str(number) for number in range(41, 53)}


@cases("stream")
def test_stream(case: dict[str, Any]) -> None:
    data = case["stream"].encode()
    expected = msgspec.convert(case["expect"], ChatResponse)
    for size in (1, 2, 5, 61, len(data)):
        assert answer_of(data, size) == expected
        assert answer_of(data.replace(b"\n", b"\r\n"), size) == expected


@cases("stream")
def test_stream_is_tapped(case: dict[str, Any]) -> None:
    data = case["stream"].encode()
    for size in (1, 50, len(data)):
        tap = DIALECT.stream_tap()
        for place in range(0, len(data), size):
            tap.feed(data[place : place + size])
        assert (tap.started, tap.complete, tap.error) == (True, True, None)
        assert tap.usage == msgspec.convert(case["expect"], ChatResponse).usage


@cases("stream")
def test_stream_is_written_anew(case: dict[str, Any]) -> None:
    decoder, encoder = DIALECT.stream_decoder(), DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    events = [*decoder.feed(case["stream"].encode()), *decoder.close()]
    again = answer_of(b"".join(encoder.encode(event) for event in events), 1_000_000)
    assert again == msgspec.convert(case["expect"], ChatResponse)


@cases("answer")
def test_answer(case: dict[str, Any]) -> None:
    body = bytes_of(case["body"])
    response = DIALECT.decode_response(body)
    assert response == msgspec.convert(case["expect"], ChatResponse)
    assert DIALECT.read_usage(body) == response.usage
    written = json.loads(DIALECT.encode_response(response, now=1))
    assert written | {"usage": {}} == case["body"] | {"usage": {}}
    assert written["usage"].items() >= case["body"]["usage"].items()


@cases("request")
def test_request(case: dict[str, Any]) -> None:
    request = DIALECT.decode_request(bytes_of(case["body"]))
    assert request == msgspec.convert(case["expect"], ChatRequest)
    assert DIALECT.encode_request(request) == EncodedRequest(case["body"])


@cases("failure")
def test_failure(case: dict[str, Any]) -> None:
    detail = DIALECT.decode_error(case["status"], bytes_of(case["body"]))
    error = error_for(case["status"], detail)
    assert {"class": type(error).__name__, "message": detail.message, "type": detail.type} == case["expect"]
