"""Clients whose dialect the provider speaks too: under another name, or beside its first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.engine.call import Call, CallOptions
from dragoman.engine.prepare import Prepared, prepare
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment

ENV = {"VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "l", "VERTEXAI_ACCESS_TOKEN": "t", "OPENROUTER_API_KEY": "k"}
CLAUDE = {"model": "asked", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "own_field": {"b": 1, "a": 2}}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "ownField": [1]}


def prepared(model: str, dialect: str, body: dict[str, Any], *, stream: bool = False) -> Prepared:
    place = Deployment(resolve(model, env=ENV))
    call = Call(
        operation="chat",
        dialect=dialect,
        model="asked",
        body=json.dumps(body).encode(),
        deployments=(place,),
        stream=stream,
        options=CallOptions(relay=True),
    )
    return prepare(call, place)


@pytest.mark.parametrize("stream", [False, True])
def test_claude_on_vertex_is_relayed_to_anthropics_clients(stream: bool) -> None:
    made = prepared("vertex_ai/claude-sonnet-4@1", "anthropic_messages", CLAUDE | {"stream": stream}, stream=stream)
    assert made.relay
    assert made.request.url.endswith("claude-sonnet-4@1:streamRawPredict" if stream else "claude-sonnet-4@1:rawPredict")
    sent = {name: value for name, value in CLAUDE.items() if name != "model"}
    assert json.loads(made.request.body) == sent | {"stream": stream, "anthropic_version": "vertex-2023-10-16"}


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_on_vertex_is_relayed_to_geminis_clients(stream: bool) -> None:
    body = {"model": "asked", "stream": stream, **GEMINI}
    made = prepared("vertex_ai/gemini-2.5-flash", "gemini", body, stream=stream)
    assert made.relay
    assert ("streamGenerateContent" in made.request.url) is stream
    assert json.loads(made.request.body) == GEMINI


def test_another_dialects_clients_are_translated_for() -> None:
    made = prepared("vertex_ai/gemini-2.5-flash", "anthropic_messages", CLAUDE)
    assert not made.relay
    assert json.loads(made.request.body)["contents"] == [{"role": "user", "parts": [{"text": "x"}]}]


def test_openrouter_answers_anthropics_clients_in_their_dialect() -> None:
    made = prepared("openrouter/anthropic/claude-haiku-4.5", "anthropic_messages", CLAUDE)
    assert made.request.url == "https://openrouter.ai/api/v1/messages"
    assert json.loads(made.request.body) == CLAUDE | {"model": "anthropic/claude-haiku-4.5"}
    assert made.dialect.name == "anthropic_messages"


def test_and_all_others_in_its_own() -> None:
    made = prepared("openrouter/anthropic/claude-haiku-4.5", "gemini", GEMINI)
    assert made.request.url == "https://openrouter.ai/api/v1/chat/completions"
    assert made.dialect.name == "openai_chat"
