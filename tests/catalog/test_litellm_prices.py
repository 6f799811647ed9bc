"""LiteLLM's price-map format, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalog.litellm_prices import FIELDS, overlay, read, write
from dragoman.catalog.lookup import Catalog
from dragoman.catalog.records import Model, Step, Tariff
from dragoman.core.errors import BadRequestError

ENTRY = {
    "litellm_provider": "anthropic",
    "mode": "chat",
    "max_tokens": 64_000,
    "max_input_tokens": 200_000,
    "max_output_tokens": 64_000,
    "input_cost_per_token": 3e-06,
    "output_cost_per_token": 1.5e-05,
    "cache_read_input_token_cost": 3e-07,
    "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06,
    "input_cost_per_token_above_200k_tokens": 6e-06,
    "output_cost_per_token_above_200k_tokens": 2.25e-05,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
    "input_cost_per_token_batches": 1.5e-06,
    "output_cost_per_token_priority": 3e-05,
    "output_cost_per_token_above_200k_tokens_priority": 4.5e-05,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02},
    "supports_vision": True,
    "supports_pdf_input": False,
    "supports_function_calling": True,
    "supports_reasoning": False,
    "deprecation_date": "2027-01-01",
}


def test_an_entry_is_read() -> None:
    model, unread = read("claude-x", ENTRY)
    assert unread == ()
    assert (model.provider, model.name, model.context_window, model.max_output) == ("anthropic", "claude-x", 200_000, 64_000)
    assert model.price == Tariff(
        rates={
            "input": 3_000_000_000,
            "output": 15_000_000_000,
            "cache_read": 300_000_000,
            "cache_write": 3_750_000_000,
            "cache_write_1h": 6_000_000_000,
            "web_search": 20_000_000_000_000,
        },
        steps=(
            Step(
                above=200_000,
                rates={"input": 6_000_000_000, "output": 22_500_000_000, "cache_write_1h": 12_000_000_000},
            ),
        ),
    )
    assert model.modes == {
        "batch": Tariff(rates={"input": 1_500_000_000}),
        "priority": Tariff(rates={"output": 30_000_000_000}, steps=(Step(above=200_000, rates={"output": 45_000_000_000}),)),
    }
    assert model.inputs == ("text", "image")
    assert model.abilities == {"tools": True, "reasoning": False}
    assert model.deprecated == "2027-01-01"


@pytest.mark.parametrize(
    ("name", "fields", "provider", "model"),
    [
        ("groq/llama", {}, "groq", "llama"),
        ("groq/llama", {"litellm_provider": "groq"}, "groq", "llama"),
        ("meta-llama/x", {"litellm_provider": "together_ai"}, "together_ai", "meta-llama/x"),
        ("openrouter/openai/gpt", {"litellm_provider": "openrouter"}, "openrouter", "openai/gpt"),
        ("mine", {}, "", "mine"),
    ],
)
def test_whose_model_it_is(name: str, fields: dict[str, str], provider: str, model: str) -> None:
    found, _ = read(name, fields)
    assert (found.provider, found.name) == (provider, model)


@pytest.mark.parametrize("mode", ["image_generation", "audio_transcription", "audio_speech", "embedding", "rerank", "chat"])
def test_modes_survive(mode: str) -> None:
    assert write(read("x", {"mode": mode})[0])["mode"] == mode


@pytest.mark.parametrize("price", [-1e-6, "much", True, float("nan"), float("inf"), [1]])
def test_a_price_that_is_none_is_refused_by_name(price: object) -> None:
    with pytest.raises(BadRequestError, match=r"x\.input_cost_per_token: expected USD per unit"):
        read("x", {"input_cost_per_token": price})


def test_a_price_field_that_is_not_understood_is_told() -> None:
    model, unread = read("x", {"input_cost_per_furlong": 1.0, "input_cost_per_token": "1e-6"})
    assert [warning.field for warning in unread] == ["x.input_cost_per_furlong"]
    assert model.price.rates == {"input": 1_000_000_000}


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 10**6).map(lambda n: n * 10**6), min_size=1))
def test_rates_survive_the_way_there_and_back(rates: dict[str, int]) -> None:
    model = Model(provider="p", name="n", price=Tariff(rates=rates), modes={"batch": Tariff(rates=rates)})
    back, unread = read("p/n", write(model))
    assert (back.price, back.modes, unread) == (model.price, model.modes, ())


def test_every_shipped_record_survives_in_what_the_format_can_say() -> None:
    catalog = Catalog()
    for provider, name in catalog:
        model = catalog.get(provider, name)
        assert model is not None
        back, unread = read(f"{provider}/{name}", write(model))
        kinds = FIELDS.keys() | {"web_search"}
        assert unread == ()
        assert back.price.rates == {kind: rate for kind, rate in model.price.rates.items() if kind in kinds}
        assert (back.inputs, back.outputs, back.kind) == (model.inputs, model.outputs, model.kind)


def test_what_is_told_is_laid_over_what_is_known() -> None:
    known, _ = read("claude-x", ENTRY)
    told, _ = read("claude-x", {"input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06})
    both = overlay(known, told)
    assert both.price.rates == known.price.rates | {"input": 1_000_000_000}
    assert both.price.steps[0].rates == known.price.steps[0].rates | {"input": 2_000_000_000}
    assert (both.modes, both.abilities, both.context_window) == (known.modes, known.abilities, 200_000)


def test_of_two_fields_for_one_kind_the_dearer_counts() -> None:
    """Maps state speech as 0 for each second that comes out, beside what each that goes in costs."""
    told = {"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0, "mode": "audio_transcription"}
    model, unread = read("deepgram/nova-3", told)
    assert (model.price.rates, unread) == ({"second": 100_000_000_000}, ())
