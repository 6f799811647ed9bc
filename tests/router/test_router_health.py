"""Passive health: what takes a deployment out, for how long, and how it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import errors as e
from dragoman.router.health import Health, HealthPolicy, admits, hear, record, success_rate
from dragoman.router.health import begin as begin_probe
from dragoman.router.outcome import KINDS, Outcome, kind_of
from support.routing import BAD, FAILED, REFUSED, TOO_LONG, begin, fail_until_out, limited, place, play, policy

RULES = HealthPolicy()
SUCCESS = Outcome()


def out_for(health: Health, now: float) -> float:
    return health.until - now if health.out else 0.0


def feed(health: Health, kind: str, now: float, *, times: int = 1, rules: HealthPolicy = RULES, **outcome: float) -> None:
    for _ in range(times):
        record(health, rules, Outcome(kind=kind, **outcome), began=now, now=now)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (e.InternalServerError("x"), "server"),
        (e.BadGatewayError("x"), "server"),
        (e.ServiceUnavailableError("x", status_code=529), "unavailable"),
        (e.Timeout("x"), "timeout"),
        (e.APIConnectionError("x"), "connection"),
        (e.ResponseDecodeError("x"), "decode"),
        (e.RateLimitError("x"), "rate_limit"),
        (e.RateLimitError("x", detail=e.ErrorDetail(message="x", code="insufficient_quota")), "credential"),
        (e.AuthenticationError("x"), "credential"),
        (e.PaymentRequiredError("x"), "credential"),
        (e.NotFoundError("x"), "refused"),
        (e.ContextWindowExceededError("x"), "context_window"),
        (e.ContentPolicyViolationError("x"), "content_policy"),
        (e.BadRequestError("x"), "request"),
        (e.UnprocessableEntityError("x"), "request"),
        (e.StreamInterruptedError("x"), "interrupted"),
        (KeyboardInterrupt(), "cancelled"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_failure_has_its_kind(error: BaseException, kind: str) -> None:
    assert kind_of(error) == kind
    assert kind in KINDS


@pytest.mark.parametrize("kind", ["request", "context_window", "content_policy", "unsupported", "conflict", "cancelled"])
def test_what_is_not_the_deployments_fault_never_takes_it_out(kind: str) -> None:
    health = Health()
    feed(health, kind, 0.0, times=1000)
    assert not health.out


@pytest.mark.parametrize("kind", ["server", "unavailable", "connection", "timeout", "decode", "refused", "interrupted"])
def test_five_failures_in_a_row_take_it_out(kind: str) -> None:
    health = Health()
    feed(health, kind, 0.0, times=4)
    assert not health.out
    feed(health, kind, 0.0)
    assert out_for(health, 0.0) == RULES.base


def test_a_success_between_them_ends_the_row() -> None:
    health = Health()
    for moment in range(4):
        feed(health, "server", moment)
    record(health, RULES, SUCCESS, began=5.0, now=6.0)
    feed(health, "server", 7.0, times=4)
    assert not health.out


def test_a_success_that_had_begun_before_the_failures_does_not_end_the_row() -> None:
    health = Health()
    feed(health, "server", 10.0, times=4)
    record(health, RULES, SUCCESS, began=1.0, now=11.0)
    feed(health, "server", 12.0)
    assert health.out


def test_a_low_success_rate_takes_it_out_without_a_row() -> None:
    health = Health()
    for moment in range(4):
        record(health, RULES, SUCCESS, began=moment, now=moment)
        feed(health, "server", moment, times=2)
    assert health.out


def test_old_outcomes_are_forgotten() -> None:
    health = Health()
    feed(health, "server", 0.0, times=4)
    assert success_rate(health, RULES, 1.0) < 0.5
    assert success_rate(health, RULES, 3 * RULES.window) == 1.0


def test_one_refused_credential_takes_it_out_at_once_whatever_the_cap() -> None:
    health = Health()
    assert record(health, RULES, Outcome(kind="credential"), began=0.0, now=0.0, room=False)
    assert out_for(health, 0.0) == RULES.refused_base


@given(st.floats(0.1, 3000), st.floats(0, 0.999))
def test_a_named_wait_is_left_alone_until_then(seconds: float, part: float) -> None:
    health = Health()
    feed(health, "rate_limit", 100.0, retry_after=seconds)
    assert not admits(health, RULES, 100.0 + seconds * part)
    assert admits(health, RULES, 100.0 + seconds + 1e-6)
    assert not health.out, "a limit that has passed needs no probe"


def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    health = Health()
    feed(health, "rate_limit", 0.0, retry_after=60.0)
    feed(health, "rate_limit", 1.0, retry_after=2.0)
    assert health.until == 60.0


@given(st.integers(1, 12))
def test_each_failed_probe_doubles_the_time_out_up_to_the_longest(rounds: int) -> None:
    health = Health()
    feed(health, "server", 0.0, times=5)
    now = 0.0
    for number in range(rounds):
        assert out_for(health, now) == pytest.approx(min(RULES.longest, RULES.base * 2**number))
        now = health.until
        begin_probe(health, now)
        feed(health, "server", now)


def test_only_one_probe_at_a_time() -> None:
    health = Health()
    feed(health, "server", 0.0, times=5)
    due = health.until
    assert not admits(health, RULES, due - 0.001)
    assert admits(health, RULES, due)
    begin_probe(health, due)
    assert not admits(health, RULES, due + 1)
    record(health, RULES, Outcome(kind="cancelled"), began=due, now=due + 2)
    assert admits(health, RULES, due + 2), "a probe that the client broke off leaves room for the next"


def test_a_probe_that_is_lost_does_not_hold_for_ever() -> None:
    health = Health()
    feed(health, "server", 0.0, times=5)
    begin_probe(health, health.until)
    assert admits(health, RULES, health.until + RULES.probe_hold)


def test_a_successful_probe_brings_it_back_with_a_clean_record() -> None:
    health = Health()
    feed(health, "server", 0.0, times=5)
    due = health.until
    begin_probe(health, due)
    record(health, RULES, SUCCESS, began=due, now=due + 1)
    assert not health.out
    assert success_rate(health, RULES, due + 1) == 1.0
    feed(health, "server", due + 2)
    assert not health.out


def test_who_comes_back_only_to_fail_is_out_for_longer_and_after_a_good_while_it_starts_anew() -> None:
    health = Health()
    for start, expected in ((0.0, 5.0), (20.0, 10.0), (1000.0, 5.0)):
        feed(health, "server", start, times=5)
        assert out_for(health, start) == expected
        due = health.until
        begin_probe(health, due)
        record(health, RULES, SUCCESS, began=due, now=due)


def test_late_failures_of_what_is_out_add_nothing() -> None:
    health = Health()
    feed(health, "server", 0.0, times=50)
    assert health.until == RULES.base
    assert health.strikes == 1


def test_kinds_have_allowances_of_their_own() -> None:
    rules = HealthPolicy(allowed={"timeout": 0, "server": 100})
    health = Health()
    feed(health, "timeout", 0.0, rules=rules)
    assert health.out == "timeout"


def test_without_cooldowns_nothing_goes_out() -> None:
    health = Health()
    feed(health, "server", 0.0, times=100, rules=HealthPolicy(enabled=False))
    assert not health.out


@given(st.integers(2, 12), st.lists(st.integers(0, 11), max_size=80), st.sampled_from([0.34, 0.5, 0.75]))
def test_guesses_never_take_out_more_than_the_cap(count: int, failing: list[int], share: float) -> None:
    router = policy(*(f"d{number}" for number in range(count)), health=HealthPolicy(most_out=share))
    for number in failing:
        session = begin(router, deployment=f"d{number % count}", retries=0)
        for _ in range(5):
            if not isinstance(session.next(0.0), type(place("x"))):
                break
            session.failed(FAILED, 0.0)
            session = begin(router, deployment=f"d{number % count}", retries=0)
        assert sum(1 for node in router.find("m").nodes if node.health.out) <= share * count


def test_a_401_takes_out_all_that_share_the_credential() -> None:
    router = policy(place("a", key="one"), place("b", key="one"), place("c", key="other"))
    session = begin(router, deployment="a")
    session.next(0.0)
    session.failed(REFUSED, 0.0)
    assert {row["deployment"]: row["out_because"] for row in router.explain(1.0)} == {
        "a": "credential",
        "b": "credential",
        "c": "",
    }
    assert {begin(router, seed=seed).next(1.0).id for seed in range(20)} == {"c"}


def test_after_a_401_only_another_credential_is_tried() -> None:
    router = policy(place("a", key="one", order=1), place("b", key="one", order=2), place("c", key="other", order=3))
    assert play(begin(router), REFUSED, None) == ["a", "c"]


def test_when_all_are_out_the_least_bad_is_asked() -> None:
    router = policy("a", "b", health=HealthPolicy(most_out=1.0))
    fail_until_out(router, "a")
    fail_until_out(router, "b")
    assert begin(router).next(1.0).id in {"a", "b"}


def test_a_refused_credential_is_the_last_to_be_asked_in_a_panic() -> None:
    router = policy("a", "b", health=HealthPolicy(most_out=1.0))
    fail_until_out(router, "a")
    play(begin(router, deployment="b"), REFUSED)
    assert {begin(router, seed=seed).next(1.0).id for seed in range(20)} == {"a"}


def test_no_panic_overrides_what_the_provider_said() -> None:
    router = policy("a", "b")
    for name in "ab":
        play(begin(router, deployment=name, retries=0), limited(30))
    found = begin(router).next(1.0)
    assert isinstance(found.error, e.NoDeploymentError)
    assert isinstance(found.error, e.RateLimitError)
    assert found.error.retry_after == pytest.approx(29.0)


@pytest.mark.parametrize("error", [BAD, TOO_LONG])
def test_a_bad_request_leaves_everybody_in(error: e.CallError) -> None:
    router = policy("a", "b")
    for _ in range(50):
        play(begin(router), error)
    assert {row["state"] for row in router.explain(0.0)} == {"in"}


@pytest.mark.parametrize(
    ("before", "why", "told", "room", "seconds"),
    [
        (0, "server", False, True, 8.0),
        (0, "server", False, False, 0.0),
        (0, "credential", False, False, 8.0),
        (0, "rate_limit", True, False, 8.0),
        (0, "of a later version", False, False, 0.0),
        (5, "server", False, False, 8.0),
        (30, "server", False, True, 30.0),
    ],
    ids=["a guess", "the cap", "a credential", "a named wait", "an unknown reason", "out for less", "out for longer"],
)
def test_what_another_process_took_out_is_out_here_as_long(
    before: int, why: str, told: bool, room: bool, seconds: float
) -> None:
    health = Health()
    if before:
        feed(health, "rate_limit", 100.0, retry_after=float(before))
    assert hear(health, why, told=told, seconds=8.0, now=100.0, room=room) is (seconds == 8.0)
    assert out_for(health, 100.0) == seconds
    assert health.strikes == 0
