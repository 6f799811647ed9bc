"""In which order candidates are asked, and how often: standing by real traffic, and rounds with a budget against storms."""

from __future__ import annotations

from random import Random
from time import perf_counter
from typing import Any

import pytest

from dragoman.core.errors import AuthenticationError, InternalServerError, RateLimitError
from dragoman.gateway.gptrouter.rounds import Rounds
from dragoman.gateway.gptrouter.standing import DOWN, FRESH, GOOD, SLOWER, standing
from dragoman.providers import registry
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct, Exhausted, Wait
from dragoman.router.model_list import ModelList
from dragoman.router.policy import Policy
from dragoman.router.retry import Budget, RetryPolicy
from dragoman.router.state import RequestFacts

RNG = Random(7)
RETRY = RetryPolicy(max_retries=0, base=0.001)


def place(name: str) -> Deployment:
    return Deployment(registry.resolve("openai/gpt-4o-mini", api_key="sk-up", env={}), group=name, id=name)


def policy(*names: str) -> Policy:
    return Policy(ModelList(groups={name: (place(name),) for name in names}))


def answered(held: Policy, group: str, first_token: float, now: float, *, times: int = 20) -> None:
    for _ in range(times):
        session = held.begin(RequestFacts(group=group, stream=True, deployment=group), RNG)
        session.next(now - first_token - 1)
        session.started(now - 1)
        session.succeeded(now, input_tokens=10, output_tokens=20)


def stand(held: Policy, group: str, now: float) -> int:
    return standing(held, group, [node.deployment for node in held.group(group).nodes], now)


def test_who_is_unknown_is_as_good_as_any() -> None:
    assert stand(policy("a"), "a", perf_counter()) == GOOD


@pytest.mark.parametrize(("first_token", "expected"), [(0.2, GOOD), (3.5, GOOD), (9.0, SLOWER)])
def test_who_is_slow_to_begin_stands_behind(first_token: float, expected: int) -> None:
    held, now = policy("a"), 1000.0
    answered(held, "a", first_token, now)
    assert stand(held, "a", now) == expected
    assert stand(held, "a", now + FRESH + 1) == GOOD


def test_a_few_answers_say_nothing() -> None:
    held = policy("a")
    answered(held, "a", 9.0, 1000.0, times=3)
    assert stand(held, "a", 1000.0) == GOOD


def test_who_is_out_is_last_until_its_time_is_over() -> None:
    held, now = policy("a"), 1000.0
    session = held.begin(RequestFacts(group="a", deployment="a", retries=0), RNG)
    session.next(now)
    session.failed(AuthenticationError("no such key", attempts=1), now)
    until = held.group("a").nodes[0].health.until
    assert (stand(held, "a", now), stand(held, "a", until)) == (DOWN, GOOD)


# --------------------------------------------------------------------------------------------------------------------- rounds
def rounds(error: Any, *, retries: int, budget: Budget | None = None) -> list[str]:
    """What a session of two candidates that always fail this way says, step by step."""
    places = (place("a"), place("b"))
    made = Rounds(
        lambda: Direct(places, RetryPolicy(max_retries=1), RNG),
        budget or Budget(share=0.1, reserve=10.0),
        RETRY,
        retries=retries,
        rng=RNG,
    )
    told = []
    while not isinstance(step := made.next(0.0), Exhausted):
        if isinstance(step, Wait):
            told.append("wait")
            continue
        told.append(step.id)
        made.failed(error, 0.0)
    assert step.error is error
    return told


FAILED = InternalServerError("down", attempts=1)


@pytest.mark.parametrize(
    ("retries", "told"),
    [
        (0, ["a", "b"]),
        (1, ["a", "b", "wait", "a"]),
        (2, ["a", "b", "wait", "a", "b"]),
        (3, ["a", "b", "wait", "a", "b", "wait", "a"]),
    ],
)
def test_rounds_go_on_while_retries_are_left(retries: int, told: list[str]) -> None:
    assert rounds(FAILED, retries=retries) == told


def test_rounds_end_with_the_budget_against_storms() -> None:
    assert rounds(FAILED, retries=100, budget=Budget(share=0.0, reserve=3.0)).count("a") <= 3


def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    assert "wait" not in rounds(RateLimitError("later", retry_after=100.0, attempts=1), retries=3)


def test_what_an_answer_costs_the_budget_is_given_back() -> None:
    budget = Budget(share=0.0, reserve=5.0)
    places = (place("a"),)
    made = Rounds(lambda: Direct(places, RetryPolicy(max_retries=0), RNG), budget, RETRY, retries=2, rng=RNG)
    made.next(0.0)
    made.failed(FAILED, 0.0)
    assert isinstance(made.next(0.0), Wait)
    assert made.next(0.0) is places[0]
    assert budget.tokens == 4.0
    made.succeeded(0.0)
    assert budget.tokens == 5.0
