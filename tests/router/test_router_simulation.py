"""The promises of the router, kept in virtual time: the same policy against outages, storms, slowness and recovery."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dragoman.router.balance import STRATEGIES
from dragoman.router.deployment import Terms
from dragoman.router.fallback import Fallbacks
from dragoman.router.health import HealthPolicy
from dragoman.router.simulate import Behaviour, Phase, Place, Report, Request, Upstream, fitted, run, steady
from dragoman.router.state import Settings

LOAD = steady(10, 200, seed=1)
DOWN = Phase()


def simulated(*behaviours: Behaviour, strategy: str = "uptime-latency", seed: int = 3, load: list[Request] = LOAD) -> Report:
    places = [Place(id=name, behaviour=behaviour) for name, behaviour in zip("abcdefgh", behaviours, strict=False)]
    return run(places, load, Settings(strategy=strategy), seed=seed)


GOOD = Behaviour()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", range(3))
def test_one_of_three_down_is_seen_by_no_client(strategy: str, seed: int) -> None:
    report = simulated(Behaviour(phases=(DOWN,)), GOOD, GOOD, strategy=strategy, seed=seed)
    assert report.errors == {}
    assert report.amplification <= 1.1


@pytest.mark.parametrize("seed", range(3))
def test_one_that_hangs_is_seen_by_no_client_either(seed: int) -> None:
    hangs = Phase(start=50, end=120, kind="timeout", after=10)
    report = simulated(Behaviour(phases=(hangs,)), GOOD, GOOD, seed=seed, load=steady(30, 150, seed=2))
    assert report.errors == {}
    assert report.amplification <= 1.1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_total_outage_is_not_met_with_a_storm(strategy: str) -> None:
    report = simulated(*[Behaviour(phases=(DOWN,))] * 3, strategy=strategy)
    assert report.served == 0
    assert len(report.calls) <= 1.1 * report.requests + 10


def test_after_a_total_outage_all_are_used_again() -> None:
    outage = Phase(start=50, end=100)
    report = simulated(*[Behaviour(phases=(outage,))] * 3)
    assert all(report.calls_to(name, 160, 200) > 50 for name in "abc")
    late = [call for call in report.calls if call.at > 130]
    assert all(call.kind == "success" for call in late)


def test_a_brown_out_is_bridged_by_retries() -> None:
    report = simulated(*[Behaviour(phases=(Phase(share=0.2),))] * 3)
    assert report.success_rate >= 0.98


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_deployment_gets_less_and_clients_hardly_notice(seed: int) -> None:
    poison = Phase(start=50, end=150, kind=None, slower=10)
    report = simulated(Behaviour(phases=(poison,)), GOOD, GOOD, seed=seed)
    even = simulated(Behaviour(phases=(poison,)), GOOD, GOOD, seed=seed, strategy="simple-shuffle")
    assert report.calls_to("a", 60, 150) < 0.1 * even.calls_to("a", 60, 150)
    assert report.quantile(0.99) < 1.5 < even.quantile(0.95)


def test_recovery_from_slowness_is_noticed() -> None:
    poison = Phase(start=30, end=60, kind=None, slower=10)
    report = simulated(Behaviour(phases=(poison,)), GOOD, GOOD)
    assert report.calls_to("a", 150, 200) > 50


def test_recovery_from_an_outage_is_noticed() -> None:
    report = simulated(Behaviour(phases=(Phase(start=20, end=60),)), GOOD, GOOD)
    assert report.calls_to("a", 25, 60) < 10
    assert report.calls_to("a", 120, 200) > 150


def test_the_time_out_grows_while_it_stays_down() -> None:
    report = simulated(Behaviour(phases=(DOWN,)), GOOD, GOOD)
    probes = [call.at for call in report.calls if call.deployment == "a"][5:]
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert len(gaps) >= 3
    assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps))


def test_a_429_with_a_time_is_left_alone_until_then() -> None:
    said = Phase(start=50, end=90, kind="rate_limit", retry_after=30)
    report = simulated(Behaviour(phases=(said,)), GOOD, strategy="simple-shuffle")
    refusals = [call.at for call in report.calls if call.kind == "rate_limit"]
    assert report.errors == {}
    for earlier, later in pairwise(refusals):
        assert later - earlier >= 30 or later - earlier < 0.1, "only what was already on its way"
    assert report.calls_to("a", refusals[0] + 0.1, refusals[0] + 29.9) == 0


def test_a_rate_limit_of_the_provider_costs_clients_nothing() -> None:
    report = simulated(Behaviour(rpm=60), Behaviour(rpm=60), GOOD)
    assert report.errors == {}
    assert report.amplification < 1.05


def test_a_refused_key_is_tried_once_and_then_left_for_long() -> None:
    refused = Behaviour(phases=(Phase(kind="credential"),))
    places = [Place(id=name, behaviour=refused, credential="one") for name in "ab"] + [Place(id="c")]
    report = run(places, LOAD, seed=1)
    assert report.errors == {}
    assert report.calls_to("a", 0, 59) + report.calls_to("b", 0, 59) <= 2


def test_a_flapping_deployment_is_trusted_less_and_less() -> None:
    flapping = tuple(Phase(start=20 * turn, end=20 * turn + 10) for turn in range(10))
    report = simulated(Behaviour(phases=flapping), GOOD, GOOD)
    assert report.errors == {}
    assert report.amplification <= 1.05


def test_a_limit_of_its_own_is_never_passed() -> None:
    places = [Place(id="a", terms=Terms(rpm=30)), Place(id="b")]
    report = run(places, LOAD, Settings(strategy="simple-shuffle"), seed=1)
    times = [call.at for call in report.calls if call.deployment == "a"]
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[30:], strict=False))
    assert len(times) >= 30 * 3


def test_a_thousand_deployments_are_all_tried_and_the_dead_ones_left() -> None:
    places = [Place(id=f"d{n}", behaviour=Behaviour(phases=(DOWN,)) if n % 10 == 0 else GOOD) for n in range(1000)]
    report = run(places, steady(200, 30, seed=1), Settings(health=HealthPolicy(failures=1)), seed=1)
    assert report.success_rate > 0.995
    assert report.amplification <= 1.1


def test_a_fallback_serves_while_the_group_is_down() -> None:
    places = [Place(id=name, behaviour=Behaviour(phases=(DOWN,))) for name in "ab"] + [Place(id="c", group="backup")]
    report = run(places, LOAD, Settings(fallbacks=Fallbacks(any={"m": ("backup",)})), seed=1)
    assert report.errors == {}
    assert report.amplification <= 1.1


def test_a_seed_decides_everything() -> None:
    one, same, other = (simulated(Behaviour(phases=(Phase(share=0.3),)), GOOD, GOOD, seed=seed) for seed in (5, 5, 6))
    assert one.calls == same.calls
    assert one.calls != other.calls


def test_a_log_becomes_places_that_behave_like_it() -> None:
    phases = (Phase(start=60, end=120, share=0.5),)
    log = simulated(Behaviour(first_token=0.2, phases=phases), Behaviour(first_token=0.8), strategy="simple-shuffle").calls
    places, load = fitted(log)
    again = run(places, load, Settings(strategy="simple-shuffle"), seed=9)
    assert {place.id for place in places} == {"a", "b"}
    assert len(load) == sum(call.kind == "success" for call in log)
    assert median(again.calls, "a") == pytest.approx(0.2, rel=0.2)
    assert median(again.calls, "b") == pytest.approx(0.8, rel=0.2)
    assert any(call.kind == "server" and 60 <= call.at < 120 for call in again.calls)


def median(calls: list[Upstream], name: str) -> float:
    firsts = sorted(call.first_token for call in calls if call.deployment == name and call.first_token is not None)
    return firsts[len(firsts) // 2]
