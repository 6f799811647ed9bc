"""GPTRouter's face over the gateway's cache: an answer that is kept is given again, plain and streamed, and says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.demo_server import RunningDemo, demo_server
from support.gateway import gateway


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module")
def session(demo: RunningDemo) -> Iterator[httpx2.Client]:
    at = f"api_base: '{demo.url}/v1', api_key: k"
    yaml = f"models: [{{name: echo, model: openai/echo, {at}}}, {{name: embed, model: openai/embed, {at}}}]\ncache: {{}}\n"
    with gateway(yaml) as running, httpx2.Client(base_url=f"{running.url}/api/v1", trust_env=False, timeout=20) as client:
        yield client


def asking(text: str, **more: Any) -> dict[str, Any]:
    return {"data": [{"order": 1, "modelName": "echo", "promptParams": {"prompt": text}}], **more}


def events(answer: httpx2.Response) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]


def test_what_is_kept_is_given_again(session: httpx2.Client, demo: RunningDemo) -> None:
    demo.reset()
    first, second = (session.post("/generate", json=asking("keep this")).json() for _ in range(2))
    assert demo.stats()["requests"] == 1
    assert first["choices"] == second["choices"]
    assert ("cached" in first["meta"], second["meta"]["cached"], second["meta"]["attempts"]) == (False, True, [])
    told = events(session.post("/generate", json=asking("keep this", stream=True)))
    assert demo.stats()["requests"] == 1
    assert "".join(event["data"]["text"] for event in told if event["event"] == "update") == "keep this"
    assert next(event for event in told if event["event"] == "meta")["data"]["cached"] is True
    assert told[-1] == {"event": "end", "data": "end"}


def test_vectors_too(session: httpx2.Client, demo: RunningDemo) -> None:
    demo.reset()
    wish = {"modelName": "embed", "input": ["a", "b"]}
    first, second = (session.post("/generate/embeddings-v2", json=wish).json() for _ in range(2))
    assert demo.stats()["requests"] == 1
    assert first["choices"] == second["choices"]
