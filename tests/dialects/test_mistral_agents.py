"""Agents that Mistral keeps, asked as models: where, with what, and what of a chat is the agent's own business."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman import Client
from dragoman.core.http import HttpResponse
from dragoman.core.json import decode_envelope
from dragoman.dialects import registry
from dragoman.providers.registry import resolve
from dragoman.transport.replay import Pieces, ReplayTransport
from support.calls import DONE, HEL, LO, ROLE, STOP, completion, respond

HELLO = [{"role": "user", "content": "hello"}]


def ask(answer: HttpResponse | Pieces, **asked: Any) -> tuple[Any, Any]:
    transport = ReplayTransport(answer)
    client = Client(transport=transport, env={"MISTRAL_API_KEY": "k"}, num_retries=0)
    response = client.completion("mistral/agent:ag_1", HELLO, **asked)
    if asked.get("stream"):
        response = "".join(chunk.choices[0].delta.content or "" for chunk in response)
    (request,) = transport.requests
    assert request.url == "https://api.mistral.ai/v1/agents/completions"
    return response, json.loads(request.body)


def test_an_agent_is_asked_as_a_model() -> None:
    response, sent = ask(respond(completion("hi")), max_tokens=9, seed=3)
    assert response.choices[0].message.content == "hi"
    assert sent == {"agent_id": "ag_1", "messages": HELLO, "max_tokens": 9, "random_seed": 3}


def test_what_the_agent_decides_itself_is_a_warning() -> None:
    response, sent = ask(respond(completion("hi")), temperature=0.2, top_p=0.5)
    assert sorted(warning.field for warning in response.warnings) == ["temperature", "top_p"]
    assert sent == {"agent_id": "ag_1", "messages": HELLO}


def test_a_stream_of_an_agent() -> None:
    text, sent = ask(Pieces(pieces=(ROLE, HEL, LO, STOP, DONE)), stream=True)
    assert (text, sent["stream"], sent["agent_id"]) == ("hello", True, "ag_1")


def test_a_body_in_its_own_dialect_is_edited_and_not_written_anew() -> None:
    body = b'{"model":"mine", "messages":[], "tools":[ 1 ]}'
    edited = registry.get("mistral_agents").edit_request(decode_envelope(body), model="agent:ag_1", want_usage=False)
    assert {name: bytes(value) for name, value in edited.items()} == {
        "messages": b"[]",
        "tools": b"[ 1 ]",
        "agent_id": b'"ag_1"',
    }


@pytest.mark.parametrize(
    ("model", "dialect"),
    [("agent:ag_1", "mistral_agents"), ("mistral-small-latest", "openai_chat"), ("codestral-latest", "openai_chat")],
)
def test_models_are_chatted_with_as_ever(model: str, dialect: str) -> None:
    assert resolve(f"mistral/{model}", env={}, api_key="k").provider.dialects["chat"] == dialect
