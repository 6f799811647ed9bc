"""What GPTRouter calls providers and models, and what we call them. Data and a few lookups; nothing here resolves a key.

Names of providers there mix who hosts with what for (`chat_openai`, `openai_embeddings`, `dall-e`). Whoever is not in the
table is called there as here. Source: the names that the clients and seeds of GPTRouter know.
"""

from __future__ import annotations

from dragoman.router.deployment import Deployment

ALIASES: dict[str, tuple[str, ...]] = {
    "openai": ("openai",),
    "chat_openai": ("openai",),
    "anthropic": ("anthropic",),
    "chat_anthropic": ("anthropic",),
    "azure_chat_openai": ("azure", "azure_ai"),
    "cohere": ("cohere",),
    "dall-e": ("openai",),
    "together_ai": ("together_ai",),
    "mistral_ai": ("mistral",),
    "perplexity": ("perplexity",),
    "stable-diffusion": ("stability",),
    "openrouter": ("openrouter",),
    "replicate": ("replicate",),
    "openai_embeddings": ("openai",),
    "azure_openai_embeddings": ("azure", "azure_ai"),
    "aws_bedrock": ("bedrock",),
    "typesafe": ("typesafe",),
    "openai_decisions": ("openai",),
}
"""GPTRouter's name of a provider -> ours, the likeliest first."""

CALLED_THERE = {
    "openai": "chat_openai",
    "azure": "azure_chat_openai",
    "azure_ai": "azure_chat_openai",
    "mistral": "mistral_ai",
    "stability": "stable-diffusion",
    "bedrock": "aws_bedrock",
}
"""Our name of a provider -> what it is listed as, where that differs."""

RENAMED: dict[tuple[str, str], str] = {
    ("together_ai", "Mistral-7B-Instruct-v0.2"): "mistralai/Mistral-7B-Instruct-v0.2",
    ("together_ai", "Mixtral-8x7B-Instruct-v0.1"): "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ("together_ai", "llama-2-70b-chat"): "meta-llama/Llama-2-70b-chat-hf",
    ("stable-diffusion", "stable-diffusion-xl-1024-v1-0"): "sd3.5-large",
    ("stable-diffusion", "stable-diffusion-v1-6"): "sd3.5-medium",
}
"""(provider, model) as clients there write it -> what the provider calls the model, or its successor in the API of today."""

KNOWN: dict[str, tuple[str, ...]] = {
    "chat_openai": (
        "gpt-3.5-turbo-1106",
        "gpt-3.5-turbo-0613",
        "gpt-3.5-turbo-16k-0613",
        "gpt-4-0613",
        "gpt-4-1106-preview",
        "gpt-4-32k-0613",
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-0125",
        "gpt-3.5-turbo-16k",
        "gpt-4",
        "gpt-4-0125-preview",
        "gpt-4-turbo-2024-04-09",
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-mini",
    ),
    "azure_chat_openai": (
        "gpt-35-turbo",
        "gpt-35-turbo-16k",
        "gpt-4",
        "gpt-4-turbo",
        "gpt-4-32k",
        "gpt4-turbo-0125",
        "gpt-4o-mini-2024-07-18",
        "gpt-35-turbo-1106",
    ),
    "openai": (
        "gpt-3.5-turbo-instruct",
        "text-davinci-003",
        "text-ada-001",
        "text-babbage-001",
        "text-curie-001",
        "ada-instruct-beta",
        "babbage-instruct-beta",
        "curie-instruct-beta",
    ),
    "anthropic": (
        "claude-instant-1.1",
        "claude-instant-1.2",
        "claude-2",
        "claude-2.1",
        "claude-3-opus-20240229",
        "claude-3-sonnet-20240229",
        "claude-3-haiku-20240307",
    ),
    "chat_anthropic": ("claude-3-7-sonnet-2025-02-19", "claude-haiku-4-5-20251001"),
    "cohere": ("command",),
    "openrouter": ("anthropic/claude-3-haiku", "meta-llama/llama-3-70b-instruct:nitro"),
    "together_ai": ("Mistral-7B-Instruct-v0.2", "Mixtral-8x7B-Instruct-v0.1", "llama-2-70b-chat"),
    "mistral_ai": ("mistral-medium",),
    "perplexity": ("pplx-70b-online", "pplx-7b-online"),
    "dall-e": ("dall-e-3",),
    "stable-diffusion": ("stable-diffusion-xl-1024-v1-0", "stable-diffusion-v1-6", "core", "ultra"),
    "replicate": (
        "black-forest-labs/flux-dev",
        "black-forest-labs/flux-pro",
        "black-forest-labs/flux-1.1-pro",
        "black-forest-labs/flux-schnell",
    ),
    "openai_embeddings": ("text-embedding-ada-002", "text-embedding-3-small"),
    "typesafe": ("jev-1.13.0",),
    "openai_decisions": ("gpt-6-luna",),
}
"""Models that clients and seeds of GPTRouter name. They are listed where this gateway has somebody who serves them."""

_PROMPTED = frozenset(KNOWN["openai"])


def ours(provider: str) -> tuple[str, ...]:
    """Our names of a provider as clients there call it."""
    return ALIASES.get(provider, (provider,))


def listed_as(deployment: Deployment) -> tuple[str, str]:
    """The provider and the model by which a deployment of ours is listed and counted."""
    name = deployment.target.provider.name
    return CALLED_THERE.get(name, name), deployment.group.removeprefix(f"{name}/")


def input_type(model: str) -> str:
    """`prompt` for the models that continue a text, `messages` for those that converse."""
    return "prompt" if model in _PROMPTED else "messages"
