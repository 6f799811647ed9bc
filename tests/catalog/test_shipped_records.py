"""The file of records in the wheel: every line of it makes sense, and the price packages still say what it says."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import pytest

from dragoman.catalog.lookup import Catalog
from dragoman.catalog.records import ABILITIES, KINDS, MODES, Model, Tariff, shipped

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [model for provider, name in Catalog() if (model := Catalog().get(provider, name))]
MODALITIES = {"text", "image", "audio", "video", "pdf"}


def lists(model: Model) -> list[Tariff]:
    return [model.price, *model.modes.values()]


def test_there_are_records_with_prices_of_many_providers() -> None:
    priced = [model for model in RECORDS if model.priced]
    assert len(priced) > 2000
    assert {"openai", "anthropic", "gemini", "bedrock", "mistral", "xai", "deepseek", "groq", "openrouter"} <= {
        model.provider for model in priced
    }


def test_every_record_names_its_source_and_its_day() -> None:
    for model in RECORDS:
        assert set(model.source.split("+")) <= {"genai-prices", "model-prices", "profiles", "litellm", "tokencost"}
        retired = "tokencost" in model.source  # what newer price maps do not list any more
        assert date(2025 if retired else 2026, 1, 1) <= date.fromisoformat(model.as_of)


def test_every_rate_is_an_integer_from_0_of_a_known_kind_in_a_known_list() -> None:
    for model in RECORDS:
        assert model.modes.keys() <= MODES
        for tariff in lists(model):
            for rates in (tariff.rates, *(step.rates for step in tariff.steps)):
                assert {kind.partition(" ")[0] if kind.startswith("image ") else kind for kind in rates} <= KINDS
                assert all(type(rate) is int and rate >= 0 for rate in rates.values())


def test_thresholds_ascend_and_change_only_what_is_listed() -> None:
    for model in RECORDS:
        for tariff in lists(model):
            above = [step.above for step in tariff.steps]
            assert above == sorted(set(above))
            assert all(step.rates.keys() <= tariff.rates.keys() for step in tariff.steps)


def test_a_cached_token_never_costs_more_than_a_fresh_one() -> None:
    dearer = [f"{model.provider}/{model.name}" for model in RECORDS if _read(model) > model.price.rates.get("input", 0)]
    assert dearer == ["openrouter/~deepseek/deepseek-pro-latest"], "a moving name, of which the source renewed one rate only"


def _read(model: Model) -> int:
    return model.price.rates.get("cache_read", 0)


def test_abilities_and_modalities_are_known_words() -> None:
    for model in RECORDS:
        assert model.abilities.keys() <= ABILITIES
        assert set(model.inputs) | set(model.outputs) <= MODALITIES


def test_no_sentence_of_anybody_is_in_it() -> None:
    """Facts only: names and words of one kind, never a description."""
    for model in RECORDS:
        assert not re.search(r"\s\S+\s\S+\s", model.name)
        assert model.extra == {}


@pytest.mark.parametrize(
    ("name", "can", "cannot"),
    [
        ("openai/gpt-4o", {"tools", "parallel_tools", "structured_output", "prompt_cache"}, {"reasoning"}),
        ("openai/o3", {"tools", "reasoning"}, {"parallel_tools"}),
        ("openai/o1-mini", set(), {"system_messages"}),
        ("anthropic/claude-sonnet-4-5", {"tools", "prefill", "prompt_cache", "web_search"}, set()),
        ("anthropic/claude-sonnet-4-6", {"tools"}, {"prefill"}),
        ("gemini/gemini-2.5-flash", {"tools", "reasoning", "structured_output"}, set()),
    ],
)
def test_abilities(name: str, can: set[str], cannot: set[str]) -> None:
    found = Catalog().find(name)
    assert found is not None
    assert {ability for ability in can if not found.model.abilities.get(ability)} == set()
    assert {ability for ability in cannot if found.model.abilities.get(ability) is not False} == set()


def test_the_price_packages_still_say_what_is_shipped() -> None:
    """With the packages it was made from, the file is made again exactly; with others, `make catalog` tells what moved."""
    pytest.importorskip("genai_prices", reason="the price packages of the extra `dev` are not installed")
    pytest.importorskip("model_prices", reason="the price packages of the extra `dev` are not installed")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import catalog_seed
        import catalog_sources
    finally:
        sys.path.pop(0)
    sources = shipped().sources
    if catalog_sources.versions().items() <= sources.items():
        merged, made_of = catalog_seed.build(date.fromisoformat(sources["made"]))
        assert catalog_seed.written(merged.records, made_of) == catalog_seed.DATA.read_text(encoding="utf-8")
        assert catalog_seed.page(merged, made_of) == catalog_seed.PAGE.read_text(encoding="utf-8")
    else:
        pytest.fail("other versions of the price packages are installed: run `make catalog`, look at what moved, commit it")
