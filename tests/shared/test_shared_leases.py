"""Limits and budgets of several workers over a real Valkey: exact, without asking for each call, and going on without it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from dragoman.catalog.cost import Cost
from dragoman.core.chat import Usage
from dragoman.core.errors import BudgetExceededError, GatewayError, RateLimitExceededError
from dragoman.gateway.governance.budgets import Budget, CounterKey
from dragoman.gateway.governance.governance import Governance, Hold
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store.memory import MemoryStore
from dragoman.shared.accounts import LeaseNeededError
from dragoman.shared.leases import TURN, SharedLeases
from dragoman.shared.valkey import Valkey
from support.governing import ADDRESS, NOW, ListJournal, call, facts, header, stored
from support.valkey import OwnValkey


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Worker:
    """One of several, as the gateway puts it together but for the HTTP."""

    def __init__(
        self, leases: SharedLeases, governance: Governance, identity: Identity, store: MemoryStore, clock: Clock
    ) -> None:
        self.store = store
        self.clock = clock
        self.leases = leases
        self.governance = governance
        self.identity = identity
        self.asked = 0

    async def admit(self, **asked: Any) -> Hold:
        while True:
            try:
                return self.governance.admit(self.identity, facts(**asked), self.clock())
            except LeaseNeededError as needed:
                self.asked += 1
                await self.governance.lease(needed)

    async def tries(self, number: int, **asked: Any) -> list[Hold]:
        """What was admitted of so many calls at once."""
        found = await asyncio.gather(*(self.admit(**asked) for _ in range(number)), return_exceptions=True)
        assert all(isinstance(each, Hold | GatewayError) for each in found), found
        return [each for each in found if isinstance(each, Hold)]

    async def settles(self, holds: list[Hold], cost: int) -> None:
        """These calls have ended, and the database has their rows."""
        governance, used = self.governance, Usage(input_tokens=1)
        for hold in holds:
            governance.settle(hold, call(usage=used), used, Cost(nano_dollars=cost), NOW)
        rows = governance.take_ended(10**6)
        governance.shipped(rows, await self.store.ship(rows, NOW))


@asynccontextmanager
async def workers(url: str, number: int, scope: Scope) -> AsyncIterator[list[Worker]]:
    """Each has a connection of its own; the database is one."""
    store = await stored(scope)
    prefix, made, connections, clock = secrets.token_hex(8), [], [], Clock()
    for index in range(number):
        valkey = Valkey(url, prefix)
        leases = SharedLeases(valkey, f"w{index}", clock=clock)
        await valkey.start()
        leases.start()
        governance = Governance(store, ListJournal(), worker=f"w{index}", leases=leases)
        identity = await governance.load(header(), ADDRESS, NOW)
        made.append(Worker(leases, governance, identity, store, clock))
        connections.append(valkey)
    try:
        for worker in made:
            await worker.leases.turn()  # each has heard of all
        yield made
    finally:
        for worker, valkey in zip(made, connections, strict=True):
            await worker.leases.stop()
            await valkey.stop()


def key(*limits: Limit, budget: int | None = None) -> Scope:
    return Scope(kind="key", id="k", limits=limits, budgets=() if budget is None else (Budget(nano=budget),))


def requests(amount: int) -> Limit:
    return Limit(kind="requests", amount=amount)


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize("amount", [1, 3, 10, 100, 1000])
def test_four_workers_admit_exactly_so_many_requests(valkey: str, amount: int) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, key(requests(amount))) as made:
            admitted = await asyncio.gather(*(worker.tries(amount) for worker in made))
            assert sum(map(len, admitted)) == amount

    run(scenario)


def test_what_one_worker_leased_and_does_not_use_another_gets(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, key(requests(100))) as made:
            for worker in made[1:]:
                await worker.admit()
            assert len(await made[0].tries(200)) == 97
            assert [await worker.tries(1) for worker in made] == [[]] * 4

    run(scenario)


def test_few_calls_have_to_ask(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, key(requests(100_000))) as made:
            for _ in range(2000):
                for worker in made:
                    await worker.admit()
            assert all(worker.asked < 10 for worker in made)

    run(scenario)


@pytest.mark.parametrize("kind", ["tokens", "input_tokens"])
def test_tokens_are_never_more_than_the_limit_by_their_estimates(valkey: str, kind: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 3, key(Limit(kind=kind, amount=1000))) as made:
            admitted = await asyncio.gather(*(worker.tries(50, tokens=7 + number) for number, worker in enumerate(made)))
            used = sum(len(holds) * (7 + number) for number, holds in enumerate(admitted))
            assert 1000 - 3 * 9 < used <= 1000

    run(scenario)


def test_an_estimate_above_the_whole_limit_passes_alone_and_once(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, key(Limit(kind="tokens", amount=10))) as made:
            admitted = await asyncio.gather(*(worker.tries(3, tokens=50) for worker in made))
            assert sum(map(len, admitted)) == 1

    run(scenario)


def test_places_are_free_again_for_every_worker(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 2, key(Limit(kind="parallel", amount=4, span=""))) as (one, two):
            holds = await one.tries(9)
            assert len(holds) == 4
            with pytest.raises(RateLimitExceededError, match="4 calls at once: 4 are used"):
                await two.admit()
            for hold in holds:
                one.governance.release(hold, NOW)
            two.clock.now += TURN
            assert len(await two.tries(9)) == 4

    run(scenario)


def test_of_500_calls_at_once_a_budget_for_100_admits_100_and_what_they_did_not_cost_is_there_again(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey, 4, key(budget=100_000)) as made:
            left, spent = 100_000, 0
            for cost in (500, 900, 1000):
                admitted = await asyncio.gather(*(worker.tries(125, nano=1000) for worker in made))
                assert sum(map(len, admitted)) == left // 1000
                with pytest.raises(BudgetExceededError):
                    await made[0].admit(nano=1000)
                for worker, holds in zip(made, admitted, strict=True):
                    await worker.settles(holds, cost)
                spent += left // 1000 * cost
                left = 100_000 - spent
                assert [*(await made[0].store.spent([CounterKey("key", "k", "", "")])).values()] == [spent]
                made[0].clock.now += TURN  # a refusal holds no longer
            assert left < 1000

    run(scenario)


def test_while_the_server_is_away_calls_go_on_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with closing(OwnValkey()) as server:
            async with workers(server.url, 2, key(requests(100), budget=10**9)) as made:
                first = [len(await worker.tries(10, nano=1)) for worker in made]
                server.stop()
                away = [len(await worker.tries(100, nano=1)) for worker in made]
                assert first == [10, 10]
                assert all(0 < number <= 90 for number in away)
                assert sum(first) + sum(away) <= 102, "each has an even share"
                server.start()
                while not all(worker.leases._valkey.up for worker in made):  # noqa: ASYNC110 - it is a flag
                    await asyncio.sleep(0.01)
                told = [await worker.tries(1, nano=1) for worker in made]
                assert told == [[], []], "what was used meanwhile is counted"

    run(scenario)
    assert caplog.text.count("each worker goes on with what it knows") == 2
    assert caplog.text.count("answers again") == 2


def test_a_gateway_starts_without_its_server(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with workers("redis://127.0.0.1:9/0", 1, key(requests(3))) as (alone,):
            assert len(await alone.tries(5)) == 3

    run(scenario)
    assert "redis://" not in caplog.text
