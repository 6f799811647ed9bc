"""The plan: who is left out and why, in what order the others come, and who stays where its cache is."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.router import affinity
from dragoman.router.capability import KnownFacts
from dragoman.router.plan import Plan
from dragoman.router.policy import Policy
from dragoman.router.state import RequestFacts
from support.routing import begin, fail_until_out, limited, place, play, policy


def planned(router: Policy, *, now: float = 0.0, **facts: Any) -> Plan:
    return router.plan(RequestFacts(group="m", **facts), now, Random(1))


def drops(router: Policy, **facts: Any) -> dict[str, str]:
    return {drop.deployment: drop.reason for drop in planned(router, **facts).drops}


FACTS = {
    "small": KnownFacts(context_window=1000),
    "blind": KnownFacts(context_window=100_000, abilities={"images": False, "tools": True}),
    "able": KnownFacts(context_window=100_000, abilities={"images": True, "tools": True}),
}


def models() -> Policy:
    return policy("small", "blind", "able", place("unknown", region="eu"), facts_of=lambda found: FACTS.get(found.id))


@pytest.mark.parametrize(
    ("facts", "left_out"),
    [
        ({}, {}),
        ({"input_tokens": 900}, {}),
        ({"input_tokens": 900, "output_tokens": 200}, {"small": "context window 1000: about 1100 tokens are needed"}),
        ({"abilities": frozenset({"images"})}, {"blind": "it has no images"}),
        (
            {"regions": frozenset({"eu"})},
            dict.fromkeys(("small", "blind", "able"), "region not known: asked for eu"),
        ),
        ({"deployment": "able"}, dict.fromkeys(("small", "blind", "unknown"), "only able was asked for")),
    ],
)
def test_what_is_left_out_has_its_reason_and_what_nobody_knows_is_no_reason(
    facts: dict[str, Any], left_out: dict[str, str]
) -> None:
    found = planned(models(), **facts)
    assert {drop.deployment: drop.reason for drop in found.drops} == left_out
    assert {candidate.deployment.id for candidate in found.attempts} == {"small", "blind", "able", "unknown"} - set(left_out)


@pytest.mark.parametrize(
    ("tags", "all_tags", "fit"),
    [
        ([], False, {"plain"}),
        (["free"], False, {"free", "both"}),
        (["free", "paid"], False, {"free", "paid", "both"}),
        (["free", "paid"], True, {"both"}),
        (["free", "!paid"], False, {"free"}),
        (["free", "&paid"], False, {"both"}),
        (["other"], False, set()),
    ],
)
def test_tags(tags: list[str], all_tags: bool, fit: set[str]) -> None:
    tagged = {"plain": ["default"], "free": ["free"], "paid": ["paid"], "both": ["free", "paid"]}
    router = policy(*(place(name, tags=frozenset(own)) for name, own in tagged.items()), tag_filtering=True, all_tags=all_tags)
    found = planned(router, tags=frozenset(tags))
    assert {candidate.deployment.id for candidate in found.attempts} == fit
    assert len(found.attempts) + len(found.drops) == 4
    if fit:
        assert begin(router, tags=frozenset(tags)).next(0.0).id in fit


def test_health_and_limits_are_reasons_with_a_time() -> None:
    router = policy("a", "b", place("c", rpm=1), place("d", max_parallel=1), "e")
    fail_until_out(router, "a")
    play(begin(router, deployment="b", retries=0), limited(30))
    play(begin(router, deployment="c"), None)
    begin(router, deployment="d").next(0.0)
    assert {drop.deployment: (drop.reason, drop.retry_after) for drop in planned(router, now=1.0).drops} == {
        "a": ("out for 4.0 s after server", 4.0),
        "b": ("out for 29.0 s after rate_limit", 29.0),
        "c": ("at its limit for 59.0 s", 59.0),
        "d": ("1 requests in flight, its limit", None),
    }


def test_a_lower_order_comes_first_and_the_next_when_it_is_spent() -> None:
    router = policy(place("c", order=3), place("b", order=2), place("a", order=1))
    assert [candidate.deployment.id for candidate in planned(router).attempts] == ["a", "b", "c"]
    assert play(begin(router), limited(), limited(), None) == ["a", "b", "c"]


def test_planning_changes_nothing() -> None:
    router = policy("a", place("b", rpm=1), "c")
    before = router.explain(0.0)
    for _ in range(20):
        planned(router)
    assert router.explain(0.0) == before
    assert not planned(router).drops


def test_a_probe_that_is_due_has_the_first_turn_and_only_one_request_makes_it() -> None:
    router = policy("a", "b", "c")
    due = fail_until_out(router, "b")
    assert {begin(router, seed=seed).next(due - 0.1).id for seed in range(30)} <= {"a", "c"}
    probe = begin(router)
    assert probe.next(due).id == "b"
    assert {begin(router, seed=seed).next(due + 0.1).id for seed in range(30)} <= {"a", "c"}
    probe.succeeded(due + 1)
    assert {row["deployment"]: row["state"] for row in router.explain(due + 1)} == dict.fromkeys("abc", "in")


def test_a_probe_that_was_broken_off_is_made_by_the_next_request() -> None:
    router = policy("a", "b", "c")
    due = fail_until_out(router, "b")
    broken = begin(router)
    broken.next(due)
    broken.cancelled(due + 1)
    assert begin(router).next(due + 2).id == "b"


# Affinity


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=12, unique=True), st.text())
def test_a_key_moves_only_when_its_own_place_goes(names: list[str], key: str) -> None:
    nodes = policy(*names).find("m").nodes
    own = affinity.preferred(nodes, key)
    for gone in nodes:
        left = [node for node in nodes if node is not gone]
        assert gone is own or affinity.preferred(left, key) is own


def test_keys_are_spread_evenly() -> None:
    nodes = policy(*"abcd").find("m").nodes
    found = Counter(affinity.preferred(nodes, f"key {number}").deployment.id for number in range(2000))
    assert all(400 < count < 600 for count in found.values())


@pytest.mark.parametrize("strategy", ["uptime-latency", "simple-shuffle", "least-busy"])
def test_a_session_stays_where_it_is(strategy: str) -> None:
    router = policy("a", "b", "c", strategy=strategy)
    assert len({play(begin(router, seed=seed, session="s"), None)[0] for seed in range(30)}) == 1


def test_a_session_leaves_when_its_place_is_out() -> None:
    router = policy("a", "b", "c")
    home = begin(router, session="s").next(0.0).id
    fail_until_out(router, home)
    assert begin(router, session="s").next(1.0).id != home


@pytest.mark.parametrize(("cached", "stays"), [(9_000, True), (500, False)])
def test_a_prefix_is_followed_where_the_saving_is_larger_than_the_imbalance(cached: int, stays: bool) -> None:
    router = policy("a", "b")
    facts = {"prefix": "p", "input_tokens": 10_000, "prefix_tokens": cached}
    home = begin(router, **facts).next(0.0).id
    for _ in range(15):
        begin(router, deployment=home).next(0.0)
    assert (begin(router, **facts).next(0.0).id == home) is stays


def test_what_is_known_is_explained_for_people() -> None:
    router = policy("a")
    (row,) = router.explain(0.0)
    assert row["deployment"] == "a"
    assert row["success_rate"] == 1.0
    assert "key of a" not in repr(router.explain(0.0)) + repr(router.deployments)
