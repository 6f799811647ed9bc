"""A candidate of GPTRouter's list, how its names become ours, and when the next one is asked.

Used by the classes of GPTRouter and by their wire formats.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from langchain_core.utils import secret_from_env
from pydantic import BaseModel, ConfigDict

from dragoman.core.errors import (
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    DragomanError,
    UnprocessableEntityError,
)

BASE_VARIABLE = "GPT_ROUTER_API_BASE"
key_from_env = secret_from_env(["GPT_ROUTER_API_KEY", "GPT_ROUTER_API_TOKEN"], default=None)
_SPELLINGS = {"gpt_router_api_base": ("api_base", "base_url"), "gpt_router_api_key": ("api_key",)}


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


def take_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """A constructor's keywords: `model` is a list of one; other spellings of key and address; the environment's address."""
    given = dict(values)
    model = given.pop("model", None) or given.pop("model_name", None)
    if model is not None and not given.get("models_priority_list"):
        given["models_priority_list"] = [model]
    for field, names in _SPELLINGS.items():
        for name in names:
            value = given.pop(name, None)
            if value is not None and given.get(field) is None:
                given[field] = value
    if given.get("gpt_router_api_base") is None and os.environ.get(BASE_VARIABLE):
        given["gpt_router_api_base"] = os.environ[BASE_VARIABLE]
    return given


def candidates(given: Any) -> Any:
    """A list of candidates; what is no list is left to be refused."""
    return [candidate(one) for one in given] if isinstance(given, list | tuple) else given


# ---------------------------------------------------------------------------------------------------- one after the other
def retries_left(retries: int | None, tried: int, count: int) -> int | None:
    """All but the last candidate are asked once; the last has the retries that are left. None is left to the engine."""
    return None if retries is None else 0 if tried + 1 < count else max(0, retries - tried)


def is_for_the_next(error: DragomanError) -> bool:
    """A request that is wrong is wrong everywhere; one that is too long, or is refused, is so for this model."""
    if isinstance(error, ContextWindowExceededError | ContentPolicyViolationError):
        return True
    return not isinstance(error, BadRequestError | UnprocessableEntityError)
