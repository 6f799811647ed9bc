"""Providers of one's own in a configuration: rows, handlers by their import path, and LiteLLM's custom_provider_map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

import dragoman
from dragoman.core.errors import ConfigurationError
from dragoman.gateway import config
from dragoman.gateway.provider_config import ProviderEntry, QuirksEntry
from dragoman.providers import registry
from dragoman.providers.base import Provider, Quirks
from support.gateway import gateway

HANDLER = """
import dragoman as litellm
from dragoman import CustomLLM


class MyCustomLLM(CustomLLM):
    async def acompletion(self, *args, **kwargs):
        return litellm.completion(model="demo/echo", messages=kwargs["messages"])

    async def astreaming(self, *args, **kwargs):
        yield {"text": "Hi", "is_finished": False, "finish_reason": "", "usage": None, "index": 0, "tool_use": None}
        yield {"text": "!", "is_finished": True, "finish_reason": "stop", "usage": None, "index": 0, "tool_use": None}


my_custom_llm = MyCustomLLM()
"""


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a handler's module in it, and the process's providers as they were afterwards."""
    monkeypatch.setattr(registry, "DEFAULT", registry.DEFAULT)
    monkeypatch.setattr(dragoman, "custom_provider_map", [])
    (tmp_path / "own_handler.py").write_text(HANDLER)
    (tmp_path / "broken_handler.py").write_text("raise RuntimeError('no licence')")
    return tmp_path


def read(folder: Path, text: str, **env: str) -> Any:
    return config.read(text, file=str(folder / "d.yaml"), env=env)


def test_a_row(own: Path) -> None:
    text = """
    models: [{name: fast, model: acme/small}]
    providers:
      acme:
        base_url: https://llm.acme.example/v1
        key: ACME_API_KEY
        dialects: {chat: anthropic_messages, embedding: openai_embeddings}
        headers: {X-Team: blue}
        quirks: {rename: {seed: random_seed}, drop: [logit_bias], clamp: {temperature: [0, 1]}, relay: false}
    """
    policy = read(own, text, ACME_API_KEY="a-key")[1]
    (node,) = policy.find("fast").nodes
    target = node.deployment.target
    assert (target.base_url, target.model, target.api_key) == ("https://llm.acme.example/v1", "small", "a-key")
    assert target.provider.dialects == {"chat": "anthropic_messages", "embedding": "openai_embeddings"}
    assert target.provider.headers == (("x-team", "blue"),)
    wanted = Quirks(rename={"seed": "random_seed"}, drop=frozenset({"logit_bias"}), clamp={"temperature": (0, 1)}, relay=False)
    assert target.provider.quirks == wanted


def test_an_entry_can_say_what_a_row_says() -> None:
    assert set(QuirksEntry.__struct_fields__) | {"edit"} == set(Quirks.__struct_fields__)
    assert set(ProviderEntry.__struct_fields__) - {"key", "base_url_variable", "handler"} <= set(Provider.__struct_fields__)


ROW = "models: [{name: a, model: acme/x}]\nproviders:\n  acme:\n    base_url: https://a.example\n"
WRONG = [
    (ROW + "    quirks:\n      drp: [a]", 6, "providers.acme.quirks.drp: unknown key; did you mean drop?"),
    (ROW + "    base_uri: x", 5, "providers.acme.base_uri: unknown key; did you mean base_url?"),
    (ROW + "    auth: basic", 5, "providers.acme.auth: invalid enum value 'basic'"),
    (ROW + "    dialects: {chatting: openai_chat}", 5, "providers.acme.dialects: invalid enum value 'chatting'"),
    (ROW + "    dialects:\n      chat: openai", 6, "providers.acme.dialects.chat: no dialect is called 'openai'"),
    (ROW + "    paths: {chat: chat}", 5, "providers.acme.paths"),
    (ROW + "    quirks: {clamp: {top_p: [1, 0]}}", 5, r"providers.acme.quirks.clamp.top_p: expected \[lowest, highest\]"),
    (ROW + "    quirks: {reasoning_apart: true}", 5, "reasoning_apart: needs relay: false beside it"),
    (ROW + "    headers: {'a b': c}", 5, "providers.acme.headers"),
    (ROW + "    handler: own_handler.my_custom_llm", 5, "providers.acme.handler: a handler decides all by itself"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {}", 3, "providers.b: expected a base_url, a base_url_variable or a"),
    (
        "models: [{name: a, model: b/c}]\nproviders:\n  b: {base_url: 'ftp://x'}",
        3,
        "providers.b.base_url: expected `str` matching",
    ),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b/c: {}", 2, "providers"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {handler: own}", 3, "handler: expected module.object, found 'own'"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {handler: own_handler.x}", 3, "own_handler.x cannot be loaded: Attri"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {handler: no_such.x}", 3, "no_such.x cannot be loaded: ModuleNotFound"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {handler: broken_handler.x}", 3, "RuntimeError: no licence"),
    ("models: [{name: a, model: b/c}]\nproviders:\n  b: {handler: json.dumps}", 3, "expected a dragoman.CustomLLM"),
    ("model_list: []\nlitellm_settings:\n  custom_provider_map: {a: b}", 3, "custom_provider_map: expected a list of entries"),
    (
        "model_list: []\nlitellm_settings:\n  custom_provider_map:\n  - {provider: a}",
        4,
        r"map\[0\]: expected provider and cust",
    ),
]


@pytest.mark.parametrize(("text", "line", "problem"), WRONG)
def test_what_is_wrong_is_named_with_its_line(own: Path, text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        read(own, text)
    assert caught.value.message.startswith(f"{own / 'd.yaml'}:{line}: ")


def test_the_gateway_asks_a_handler_of_litellms_map(own: Path) -> None:
    settings = {"custom_provider_map": [{"provider": "my-llm", "custom_handler": "own_handler.my_custom_llm"}]}
    models = [{"model_name": "mine", "litellm_params": {"model": "my-llm/any"}}]
    text = json.dumps({"model_list": models, "litellm_settings": settings})
    asked = {"model": "mine", "messages": [{"role": "user", "content": "hello"}]}
    with (
        gateway(text, PYTHONPATH=str(own)) as running,
        openai.OpenAI(base_url=running.openai_url, api_key="k", max_retries=0) as client,
    ):
        assert client.chat.completions.create(**asked).choices[0].message.content == "hello"
        chunks = list(client.chat.completions.create(**asked, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hi!"
        with pytest.raises(openai.BadRequestError, match="my-llm offers no embedding"):
            client.embeddings.create(model="mine", input="a", encoding_format="float")
