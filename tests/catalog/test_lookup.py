"""The name of a model -> its record, by every way that names are written."""

from __future__ import annotations

import pytest

from dragoman.catalog.lookup import Catalog
from dragoman.catalog.records import Model, Tariff

CATALOG = Catalog()


@pytest.mark.parametrize(
    ("asked", "record", "assumed"),
    [
        # as it stands
        ("openai/gpt-4o", "openai/gpt-4o", False),
        ("gpt-4o", "openai/gpt-4o", False),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", False),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5", False),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", False),
        ("huggingface/deepseek-ai/DeepSeek-R1:novita", "huggingface/deepseek-ai/DeepSeek-R1:novita", False),
        # paths that providers write before a name
        ("fireworks_ai/accounts/fireworks/models/kimi-k2p5", "fireworks_ai/kimi-k2p5", False),
        ("gemini/models/gemini-2.5-flash", "gemini/gemini-2.5-flash", False),
        # dates, versions, marks
        ("openai/gpt-5-nano-2025-08-07", "openai/gpt-5-nano", True),
        ("anthropic/claude-opus-4-1[1m]", "anthropic/claude-opus-4-1", True),
        ("vertex_ai/claude-sonnet-4-5@20250929", "gemini/claude-sonnet-4-5", True),
        # bedrock: regions, versions, inference profiles
        ("bedrock/us.amazon.nova-pro-v1:0", "bedrock/us.amazon.nova-pro-v1:0", False),
        (
            "bedrock/arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            False,
        ),
        # at the maker's price
        ("azure/gpt-4o", "openai/gpt-4o", True),
        ("azure/gpt-4.1-2025-04-14", "openai/gpt-4.1", True),
        ("vertex_ai/gemini-2.5-pro", "gemini/gemini-2.5-pro", True),
        ("vercel_ai_gateway/openai/gpt-4o", "openai/gpt-4o", True),
        ("vercel_ai_gateway/google/gemini-2.5-pro", "gemini/gemini-2.5-pro", True),
    ],
)
def test_found(asked: str, record: str, assumed: bool) -> None:
    found = CATALOG.find(asked)
    assert found is not None
    assert f"{found.model.provider}/{found.model.name}" == record
    assert bool(found.note) is assumed


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "nobody/knows-this",
        "openai/gpt-99",
        "gpt",
        "openai/",
        "/gpt-4o",
        "openrouter/somebody/unheard-of:free",  # free there, so no maker's price
        "groq/gpt-4o",  # groq does not sell it
        "custom_openai/gpt-4o",  # a server of somebody's own has its own prices
    ],
)
def test_not_found(asked: str) -> None:
    assert CATALOG.find(asked) is None


def test_a_provider_can_be_named_apart() -> None:
    found = CATALOG.find("openai/gpt-oss-20b", "groq")
    assert found is not None
    assert found.model.provider == "groq"


def test_a_region_of_bedrock_has_its_own_price() -> None:
    home, abroad = (CATALOG.find(f"bedrock/{region}amazon.nova-lite-v1:0") for region in ("", "eu."))
    assert home is not None
    assert abroad is not None
    assert home.model.price.rates["input"] < abroad.model.price.rates["input"]


def test_a_programs_own_records_stand_before_the_shipped() -> None:
    own = Model(provider="openai", name="gpt-4o", price=Tariff(rates={"input": 1}))
    new = Model(provider="mine", name="house/model", price=Tariff(rates={"input": 2}))
    catalog = CATALOG.with_models(own, new)
    assert _input(catalog, "gpt-4o") == 1
    assert _input(catalog, "mine/house/model") == 2
    assert _input(CATALOG, "gpt-4o") > 2, "the other catalog is as it was"
    assert len(list(catalog)) == len(list(CATALOG)) + 1


def _input(catalog: Catalog, name: str) -> int:
    found = catalog.find(name)
    assert found is not None
    return found.model.price.rates["input"]


def test_every_record_is_found_by_its_own_name() -> None:
    for provider, name in CATALOG:
        found = CATALOG.find(name, provider)
        assert found is not None
        assert (found.model.name, found.note) == (name, "")
