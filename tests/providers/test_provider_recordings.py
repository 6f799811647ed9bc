"""Rows against recorded traffic: the vendor was asked where the row says, and took every field that the row lets through."""

from __future__ import annotations

import pytest

from dragoman.dialects import registry as dialects
from dragoman.providers import quirks
from dragoman.providers.base import Provider
from dragoman.providers.registry import DEFAULT, resolve
from support.recordings import Exchange, exchanges

ROW_OF = {  # the folder of recordings -> the row
    "ai21": "ai21",
    "alibaba": "dashscope",
    "anthropic": "anthropic",
    "avian": "avian",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "crusoe": "crusoe",
    "deepseek": "deepseek",
    "doubleword": "doubleword",
    "fireworks": "fireworks_ai",
    "groq": "groq",
    "huggingface": "huggingface",
    "hyperbolic": "hyperbolic",
    "mistral": "mistral",
    "nebius": "nebius",
    "novita": "novita",
    "nvidia": "nvidia_nim",
    "ollama": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "sambanova": "sambanova",
    "together": "together_ai",
    "venice": "veniceai",
    "vercel_gateway": "vercel_ai_gateway",
    "writer": "writer",
    "xai": "xai",
    "zai": "zai",
}

KIND_OF = {"anthropic_messages": "messages", "cohere_chat": "chat_v2", "ollama_chat": "api_chat"}
"""The dialect of a row -> the kind of its recordings."""


def recorded(folder: str) -> tuple[Provider, list[Exchange]]:
    row = DEFAULT.get(ROW_OF[folder])
    kind = KIND_OF.get(row.dialects["chat"], "chat")
    found = exchanges(kind, provider=folder, ok=True)
    return row, [entry.load() for entry in found[:: len(found) // 40 + 1]]


with_recordings = pytest.mark.parametrize("folder", [name for name in ROW_OF if exchanges("chat", provider=name)])


@with_recordings
def test_the_vendor_is_asked_where_it_was_asked_before(folder: str):
    row, found = recorded(folder)
    path = row.paths.get("chat") or dialects.get(row.dialects["chat"]).path("m", stream=False)
    bases = {row.base_url, *(row.base_url.replace(row.base_url.split("/")[2], host) for host in row.hosts)}
    assert {base + path for base in bases} & {exchange.data["request"]["url"] for exchange in found}


@with_recordings
def test_nothing_is_dropped_that_the_vendor_was_seen_to_take(folder: str):
    row, found = recorded(folder)
    for exchange in found:
        body = exchange.request_json
        if not isinstance(body, dict) or "model" not in body:
            continue
        target = resolve(f"{row.name}/{body['model']}", env={}, api_key="k")
        assert quirks.apply(dict(body), target.provider.quirks, target.model) == (), exchange.id
