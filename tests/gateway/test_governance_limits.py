"""Limits: exact in each window, for requests, tokens and calls at once; a refusal says how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.chat import Usage
from dragoman.core.errors import RateLimitExceededError
from dragoman.gateway.governance.limits import Amounts, Limit, Limiter, correct, give_back, headers, take
from dragoman.gateway.governance.scopes import Scope
from support.governing import NOW, call, facts, governed, run

MINUTE = 60.0
BEGIN = NOW - NOW % MINUTE


@given(st.integers(1, 20), st.lists(st.integers(0, 300_000), max_size=60))
def test_exactly_so_many_requests_pass_in_each_window(amount: int, moments: list[int]) -> None:
    meters = (Limiter().meter("key", "k", Limit(kind="requests", amount=amount)),)
    passed: dict[int, int] = {}
    asked: dict[int, int] = {}
    for milliseconds in sorted(moments):
        minute, moment = milliseconds // 60_000, milliseconds / 1000
        asked[minute] = asked.get(minute, 0) + 1
        if passed.get(minute, 0) < amount:
            take(meters, Amounts(), BEGIN + moment)
            passed[minute] = passed.get(minute, 0) + 1
        else:
            with pytest.raises(RateLimitExceededError) as refused:
                take(meters, Amounts(), BEGIN + moment)
            assert refused.value.retry_after == pytest.approx((minute + 1) * MINUTE - moment, abs=1e-5)
    assert passed == {minute: min(amount, number) for minute, number in asked.items()}


def test_waiting_as_told_is_enough() -> None:
    meters = (Limiter().meter("key", "k", Limit(kind="requests", amount=1)),)
    take(meters, Amounts(), BEGIN + 59)
    with pytest.raises(RateLimitExceededError) as refused:
        take(meters, Amounts(), BEGIN + 59.5)
    take(meters, Amounts(), BEGIN + 59.5 + refused.value.retry_after)


def test_tokens_are_corrected_in_the_window_where_they_were_reserved() -> None:
    limiter = Limiter()
    meter = limiter.meter("key", "k", Limit(kind="tokens", amount=100))
    early = take((meter,), Amounts(60, 20), BEGIN)
    correct(early, Amounts(10, 5))
    assert meter.used == 15
    late = take((meter,), Amounts(40, 0), BEGIN)
    meter.turn(BEGIN + MINUTE)
    correct(late, Amounts(1, 0))
    give_back(late)
    assert meter.used == 0


@pytest.mark.parametrize("kind, used", [("tokens", 30), ("input_tokens", 10), ("output_tokens", 20), ("requests", 1)])
def test_what_each_kind_counts(kind: str, used: int) -> None:
    meter = Limiter().meter("key", "k", Limit(kind=kind, amount=100))
    take((meter,), Amounts(10, 20), BEGIN)
    assert meter.used == used


def test_all_or_nothing() -> None:
    limiter = Limiter()
    wide, narrow = (limiter.meter("key", "k", Limit(kind=kind, amount=n)) for kind, n in (("requests", 9), ("tokens", 5)))
    take((wide, narrow), Amounts(5, 0), BEGIN)
    with pytest.raises(RateLimitExceededError, match="limit of 5 tokens each 1m"):
        take((wide, narrow), Amounts(1, 0), BEGIN)
    assert (wide.used, narrow.used) == (1, 5)


def test_an_estimate_above_the_whole_limit_passes_alone() -> None:
    meter = Limiter().meter("key", "k", Limit(kind="tokens", amount=10))
    taken = take((meter,), Amounts(50, 0), BEGIN)
    give_back(taken)
    assert meter.used == 0


def test_calls_at_once_are_free_again_however_they_end() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", limits=(Limit(kind="parallel", amount=2, span=""),))))
    used = Usage(input_tokens=1)
    for end in (lambda h: governance.release(h, NOW), lambda h: governance.settle(h, call(usage=used), used, None, NOW)):
        holds = [governance.admit(identity, facts(), NOW) for _ in range(2)]
        with pytest.raises(RateLimitExceededError, match="2 calls at once"):
            governance.admit(identity, facts(), NOW)
        for hold in holds:
            end(hold)
    governance.sweep(NOW)
    governance.admit(identity, facts(), NOW)


def test_a_call_that_never_went_out_takes_no_tokens_and_a_budget_refusal_takes_nothing() -> None:
    from dragoman.core.errors import BudgetExceededError
    from dragoman.gateway.governance.budgets import Budget

    limits = (Limit(kind="requests", amount=2), Limit(kind="tokens", amount=10))
    governance, identity = run(governed(Scope(kind="key", id="k", limits=limits, budgets=(Budget(nano=10),))))
    first = governance.admit(identity, facts(tokens=5, nano=10), NOW)
    with pytest.raises(BudgetExceededError):
        governance.admit(identity, facts(tokens=5, nano=10), NOW)
    governance.release(first, NOW)
    second = governance.admit(identity, facts(tokens=10, nano=10), NOW)
    governance.release(second, NOW)
    with pytest.raises(RateLimitExceededError, match="2 requests"):
        governance.admit(identity, facts(), NOW)


def test_limits_of_a_model_and_of_everything_above_a_key() -> None:
    team = Scope(kind="team", id="t", limits=(Limit(kind="requests", amount=1, model="gpt*"),))
    governance, identity = run(governed(team, Scope(kind="key", id="k", team="t")))
    governance.admit(identity, facts("gpt-4o"), NOW)
    governance.admit(identity, facts("claude"), NOW)
    with pytest.raises(RateLimitExceededError, match="team t has its limit of 1 requests each 1m of gpt"):
        governance.admit(identity, facts("gpt-4o"), NOW)


def test_headers_tell_the_tightest_limit() -> None:
    limiter = Limiter()
    limits = [("requests", 100, "1h"), ("requests", 3, "1m"), ("tokens", 50, "1m")]
    meters = tuple(limiter.meter("key", "k", Limit(kind=kind, amount=n, span=span)) for kind, n, span in limits)
    take(meters, Amounts(20, 0), BEGIN)
    told = dict(headers(meters, BEGIN))
    assert told == {
        b"x-ratelimit-limit-requests": b"3",
        b"x-ratelimit-remaining-requests": b"2",
        b"x-ratelimit-reset-requests": b"60s",
        b"x-ratelimit-limit-tokens": b"50",
        b"x-ratelimit-remaining-tokens": b"30",
        b"x-ratelimit-reset-tokens": b"60s",
    }


def test_a_limit_is_one_however_long_it_rests() -> None:
    """What was swept while it rested is asked for anew by all kinds of calls, so no two of them count apart."""
    limits = (Limit(kind="requests", amount=2), Limit(kind="parallel", amount=2, span=""))
    governance, identity = run(governed(Scope(kind="key", id="k", limits=limits)))
    governance.release(governance.admit(identity, facts("one"), NOW), NOW)
    governance.sweep(NOW + MINUTE)
    for model in ("one", "two"):
        governance.admit(identity, facts(model), NOW + MINUTE)
    with pytest.raises(RateLimitExceededError):
        governance.admit(identity, facts("one"), NOW + MINUTE)
