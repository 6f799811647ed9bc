"""Strategies: who is chosen among those that fit, and that the choice keeps its promise in the long run."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core.errors import ConfigurationError, Timeout
from dragoman.router.balance import STRATEGIES, Strategy
from dragoman.router.capability import KnownFacts
from dragoman.router.policy import Policy
from dragoman.router.state import Ask, Node
from support.routing import begin, place, play, policy


def chosen(router: Policy, times: int = 300, *, now: float = 0.0, **facts: Any) -> Counter[str]:
    """Who is asked, by sessions that are cancelled at once so that none changes what is known."""
    found: Counter[str] = Counter()
    for seed in range(times):
        session = begin(router, seed=seed, **facts)
        found[session.next(now).id] += 1
        session.cancelled(now)
    return found


def serve(
    router: Policy, name: str, *, first: float, seconds: float, now: float = 0.0, tokens: int = 100, times: int = 1
) -> None:
    """Successful streams at one deployment."""
    for _ in range(times):
        session = begin(router, deployment=name, stream=True)
        session.next(now)
        session.started(now + first)
        session.succeeded(now + seconds, output_tokens=tokens)


def in_flight(router: Policy, **counts: int) -> None:
    for name, count in counts.items():
        for _ in range(count):
            begin(router, deployment=name).next(0.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_shares_among_equals(strategy: str) -> None:
    found = chosen(policy("a", "b", "c", strategy=strategy))
    assert set(found) == {"a", "b", "c"}
    assert min(found.values()) > 50


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_can_serve_one_of_many_that_fits(strategy: str) -> None:
    router = policy(*(place(f"d{number}", blocked=number != 7) for number in range(30)), strategy=strategy)
    assert set(chosen(router, 5)) == {"d7"}


@settings(max_examples=15)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=4).filter(any), st.sampled_from(["weight", "rpm", "tpm"]))
def test_shuffle_honours_its_weights_in_the_long_run(weights: list[int], measure: str) -> None:
    places = [place(f"d{number}", weight=float(weight)) for number, weight in enumerate(weights)]
    if measure != "weight":
        places = [place(f"d{number}", **{measure: weight * 100_000}) for number, weight in enumerate(weights)]
    found = chosen(policy(*places, strategy="simple-shuffle"), 1500)
    for number, weight in enumerate(weights):
        assert found[f"d{number}"] / 1500 == pytest.approx(weight / sum(weights), abs=0.06)


def test_weights_go_before_rates() -> None:
    router = policy(place("a", weight=1.0, rpm=100), place("b", rpm=1_000_000), strategy="simple-shuffle")
    assert set(chosen(router, 30)) == {"a"}


def test_least_busy_takes_the_fewest_in_flight_and_ties_by_chance() -> None:
    router = policy("a", "b", "c", strategy="least-busy")
    in_flight(router, a=2)
    found = chosen(router)
    assert set(found) == {"b", "c"}
    assert min(found.values()) > 100


def test_latency_based_takes_the_fastest_and_explores_who_was_not_used() -> None:
    router = policy("a", "b", "c", strategy="latency-based-routing")
    serve(router, "a", first=0.2, seconds=1)
    serve(router, "b", first=0.9, seconds=1.2)
    assert set(chosen(router, 50, stream=True)) == {"c"}
    serve(router, "c", first=0.5, seconds=1)
    assert set(chosen(router, 50, stream=True)) == {"a"}


def test_latency_based_shares_within_its_buffer() -> None:
    router = policy("a", "b", strategy="latency-based-routing", strategy_arguments={"lowest_latency_buffer": 0.5})
    serve(router, "a", first=0.2, seconds=1)
    serve(router, "b", first=0.28, seconds=1)
    assert set(chosen(router, 50, stream=True)) == {"a", "b"}


def test_latency_based_holds_a_timeout_against_it() -> None:
    router = policy("a", "b", strategy="latency-based-routing")
    for name in "ab":
        serve(router, name, first=0.2, seconds=1)
    play(begin(router, deployment="a", retries=0, stream=True), Timeout("x"))
    assert set(chosen(router, 50, stream=True)) == {"b"}


@pytest.mark.parametrize("strategy", ["usage-based-routing", "usage-based-routing-v2"])
def test_usage_based_takes_the_fewest_tokens_of_the_last_minute(strategy: str) -> None:
    router = policy("a", "b", strategy=strategy)
    serve(router, "a", first=0.1, seconds=1, tokens=500)
    serve(router, "b", first=0.1, seconds=1, tokens=400)
    assert set(chosen(router, 30, now=10.0)) == {"b"}
    assert set(chosen(router, 30, now=120.0)) == {"a", "b"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_rpm_n_serves_n(strategy: str, limit: int) -> None:
    router = policy(place("a", rpm=limit), place("b", rpm=limit), strategy=strategy)
    served = 0
    for number in range(4 * limit):
        step = begin(router, seed=number).next(5.0 + number / 1000)
        served += hasattr(step, "id")
    assert served == 2 * limit


def test_cost_based_takes_the_cheapest_and_the_unpriced_last() -> None:
    prices = {"a": 3, "b": 1, "c": 1}
    router = policy(
        "a",
        "b",
        "c",
        "unpriced",
        strategy="cost-based-routing",
        facts_of=lambda found: KnownFacts(input_rate=prices.get(found.id), output_rate=prices.get(found.id)),
    )
    assert set(chosen(router, 60)) == {"b", "c"}


def test_a_price_in_the_configuration_goes_before_the_known_one() -> None:
    router = policy(
        place("a", input_rate=1, output_rate=1),
        "b",
        strategy="cost-based-routing",
        facts_of=lambda _: KnownFacts(input_rate=5, output_rate=5),
    )
    assert set(chosen(router, 20)) == {"a"}


# uptime-latency


def warm(router: Policy, **firsts: float) -> None:
    for name, first in firsts.items():
        serve(router, name, first=first, seconds=first + 1, times=5)


def test_the_faster_of_two_is_taken() -> None:
    router = policy("a", "b")
    warm(router, a=0.2, b=0.6)
    assert set(chosen(router, 50, now=2.0, stream=True)) == {"a"}


def test_the_busier_it_is_the_less_it_is_taken() -> None:
    router = policy("a", "b")
    warm(router, a=0.4, b=0.6)
    in_flight(router, a=16)
    assert set(chosen(router, 50, now=2.0, stream=True)) == {"b"}


def test_a_lower_success_rate_outweighs_a_little_speed() -> None:
    router = policy("a", "b")
    warm(router, a=0.4, b=0.5)
    for _ in range(2):
        play(begin(router, deployment="a", retries=0), Timeout("x", phase="connect"), now=1.6)
    assert set(chosen(router, 50, now=2.0, stream=True)) == {"b"}


def test_writing_speed_counts_for_long_answers() -> None:
    router = policy("quick", "fluent")
    serve(router, "quick", first=0.1, seconds=10.1, tokens=100, times=5)
    serve(router, "fluent", first=0.5, seconds=1.5, tokens=100, times=5)
    assert set(chosen(router, 30, now=11.0, stream=True, output_tokens=1000)) == {"fluent"}


def test_the_size_of_the_request_matters() -> None:
    router = policy("a", "b")
    for name, small, large in (("a", 0.2, 9.0), ("b", 0.6, 2.0)):
        for tokens, first in ((100, small), (20_000, large)):
            session = begin(router, deployment=name, stream=True, input_tokens=tokens)
            session.next(0.0)
            session.started(first)
            session.succeeded(first + 1, input_tokens=tokens)
    assert set(chosen(router, 30, now=11.0, stream=True, input_tokens=100)) == {"a"}
    assert set(chosen(router, 30, now=11.0, stream=True, input_tokens=20_000)) == {"b"}


def test_the_unknown_is_explored_by_one_request_at_a_time() -> None:
    router = policy("a", "b")
    warm(router, a=0.2)
    assert set(chosen(router, 20, now=2.0, stream=True)) == {"b"}
    in_flight(router, b=1)
    assert set(chosen(router, 20, now=2.0, stream=True)) == {"a"}


def test_who_was_slow_long_ago_gets_a_small_share_to_show_itself() -> None:
    router = policy("a", "b")
    warm(router, a=0.2, b=2.0)
    found = Counter()
    for number in range(2000):
        now = 100.0 + number / 100
        session = begin(router, seed=number, stream=True)
        name = session.next(now).id
        found[name] += 1
        session.started(now + 0.2)
        session.cancelled(now + 0.2)
    assert 1 <= found["b"] <= 2000 / 256 + 1


def test_weight_divides_the_cost() -> None:
    router = policy(place("a", weight=1.0), place("b", weight=4.0))
    warm(router, a=0.2, b=0.4)
    assert set(chosen(router, 20, now=2.0, stream=True)) == {"b"}


# Your own


class Last(Strategy):
    """The last in the alphabet."""

    def choose(self, nodes: list[Node], ask: Ask) -> Node:
        return max(nodes, key=lambda node: node.deployment.id)


def test_a_strategy_of_your_own() -> None:
    router = policy("a", "b", "c")
    router.set_strategy(Last())
    assert play(begin(router), None) == ["c"]
    assert [candidate.deployment.id for candidate in router.plan(begin(router)._facts, 0.0, Random(1)).attempts] == list("cba")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"strategy": "fastest"}, "there is no 'fastest'"), ({"strategy_arguments": {"ttl": 1}}, "does not take them")],
)
def test_a_wrong_strategy_is_told_at_the_start(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        policy("a", **wrong)
