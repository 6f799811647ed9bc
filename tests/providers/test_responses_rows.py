"""Who offers the Responses API, and which models answer nowhere else. Recordings show where each vendor was asked."""

from __future__ import annotations

import pytest

from dragoman.dialects import registry as dialects
from dragoman.providers import quirks
from dragoman.providers.registry import DEFAULT, resolve
from support.recordings import exchanges

ROWS = ["openai", "xai", "openrouter", "deepseek"]


@pytest.mark.parametrize("name", ROWS)
def test_the_vendor_is_asked_where_it_was_asked_before(name: str) -> None:
    row = DEFAULT.get(name)
    asked = {entry.load().data["request"]["url"] for entry in exchanges("responses", provider=name)}
    url = row.base_url + dialects.get(row.dialects["responses"]).path("m", stream=False)
    assert not asked or url in asked


@pytest.mark.parametrize("name", ROWS)
def test_nothing_is_dropped_that_the_vendor_was_seen_to_take(name: str) -> None:
    for entry in exchanges("responses", provider=name, ok=True):
        body = entry.load().request_json
        if isinstance(body, dict) and "model" in body:
            target = resolve(f"{name}/{body['model']}", env={}, api_key="k")
            assert quirks.apply(dict(body), target.provider.quirks, target.model) == (), entry.id


@pytest.mark.parametrize(
    ("model", "dialect"),
    [
        ("o1-pro", "openai_responses"),
        ("o1-pro-2025-03-19", "openai_responses"),
        ("o3-pro", "openai_responses"),
        ("gpt-5-pro", "openai_responses"),
        ("gpt-5.2-pro", "openai_responses"),
        ("codex-mini-latest", "openai_responses"),
        ("gpt-5.1-codex-max", "openai_responses"),
        ("o4-mini-deep-research", "openai_responses"),
        ("computer-use-preview", "openai_responses"),
        ("o1", "openai_chat"),
        ("o3-mini", "openai_chat"),
        ("gpt-5", "openai_chat"),
        ("gpt-4o", "openai_chat"),
    ],
)
def test_a_chat_call_goes_where_the_model_answers(model: str, dialect: str) -> None:
    assert resolve(f"openai/{model}", env={}, api_key="k").provider.dialects["chat"] == dialect
