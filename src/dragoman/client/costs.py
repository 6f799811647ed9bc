"""What a call cost: `completion_cost` and `cost_per_token`, and the cost that results carry.

An answer is priced by its own usage; a text that somebody counted or wrote down is priced by its tokens. Amounts inside are
integer nano-dollars (`catalog.cost`); the two public functions give USD as floats, because programs written for LiteLLM read
that. What has no price is an error, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.catalog import cost as pricing
from dragoman.catalog import tokens
from dragoman.catalog.bill import bill, bill_found
from dragoman.catalog.cost import Cost, minute_of_day
from dragoman.catalog.records import Model, Tariff
from dragoman.client.models import find_model
from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError
from dragoman.dialects.openai_chat.usage import decode_usage

_INPUT_KINDS = frozenset({"input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image"})


def cost_of(model: str, provider: str | None, usage: Usage | None, **how: Any) -> Cost:
    """The cost of `usage`, where `model` is named as in a call. `how` as for `catalog.cost.cost`."""
    if provider in pricing.FREE or (provider is None and model.partition("/")[0] in pricing.FREE):
        return bill(provider or model.partition("/")[0], model, usage)
    return bill_found(find_model(model, provider), model, usage, **how)


def completion_cost(
    completion_response: Any = None,
    model: str | None = None,
    prompt: str = "",
    messages: list[dict[str, Any]] | None = None,
    completion: str = "",
    *,
    custom_llm_provider: str | None = None,
    base_model: str | None = None,
    service_tier: str | None = None,
    custom_cost_per_token: Mapping[str, float] | None = None,
    batch: bool = False,
) -> float:
    """USD for an answer, or for a prompt and completion that are counted here. Raises BadRequestError where there is no price.

    `custom_cost_per_token` is {"input_cost_per_token": USD, "output_cost_per_token": USD}. `model` (or `base_model`, where a
    deployment is called something else) overrides what the answer says.
    """
    hidden = getattr(completion_response, "_hidden_params", None) or {}
    fields = _fields(completion_response)
    name = base_model or model or hidden.get("litellm_model_name") or fields.get("model")
    if not name:
        raise BadRequestError("completion_cost: the answer names no model; pass model")
    provider = custom_llm_provider or (None if base_model or model else hidden.get("custom_llm_provider"))
    told = decode_usage(fields.get("usage"))
    if told is None and provider and custom_cost_per_token is None and (known := hidden.get("response_cost")) is not None:
        return float(known)  # paid for by the piece, as images are
    usage = told or _counted(name, prompt, messages, completion)
    tier = service_tier or fields.get("service_tier")
    if custom_cost_per_token is not None:
        return _dollars(pricing.cost(_custom(name, custom_cost_per_token), usage))
    minute = minute_of_day(fields.get("created"))
    return _dollars(cost_of(name, provider, usage, service_tier=tier, batch=batch, minute=minute))


def cost_per_token(
    model: str,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    *,
    cache_read_input_tokens: int = 0,
    cache_creation_input_tokens: int = 0,
    custom_llm_provider: str | None = None,
    usage_object: Any = None,
    service_tier: str | None = None,
    custom_cost_per_token: Mapping[str, float] | None = None,
) -> tuple[float, float]:
    """(USD for the prompt, USD for the completion). `prompt_tokens` includes cache reads and writes.

    Raises BadRequestError where there is no price.
    """
    usage = decode_usage(_fields(usage_object)) or Usage(
        input_tokens=prompt_tokens,
        output_tokens=completion_tokens,
        cache_read_tokens=cache_read_input_tokens,
        cache_write_tokens=cache_creation_input_tokens,
    )
    if custom_cost_per_token is not None:
        made = pricing.cost(_custom(model, custom_cost_per_token), usage)
    else:
        made = cost_of(model, custom_llm_provider, usage, service_tier=service_tier)
    _dollars(made)
    into = sum(line.femto_dollars for line in made.lines if line.kind in _INPUT_KINDS)
    total = sum(line.femto_dollars for line in made.lines)
    return float(into / 10**15), float((total - into) / 10**15)


def _dollars(made: Cost) -> float:
    if made.dollars is None:
        raise BadRequestError(made.reason)
    return made.dollars


def _custom(model: str, prices: Mapping[str, float]) -> Model:
    from dragoman.catalog import litellm_prices  # noqa: PLC0415 - for callers with prices of their own

    record, unread = litellm_prices.read(model, prices)
    if unread or not record.priced:
        raise BadRequestError(
            "custom_cost_per_token: expected input_cost_per_token and output_cost_per_token in USD, found " + ", ".join(prices)
        )
    return Model(provider="custom", name=model, price=Tariff(rates={"input": 0, "output": 0} | record.price.rates))


def _fields(answer: Any) -> dict[str, Any]:
    """An answer's fields, whatever library it comes from."""
    if answer is None:
        return {}
    if isinstance(answer, Mapping):
        return {name: json.decode(json.encode(value)) if name == "usage" else value for name, value in answer.items()}
    dump = getattr(answer, "model_dump", None)
    if dump is None:
        raise BadRequestError(f"expected an answer of a call, found {type(answer).__name__}")
    fields: dict[str, Any] = dump()
    return fields


def _counted(model: str, prompt: str, messages: list[dict[str, Any]] | None, completion: str) -> Usage:
    count = tokens.text_counter(model)
    asked = tokens.count_messages(messages, count) if messages else count(prompt)
    return Usage(input_tokens=asked, output_tokens=count(completion))
