"""What admission takes from a request, and what a call is found to have cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.price import price
from dragoman.gateway.governance.facts import Prices, facts_of
from dragoman.gateway.governance.ledger import MAX_COUNT, frame, frames
from dragoman.gateway.governance.limits import Amounts
from dragoman.gateway.governance.scopes import Scope
from dragoman.providers import registry
from dragoman.router.deployment import Deployment, Terms
from support.governing import NOW, governed, run

PRICED = Terms(input_rate=2_000_000_000, output_rate=8_000_000_000)  # 2 and 8 USD a million tokens


def deployment(terms: Terms = PRICED, name: str = "openai/some-model") -> Deployment:
    return Deployment(registry.resolve(name, api_key="sk-upstream", env={}), terms=terms)


def request(body: dict[str, Any], *deployments: Deployment, operation: str = "chat") -> Call:
    held = deployments or (deployment(),)
    return Call(operation=operation, dialect="openai_chat", model="m", body=json.dumps(body).encode(), deployments=held)


@pytest.mark.parametrize(
    "body, output",
    [
        ({}, 1024),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20, "max_tokens": 10}, 20),
        ({"max_output_tokens": 30}, 30),
        ({"max_tokens": None}, 1024),
        ({"max_tokens": "many"}, 1024),
        ({"max_tokens": -5}, 1024),
        ({"max_tokens": 10**30}, 10_000_000),
    ],
)
def test_the_answer_is_as_long_as_the_request_allows(body: dict[str, Any], output: int) -> None:
    call = request(body)
    found = facts_of(call, Prices())
    prompt = len(call.body) // 4 + 1
    assert found.amounts == Amounts(prompt, output)
    assert found.nano == prompt * 2000 + output * 8000


def test_embeddings_have_no_answer_to_hold_for() -> None:
    assert facts_of(request({"input": "x" * 40}, operation="embedding"), Prices()).amounts.output_tokens == 0


@pytest.mark.parametrize(
    ("operation", "model", "body", "dollars"),
    [
        ("image", "openai/dall-e-3", {"prompt": "p"}, 0.12),  # the dearest size and quality
        ("image", "openai/dall-e-2", {"prompt": "p", "n": 3}, 0.06),
        ("image", "openai/dall-e-2", {"prompt": "p", "n": "many"}, 0.02),
        ("image", "openai/dall-e-2", {"prompt": "p", "n": 10**9}, 2.0),
        ("speech", "openai/tts-1", {"input": "x"}, 14 * 0.000015),  # a character for each byte of the body
        ("chat", "openai/tts-1", {"input": "x"}, 0.0),
        ("rerank", "cohere/rerank-v3.5", {"query": "q", "documents": ["a", "b"]}, 0.002),
    ],
)
def test_what_is_paid_for_by_the_piece_is_held_for(operation: str, model: str, body: dict[str, Any], dollars: float) -> None:
    found = facts_of(request(body, deployment(Terms(), model), operation=operation), Prices())
    assert found.nano == pytest.approx(dollars * 10**9)


def test_the_dearest_deployment_counts() -> None:
    cheap = deployment(Terms(input_rate=1, output_rate=1))
    body = {"max_tokens": 100}
    assert facts_of(request(body, cheap, deployment()), Prices()).nano == facts_of(request(body), Prices()).nano


def test_so_it_does_where_the_call_names_but_one_of_its_group() -> None:
    cheap, dear = deployment(Terms(input_rate=1, output_rate=1)), deployment()
    prices = Prices({"m": (cheap, dear)}.__getitem__)
    assert facts_of(request({}, cheap), prices).nano == facts_of(request({}, dear), Prices()).nano


def test_a_deployment_without_a_price_makes_the_price_unknown() -> None:
    unknown = deployment(Terms(), "openai/nobody-knows-this-model")
    assert facts_of(request({}, deployment(), unknown), Prices()).nano is None


def test_models_in_this_process_are_free() -> None:
    assert facts_of(request({}, deployment(Terms(), "demo/echo")), Prices()).nano == 0


@pytest.mark.parametrize(
    "body, header, end_user",
    [
        ({"user": "ann"}, "", "ann"),
        ({"metadata": {"user_id": "ann"}}, "", "ann"),
        ({"user": "ann"}, "bob", "bob"),
        ({"user": 5}, "", ""),
        ({"user": "a\x00n\nn"}, "", "ann"),
        ({"user": "x" * 500}, "", "x" * 128),
        ({}, "", ""),
    ],
)
def test_end_users(body: dict[str, Any], header: str, end_user: str) -> None:
    assert facts_of(request(body), Prices(), end_user=header).end_user == end_user


@pytest.mark.parametrize(
    "body, header, tags",
    [
        ({"metadata": {"tags": ["a", "b", "a", 5]}}, "", ("a", "b")),
        ({"metadata": {"tags": "a, b"}}, "", ("a", "b")),
        ({"metadata": {"tags": ["a"]}}, "x,,y", ("x", "y")),
        ({"metadata": "text"}, "", ()),
        ({"metadata": {"tags": [str(n) for n in range(99)]}}, "", tuple(str(n) for n in range(16))),
    ],
)
def test_tags(body: dict[str, Any], header: str, tags: tuple[str, ...]) -> None:
    assert facts_of(request(body), Prices(), tags=header).tags == tags


def test_prices_are_worked_out_once_until_forgotten() -> None:
    prices = Prices()
    assert facts_of(request({}), prices).nano != 0
    free = deployment(Terms(input_rate=0, output_rate=0))
    assert facts_of(request({}, free), prices).nano != 0
    prices.forget()
    assert facts_of(request({}, free), prices).nano == 0


def test_a_call_settles_itself_at_the_price_of_who_answered() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k")))
    call = request({"max_tokens": 100})
    hold = governance.admit(identity, facts_of(call, governance.prices, route="/v1/chat/completions"), NOW)
    call.watch(governance.observer(hold, lambda: NOW + 2))
    call.attempts.append(Attempt(deployment=call.deployments[0], began=1.0, ended=1.5))
    call.settle(Settlement(usage=Usage(input_tokens=1000, output_tokens=500)))
    call.settle(Settlement(cancelled=True))
    (row,) = governance.ended
    assert (row.outcome, row.cost, row.charged, row.provider, row.upstream_model) == (
        "success",
        6_000_000,
        6_000_000,
        "openai",
        "some-model",
    )
    assert row.cost_lines == (("input", 1000, 2_000_000_000), ("output", 500, 8_000_000_000))
    assert (row.began, row.ended, row.tries[0].milliseconds) == (NOW, NOW + 2, 500)
    assert governance.book.counter("key", "k", "", "", NOW).spent == 6_000_000
    assert not governance.holds


def test_no_provider_can_break_the_ledger() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k")))
    for usage in (
        Usage(input_tokens=10**40),
        Usage(input_tokens=-5),
        Usage(cache_read_tokens=10**40),
        Usage(input_tokens=10**14, extra={"x": "y" * 10_000}),
    ):
        call = request({})
        hold = governance.admit(identity, facts_of(call, governance.prices), NOW)
        call.watch(governance.observer(hold, lambda: NOW))
        call.attempts.append(Attempt(deployment=call.deployments[0], began=1.0, ended=1.5))
        call.settle(Settlement(usage=usage))
        row = governance.ended[-1]
        assert len(frame(row)) < 2000
        assert list(frames(frame(row))) == [row]
        assert 0 <= row.charged <= MAX_COUNT
        assert row.estimated == (row.usage is None)


def test_nobody_asked_costs_nothing() -> None:
    assert price(request({}), None) is None
