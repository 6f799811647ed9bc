"""Limits: N serves exactly N in every window, whatever the arrivals."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.router.limits import MINUTE, Amounts, FixedRequests, Limits, SlidingRequests

gaps = st.lists(st.floats(0.0, 30.0), min_size=1, max_size=200)


def admitted(window: SlidingRequests | FixedRequests, pauses: list[float]) -> tuple[list[float], list[float]]:
    now, good, refused = 1000.0, [], []
    for pause in pauses:
        now += pause
        if window.wait(now):
            refused.append(now)
        else:
            window.take(now)
            good.append(now)
    return good, refused


@given(st.integers(1, 20), gaps)
@example(limit=1, pauses=[1.0023079084013689, 30.0, 30.0])
def test_a_sliding_window_serves_n_in_any_minute_and_refuses_only_what_would_be_more(limit: int, pauses: list[float]) -> None:
    good, refused = admitted(SlidingRequests(limit), pauses)
    for end in good:
        assert sum(1 for at in good if end - MINUTE < at <= end) <= limit
    for at in refused:
        assert sum(1 for other in good if at - MINUTE < other <= at) >= limit


@given(st.integers(1, 20), gaps)
def test_a_fixed_window_serves_n_in_each_minute_of_the_clock(limit: int, pauses: list[float]) -> None:
    good, refused = admitted(FixedRequests(limit), pauses)
    for minute in {at // MINUTE for at in good}:
        assert sum(1 for at in good if at // MINUTE == minute) <= limit
    for at in refused:
        assert sum(1 for other in good if other // MINUTE == at // MINUTE) == limit


@pytest.mark.parametrize("window", [SlidingRequests, FixedRequests])
@given(limit=st.integers(1, 10))
def test_the_wait_that_is_named_is_the_one_that_is_needed(window: type, limit: int) -> None:
    requests = window(limit)
    for number in range(limit):
        assert requests.wait(100.0 + number) == 0.0
        requests.take(100.0 + number)
    wait = requests.wait(110.0)
    assert wait > 0
    assert requests.wait(110.0 + wait * 0.99) > 0
    assert requests.wait(110.0 + wait + 1e-6) == 0.0


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 100)), max_size=60), st.integers(1, 300))
def test_tokens_never_pass_their_limit_in_any_minute(asked: list[tuple[float, int]], limit: int) -> None:
    amounts, now, log = Amounts(), 50.0, []
    for pause, size in asked:
        now += pause
        if size <= limit and amounts.wait(size, limit, now) == 0.0:
            amounts.add(size, now)
            log.append((now, size))
    for end, _ in log:
        assert sum(size for at, size in log if end - MINUTE < at <= end) <= limit


def test_a_request_larger_than_the_limit_goes_alone_into_an_empty_window() -> None:
    amounts = Amounts()
    assert amounts.wait(500, 100, 10.0) == 0.0
    amounts.add(500, 10.0)
    assert amounts.wait(1, 100, 11.0) == pytest.approx(60.0)


def test_what_was_reserved_is_corrected_to_what_was_used() -> None:
    limits = Limits(tpm=1000)
    limits.reserve(900, 10.0)
    assert limits.wait(200, 0, 11.0) > 0
    limits.settle(900, 100, 10.0)
    assert limits.wait(200, 0, 11.0) == 0.0


def test_correcting_what_has_left_the_window_changes_nothing() -> None:
    amounts = Amounts()
    amounts.add(900, 10.0)
    assert amounts.used(200.0) == 0
    amounts.correct(-500, 10.0)
    assert amounts.used(200.0) == 0


def test_requests_at_once_are_limited_and_nobody_knows_until_when() -> None:
    limits = Limits(max_parallel=2)
    assert limits.wait(0, 1, 0.0) == 0.0
    assert limits.wait(0, 2, 0.0) == float("inf")


def test_a_limit_of_none_a_minute_serves_nobody() -> None:
    assert Limits(rpm=0).wait(0, 0, 5.0) > 0
