"""What the catalog knows becomes what the router asks for; what it does not know stays unknown."""

from __future__ import annotations

import pytest

from dragoman.catalog.records import Model, Tariff
from dragoman.providers.base import Provider, Target
from dragoman.router.catalog_facts import facts_of, known
from dragoman.router.deployment import Deployment, Terms

RECORD = Model(
    context_window=1000,
    inputs=("text", "image"),
    abilities={"tools": True, "structured_output": False},
    price=Tariff(rates={"input": 3, "output": 5}),
)


@pytest.mark.parametrize(
    ("ability", "has"),
    [("tools", True), ("schema", False), ("images", True), ("documents", False), ("reasoning", None), ("logit_bias", None)],
)
def test_abilities(ability: str, has: bool | None) -> None:
    assert known(RECORD).supports(ability) is has


def test_window_and_rates() -> None:
    facts = known(RECORD)
    assert (facts.context_window, facts.input_rate, facts.output_rate) == (1000, 3, 5)


def test_a_record_without_inputs_says_nothing_of_them() -> None:
    assert known(Model()).supports("images") is None


def deployed(model: str, provider: str = "openai", **info: str) -> Deployment:
    target = Target(provider=Provider(name=provider, base_url="https://x.test"), model=model, base_url="https://x.test")
    return Deployment(target, terms=Terms(info=dict(info)))


def test_a_deployment_is_looked_up_by_its_provider_and_model_or_by_its_base_model() -> None:
    facts = facts_of(deployed("gpt-4o"))
    assert facts is not None
    assert facts.context_window
    assert facts_of(deployed("our-name", "azure")) is None
    assert facts_of(deployed("our-name", "azure", base_model="openai/gpt-4o")) == facts
