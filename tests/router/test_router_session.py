"""A call's way through the policy: who is asked, what is waited for, when it ends. No clock: `now` is an argument."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import errors as e
from dragoman.providers.base import Provider, Target
from dragoman.router.capability import KnownFacts
from dragoman.router.continuation import Rest, prefills
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct, Exhausted, Wait
from dragoman.router.fallback import Fallbacks, read_hops
from dragoman.router.health import HealthPolicy
from dragoman.router.hedge import HedgePolicy, hedge_after
from dragoman.router.policy import Policy
from dragoman.router.retry import Budget, RetryPolicy, back_off
from dragoman.router.session import Session
from dragoman.router.speed import Speed
from dragoman.router.state import RequestFacts
from support.routing import BAD, FAILED, REFUSED, TOO_LONG, begin, fail_until_out, limited, place, play, policy


def two_groups(**settings: object) -> Policy:
    return policy("a", place("b", group="backup"), lists=Fallbacks(any={"m": ("backup",)}), **settings)


def test_a_retry_goes_to_another_deployment_at_once() -> None:
    seen = play(begin(policy("a", "b", "c")), FAILED, FAILED, None)
    assert sorted(seen) == ["a", "b", "c"]


def test_when_all_have_been_asked_one_is_asked_again_after_a_wait() -> None:
    first, second, wait, third, error = play(begin(policy("a", "b")), FAILED, FAILED, FAILED)
    assert {first, second} == {"a", "b"}
    assert 0 <= wait <= 1.0
    assert third in {"a", "b"}
    assert error is FAILED


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_there_are_never_more_attempts_than_allowed_and_no_wait_after_the_last(retries: int) -> None:
    seen = play(begin(policy("a", "b"), retries=retries), *[FAILED] * (retries + 1))
    asked = [step for step in seen if isinstance(step, str)]
    assert len(asked) == retries + 1
    assert isinstance(seen[-2], str), "what comes before the error is an attempt, not a wait"


@pytest.mark.parametrize(
    ("error", "asked"),
    [(BAD, 1), (TOO_LONG, 1), (e.ContentPolicyViolationError("x"), 1), (e.NotFoundError("x"), 2), (REFUSED, 2), (FAILED, 3)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_kind_of_failure_is_tried_where(error: e.CallError, asked: int) -> None:
    """The request's own fault: nowhere. This deployment's: elsewhere once each. A passing one: as often as allowed."""
    seen = play(begin(policy("a", "b")), *[error] * asked)
    assert len([step for step in seen if isinstance(step, str)]) == asked


def test_retries_by_kind_replace_the_number() -> None:
    by_kind = RetryPolicy(max_retries=2, by_kind={"server": 0, "request": 1})
    assert play(begin(policy("a", "b", retry=by_kind)), FAILED)[1:] == [FAILED]
    assert len(play(begin(policy("a", "b", retry=by_kind)), BAD, None)) == 2


def test_retries_of_a_group_replace_the_routers() -> None:
    router = policy("a", "b", group_retry={"m": RetryPolicy(max_retries=0)})
    assert play(begin(router), FAILED)[1:] == [FAILED]


def test_a_named_wait_is_waited_for_when_there_is_nobody_else() -> None:
    router = policy(place("a", rpm=1000))
    first, wait, again = play(begin(router), limited(7), None)
    assert (first, again) == ("a", "a")
    assert 7 <= wait <= 8


def test_a_named_wait_over_the_limit_goes_to_the_caller() -> None:
    router = policy(place("a", rpm=1000), retry=RetryPolicy(max_wait=5))
    error = limited(6)
    assert play(begin(router), error) == ["a", error]


def test_nobody_waits_past_the_deadline() -> None:
    router = policy(place("a", rpm=1000))
    error = limited(20)
    assert play(begin(router, deadline=10.0), error) == ["a", error]


def test_after_the_deadline_nobody_is_asked() -> None:
    session = begin(policy("a", "b"), deadline=10.0)
    session.next(0.0)
    session.failed(FAILED, 11.0)
    assert session.next(11.0).error is FAILED


@given(st.integers(1, 60), st.integers())
def test_the_jitter_is_full(attempts: int, seed: int) -> None:
    rules = RetryPolicy()
    assert 0 <= back_off(rules, attempts, Random(seed)) <= min(rules.cap, rules.base * 2.0 ** (attempts - 1))


# The budget


@given(st.lists(st.booleans(), max_size=400), st.sampled_from([0.05, 0.1, 0.5]), st.integers(1, 20))
def test_failed_extra_attempts_stay_within_the_budget(works: list[bool], share: float, reserve: int) -> None:
    budget, failed = Budget(share=share, reserve=reserve), 0
    for number, good in enumerate(works, 1):
        budget.add_request()
        if budget.take(0.25):
            budget.settle(0.25, failed=not good)
            failed += not good
        assert failed <= reserve + share * number + 1e-6


def test_a_client_that_leaves_during_a_wait_leaves_the_budget_as_it_was() -> None:
    router = policy(place("a", rpm=1000))
    budget = router.find("m").retry_budget
    session = begin(router)
    session.next(0.0)
    session.failed(FAILED, 0.0)
    assert isinstance(session.next(0.0), Wait)
    assert budget.tokens < budget.reserve
    session.cancelled(0.1)
    assert budget.tokens == budget.reserve


def test_all_that_hung_at_one_place_are_retried_at_a_healthy_one() -> None:
    router = policy("a", "b", strategy="simple-shuffle")
    hung, healthy = router.find("m").nodes
    asked = [(begin(router, seed=seed)) for seed in range(200)]
    stuck = [session for session in asked if session.next(0.0) is hung.deployment]
    assert len(stuck) > 50
    for session in asked:
        session.succeeded(1.0) if session not in stuck else session.failed(e.Timeout("x"), 10.0)
    assert {session.next(10.0) for session in stuck} == {healthy.deployment}


def test_retries_that_work_cost_nothing() -> None:
    router = policy("a", "b", retry_share=0.0, retry_reserve=1.0, health=HealthPolicy(enabled=False))
    for _ in range(100):
        assert len(play(begin(router), FAILED, None)) == 2


def test_a_total_outage_costs_a_tenth_more_once_the_reserve_is_spent() -> None:
    router = policy("a", "b", "c")
    calls = 0
    for seed in range(500):
        session, step = begin(router, seed=seed), None
        while not isinstance(step, Exhausted):
            step = session.next(float(seed))
            if not isinstance(step, Exhausted | Wait):
                calls += 1
                session.failed(FAILED, float(seed))
    assert 500 <= calls <= 500 * 1.1 + 10


# Fallbacks


def test_another_group_is_asked_when_the_retries_are_spent() -> None:
    seen = play(begin(two_groups(), retries=1), FAILED, FAILED, None)
    assert [step for step in seen if isinstance(step, str)] == ["a", "a", "b"]


def test_a_group_that_is_out_is_not_asked_at_all_while_its_fallback_is_in() -> None:
    router = two_groups()
    fail_until_out(router, "a")
    assert play(begin(router), None, now=1.0) == ["b"]


def test_a_named_wait_is_not_waited_for_when_there_is_a_fallback() -> None:
    assert play(begin(two_groups()), limited(3), None) == ["a", "b"]


def test_a_bad_request_goes_to_no_other_group() -> None:
    assert play(begin(two_groups()), BAD) == ["a", BAD]


@pytest.mark.parametrize(
    ("error", "asked"), [(TOO_LONG, "long"), (e.ContentPolicyViolationError("x"), "free"), (e.NotFoundError("x"), "any")]
)
def test_special_lists_are_for_their_kind(error: e.CallError, asked: str) -> None:
    lists = Fallbacks(any={"m": ("any",)}, context_window={"m": ("long",)}, content_policy={"*": ("free",)})
    router = policy("a", *(place(name, group=name) for name in ("any", "long", "free")), lists=lists)
    assert play(begin(router), error, None) == ["a", asked]


def test_the_general_list_is_used_where_the_special_one_has_no_entry() -> None:
    lists = Fallbacks(any={"m": ("b",)}, context_window={"other": ("c",)})
    router = policy("a", *(place(name, group=name) for name in "bc"), lists=lists)
    assert play(begin(router), TOO_LONG, None) == ["a", "b"]


def test_a_prompt_too_long_for_all_goes_to_the_longer_group_before_anybody_refuses_it() -> None:
    windows = {"a": 1000, "b": 10, "long": 100_000}
    router = policy(
        "a",
        place("b", group="any"),
        place("long", group="long"),
        lists=Fallbacks(any={"m": ("any",)}, context_window={"m": ("long",)}),
        facts_of=lambda found: KnownFacts(context_window=windows[found.id]),
    )
    assert play(begin(router, input_tokens=5000), None) == ["long"]


def test_a_prompt_too_long_for_everybody_says_so() -> None:
    router = policy("a", place("b", rpm=3), facts_of=lambda _: KnownFacts(context_window=100))
    found = begin(router, input_tokens=5000).next(0.0)
    assert isinstance(found.error, e.ContextWindowExceededError)
    assert "a: context window 100" in str(found.error)


def test_a_request_brings_its_own_list_and_what_is_to_differ() -> None:
    router = policy("a", *(place(name, group=name) for name in "bc"), lists=Fallbacks(any={"m": ("b",)}))
    session = begin(router, retries=0, fallbacks=read_hops([{"model": "c", "temperature": 0}]))
    assert play(session, FAILED, None) == ["a", "c"]
    assert session.trail[-1].changes == {"temperature": 0}


def test_an_empty_list_of_its_own_turns_fallbacks_off() -> None:
    assert play(begin(two_groups(), retries=0, fallbacks=()), FAILED) == ["a", FAILED]


graphs = st.dictionaries(st.sampled_from("mbcdef"), st.lists(st.sampled_from("mbcdefx"), max_size=5), max_size=6)


@given(graphs, st.integers(0, 8), st.integers(0, 3))
def test_whatever_the_lists_no_group_is_asked_twice_and_no_more_than_allowed(lists: dict, most: int, retries: int) -> None:
    places = [place(f"in {name}", group=name) for name in "mbcdefx"]
    chosen = Fallbacks(any={group: tuple(names) for group, names in lists.items()}, most=most)
    router = policy(*places, lists=chosen, retry=RetryPolicy(max_retries=retries))
    seen = [step for step in play_all(begin(router)) if isinstance(step, str)]
    groups = [name for name, before in zip(seen, ["", *seen], strict=False) if name != before]
    assert len(groups) == len(set(groups)) <= most + 1
    if lists.get("m") and retries == 0:
        named = [f"in {name}" for name in dict.fromkeys(lists["m"]) if name != "m"][:most]
        assert groups[1 : 1 + len(named)] == named, "the order of a list is kept"


# Nobody to ask


def test_nobody_to_ask_is_an_error_with_every_reason_and_the_soonest_time() -> None:
    router = policy(place("a", rpm=1), place("b", blocked=True))
    play(begin(router), None, now=100.0)
    found = begin(router).next(110.0)
    assert isinstance(found.error, e.NoDeploymentError)
    assert isinstance(found.error, e.RateLimitError)
    assert found.error.status_code == 429
    assert found.retry_after == pytest.approx(50.0)
    assert {drop.deployment: drop.reason for drop in found.drops} == {
        "a": "at its limit for 50.0 s",
        "b": "blocked by the configuration",
    }


def test_what_will_not_pass_is_no_rate_limit() -> None:
    found = begin(policy(place("a", blocked=True), place("b", blocked=True))).next(0.0)
    assert isinstance(found.error, e.NoDeploymentError)
    assert not isinstance(found.error, e.RateLimitError)
    assert found.error.status_code == 503


def test_patience_waits_for_capacity_and_no_longer() -> None:
    router = policy(place("a", rpm=1))
    play(begin(router), None, now=100.0)
    session = begin(router, patience=60.0)
    wait = session.next(110.0)
    assert wait.seconds == pytest.approx(50.0, abs=0.1)
    assert session.next(110.0 + wait.seconds).id == "a"
    assert isinstance(begin(router, patience=5.0).next(165.0), Exhausted)


def test_patience_for_a_place_among_those_at_once() -> None:
    router = policy(place("a", max_parallel=1))
    running = begin(router)
    running.next(0.0)
    waiting = begin(router, patience=1.0)
    assert isinstance(waiting.next(0.0), Wait)
    running.succeeded(0.1)
    assert waiting.next(0.2).id == "a"


# Settling


@given(st.lists(st.sampled_from(["ok", "failed", "cancelled"]), max_size=40))
def test_everything_is_counted_once_and_out_again(endings: list[str]) -> None:
    router = policy(place("a", max_parallel=100), place("b", max_parallel=100))
    for ending in endings:
        session = begin(router)
        if isinstance(session.next(0.0), Exhausted):
            continue
        for _ in range(3):
            end(session, ending)
    assert [node.in_flight for node in router.find("m").nodes] == [0, 0]


def end(session: Session, how: str) -> None:
    acts = {"ok": session.succeeded, "cancelled": session.cancelled, "failed": lambda now: session.failed(FAILED, now)}
    acts[how](1.0)


def test_the_trail_tells_what_was_done_and_why() -> None:
    session = begin(two_groups(), retries=0)
    play(session, FAILED, None)
    assert [repr(attempt) for attempt in session.trail] == ["Attempt(a: first; server)", "Attempt(b: first; success)"]


def test_same_seed_same_decisions() -> None:
    def decisions() -> list[str]:
        router = policy("a", "b", "c", "d")
        return [step for seed in range(50) for step in map(str, play(begin(router, seed=seed), FAILED, None))]

    assert decisions() == decisions()


# Hedges


def test_a_silent_attempt_is_hedged_elsewhere_once_its_speed_is_known() -> None:
    router = policy("a", "b", hedge=HedgePolicy(share=1.0))
    for seed in range(80):
        session = begin(router, seed=seed, stream=True)
        session.next(float(seed))
        session.started(seed + 0.4)
        session.succeeded(seed + 0.9)
    session = begin(router, stream=True)
    first = session.next(100.0)
    assert session.hedge_after() == pytest.approx(0.4)
    second = session.hedge(100.4)
    assert second.deployment is not first
    session.started(100.5, second)
    session.succeeded(101.0, attempt=second)
    session.cancelled(101.0)
    assert [node.in_flight for node in router.find("m").nodes] == [0, 0]
    assert {row["state"] for row in router.explain(101.0)} == {"in"}


def test_who_is_not_known_is_not_hedged() -> None:
    session = begin(policy("a", "b", hedge=HedgePolicy()))
    session.next(0.0)
    assert session.hedge_after() is None


def test_hedges_stay_within_their_budget() -> None:
    router = policy("a", "b", hedge=HedgePolicy(share=0.1, reserve=2.0))
    made = 0
    for number in range(200):
        session = begin(router, seed=number)
        session.next(0.0)
        made += session.hedge(0.0) is not None
        session.cancelled(0.0)
    assert made <= 2 + 0.1 * 200


def test_a_hedge_whose_price_nobody_knows_is_not_made_under_a_limit_of_money() -> None:
    session = begin(policy("a", "b", hedge=HedgePolicy(most_cost=10**9)))
    session.next(0.0)
    assert session.hedge(0.0) is None


# Without policy


def test_a_lone_deployment_has_no_policy_to_pay_for() -> None:
    router = policy("a")
    session = begin(router)
    assert isinstance(session, Direct)
    assert router.alone("m") == (router.deployments[0],)
    first, wait, second = play(session, FAILED, None)
    assert (first, second) == ("a", "a")
    assert 0.25 <= wait <= 0.5


def test_several_without_policy_are_asked_in_turn_by_the_same_rules() -> None:
    rules = RetryPolicy(max_retries=3)
    session = Direct((place("a"), place("b")), rules, Random(1))
    first, second, wait, third, longer, fourth = play(session, FAILED, limited(2), FAILED, limited(2))[:6]
    assert (first, second, third) == ("a", "b", "a")
    assert wait <= 0.5 * 4
    assert longer >= 2
    assert fourth == "b"


def test_without_policy_a_bad_request_is_final() -> None:
    assert play(Direct((place("a"),), RetryPolicy(), Random(1)), BAD) == ["a", BAD]


def play_all(session: Session) -> list[object]:
    """Every attempt fails."""
    seen: list[object] = []
    now = 0.0
    while not isinstance(step := session.next(now), Exhausted):
        if isinstance(step, Wait):
            now += step.seconds
            continue
        seen.append(step.id)
        session.failed(FAILED, now)
    return seen


def test_an_unknown_group_is_told_with_the_nearest() -> None:
    with pytest.raises(e.NotFoundError, match="did you mean fast"):
        policy(place("a", group="fast")).begin(RequestFacts(group="fats"), Random(1))


# ------------------------------------------------------------------------------------------------------ the rest of a stream
def able(name: str, *, prefill: bool = True, **terms: Any) -> Deployment:
    return place(name, info={"supports_assistant_prefill": prefill}, **terms)


def torn(router: Policy, **facts: Any) -> Session:
    """A session whose first attempt, at the deployment of order 0, broke after its first token."""
    session = begin(router, stream=True, **facts)
    session.next(0.0)
    session.started(1.0)
    session.failed(e.StreamInterruptedError("cut"), 2.0)
    return session


REST = Rest(by_prefill={"messages": ["begun"]})


def test_the_rest_is_asked_of_another_that_can() -> None:
    session = torn(policy(able("a", order=0), able("b", prefill=False, order=1), able("c", order=1)))
    found = session.go_on(2.0, REST)
    assert found is not None
    assert found.id == "c"
    assert session.changes == {"messages": ["begun"]}
    assert session.trail[-1].reason == "continuation"


def test_an_instruction_is_for_those_that_cannot() -> None:
    asked = Rest(by_prefill={"messages": ["begun"]}, by_instruction={"messages": ["begun", "go on"]})
    session = torn(policy(able("a", prefill=False, order=0), able("b", prefill=False, order=1)))
    found = session.go_on(2.0, asked)
    assert found is not None
    assert (found.id, session.changes) == ("b", {"messages": ["begun", "go on"]})


def test_nobody_can() -> None:
    assert torn(policy(able("a", prefill=False), able("b", prefill=False))).go_on(2.0, REST) is None


def test_the_rest_is_paid_from_the_retry_budget() -> None:
    router = policy(able("a", order=0), able("b", order=1), retry_reserve=0.0, retry_share=0.0)
    assert torn(router).go_on(2.0, REST) is None


def test_who_is_out_is_not_asked_for_the_rest() -> None:
    router = policy(able("a", order=0), able("b", order=1))
    fail_until_out(router, "b", now=0.0)
    session = torn(router)
    found = session.go_on(2.0, REST)
    assert found is not None
    assert found.id == "a", "it broke, and is still in"


@pytest.mark.parametrize(
    ("known", "dialect", "expected"),
    [(True, "anthropic_messages", True), (None, "anthropic_messages", False), (True, "openai_chat", False)],
)
def test_the_catalog_tells_who_can_where_the_dialect_can_say_it(known: bool | None, dialect: str, expected: bool) -> None:
    row = Provider(name="acme", base_url="https://acme.test/v1", dialects={"chat": dialect})
    target = Target(provider=row, model="x", base_url="https://acme.test/v1", api_key="k")
    facts = KnownFacts(abilities={} if known is None else {"prefill": known})
    router = policy(Deployment(target, group="m", id="x"), facts_of=lambda _: facts)
    assert prefills(router.group("m").nodes[0]) is expected


# ---------------------------------------------------------------------------------------------------------------- a race
def test_who_has_won_is_meant_from_then_on() -> None:
    router = policy("a", "b", hedge=HedgePolicy(at_least=0.0))
    session = begin(router, stream=True)
    session.next(0.0)
    first = session.trail[0]
    second = session.hedge(1.0)
    assert second is not None
    session.won(first, 2.0)
    session.started(2.0)
    session.succeeded(3.0)
    assert [attempt.outcome and attempt.outcome.kind for attempt in session.trail] == ["success", "cancelled"]
    assert [state["in_flight"] for state in router.explain(3.0)] == [0, 0]


def test_plain_answers_are_hedged_by_what_plain_answers_take() -> None:
    speed = Speed()
    for _ in range(20):
        speed.learn(input_tokens=1, output_tokens=1, first_token=None, seconds=3.0, now=0.0)
    policy_ = HedgePolicy(at_least=0.1)
    assert (hedge_after(policy_, speed, stream=False), hedge_after(policy_, speed, stream=True)) == (3.0, None)
