"""Limits of deployments that several processes share, over a real Valkey: exact, and going on without it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from dragoman.router.direct import Exhausted, Wait
from dragoman.router.limits import Limits
from dragoman.router.policy import Policy
from dragoman.router.session import NoCapacityError, Session
from dragoman.shared.leases import TURN, SharedLeases
from dragoman.shared.limits import LimitsPool
from dragoman.shared.valkey import Valkey
from support.routing import begin, place, policy
from support.valkey import OwnValkey

NOW = 1_800_000_000.0
"""Unix seconds at the beginning of a minute."""


class Clock:
    """The engine's clock; the wall's is ahead of it by `NOW`."""

    now = 5.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOW + self.now


class Worker:
    """A process's router, as the gateway puts it together."""

    def __init__(self, valkey: Valkey, name: str, clock: Clock, router: Policy, workers: int) -> None:
        self.valkey = valkey
        self.clock = clock
        self.leases = SharedLeases(valkey, name, clock=clock.wall, workers=workers)
        self.router = router
        self.waits = 0
        router.share(LimitsPool(valkey, self.leases, clock=clock, wall=clock.wall))

    async def call(self, **asked: Any) -> tuple[Session, Exhausted | str]:
        """A call up to its first attempt: who is asked, or that nobody can be."""
        session = begin(self.router, **asked)
        while isinstance(step := session.next(self.clock()), Wait):
            self.waits += 1
            await asyncio.sleep(step.seconds)
        return session, step if isinstance(step, Exhausted) else step.id

    async def tries(self, number: int, **asked: Any) -> list[Session]:
        """What was admitted of so many calls at once."""
        found = await asyncio.gather(*(self.call(seed=seed, **asked) for seed in range(number)))
        assert all(isinstance(step.error, NoCapacityError) for _, step in found if isinstance(step, Exhausted))
        return [session for session, step in found if not isinstance(step, Exhausted)]


@asynccontextmanager
async def workers(url: str, number: int, *places: Any, known: int = 1) -> AsyncIterator[list[Worker]]:
    """Each has a connection of its own. `known`: how many it takes them to be before it has heard."""
    prefix, clock = secrets.token_hex(8), Clock()
    made = [Worker(Valkey(url, prefix), f"w{index}", clock, policy(*places), known) for index in range(number)]
    for worker in made:
        await worker.valkey.start()
        worker.leases.start()
    try:
        for worker in made:
            await worker.leases.turn()  # each has heard of all
        yield made
    finally:
        for worker in made:
            await worker.leases.stop()
            await worker.valkey.stop()


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


async def admitted(made: list[Worker], number: int, **asked: Any) -> int:
    return sum(map(len, await asyncio.gather(*(worker.tries(number, **asked) for worker in made))))


@pytest.mark.parametrize("limit", [0, 1, 3, 10, 100])
def test_four_workers_serve_exactly_so_many_requests_in_each_minute(valkey: str, limit: int) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, place("a", rpm=limit)) as made:
            assert await admitted(made, limit + 5) == limit
            made[0].clock.now += 60.0
            assert await admitted(made, limit + 5) == limit

    run(scenario)


def test_what_one_worker_leased_and_does_not_use_another_gets(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, place("a", rpm=100)) as made:
            assert [len(await worker.tries(1)) for worker in made] == [1] * 4
            assert len(await made[0].tries(200)) == 96

    run(scenario)


def test_each_deployment_of_a_group_is_used_up_before_a_call_is_refused(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 3, place("a", rpm=7), place("b", rpm=20), place("c", rpm=3)) as made:
            assert await admitted(made, 15) == 30

    run(scenario)


def test_the_order_is_kept_while_a_lease_is_asked_for(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, place("first", rpm=10, order=1), place("second", order=2)) as made:
            found = [step for worker in made for _, step in [await worker.call() for _ in range(8)]]
            assert found.count("first") == 10
            assert found.index("second") >= 8

    run(scenario)


def test_few_calls_have_to_wait(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, place("a", rpm=100_000)) as made:
            for _ in range(500):
                for worker in made:
                    await worker.call()
            assert all(worker.waits < 30 for worker in made)

    run(scenario)


def test_tokens_are_reserved_by_estimate_and_settled_by_use(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, place("a", tpm=1000)) as (one, two):
            first = await one.tries(30, input_tokens=60, output_tokens=40)
            assert len(first) == 10
            assert await two.tries(1, input_tokens=1) == []
            for session in first:
                session.succeeded(one.clock(), input_tokens=10, output_tokens=10)
            one.clock.now += TURN
            assert len(await two.tries(30, input_tokens=60, output_tokens=40)) == 8

    run(scenario)


def test_a_call_larger_than_the_limit_passes_alone(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, place("a", tpm=10)) as made:
            assert await admitted(made, 3, input_tokens=50) == 1

    run(scenario)


def test_what_ends_in_a_later_minute_changes_nothing_there(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 1, place("a", tpm=100)) as (alone,):
            (early,) = await alone.tries(1, input_tokens=100)
            alone.clock.now += 60.0
            assert len(await alone.tries(5, input_tokens=50)) == 2
            early.succeeded(alone.clock(), input_tokens=1)
            alone.clock.now += TURN
            assert await alone.tries(1, input_tokens=50) == []

    run(scenario)


def test_places_are_free_again_for_every_worker(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, place("a", max_parallel=4)) as (one, two):
            sessions = await one.tries(9)
            assert len(sessions) == 4
            assert await two.tries(2) == []
            for session in sessions:
                session.succeeded(one.clock())
            two.clock.now += TURN
            assert len(await two.tries(9)) == 4

    run(scenario)


def test_a_limit_that_is_made_anew_goes_on_from_what_was_counted(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 1, place("a", rpm=5)) as (alone,):
            assert len(await alone.tries(3)) == 3
            alone.router.add(place("a", rpm=9, weight=2.0))
            assert len(await alone.tries(20)) == 6

    run(scenario)


def test_while_the_server_is_away_each_has_an_even_share_and_what_it_used_is_told_afterwards() -> None:
    async def scenario() -> None:
        with closing(OwnValkey()) as server:
            async with workers(server.url, 2, place("a", rpm=100)) as made:
                assert [len(await worker.tries(10)) for worker in made] == [10, 10]
                server.stop()
                away = [len(await worker.tries(100)) for worker in made]
                assert all(0 < number <= 90 for number in away)
                assert sum(away) <= 82
                server.start()
                while not all(worker.valkey.up for worker in made):  # noqa: ASYNC110 - it is a flag
                    await asyncio.sleep(0.01)
                made[0].clock.now += TURN
                assert await admitted(made, 100) == 80 - sum(away)

    run(scenario)


def test_a_server_that_never_answers_leaves_each_its_share() -> None:
    async def scenario() -> None:
        async with workers("redis://127.0.0.1:9/0", 1, place("a", rpm=12), known=4) as (one,):
            assert len(await one.tries(9)) == 3

    run(scenario)


def test_whoever_is_stopped_counts_alone(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 1, place("a", rpm=3)) as (alone,):
            await alone.valkey.stop()
            assert len(await alone.tries(5)) == 3
            alone.router.share(Limits)
            assert len(await alone.tries(5)) == 3

    run(scenario)
