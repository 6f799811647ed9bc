"""A gateway with virtual keys, a process of its own: the admin's key issues them, budgets hold, nothing is lost by a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai

from support.demo_server import RunningDemo
from support.gateway import RunningGateway, gateway
from support.requests import chat, connected, until

MASTER = "sk-master-of-this-test"
HELLO = [{"role": "user", "content": "hello there, gateway"}]


def config(folder: Path, demo: RunningDemo) -> str:
    return f"""
models:
  - {{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, input_price: 1000, output_price: 1000}}
  - {{name: other, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, input_price: 1, output_price: 1}}
  - {{name: silent, model: openai/echo?fail=timeout, api_base: '{demo.url}/v1', api_key: k, input_price: 1, output_price: 1}}
  - {{name: mixed, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, input_price: 1, output_price: 1}}
  - {{name: mixed, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, order: 1}}
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
guardrails: [{{name: no-pii, use: pii, action: mask, stage: before, default: false}}]
"""


@pytest.fixture(scope="module")
def governed(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with gateway(config(tmp_path_factory.mktemp("governed"), demo)) as running:
        yield running


def admin(served: RunningGateway, method: str, path: str, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {MASTER}"}
    with httpx2.Client(base_url=served.url, headers=headers, timeout=20) as session:
        answer = session.request(method, path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def spent(served: RunningGateway, key: str) -> float:
    return admin(served, "GET", "/key/info", params={"key": key})["info"]["spend"]


def issue(served: RunningGateway, **terms: Any) -> str:
    return admin(served, "POST", "/key/generate", json=terms)["key"]


def client(served: RunningGateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.openai_url, api_key=key, max_retries=0)


def ask(served: RunningGateway, key: str, model: str = "echo", **more: Any) -> Any:
    with client(served, key) as asked:
        return asked.chat.completions.create(model=model, messages=HELLO, max_tokens=20, **more)


@pytest.mark.parametrize("stream", [False, True])
def test_an_issued_key_is_good_at_once_and_again(governed: RunningGateway, *, stream: bool) -> None:
    key = issue(governed)
    for _ in range(2):
        with client(governed, key) as asked:
            answer = asked.chat.completions.create(model="echo", messages=HELLO, max_tokens=20, stream=stream)
            text = (
                "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
                if stream
                else answer.choices[0].message.content
            )
        assert text == "hello there, gateway"


def test_a_wrong_key_is_a_401_and_no_key_too(governed: RunningGateway) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(governed, "sk-nobody")
    with httpx2.Client(base_url=governed.url) as session:
        assert session.post("/v1/chat/completions", json={"model": "echo", "messages": HELLO}).status_code == 401
        assert session.get("/v1/models").status_code == 401


def test_a_key_is_for_the_models_it_was_issued_for(governed: RunningGateway) -> None:
    key = issue(governed, models=["other"])
    assert ask(governed, key, "other").choices
    with pytest.raises(openai.PermissionDeniedError, match="echo"):
        ask(governed, key)


def test_a_spent_budget_refuses(governed: RunningGateway) -> None:
    key = issue(governed, max_budget=0.02)
    seen = []
    for _ in range(4):
        try:
            ask(governed, key)
        except openai.APIStatusError as error:
            seen.append(error.status_code)
        else:
            seen.append(200)
    assert seen[0] == 200
    assert seen[-1] != 200
    assert "sk-" not in str(seen)


def test_a_group_is_as_dear_as_its_dearest_and_has_no_price_where_one_has_none(governed: RunningGateway) -> None:
    assert ask(governed, issue(governed), "mixed").choices
    with pytest.raises(openai.PermissionDeniedError, match="no price is known for 'mixed'"):
        ask(governed, issue(governed, max_budget=1), "mixed")


def test_requests_a_minute(governed: RunningGateway) -> None:
    key = issue(governed, rpm_limit=2)
    answers = []
    for _ in range(3):
        try:
            ask(governed, key)
            answers.append(200)
        except openai.RateLimitError as error:
            answers.append(error.status_code)
    assert answers == [200, 200, 429]


def test_an_answer_says_what_it_cost_and_what_is_left(governed: RunningGateway) -> None:
    key = issue(governed, rpm_limit=5, tpm_limit=1000)
    with client(governed, key) as asked:
        told = asked.chat.completions.with_raw_response.create(model="echo", messages=HELLO, max_tokens=20).headers
    assert told["x-dragoman-cost"] == told["x-litellm-response-cost"] == "0.018000000"
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("5", "4")
    assert told["x-ratelimit-limit-tokens"] == "1000"
    assert 0 <= int(told["x-ratelimit-reset-requests"].rstrip("s")) <= 60


def test_a_blocked_key_is_refused(governed: RunningGateway) -> None:
    key = issue(governed)
    assert ask(governed, key).choices
    admin(governed, "POST", "/key/block", json={"key": key})
    with pytest.raises((openai.AuthenticationError, openai.PermissionDeniedError)):
        until(lambda: ask(governed, key) is None)


def test_what_was_answered_is_in_the_ledger_after_a_kill(demo: RunningDemo, tmp_path: Path) -> None:
    text = config(tmp_path, demo)
    with gateway(text) as first:
        key = issue(first, key_alias="survivor")
        for _ in range(5):
            ask(first, key)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
    with gateway(text) as second:
        assert ask(second, key).choices
        until(lambda: spent(second, key) >= 6 * 0.018 - 1e-9)
        assert spent(second, key) == pytest.approx(6 * 0.018)


def test_a_stop_settles_what_it_does_not_wait_for(demo: RunningDemo, tmp_path: Path) -> None:
    text, log = config(tmp_path, demo), tmp_path / "log"
    with gateway(text) as first:
        key = issue(first)
        before = demo.stats()["requests"]
        body = json.dumps(chat("silent")).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        with connected(first.address, head.encode() + body):
            until(lambda: demo.stats()["requests"] > before)
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(20) == 0
    with gateway(text, log=log) as second:
        assert spent(second, key) > 0
    assert "ended early" not in log.read_text()


@pytest.mark.parametrize("named", ["no-pii", ["no-pii"]])
def test_a_key_is_under_the_guardrails_that_it_was_given(governed: RunningGateway, named: Any) -> None:
    with client(governed, issue(governed, metadata={"guardrails": named})) as asked:
        answer = asked.chat.completions.create(model="echo", messages=[{"role": "user", "content": "jane@example.com"}])
    assert answer.choices[0].message.content == "[EMAIL]"


@pytest.mark.parametrize("named", ["no_pii", ["no-pii", "nope"], 5, [5]])
def test_a_key_whose_guardrail_is_not_there_asks_nothing(governed: RunningGateway, named: Any) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="is under a guardrail that is not there"):
        ask(governed, issue(governed, metadata={"guardrails": named}))


def test_every_client_sees_the_models_that_its_key_may_use(governed: RunningGateway) -> None:
    key = issue(governed, models=["echo", "other"], aliases={"fast": "other"})
    with client(governed, key) as asked:
        assert [model.id for model in asked.models.list()] == ["echo", "other", "fast"]
        assert asked.models.retrieve("echo").id == "echo"
        with pytest.raises(openai.NotFoundError, match="no model is called 'silent'"):
            asked.models.retrieve("silent")
    with anthropic.Anthropic(base_url=governed.url, api_key=key, max_retries=0) as asked:
        assert [(model.type, model.id) for model in asked.models.list()] == [
            ("model", "echo"),
            ("model", "other"),
            ("model", "fast"),
        ]
        assert asked.models.retrieve("other").display_name == "other"
    asked = genai.Client(api_key=key, http_options={"base_url": governed.url})
    assert [model.name for model in asked.models.list()] == ["models/echo", "models/other", "models/fast"]
    assert asked.models.get(model="echo").supported_actions == ["generateContent", "streamGenerateContent"]
    asked.close()
    with client(governed, MASTER) as asked:
        assert {"echo", "other", "silent", "mixed"} <= {model.id for model in asked.models.list()}
