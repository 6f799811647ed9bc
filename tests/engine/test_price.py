"""What a call cost: each part of its answer at the deployment that gave it."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.price import price
from dragoman.providers import registry
from dragoman.router.deployment import Deployment, Terms

NANO = 1_000_000_000


def place(name: str, dollars: int | None) -> Deployment:
    """A deployment at so many dollars for a million tokens of each kind; None: nobody knows."""
    terms = {} if dollars is None else {"terms": Terms(input_rate=dollars * NANO, output_rate=dollars * NANO)}
    target = registry.resolve(f"openai/{name}", api_key="k", base_url="https://example.org/v1", env={})
    return Deployment(target, group="g", id=name, **terms)


def ended(*attempts: tuple[Deployment, Usage | None], usage: Usage | None) -> Call:
    made = Call(operation="chat", dialect="openai_chat", model="g", body=b"{}", deployments=(attempts[0][0],))
    made.attempts += [Attempt(deployment, 0.0, usage=part) for deployment, part in attempts]
    made.settle(Settlement(usage=usage))
    return made


def used(tokens: int, **more: Any) -> Usage:
    return Usage(input_tokens=tokens, output_tokens=tokens, **more)


CHEAP, DEAR, UNKNOWN = place("cheap", 1), place("dear", 10), place("unknown-model", None)


@pytest.mark.parametrize(
    ("attempts", "usage", "nano"),
    [
        ([(CHEAP, None)], used(100), 200_000),
        ([(DEAR, None), (CHEAP, None)], used(100), 200_000),  # the first one failed and used nothing
        ([(DEAR, used(30)), (CHEAP, None)], used(100), 60 * 10_000 + 140 * 1_000),
        ([(CHEAP, used(30)), (DEAR, used(20)), (CHEAP, None)], used(100), 60 * 1_000 + 40 * 10_000 + 100 * 1_000),
        ([(DEAR, used(30)), (CHEAP, None)], used(30), 60 * 10_000),
        ([(UNKNOWN, used(30)), (CHEAP, None)], used(100), None),
        ([(DEAR, used(30)), (UNKNOWN, None)], used(100), None),
    ],
)
def test_each_part_is_billed_where_it_was_written(
    attempts: list[tuple[Deployment, Usage | None]], usage: Usage, nano: int | None
) -> None:
    found = price(ended(*attempts, usage=usage), usage)
    assert found is not None
    assert found.nano_dollars == nano
    assert bool(found.reason) is (nano is None)


def test_lines_of_all_parts_are_on_the_bill() -> None:
    found = price(ended((DEAR, used(30)), (CHEAP, None), usage=used(100)), used(100))
    assert found is not None
    assert [(line.kind, line.quantity) for line in found.lines] == [
        ("input", 30),
        ("output", 30),
        ("input", 70),
        ("output", 70),
    ]
