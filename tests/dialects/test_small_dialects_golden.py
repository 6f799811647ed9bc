"""Our own small cases of Cohere's and Ollama's chats and of text completions: one for each kind of body and each quirk.

A case holds what comes over the wire and, under `expect`, what it means in our words; a request the other way round. The
number that leads a name is that of the quirk.
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
from dragoman.dialects import registry

FOLDER = Path(__file__).parents[1] / "golden"
CASES = {
    (name, path.stem): json.loads(path.read_text(encoding="utf-8"))
    for name in ("cohere_chat", "ollama_chat", "openai_completions")
    for path in sorted((FOLDER / name).glob("*.json"))
}


def cases(*kinds: str) -> pytest.MarkDecorator:
    chosen = [(name, stem, case) for (name, stem), case in CASES.items() if case["kind"] in kinds]
    return pytest.mark.parametrize(
        "dialect, case", [pytest.param(registry.get(name), case, id=f"{name}-{stem}") for name, stem, case in chosen]
    )


def wire(case: dict[str, Any]) -> bytes:
    """JSON lines, or an event stream."""
    if case["kind"] == "lines":
        return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in case["lines"])
    datas = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in case["events"]]
    return b"".join(b"data: " + data.encode() + b"\n\n" for data in datas)


@cases("stream", "lines")
def test_stream(dialect: Any, case: dict[str, Any]) -> None:
    data = wire(case)
    for size in (1, 2, 5, 61, len(data)):
        decoder = dialect.stream_decoder()
        events = [event for place in range(0, len(data), size) for event in decoder.feed(data[place : place + size])]
        assert assemble([*events, *decoder.close()]) == msgspec.convert(case["expect"], ChatResponse)


@cases("answer")
def test_answer(dialect: Any, case: dict[str, Any]) -> None:
    response = dialect.decode_response(json.dumps(case["body"]).encode())
    assert response == msgspec.convert(case["expect"], ChatResponse)
    again, (choice,) = assemble(unfold(response)), response.choices
    assert again.choices[0].parts == choice.parts
    if hasattr(dialect, "encode_response"):
        assert json.loads(dialect.encode_response(response, now=0))["choices"] == case["body"]["choices"]


@cases("request")
def test_request(dialect: Any, case: dict[str, Any]) -> None:
    request = msgspec.convert(case["request"], ChatRequest)
    body, warnings, content_type = dialect.encode_request(request)
    assert json.loads(json.dumps(body)) == case["expect"]
    assert (warnings, content_type) == ((), "application/json")
    if hasattr(dialect, "decode_request"):
        assert dialect.decode_request(json.dumps(body).encode()) == request


@cases("failure")
def test_failure(dialect: Any, case: dict[str, Any]) -> None:
    detail = dialect.decode_error(case["status"], json.dumps(case["body"]).encode())
    error = error_for(case["status"], detail)
    assert {"class": type(error).__name__, "message": detail.message, "type": detail.type} == case["expect"]
