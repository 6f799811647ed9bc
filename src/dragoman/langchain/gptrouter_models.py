"""A candidate of GPTRouter's list, and how its names become ours. Used by the class and by its wire format."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class GPTRouterModel(BaseModel):
    """A model and who serves it, in GPTRouter's names or ours."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str
    provider_name: str


PROVIDERS = {
    "chat_openai": "openai",
    "azure_chat_openai": "azure",
    "chat_anthropic": "anthropic",
    "mistral_ai": "mistral",
    "aws_bedrock": "bedrock",
    "stable-diffusion": "stability",
    "dall-e": "openai",
    "openai_embeddings": "openai",
    "azure_openai_embeddings": "azure",
}
"""GPTRouter's name of a provider -> ours, where they differ."""


def candidate(given: Any) -> GPTRouterModel:
    """From a GPTRouterModel, its dict, or "provider/model"; a bare name has no provider. Raises pydantic's error otherwise."""
    if isinstance(given, GPTRouterModel):
        return given
    if isinstance(given, str):
        provider, slash, name = given.partition("/")
        return GPTRouterModel(name=name, provider_name=provider) if slash else GPTRouterModel(name=given, provider_name="")
    return GPTRouterModel.model_validate(given)


def label(model: GPTRouterModel) -> str:
    """How the candidate is called in metadata: "provider/model"."""
    return f"{model.provider_name}/{model.name}" if model.provider_name else model.name


def our_name(model: GPTRouterModel) -> str:
    """The name to ask the SDK for."""
    provider = PROVIDERS.get(model.provider_name, model.provider_name)
    return f"{provider}/{model.name}" if provider else model.name


def our_provider(model: GPTRouterModel) -> str:
    return PROVIDERS.get(model.provider_name, model.provider_name)
