"""Stored prompts from the gateway's other faces: what a prompt adds to a request, in the words of each dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.engine.call import CallOptions
from dragoman.gateway import config as gateway_config
from dragoman.gateway.admission import TAGS
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.entry import GPTRouterEntry
from dragoman.gateway.gptrouter.parts import Parts
from dragoman.gateway.gptrouter.prompt_store import MemoryPrompts, Prompt
from dragoman.gateway.gptrouter.prompted import Prompts, prepare
from dragoman.gateway.pipeline import Pipeline
from dragoman.transport.gateway import gateway_transport
from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway
from support.requests import ask, client, events_of, streamed_text, text_of, until

SYSTEM = {"role": "system", "content": "You speak of [topic]."}
ASK = {"role": "user", "content": "Hello {{who}}"}
HI = [{"role": "user", "content": "hi"}]
GIVEN = {"topic": "tea", "who": "Ann"}
FILLED = [{"role": "system", "content": "You speak of tea."}, {"role": "user", "content": "Hello Ann"}]


class Request:
    """As much of an exchange as a prompt needs."""

    def __init__(self, body: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.body = json.dumps(body).encode()
        self.headers = headers or []

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)

    def put_header(self, name: bytes, value: bytes) -> None:
        self.headers = [(name, value)]


def prompts() -> Prompts:
    _, policy = gateway_config.read("models: [{name: fast, model: openai/gpt-4o-mini, api_key: k}]", file="t", env={})
    store = MemoryPrompts()
    params = {"messages": [SYSTEM, ASK], "temperature": 0.5, "max_tokens": 40, "seed": 7}
    versions = (
        Prompt(id="old", title="t", prompt_params={"prompt": "old"}, parent_prompt_id="g", labels=("production",)),
        Prompt(id="g", title="t", prompt_params=params, parent_prompt_id="g", version_number=2, models=("fast",)),
    )
    asyncio.run(store.put(*versions))
    return Prompts(store, Directory(lambda: policy, started="2026-01-01T00:00:00.000Z"))


def prepared(dialect: str, headers: list[tuple[bytes, bytes]] | None = None, **body: Any) -> tuple[dict[str, Any], Request]:
    exchange = Request({"prompt_id": "g", "prompt_variables": GIVEN, **body}, headers)
    asyncio.run(prepare(dialect, exchange, prompts()))  # type: ignore[arg-type]  # all of it that is used
    return json.loads(exchange.body), exchange


def test_on_chat_completions_everything_of_the_prompt_counts_and_the_request_goes_first() -> None:
    body, _ = prepared("openai_chat", messages=HI, temperature=0.1)
    assert body == {"model": "fast", "messages": FILLED + HI, "temperature": 0.1, "max_tokens": 40, "seed": 7}


def test_on_responses_its_messages_are_input() -> None:
    body, _ = prepared("openai_responses", input="hi", model="other")
    assert body == {"model": "other", "input": FILLED + HI, "temperature": 0.5, "max_output_tokens": 40}


def test_on_messages_its_system_message_has_a_place_of_its_own() -> None:
    body, _ = prepared("anthropic_messages", messages=HI)
    expected = {"model": "fast", "system": FILLED[0]["content"], "messages": FILLED[1:] + HI}
    assert body == expected | {"temperature": 0.5, "max_tokens": 40}
    with pytest.raises(BadRequestError, match="system"):
        prepared("anthropic_messages", messages=HI, system="mine")


def test_on_geminis_route_it_is_written_in_geminis_words_and_the_model_stays_in_the_path() -> None:
    own = {"role": "user", "parts": [{"text": "hi"}]}
    body, _ = prepared("gemini", contents=[own], generationConfig={"temperature": 0.1, "topK": 3})
    assert body == {
        "systemInstruction": {"parts": [{"text": "You speak of tea."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hello Ann"}]}, own],
        "generationConfig": {"temperature": 0.1, "maxOutputTokens": 40, "seed": 7, "topK": 3},
    }


@pytest.mark.parametrize(("dialect", "field"), [("anthropic_messages", "system"), ("gemini", "systemInstruction")])
def test_of_two_system_messages_none_is_dropped(dialect: str, field: str) -> None:
    with pytest.raises(BadRequestError, match=f"{field}: stands beside"):
        prepared(dialect, model="fast", **{field: {"parts": [{"text": "Be brief."}]}})


def test_on_messages_the_parts_of_a_system_message_stay_parts() -> None:
    held = prompts()
    text = {"type": "text", "text": "Be brief."}
    told = [{"role": "system", "content": [text]}, {"role": "system", "content": "Be kind."}, {"role": "system"}]
    prompt = Prompt(id="p", title="t", prompt_params={"messages": told}, parent_prompt_id="p", models=("fast",))
    asyncio.run(held.store.put(prompt))
    exchange = Request({"prompt_id": "p", "messages": HI})
    asyncio.run(prepare("anthropic_messages", exchange, held))  # type: ignore[arg-type]  # all of it that is used
    assert json.loads(exchange.body)["system"] == [text, {"type": "text", "text": "Be kind."}]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"prompt_label": "production"}, [{"role": "user", "content": "old"}]),
        ({"prompt_version": 1}, [{"role": "user", "content": "old"}]),
        ({"prompt_version": 2}, FILLED),
        ({}, FILLED),
    ],
)
def test_a_version_is_chosen_by_label_or_number(chosen: dict[str, Any], said: Any) -> None:
    body, _ = prepared("openai_chat", model="fast", **chosen)
    assert body["messages"] == said


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt_id": "nope"}, "^prompt_id: no prompt has the id"),
        ({"prompt_id": 7}, "prompt_id"),
        ({"prompt_label": "staging"}, "^prompt_label: no version of this prompt is labelled 'staging'"),
        ({"prompt_version": 9}, "^prompt_version: this prompt has no version 9"),
        ({"prompt_variables": {"topic": "tea"}}, "prompt_variables: missing who"),
        ({"prompt_label": "production"}, "model: missing"),
    ],
)
def test_what_cannot_be_run_says_why(body: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequestError, match=told):
        prepared("openai_chat", **body)


@pytest.mark.parametrize(
    ("headers", "metadata", "tags"),
    [
        ([], None, b"prompt:g@2"),
        ([(TAGS, b"mine")], None, b"mine,prompt:g@2"),
        ([], {"tags": ["a", "b"]}, b"a,b,prompt:g@2"),
    ],
)
def test_the_ledger_hears_of_it_beside_the_tags_that_are_there(
    headers: list[tuple[bytes, bytes]], metadata: Any, tags: bytes
) -> None:
    _, exchange = prepared("openai_chat", headers, metadata=metadata)
    assert exchange.header(TAGS) == tags


def test_a_label_that_was_asked_for_is_in_the_ledger_too() -> None:
    _, exchange = prepared("openai_chat", model="fast", prompt_label="production")
    assert exchange.header(TAGS) == b"prompt:g@1,prompt:g#production"


def test_a_request_that_only_speaks_of_prompts_is_left_as_it_is() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": '"prompt_id"'}]}
    exchange = Request(body)
    asyncio.run(prepare("openai_chat", exchange, prompts()))  # type: ignore[arg-type]  # as above
    assert json.loads(exchange.body) == body


# ---------------------------------------------------------------------------------------------------------- on a real server
@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("prompted")
    with demo_server() as demo:
        yaml = f"""
models:
  - {{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}
server: {{api_key: sk-gateway-key}}
gptrouter: {{prompts: '{folder}/prompts.db', history: '{folder}/health.db', status: public}}
"""
        with gateway(yaml) as running:
            yield running


KEY = {"authorization": "Bearer sk-gateway-key"}


@pytest.fixture(scope="module")
def stored(served: RunningGateway) -> str:
    made = {"title": "t", "models": ["openai/echo"], "promptParams": {"prompt": "Hello [who]"}}
    with client(served.url) as session:
        answer = session.post("/api/v1/prompt", json=made, headers={"ws-secret": "sk-gateway-key"})
    return answer.json()["id"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_prompt_runs_on_the_other_faces(served: RunningGateway, stored: str, dialect: str) -> None:
    body = {"prompt_id": stored, "prompt_variables": {"who": "Ann"}, "model": "echo", "max_tokens": 20}
    assert text_of(dialect, ask(served.url, dialect, body, **KEY)) == "Hello Ann"
    events = events_of(ask(served.url, dialect, {**body, "stream": True}, **KEY).content)
    assert streamed_text(events) == "Hello Ann"
    refused = ask(served.url, dialect, {**body, "prompt_variables": {}}, **KEY)
    assert (refused.status_code, "missing who" in refused.text) == (400, True)


def test_a_prompt_runs_on_geminis_route(served: RunningGateway, stored: str) -> None:
    with client(served.url) as session:
        body = {"prompt_id": stored, "prompt_variables": {"who": "Ann"}}
        answer = session.post("/v1beta/models/echo:generateContent", json=body, headers=KEY)
        streamed = session.post("/v1beta/models/echo:streamGenerateContent?alt=sse", json=body, headers=KEY)
    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": "Hello Ann"}]
    assert (streamed.status_code, "Ann" in streamed.text) == (200, True)


def test_who_has_no_key_learns_of_no_prompt(served: RunningGateway, stored: str) -> None:
    for prompt_id in (stored, "nope"):
        assert ask(served.url, "openai", {"prompt_id": prompt_id}).status_code == 401


def test_everybody_sees_the_public_page_and_the_calls_of_all_faces_on_it(served: RunningGateway) -> None:
    assert ask(served.url, "openai", {"model": "echo", "messages": HI}, **KEY).status_code == 200
    with client(served.url) as session:
        until(lambda: "up 100%" in session.get("/status/badge/chat_openai/echo.svg").text)
        page, badge = session.get("/status"), session.get("/status/badge/chat_openai/echo.svg")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "chat_openai/echo" in page.text
    assert badge.headers["content-type"] == "image/svg+xml"


def test_prompts_and_health_are_there_after_a_restart(tmp_path: Path) -> None:
    with demo_server() as demo:
        yaml = f"""
models: [{{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}]
gptrouter: {{prompts: '{tmp_path}/a.db', history: '{tmp_path}/a.db', status: public}}
"""
        with gateway(yaml) as first, client(first.url) as session:
            made = {"title": "kept", "promptParams": {"prompt": "x"}}
            assert session.post("/api/v1/prompt", json=made).status_code == 200
            assert session.post("/v1/chat/completions", json={"model": "echo", "messages": HI}).status_code == 200
        with gateway(yaml) as second, client(second.url) as session:
            assert [prompt["title"] for prompt in session.get("/api/v1/prompt/all").json()] == ["kept"]
            assert "chat_openai/echo" in session.get("/status").text


def test_without_a_word_about_it_there_is_no_status_page() -> None:
    with gateway("models: [{name: a, model: openai/gpt-4o, api_key: k}]") as running, client(running.url) as session:
        assert session.get("/status").status_code == 404
        assert session.get("/api/v1/provider/all").status_code == 200


# -------------------------------------------------------------------------------------------------------- the configuration
@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{promts: x}", "gptrouter.promts: unknown key; did you mean prompts?"),
        ("{status: open}", "gptrouter.status"),
        ("{ping_seconds: 0}", "gptrouter.ping_seconds"),
        ("{probes: {dollars_a_day: 0}}", "gptrouter.probes.dollars_a_day"),
        ("{accounts: [{email: a@b.c, password: hunter2, key: k}]}", "gptrouter.accounts[0].password: expected a hash"),
        ("{accounts: [{email: a@b.c, password: 'scrypt$a$b'}]}", "gptrouter.accounts"),
        (
            "{accounts: [{email: a@b.c, password: 'scrypt$a$b', key: k}, {email: A@b.c, password: 'scrypt$a$b', key: k}]}",
            "gptrouter.accounts[1].email: is that of accounts[0] too",
        ),
    ],
)
def test_errors_of_the_configuration_name_file_line_and_key(entry: str, told: str) -> None:
    text = f"models: [{{name: a, model: openai/gpt-4o, api_key: k}}]\ngptrouter: {entry}\n"
    with pytest.raises(ConfigurationError) as problem:
        gateway_config.read(text, file="dragoman.yaml", env={})
    assert problem.value.message.startswith("dragoman.yaml:2: ")
    assert told in problem.value.message
    assert "hunter2" not in problem.value.message


def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    _, policy = gateway_config.read("models: [{name: a, model: openai/gpt-4o, api_key: k}]", file="t", env={})
    pipeline = Pipeline(policy, gateway_transport({}), options=CallOptions())
    with pytest.raises(ConfigurationError, match=r"gptrouter\.history: cannot use"):
        Parts(GPTRouterEntry(history=str(tmp_path / "nowhere" / "a.db")), pipeline, CallOptions())
