"""GPTRouter's face under guardrails: no way around them, on any route, plain or streamed, nor by another candidate's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.demo_server import demo_server
from support.gateway import gateway

MAIL = "jane@example.com"
YAML = """
models:
  - {{name: echo, model: openai/echo, api_base: '{url}/v1', api_key: k}}
  - {{name: other, model: openai/echo, api_base: '{url}/v1', api_key: k}}
  - {{name: embed, model: openai/embed, api_base: '{url}/v1', api_key: k}}
guardrails:
  - {{name: pii, use: pii, action: {action}, stage: {stage}}}
"""


@pytest.fixture(scope="module", params=["before", "after"])
def stage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def masking(stage: str) -> Iterator[httpx2.Client]:
    yield from served("mask", stage)


@pytest.fixture(scope="module")
def blocking(stage: str) -> Iterator[httpx2.Client]:
    yield from served("block", stage)


def served(action: str, stage: str) -> Iterator[httpx2.Client]:
    with (
        demo_server() as demo,
        gateway(YAML.format(url=demo.url, action=action, stage=stage)) as running,
        httpx2.Client(base_url=f"{running.url}/api/v1", trust_env=False, timeout=20) as client,
    ):
        yield client


def asking(*texts: str, **more: Any) -> dict[str, Any]:
    data = [{"order": n, "modelName": ("echo", "other")[n], "promptParams": {"prompt": text}} for n, text in enumerate(texts)]
    return {"data": data, **more}


def events(answer: httpx2.Response) -> list[Any]:
    assert answer.text.startswith("retry: 3000\n\n")
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]


def test_what_is_masked_is_masked_here(masking: httpx2.Client) -> None:
    answer = masking.post("/generate", json=asking(f"I am {MAIL}")).json()
    assert answer["choices"][0]["text"] == "I am [EMAIL]"
    told = events(masking.post("/generate", json=asking(f"I am {MAIL}", stream=True)))
    assert "".join(event["data"]["text"] for event in told if event["event"] == "update") == "I am [EMAIL]"
    assert told[-1] == {"event": "end", "data": "end"}


def test_what_is_blocked_is_refused_here(blocking: httpx2.Client) -> None:
    answer = blocking.post("/generate", json=asking(f"I am {MAIL}"))
    assert (answer.status_code, "pii" in answer.json()["message"]) == (400, True)
    told = events(blocking.post("/generate", json=asking(f"I am {MAIL}", stream=True)))
    assert (told[-1]["event"], "pii" in told[-1]["message"]) == ("error", True)
    assert MAIL not in json.dumps(told)
    assert blocking.post("/generate", json=asking("I am nobody")).status_code == 200


def test_other_operations_are_looked_at_too(blocking: httpx2.Client, stage: str) -> None:
    wish = {"modelName": "embed", "input": [f"I am {MAIL}"]}
    assert blocking.post("/generate/embeddings-v2", json=wish).status_code == (400 if stage == "before" else 200)


def test_candidates_are_asked_one_conversation(blocking: httpx2.Client) -> None:
    answer = blocking.post("/generate", json=asking("harmless", f"I am {MAIL}"))
    assert (answer.status_code, "data[1].promptParams" in answer.json()["message"]) == (400, True)
    assert blocking.post("/generate", json=asking("harmless", "harmless")).status_code == 200
