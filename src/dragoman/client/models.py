"""What a program may ask about a model by its name: facts, abilities, provider, parameters; and `register_model` to tell more.

Names are split as calls split them, so that a helper speaks of the model a call would reach. An unknown model is an error for
`get_model_info`, and False for the `supports_*` questions, as programs written for LiteLLM expect. Nothing here asks the
network; keys are neither read nor checked beyond being set.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from msgspec.structs import replace

from dragoman.catalog import litellm_prices, lookup
from dragoman.catalog.lookup import Found
from dragoman.catalog.records import Model
from dragoman.client.arguments import EMBEDDING_PARAMETERS
from dragoman.core import json
from dragoman.core.errors import BadRequestError, DragomanError
from dragoman.dialects import registry as dialects
from dragoman.providers import registry


def find_model(model: str, custom_llm_provider: str | None = None) -> Found | None:
    """The record of the model that a call with this name would reach; None when the catalog has none."""
    try:
        row, name = registry.split(model, provider=custom_llm_provider)
    except DragomanError:  # the catalog knows providers that the table has not, and programs register names of their own
        return lookup.current().find(model, custom_llm_provider)
    return lookup.current().find(name, row.name) or (None if custom_llm_provider else _registered(model))


def _registered(model: str) -> Found | None:
    record = lookup.current().get("", model)
    return None if record is None else Found(model=record)


def _known(model: str, custom_llm_provider: str | None) -> Model:
    found = find_model(model, custom_llm_provider)
    if found is None:
        raise BadRequestError(
            f"nothing is known of the model {model!r}: check its name, or tell with dragoman.register_model", model=model
        )
    return found.model


def get_model_info(model: str, custom_llm_provider: str | None = None) -> dict[str, Any]:
    """Sizes in tokens, prices in USD per unit, abilities, in LiteLLM's field names. Raises BadRequestError for an unknown one.

    `supported_openai_params` is None where no provider of the table serves the model.
    """
    record = _known(model, custom_llm_provider)
    usual = {"max_tokens": None, "max_input_tokens": None, "max_output_tokens": None}
    prices = {"input_cost_per_token": None, "output_cost_per_token": None}
    return {
        "key": model,
        **usual,
        **prices,
        **litellm_prices.write(record),
        "supported_openai_params": get_supported_openai_params(model, custom_llm_provider),
        "as_of": record.as_of,
    }


def get_max_tokens(model: str, custom_llm_provider: str | None = None) -> int | None:
    """The most tokens the model may answer with, else its context window. Raises BadRequestError for an unknown model."""
    record = _known(model, custom_llm_provider)
    return record.max_output or record.context_window


# ------------------------------------------------------------------------------------------------------------ abilities
def _question(name: str, answer: Callable[[Model], Any]) -> Callable[..., bool]:
    def supports(model: str, custom_llm_provider: str | None = None) -> bool:
        found = find_model(model, custom_llm_provider)
        return found is not None and bool(answer(found.model))

    supports.__name__ = supports.__qualname__ = name
    supports.__doc__ = "Whether the model is known to; False where that is not known."
    return supports


def _ability(name: str) -> Callable[..., bool]:
    ability = litellm_prices.ABILITY_OF[name]
    return _question(name, lambda record: record.abilities.get(ability))


def _input(name: str) -> Callable[..., bool]:
    kind = litellm_prices.INPUT_OF[name]
    return _question(name, lambda record: kind in record.inputs)


supports_function_calling = _ability("supports_function_calling")
supports_tool_choice = _ability("supports_tool_choice")
supports_parallel_function_calling = _ability("supports_parallel_function_calling")
supports_response_schema = _ability("supports_response_schema")
supports_reasoning = _ability("supports_reasoning")
supports_prompt_caching = _ability("supports_prompt_caching")
supports_web_search = _ability("supports_web_search")
supports_assistant_prefill = _ability("supports_assistant_prefill")
supports_system_messages = _ability("supports_system_messages")
supports_vision = _input("supports_vision")
supports_pdf_input = _input("supports_pdf_input")
supports_audio_input = _input("supports_audio_input")
supports_video_input = _input("supports_video_input")
supports_audio_output = _question("supports_audio_output", lambda record: "audio" in record.outputs)


# ---------------------------------------------------------------------------------------------------------- registering
def register_model(model_cost: Mapping[str, Mapping[str, Any]]) -> Mapping[str, dict[str, Any]]:
    """Tell about models, in LiteLLM's price-map format: {"groq/my-model": {"input_cost_per_token": 1e-7, ...}}.

    What is told is laid over what is known of the model. Raises BadRequestError for an entry that cannot be read; a price
    field that is not understood is a Python warning. A URL is not fetched: read it yourself and pass what it says.
    """
    if not isinstance(model_cost, Mapping):
        raise BadRequestError(
            f"register_model: expected a dict of model names, found {json.kind(model_cost)}; URLs are not read"
        )
    told = []
    for name, fields in model_cost.items():
        if not isinstance(fields, Mapping):
            raise BadRequestError(f"{name}: expected a dict of fields, found {json.kind(fields)}")
        record, unread = litellm_prices.read(name, fields)
        told.append(_over_known(record, name))
        for warning in unread:
            warnings.warn(f"{warning.field}: {warning.message}", stacklevel=2)
    lookup.register(*told)
    return _ALL


def _over_known(record: Model, name: str) -> Model:
    """The record under the provider's own name, laid over what is known under exactly this name."""
    record = replace(record, provider=_canonical(record.provider))
    found = find_model(record.name, record.provider) if record.provider else find_model(name)
    if found is None or found.note:
        return record
    return litellm_prices.overlay(found.model, record)


def _canonical(provider: str) -> str:
    """LiteLLM's maps say "vertex_ai-language-models" and "bedrock_converse" for what calls name vertex_ai and bedrock."""
    for name in (provider, provider.partition("-")[0], provider.removesuffix("_converse")) if provider else ():
        row = registry.DEFAULT.find(name)
        if row is not None:
            return row.name
    return provider


class ModelCost(Mapping[str, dict[str, Any]]):
    """Every known model in LiteLLM's fields, made when it is looked at. Read only: `register_model` adds to it."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        found = lookup.current().find(name)
        if found is None or found.note:
            raise KeyError(name)
        return litellm_prices.write(found.model)

    def __iter__(self) -> Iterator[str]:
        for provider, name in lookup.current():
            yield f"{provider}/{name}" if provider else name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<{len(self)} models>"


model_cost = _ALL = ModelCost()


# ------------------------------------------------------------------------------------------------------------ providers
def get_llm_provider(
    model: str, custom_llm_provider: str | None = None, api_base: str | None = None, api_key: str | None = None
) -> tuple[str, str, str | None, str | None]:
    """(the model's name there, provider, the key that was passed, base URL). Errors as a call's. Reads no key itself."""
    row, name = registry.split(model, provider=custom_llm_provider, base_url=api_base)
    return name, row.name, api_key, api_base or row.base_url


def validate_environment(model: str, api_key: str | None = None, api_base: str | None = None) -> dict[str, Any]:
    """{"keys_in_environment": bool, "missing_keys": [variable, ...]}: what has to be set before `model` can be asked."""
    found = registry.validate_environment(model, os.environ)
    row, _ = registry.split(model)
    given = set()
    if api_key:
        given |= {*row.key_variables, *row.bearer_variables}
    if api_base:
        given |= {*row.base_url_variables}
    missing = [name for name in found["missing_keys"] if name not in given]
    return {"keys_in_environment": not missing, "missing_keys": missing}


def get_supported_openai_params(
    model: str, custom_llm_provider: str | None = None, request_type: str = "chat_completion"
) -> list[str] | None:
    """The OpenAI parameters that reach this model, found by writing a request with all of them. None: unknown provider."""
    operation = _OPERATIONS.get(request_type)
    if operation is None:
        raise BadRequestError(f"request_type: expected one of {', '.join(_OPERATIONS)}, found {request_type!r}")
    try:
        row, name = registry.split(model, provider=custom_llm_provider)
    except DragomanError:
        return None
    row = registry.for_model(row, name)
    if operation not in row.dialects:
        return []
    if operation == "embedding":
        return sorted(EMBEDDING_PARAMETERS - {"input"} - row.quirks.drop)
    return sorted(_sayable(row.dialects["chat"]) - row.quirks.drop)


_OPERATIONS = {"chat_completion": "chat", "embeddings": "embedding"}

_FUNCTION = {"name": "x", "parameters": {"type": "object", "properties": {}}}
_TOOLS = [{"type": "function", "function": _FUNCTION}]
_PROBES: dict[str, dict[str, Any]] = {
    "audio": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}},
    "function_call": {"functions": [_FUNCTION], "function_call": "auto"},
    "functions": {"functions": [_FUNCTION]},
    "parallel_tool_calls": {"tools": _TOOLS, "parallel_tool_calls": True},
    "stream_options": {"stream": True, "stream_options": {"include_usage": True}},
    "tool_choice": {"tools": _TOOLS, "tool_choice": "auto"},
    "top_logprobs": {"logprobs": True, "top_logprobs": 1},
    **{
        name: {name: value}
        for name, value in {
            "frequency_penalty": 0.5,
            "logit_bias": {"1": 1},
            "logprobs": True,
            "max_completion_tokens": 16,
            "max_tokens": 16,
            "modalities": ["text", "audio"],
            "n": 2,
            "prediction": {"type": "content", "content": "x"},
            "presence_penalty": 0.5,
            "prompt_cache_key": "x",
            "prompt_cache_retention": "24h",
            "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            "safety_identifier": "x",
            "seed": 1,
            "service_tier": "auto",
            "stop": ["x"],
            "stream": True,
            "temperature": 0.5,
            "tools": _TOOLS,
            "top_p": 0.5,
            "user": "x",
            "verbosity": "low",
            "web_search_options": {},
        }.items()
    },
}
"""For each parameter a request that uses it."""


@cache
def _sayable(dialect: str) -> frozenset[str]:
    """The parameters that a dialect writes without reporting a loss."""
    return frozenset(name for name, probe in _PROBES.items() if not _lost(dialect, probe))


def _lost(dialect: str, probe: dict[str, Any]) -> bool:
    body = {"model": "x", "messages": [{"role": "user", "content": "x"}], **probe}
    request = dialects.get("openai_chat").decode_request(json.encode(body))
    warnings_given = dialects.get(dialect).encode_request(request).warnings
    return any(warning.code == "dropped" for warning in warnings_given)
