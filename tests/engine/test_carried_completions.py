"""A text completion where the provider only has chat models: answered as a chat, with a warning, or refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.errors import UnsupportedParamsError
from dragoman.engine.call import Call
from dragoman.engine.prepare import Prepared, prepare
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment


def prepared(model: str, **body: Any) -> Prepared:
    target = resolve(model, env={}, api_key="secret-key")
    place = Deployment(id="d", target=target)
    call = Call(
        operation="completion",
        dialect="openai_completions",
        model=model,
        body=json.dumps({"model": model, "prompt": "Once", **body}).encode(),
        deployments=(place,),
    )
    return prepare(call, place)


def test_a_chat_model_answers_the_prompt() -> None:
    found = prepared("groq/llama", max_tokens=5)
    body = json.loads(found.request.body)
    assert (body["messages"], body["max_tokens"]) == ([{"role": "user", "content": "Once"}], 5)
    assert found.request.url == "https://api.groq.com/openai/v1/chat/completions"
    assert [(warning.field, warning.code) for warning in found.warnings] == [("prompt", "emulated")]


@pytest.mark.parametrize(
    "model, url",
    [
        ("openai/gpt-4o", "https://api.openai.com/v1/chat/completions"),
        ("openai/gpt-3.5-turbo-instruct", "https://api.openai.com/v1/completions"),
        ("text-completion-openai/davinci-002", "https://api.openai.com/v1/completions"),
        ("openai/o1-pro", "https://api.openai.com/v1/responses"),
        ("mistral/codestral-latest", "https://api.mistral.ai/v1/fim/completions"),
        ("mistral/mistral-large-latest", "https://api.mistral.ai/v1/chat/completions"),
        ("anthropic/claude-sonnet-4-5", "https://api.anthropic.com/v1/messages"),
        ("replicate/meta/llama", "https://api.replicate.com/v1/models/meta/llama/predictions"),
    ],
)
def test_where_a_text_completion_goes(model: str, url: str) -> None:
    assert prepared(model).request.url == url


@pytest.mark.parametrize(
    "field, body",
    [
        ("prompt", {"prompt": ["Once", "Twice"]}),
        ("prompt", {"prompt": [1, 2]}),
        ("prompt", {"prompt": None}),
        ("suffix", {"suffix": "the end"}),
    ],
)
def test_what_would_be_answered_wrongly_is_refused(field: str, body: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParamsError, match=f"^{field}: ") as raised:
        prepared("groq/llama", **body)
    assert raised.value.param == field


def test_what_a_chat_cannot_say_is_told() -> None:
    found = prepared("groq/llama", echo=True, best_of=2)
    assert [warning.field for warning in found.warnings] == ["prompt", "extra.echo", "extra.best_of"]
