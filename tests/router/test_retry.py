"""Retry policy: who is asked again, and after what wait. Pure, so a seeded Random gives the same waits for ever."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import errors as e
from dragoman.router.retry import RetryPolicy, wait_before_retry

POLICY = RetryPolicy(max_retries=3, base=0.5, cap=8.0, max_wait=60.0)
FAILED = e.InternalServerError("x")


def wait(
    error: e.CallError = FAILED, *, attempts: int = 1, policy: RetryPolicy = POLICY, seed: int = 1, **given: object
) -> float | None:
    before = given.get("before", error)
    return wait_before_retry(policy, error, before=before, attempts=attempts, rng=Random(seed))


def limited(seconds: float | None) -> e.RateLimitError:
    return e.RateLimitError("x", retry_after=seconds)


@pytest.mark.parametrize(
    "error",
    [e.BadRequestError("x"), e.AuthenticationError("x"), e.NotFoundError("x"), e.StreamInterruptedError("x"), e.CallError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_will_not_pass_is_not_tried_again(error: e.CallError) -> None:
    assert wait(error) is None
    assert wait(error, before=None) is None


def test_after_the_last_retry_there_is_none() -> None:
    assert wait(attempts=3) is not None
    assert wait(attempts=4) is None
    assert wait(attempts=1, policy=RetryPolicy(max_retries=0)) is None


def test_a_deployment_that_was_not_asked_yet_is_asked_at_once() -> None:
    assert wait(limited(900), before=None) == 0.0


@given(st.integers(1, 5000), st.integers())
def test_the_wait_doubles_up_to_the_cap_and_half_of_it_is_jitter(attempts: int, seed: int) -> None:
    full = min(8.0, 0.5 * 2.0 ** min(attempts - 1, 64))
    found = wait(attempts=attempts, policy=RetryPolicy(max_retries=10_000), seed=seed)
    assert found is not None
    assert full / 2 <= found <= full


def test_callers_do_not_wait_in_step() -> None:
    assert len({wait(seed=seed) for seed in range(50)}) == 50


@given(st.floats(0, 60), st.integers(1, 3))
def test_a_named_wait_is_obeyed_with_a_little_on_top(seconds: float, attempts: int) -> None:
    found = wait(limited(seconds), attempts=attempts)
    assert found is not None
    assert seconds <= found <= seconds + 0.8


@pytest.mark.parametrize("seconds", [60.001, 3600.0])
def test_a_wait_that_is_too_long_is_not_waited_for(seconds: float) -> None:
    assert wait(limited(seconds)) is None
    assert wait(limited(seconds), policy=RetryPolicy(max_wait=seconds)) is not None


def test_the_wait_is_that_of_the_deployment_whose_turn_it_is() -> None:
    assert wait(FAILED, before=limited(20)) >= 20
    assert wait(limited(20), before=FAILED) <= 0.5
    assert wait(FAILED, before=limited(900)) is None
