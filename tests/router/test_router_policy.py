"""The policy of a process: names, aliases and patterns, and changes while calls run."""

from __future__ import annotations

from random import Random
from threading import Lock, Thread
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError, NotFoundError
from dragoman.router.balance import SimpleShuffle
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Exhausted
from dragoman.router.fallback import Fallbacks, read_hops
from dragoman.router.guarded import Guarded
from dragoman.router.model_list import read_model_list
from dragoman.router.policy import MAX_RESOLVED, Policy
from dragoman.router.retry import RetryPolicy
from dragoman.router.session import Session
from dragoman.router.state import RequestFacts, Settings
from support.routing import FAILED, begin, fail_until_out, listed, place, play, policy

ENV = {"OPENAI_API_KEY": "sk-env"}


def from_list(*entries: tuple[str, str], aliases: dict[str, str] | None = None, **settings: object) -> Policy:
    raw = [{"model_name": name, "litellm_params": {"model": model, "rpm": 99}} for name, model in entries]
    return Policy(read_model_list(raw, env=ENV, aliases=aliases), Settings(**settings))


def test_a_name_is_a_group_an_alias_or_covered_by_a_pattern() -> None:
    router = from_list(("fast", "openai/gpt-4o"), ("openai/*", "openai/*"), aliases={"quick": "fast", "any": "openai/x"})
    assert router.find("quick") is router.find("fast")
    assert router.find("any") is router.find("openai/x")
    assert begin(router, group="openai/gpt-5").next(0.0).target.model == "gpt-5"
    assert router.names == ("fast",)


def test_what_is_known_of_a_patterns_name_is_kept_and_their_number_is_bounded() -> None:
    router = from_list(("openai/*", "openai/*"))
    first = router.find("openai/a")
    assert router.find("openai/a") is first
    for number in range(MAX_RESOLVED):
        router.find(f"openai/{number}")
    assert router.find("openai/a") is not first


def test_a_name_that_cannot_be_resolved_is_told_with_the_reason() -> None:
    router = from_list(("*", "*"))
    with pytest.raises(NotFoundError, match="nobody"):
        begin(router, group="nobody/x")
    assert router.find("nobody/x") is None


def test_a_client_cannot_open_a_file_through_a_pattern() -> None:
    router = from_list(("*", "*"))
    with pytest.raises(NotFoundError):
        begin(router, group="local/etc/x.gguf")


def test_a_fallback_that_does_not_exist_is_told_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="context_window_fallbacks: m: no model is called 'lnog'"):
        policy("a", lists=Fallbacks(context_window={"m": ("lnog",)}))


def test_add_and_remove_while_running_keep_what_is_known() -> None:
    router = policy("a", "b")
    fail_until_out(router, "a")
    router.add(place("c"))
    assert {row["deployment"]: row["state"] for row in router.explain(1.0)} == {"a": "out", "b": "in", "c": "in"}
    assert router.remove("b").id == "b"
    assert begin(router).next(1.0).id == "c"
    assert router.remove("nobody") is None
    router.remove("a")
    router.remove("c")
    with pytest.raises(NotFoundError):
        begin(router)


def test_a_new_list_keeps_what_stays_the_same_and_forgets_what_changed() -> None:
    router = policy("a", "b", "c")
    for name in "ab":
        fail_until_out(router, name)
    router.use(listed(place("a"), place("b", key="a new key"), place("d")))
    assert {row["deployment"]: row["state"] for row in router.explain(1.0)} == {"a": "out", "b": "in", "d": "in"}


def test_one_that_went_out_is_probed_after_a_change_too() -> None:
    router = policy("a", "b")
    due = fail_until_out(router, "a")
    router.add(place("c"))
    assert begin(router).next(due).id == "a"


def test_a_call_at_a_deployment_that_is_removed_finishes() -> None:
    router = policy("a", "b")
    session = begin(router, deployment="a")
    session.next(0.0)
    router.remove("a")
    session.failed(FAILED, 1.0)
    assert isinstance(session.next(1.0), Exhausted)


def test_two_policies_know_nothing_of_one_another() -> None:
    one, other = policy("a", "b"), policy("a", "b")
    fail_until_out(one, "a")
    assert {row["state"] for row in other.explain(0.0)} == {"in"}


def test_a_group_may_have_a_strategy_of_its_own() -> None:
    router = policy("a", place("b", group="n"), strategy="least-busy", group_strategy={"n": "simple-shuffle"})
    assert [type(router.find(name).strategy).__name__ for name in "mn"] == ["LeastBusy", "SimpleShuffle"]


def test_threads_share_a_policy_under_a_lock() -> None:
    router, lock = policy(place("a", rpm=100_000), place("b", rpm=100_000)), Lock()

    def calls(seed: int) -> None:
        rng = Random(seed)
        for _ in range(200):
            with lock:
                made = router.begin(RequestFacts(group="m"), rng)
            assert isinstance(made, Session)
            session = Guarded(made, lock)
            session.next(1.0)
            session.succeeded(2.0)

    threads = [Thread(target=calls, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nodes = router.find("m").nodes
    assert [node.in_flight for node in nodes] == [0, 0]
    assert sum(node.limits.requests.used(1.0) for node in nodes) == 800


def test_the_numbers_of_a_deployments_own_retries_hold_for_its_group() -> None:
    router = policy(place("a", retries=0), place("b", retries=0))
    assert play(begin(router), FAILED)[1:] == [FAILED]
    assert len(play(begin(router, retries=1), FAILED, None)) == 2


def test_a_lone_deployment_takes_no_session_only_where_nothing_is_to_be_decided() -> None:
    assert policy("a").alone("m") is not None
    for made in (
        policy("a", "b"),
        policy(place("a", rpm=1)),
        policy(place("a", retries=0)),
        policy("a", group_retry={"m": RetryPolicy(max_retries=9)}),
        policy("a", retry=RetryPolicy(by_kind={"server": 1})),
        policy("a", retry=RetryPolicy(least=1.0)),
        policy("a", place("c", group="n"), lists=Fallbacks(any={"m": ("n",)})),
    ):
        assert made.alone("m") is None
        assert isinstance(begin(made), Session)


def test_settings_change_while_running_and_what_is_known_stays() -> None:
    router = policy("a", "b", place("c", group="n"))
    fail_until_out(router, "a")
    router.configure(Settings(strategy="least-busy", fallbacks=Fallbacks(any={"m": ("n",)})))
    group = router.group("m")
    assert (type(group.strategy).__name__, group.has_fallback, bool(group.nodes[0].health.out)) == ("LeastBusy", True, True)
    before = router.settings
    for bad in (Settings(strategy="best"), Settings(fallbacks=Fallbacks(any={"m": ("gone",)}))):
        with pytest.raises(ConfigurationError):
            router.configure(bad)
        assert router.settings is before
    router.configure(Settings(max_parallel=1))
    assert [node.limits is not None for node in router.group("m").nodes] == [True, True]


def test_a_list_that_is_refused_changes_nothing() -> None:
    router = policy("a", place("c", group="n"), lists=Fallbacks(any={"m": ("n",)}))
    with pytest.raises(ConfigurationError, match="fallbacks: m: no model is called 'n'"):
        router.use(listed(place("a"), place("b")))
    assert router.names == ("m", "n")


def test_the_strategy_of_the_settings_comes_back() -> None:
    router = policy("a", "b", strategy="least-busy")
    own = SimpleShuffle()
    router.set_strategy(own)
    assert router.group("m").strategy is own
    router.set_strategy(None)
    assert type(router.group("m").strategy).__name__ == "LeastBusy"


def test_a_session_tells_what_its_latest_attempt_has_different_and_who_is_left_out() -> None:
    router = policy(place("a", rpm=1), place("c", group="n"))
    session = begin(router, fallbacks=read_hops([{"model": "n", "user": "x"}]), retries=0)
    assert session.changes is None
    session.next(0.0)
    assert session.changes is None
    session.failed(FAILED, 0.0)
    session.next(0.0)
    assert session.changes == {"user": "x"}
    assert [drop.deployment for drop in session.drops(0.0)] == ["a"]


def test_another_list_leaves_what_is_known_of_deployments_behind_a_pattern() -> None:
    models = read_model_list([{"model_name": "demo/*", "litellm_params": {"model": "demo/*", "rpm": 1}}], env={})
    policy = Policy(models)

    def asked(now: float) -> Any:
        return policy.begin(RequestFacts(group="demo/x"), Random(1)).next(now)

    assert isinstance(asked(1.0), Deployment)
    policy.use(models)
    assert not isinstance(asked(1.1), Deployment), "one a minute, and that was asked"
