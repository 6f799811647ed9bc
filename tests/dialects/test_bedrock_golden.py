"""Our own small cases of Converse: one for each quirk of its traffic (the number leads the name) and each kind of body.

A case holds what comes over the wire and, under `expect`, what it means in our words; a request the other way round.
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
from dragoman.core.unfold import unfold
from dragoman.dialects.bedrock_converse import DIALECT
from support.bedrock import frames

FOLDER = Path(__file__).parents[1] / "golden" / "bedrock_converse"
CASES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name) for name, case in CASES.items() if case["kind"] == kind]
    )


@cases("stream")
def test_stream(case: dict[str, Any]) -> None:
    data = frames(*case["events"])
    for size in (1, 2, 5, 61, len(data)):
        decoder = DIALECT.stream_decoder()
        events = [event for place in range(0, len(data), size) for event in decoder.feed(data[place : place + size])]
        assert assemble([*events, *decoder.close()]) == msgspec.convert(case["expect"], ChatResponse)


@cases("answer")
def test_answer(case: dict[str, Any]) -> None:
    response = DIALECT.decode_response(json.dumps(case["body"]).encode())
    assert response == msgspec.convert(case["expect"], ChatResponse)
    assert assemble(unfold(response)) == response


@cases("request")
def test_request(case: dict[str, Any]) -> None:
    body, warnings, content_type = DIALECT.encode_request(msgspec.convert(case["request"], ChatRequest))
    assert json.loads(json.dumps(body)) == case["expect"]
    assert (warnings, content_type) == ((), "application/json")


@cases("failure")
def test_failure(case: dict[str, Any]) -> None:
    detail = DIALECT.decode_error(case["status"], json.dumps(case["body"]).encode())
    error = error_for(case["status"], detail)
    assert {"class": type(error).__name__, "message": detail.message, "type": detail.type} == case["expect"]
