"""LiteLLM's price-map format -> records, and back: floats per token there, integers per million units here.

Each dimension of a price is a field name of its own there (kind x threshold x tier); `read` takes the names apart. Amounts
are converted through their decimal notation, so 1.5e-07 is exactly 150_000_000 nano-dollars per million. A price field that is
not understood is a Warning, never a wrong price. `register_model`, `get_model_info` and `model_cost` are made of this.
Field reference: https://docs.litellm.ai/docs/provider_registration/add_model_pricing
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from dragoman.catalog.records import Model, Step, Tariff
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError

FEMTO = 10**15
"""Nano-dollars per million units in a dollar per unit."""

FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "input_audio": "input_cost_per_audio_token",
    "output_audio": "output_cost_per_audio_token",
    "cache_read_audio": "cache_read_input_audio_token_cost",
    "input_image": "input_cost_per_image_token",
    "output_image": "output_cost_per_image_token",
    "input_video": "input_cost_per_video_token",
    "output_video": "output_cost_per_video_token",
    "citation": "citation_cost_per_token",
    "image": "output_cost_per_image",
    "second": "input_cost_per_second",
    "character": "input_cost_per_character",
    "page": "ocr_cost_per_page",
    "annotated_page": "annotation_cost_per_page",
    "query": "input_cost_per_query",
    "call": "input_cost_per_request",
}
_KINDS = {name: kind for kind, name in FIELDS.items()} | {
    "input_cost_per_image": "image",
    "output_cost_per_second": "second",
    "output_cost_per_character": "character",
    "cache_creation_input_token_cost_above_1h": "cache_write_1h",
}
_SEARCH = "search_context_cost_per_query"
_MODES = {"batches": "batch", "flex": "flex", "priority": "priority"}
_SUFFIX = {mode: suffix for suffix, mode in _MODES.items()}
_NAMES = "|".join(sorted(_KINDS, key=len, reverse=True))
_PRICE = re.compile(rf"({_NAMES})(?:_above_(\d+)k_tokens)?(?:_({'|'.join(_MODES)}))?(?:_above_(\d+)k_tokens)?$")

KIND_OF_MODE = {
    "image_generation": "image",
    "image_edit": "image",
    "audio_transcription": "transcription",
    "audio_speech": "speech",
    "video_generation": "video",
    "responses": "chat",
}
_MODE_OF_KIND = {
    "image": "image_generation",
    "transcription": "audio_transcription",
    "speech": "audio_speech",
    "video": "video_generation",
}
ABILITY_OF = {
    "supports_function_calling": "tools",
    "supports_tool_choice": "tool_choice",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_response_schema": "structured_output",
    "supports_reasoning": "reasoning",
    "supports_prompt_caching": "prompt_cache",
    "supports_web_search": "web_search",
    "supports_assistant_prefill": "prefill",
    "supports_system_messages": "system_messages",
}
INPUT_OF = {
    "supports_vision": "image",
    "supports_pdf_input": "pdf",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
}
OUTPUT_OF = {"supports_audio_output": "audio", "supports_image_output": "image"}


def read(name: str, fields: Mapping[str, Any]) -> tuple[Model, tuple[Warning, ...]]:
    """One entry of a price map as a record, and its price fields that could not be read.

    `name` may carry the provider ("groq/llama-3"), which `litellm_provider` overrides. Raises BadRequestError for a price that
    is no number from 0.
    """
    head, slash, rest = name.partition("/")
    provider = str(fields.get("litellm_provider") or (head if slash else ""))
    tariffs, unread = _tariffs(name, fields)
    window = fields.get("max_input_tokens") or fields.get("max_tokens")
    model = Model(
        provider=provider,
        name=rest if slash and head in (provider, provider.removesuffix("_chat")) else name,
        kind=KIND_OF_MODE.get(fields.get("mode", "chat"), fields.get("mode", "chat")),
        context_window=_count(name, "max_input_tokens", window),
        max_output=_count(name, "max_output_tokens", fields.get("max_output_tokens") or fields.get("max_tokens")),
        inputs=_modalities(fields, INPUT_OF, "supported_modalities"),
        outputs=_modalities(fields, OUTPUT_OF, "supported_output_modalities"),
        abilities={ours: bool(fields[theirs]) for theirs, ours in ABILITY_OF.items() if fields.get(theirs) is not None},
        price=tariffs.pop("", Tariff()),
        modes=tariffs,
        deprecated=fields.get("deprecation_date"),
        vector_size=fields.get("output_vector_size"),
        source=str(fields.get("source") or "registered by the program"),
    )
    return model, unread


def _tariffs(name: str, fields: Mapping[str, Any]) -> tuple[dict[str, Tariff], tuple[Warning, ...]]:
    rates: dict[str, dict[int, dict[str, int]]] = {}
    unread = []
    for field, value in fields.items():
        if value is None or "cost" not in field:
            continue
        if field == _SEARCH and isinstance(value, dict):
            value = value.get("search_context_size_medium")  # noqa: PLW2901 - the size that is used when none is asked for
            kind, above, mode = "web_search", 0, ""
        elif found := _PRICE.match(field):
            kind, above, mode = _KINDS[found[1]], int(found[2] or found[4] or 0) * 1000, _MODES.get(found[3], "")
        else:
            unread.append(Warning(field=f"{name}.{field}", message="this price is not understood, and is not charged"))
            continue
        if value is not None:
            listed = rates.setdefault(mode, {}).setdefault(above, {})
            listed[kind] = max(_rate(name, field, value), listed.get(kind, 0))  # two fields may mean one kind, and one be 0
    return {mode: _tariff(steps) for mode, steps in rates.items()}, tuple(unread)


def _tariff(steps: dict[int, dict[str, int]]) -> Tariff:
    return Tariff(
        rates=steps.get(0, {}),
        steps=tuple(Step(above=above, rates=steps[above]) for above in sorted(steps) if above),
    )


def _rate(name: str, field: str, value: Any) -> int:
    """Text is taken too, because YAML reads 1e-6 as text."""
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise BadRequestError(f"{name}.{field}: expected USD per unit, a number from 0, found {value!r}")
    return int((amount * FEMTO).to_integral_value())


def _count(name: str, field: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise BadRequestError(f"{name}.{field}: expected a number of tokens, found {value!r}") from None


def _modalities(fields: Mapping[str, Any], of: Mapping[str, str], listed: str) -> tuple[str, ...]:
    if isinstance(fields.get(listed), list):
        return tuple(fields[listed])
    found = tuple(kind for field, kind in of.items() if fields.get(field))
    return ("text", *found) if any(fields.get(field) is not None for field in of) else ()


def overlay(known: Model, told: Model) -> Model:
    """What was told laid over what is known, rate by rate; what was not told stays."""
    modes = {mode: _over(known.modes.get(mode), tariff) for mode, tariff in told.modes.items()}
    return replace(
        told,
        provider=known.provider,
        name=known.name,
        context_window=told.context_window or known.context_window,
        max_output=told.max_output or known.max_output,
        inputs=told.inputs or known.inputs,
        outputs=told.outputs or known.outputs,
        abilities=known.abilities | told.abilities,
        price=_over(known.price, told.price),
        modes=known.modes | modes,
        peak_hours=known.peak_hours,
        deprecated=told.deprecated or known.deprecated,
        vector_size=told.vector_size or known.vector_size,
    )


def _over(known: Tariff | None, told: Tariff) -> Tariff:
    if known is None:
        return told
    steps = {step.above: step.rates for step in known.steps}
    for step in told.steps:
        steps[step.above] = steps.get(step.above, {}) | step.rates
    return Tariff(rates=known.rates | told.rates, steps=tuple(Step(above=above, rates=steps[above]) for above in sorted(steps)))


def write(model: Model) -> dict[str, Any]:
    """A record in LiteLLM's fields, floats in USD per unit. What is not known is absent."""
    fields: dict[str, Any] = {
        "litellm_provider": model.provider,
        "mode": _MODE_OF_KIND.get(model.kind, model.kind),
        "max_tokens": model.max_output or model.context_window,
        "max_input_tokens": model.context_window,
        "max_output_tokens": model.max_output,
        "output_vector_size": model.vector_size,
        "deprecation_date": model.deprecated if model.deprecated != "yes" else None,
        "supported_modalities": list(model.inputs) or None,
        "supported_output_modalities": list(model.outputs) or None,
        "source": model.source or None,
    }
    for theirs, ours in ABILITY_OF.items():
        fields[theirs] = model.abilities.get(ours)
    fields |= {theirs: kind in model.inputs for theirs, kind in INPUT_OF.items() if model.inputs}
    fields |= {theirs: kind in model.outputs for theirs, kind in OUTPUT_OF.items() if model.outputs}
    for mode, tariff in {"": model.price, **model.modes}.items():
        if mode in _SUFFIX or not mode:
            fields |= _flat(tariff, f"_{_SUFFIX[mode]}" if mode else "")
    return {name: value for name, value in fields.items() if value is not None}


def _flat(tariff: Tariff, suffix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {f"{FIELDS[kind]}{suffix}": rate / FEMTO for kind, rate in tariff.rates.items() if kind in FIELDS}
    for step in tariff.steps:
        above = f"_above_{step.above // 1000}k_tokens{suffix}"
        flat |= {f"{FIELDS[kind]}{above}": rate / FEMTO for kind, rate in step.rates.items() if kind in FIELDS}
    search = tariff.rates.get("web_search")
    if search is not None and not suffix:
        sizes = dict.fromkeys(("low", "medium", "high"), search / FEMTO)
        flat[_SEARCH] = {f"search_context_size_{size}": price for size, price in sizes.items()}
    return flat
