"""What batches hold and cost, over every store: through kills, for several workers, whoever sees their end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from dragoman.core.batches import Batch, BatchResult
from dragoman.core.chat import Usage
from dragoman.core.errors import (
    APIConnectionError,
    BadRequestError,
    BudgetExceededError,
    DragomanError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
    Timeout,
)
from dragoman.core.http import TransportFailure
from dragoman.dialects import openai_batches
from dragoman.engine.call import Call
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.batches import estimate
from dragoman.gateway.governance.budgets import Alert, Budget, Charge, Counter, CounterKey, reserve
from dragoman.gateway.governance.governance import Governance
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.raw.batch_books import AGAIN, GIVEN_UP, BatchBooks
from dragoman.gateway.raw.batch_lines import read_usage
from dragoman.gateway.store.base import Filter, News, Store
from dragoman.gateway.store.journal import FileJournal
from dragoman.gateway.store.memory import MemoryStore
from dragoman.gateway.store.shipping import Pace, Shipping
from dragoman.gateway.store.sql import open_store
from dragoman.router.deployment import Deployment, Terms
from dragoman.shared.accounts import LeaseNeededError, Wanted
from support.governing import ADDRESS, KEY, ListJournal, change, deployment, facts, header
from support.postgres import fresh_database

LIMIT = 1_000_000
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
COST = (1000 * 150 + 100 * 600) // 2
"""Of one answer, in nano-dollars: half of 0.15 and 0.60 USD a million."""


class Provider:
    """Its batches, as `batch_places.Place` says. `found`: how far each is told to be, or what is raised."""

    endpoint = "/v1/chat/completions"
    read_result = staticmethod(openai_batches.read_result)
    usage = staticmethod(read_usage)

    def __init__(self, found: Batch | DragomanError, answers: int = 2) -> None:
        self.found = found
        self.answers = answers
        self.asked = 0
        self.target = deployment().target

    async def find(self, _: str) -> Batch:
        self.asked += 1
        if isinstance(self.found, Batch):
            return self.found
        raise self.found

    async def results(self, _: Batch) -> AsyncIterator[bytes]:
        body = json.dumps({"object": "chat.completion", "usage": USAGE}).encode()
        for number in range(self.answers):
            yield openai_batches.write_result(BatchResult(custom_id=str(number), outcome="succeeded", body=body))
        yield openai_batches.write_result(BatchResult(custom_id="x", outcome="errored", status=400, body=b"{}"))


class Worker:
    """One of those that share a store. `told`: the calls that its observers heard of."""

    def __init__(self, store: Store, name: str, provider: Provider, place: Deployment | None = None) -> None:
        self.now = 1_800_000_000.0
        self.store = store
        self.told: list[Call] = []
        self.alerts: list[Alert] = []
        self.governance = Governance(store, ListJournal(), worker=name, alerted=self.alerts.append)
        pipeline: Any = SimpleNamespace(admission=SimpleNamespace(governance=self.governance), observers=(self.told.append,))
        self.books = BatchBooks(pipeline, lambda _: provider, lambda *_: place or deployment(), clock=lambda: self.now)

    async def who(self) -> Identity:
        return await self.governance.load(header(), ADDRESS, self.now)

    async def hears(self) -> None:
        """As its shipping does, four times a second."""
        self.governance.book.reserve(await self.store.reserved())

    async def makes(self, nano: int | None, upstream: str = "batch_1") -> Any:
        asked = facts("m", nano, operation="batch", dialect="openai_chat")
        held = await self.books.hold(await self.who(), asked, "owner", "openai")
        if upstream:
            await self.books.made(held, upstream)
        return held

    async def left(self) -> int:
        """What may still be spent."""
        await self.hears()
        who = await self.who()
        plan = self.governance._plan(who, facts("m"), self.now)
        return LIMIT - max(charge.counter.taken for charge in plan.charges if charge.budgets)


Scenario = Callable[[Callable[[str, Provider], Worker]], Awaitable[None]]
ENDED = Batch(id="batch_1", status="completed", results=True, output_file="file-1")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario for workers on a new store of each kind; in databases each has its own connection."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""

    async def whole(scenario: Scenario) -> None:
        memory = MemoryStore()
        url = await fresh_database(server) if server else f"sqlite:///{tmp_path / 'gateway.db'}"
        opened = [memory if request.param == "memory" else await open_store(url) for _ in range(2)]
        scope = Scope(kind="key", id="k", budgets=(Budget(nano=LIMIT),))
        await opened[0].create(scope, change(scope), keys.digest(KEY.encode()))
        waiting = iter(opened)
        try:
            await scenario(lambda name, provider: Worker(next(waiting), name, provider))
        finally:
            for store in opened:
                await store.close()

    return lambda scenario: asyncio.run(whole(scenario))


def ledger(worker: Worker) -> Any:
    return worker.store.rows(Filter(), limit=9, offset=0)


def test_what_a_batch_may_cost_is_held_for_every_worker(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        one, other = (worker(name, Provider(ENDED)) for name in ("w1", "w2"))
        await one.makes(700_000)
        assert (await one.left(), await other.left()) == (300_000, 300_000)
        for each in (one, other):
            with pytest.raises(BudgetExceededError, match=r"held by calls in flight and batches"):
                await each.makes(300_001)
        await other.makes(300_000, "batch_2")
        assert (await one.left(), await ledger(one)) == (0, [])

    run(scenario)


def test_a_batch_must_fit_what_is_left_and_a_call_need_not(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        one = worker("w1", Provider(ENDED))
        with pytest.raises(BudgetExceededError):
            await one.makes(LIMIT + 1)
        assert one.governance.admit(await one.who(), facts("m", LIMIT + 1), one.now).row.held == LIMIT + 1
        with pytest.raises(PermissionDeniedError, match="no price is known"):
            await one.makes(None)

    run(scenario)


def test_its_end_is_booked_once_by_whoever_sees_it(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        workers = [worker(name, Provider(ENDED)) for name in ("w1", "w2")]
        held = await workers[0].makes(700_000)
        for _ in range(2):
            for each in workers:
                each.books.seen("openai", ENDED)
                each.books.seen("openai", ENDED)
            await asyncio.gather(*(each.books.settled() for each in workers))
        (row,) = await ledger(workers[0])
        assert (row.id, row.outcome, row.usage) == (held.id, "success", Usage(input_tokens=2000, output_tokens=200))
        assert (row.charged, row.held, row.estimated) == (2 * COST, 700_000, False)
        assert (row.provider, row.upstream_model, row.deployment) == ("openai", "gpt-4o-mini", deployment().id)
        assert await workers[0].store.verify() == []
        for each in workers:
            each.governance.others({}, await each.store.moved(0))
            assert await each.left() == LIMIT - 2 * COST
        assert sum(len(each.told) for each in workers) == 1

    run(scenario)


@pytest.mark.parametrize("days", [0, 1])
def test_whoever_settles_it_tells_of_the_budget_that_it_passed(run: Callable[[Scenario], None], days: int) -> None:
    """A worker that has never seen its key; and of a window that is over by then."""

    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        maker, other = (worker(name, Provider(ENDED)) for name in ("w1", "w2"))
        scope = Scope(kind="key", id="k", template="small", budgets=(Budget(nano=LIMIT, span="1d"),))
        template = Scope(kind="budget", id="small", budgets=(Budget(nano=2 * COST, span="7d", thresholds=(100, 120)),))
        await maker.store.replace(scope, change(scope, "update"))
        await maker.store.create(template, change(template))
        await maker.makes(200_000)
        other.now += days * 86_400
        other.books.seen("openai", ENDED)
        await other.books.settled()
        maker.books.seen("openai", ENDED)
        await maker.books.settled()
        assert [(alert.key.kind, alert.key.id, alert.percent, alert.spent, alert.limit) for alert in other.alerts] == [
            ("key", "k", 100, 2 * COST, 2 * COST)
        ]
        assert maker.alerts == []

    run(scenario)


def ends(status: Any, results: bool = False) -> Batch:
    return Batch(id="batch_1", status=status, results=results, output_file="file-1" if results else None)


@pytest.mark.parametrize(
    ("found", "answers", "outcome", "charged"),
    [
        (ends("failed"), 0, "error", 0),
        (ends("expired"), 0, "error", 0),
        (ends("cancelled"), 0, "cancelled", 0),
        (ends("completed", results=True), 0, "error", 0),
        (ends("cancelled", results=True), 1, "cancelled", COST),
        (ends("expired", results=True), 1, "success", COST),
        (NotFoundError("gone"), 0, "interrupted", 700_000),
    ],
    ids=lambda value: value.status if isinstance(value, Batch) else None,
)
def test_what_was_not_answered_is_free_again(found: Any, answers: int, outcome: str, charged: int) -> None:
    """But for a batch of which its provider knows nothing any more: that is taken as spent."""

    async def scenario() -> None:
        store = await _stored()
        one = Worker(store, "w1", Provider(found, answers))
        held = await one.makes(700_000)
        await one.books.look(await store.batch("openai", "batch_1"))
        (row,) = await ledger(one)
        assert (row.id, row.outcome, row.charged) == (held.id, outcome, charged)
        assert await one.left() == LIMIT - charged
        assert await store.reserved() == {}

    asyncio.run(scenario())


async def _stored() -> MemoryStore:
    store, scope = MemoryStore(), Scope(kind="key", id="k", budgets=(Budget(nano=LIMIT),))
    await store.create(scope, change(scope), keys.digest(KEY.encode()))
    return store


def test_a_kill_loses_nothing(run: Callable[[Scenario], None]) -> None:
    """Before the provider has answered, nobody can know whether it took the batch: that is taken as spent. Afterwards another
    worker looks for its end.
    """

    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        dead, heir = worker("w1", Provider(ENDED)), worker("w2", Provider(ENDED))
        await dead.makes(100_000, upstream="")
        await dead.makes(500_000, upstream="batch_1")
        assert await heir.left() == 400_000
        await heir.books.turn()
        assert await ledger(heir) == []
        heir.now += AGAIN
        await heir.books.turn()
        rows = {row.outcome: row.charged for row in await ledger(heir)}
        assert rows == {"interrupted": 100_000, "success": 2 * COST}
        assert await heir.left() == LIMIT - 100_000 - 2 * COST
        assert await heir.store.verify() == []

    run(scenario)


def test_one_worker_looks_at_a_time_and_again_later(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        provider = Provider(ends("in_progress"))
        workers = [worker(name, provider) for name in ("w1", "w2")]
        await workers[0].makes(500_000)
        for asked in (1, 2):
            for each in workers:
                each.now += AGAIN
            await asyncio.gather(*(each.books.turn() for each in workers))
            assert provider.asked == asked
        assert await ledger(workers[0]) == []

    run(scenario)


def test_a_provider_that_is_away_is_asked_again_until_nobody_can_know_any_more() -> None:
    async def scenario() -> None:
        store = await _stored()
        one = Worker(store, "w1", Provider(APIConnectionError("away")))
        await one.makes(500_000)
        one.now += AGAIN
        await one.books.turn()
        assert (await one.left(), await ledger(one)) == (500_000, [])
        one.now += GIVEN_UP
        await one.books.turn()
        assert [row.outcome for row in await ledger(one)] == ["interrupted"]

    asyncio.run(scenario())


def test_what_the_provider_does_not_take_holds_nothing(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        one = worker("w1", Provider(ENDED))
        held = await one.makes(500_000, upstream="")
        await one.books.refused(held, BadRequestError("no"))
        assert await one.left() == LIMIT
        assert await one.store.batches("owner", "openai_chat", before=inf, limit=9) == []
        assert [(row.outcome, row.status, row.charged) for row in await ledger(one)] == [("error", 400, 0)]

    run(scenario)


def test_batches_are_listed_by_owner_and_dialect(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        one = worker("w1", Provider(ENDED))
        for number in range(3):
            one.now += 1
            await one.makes(1, f"batch_{number}")
        assert await one.store.batches("other", "openai_chat", before=inf, limit=9) == []
        assert await one.store.batches("owner", "anthropic_messages", before=inf, limit=9) == []
        page = await one.store.batches("owner", "openai_chat", before=inf, limit=2)
        assert len(page) == 2
        rest = await one.store.batches("owner", "openai_chat", before=page[-1].row.began, limit=9)
        assert sorted(batch.upstream for batch in page + rest) == ["batch_0", "batch_1", "batch_2"]

    run(scenario)


def test_an_estimate_is_of_all_its_calls_at_the_price_of_batches() -> None:
    def asked(model: str, tokens: int) -> Call:
        body = json.dumps({"model": model, "max_tokens": tokens, "messages": []}).encode()
        return Call(operation="chat", dialect="openai_chat", model="m", body=body, deployments=())

    calls = [asked("m", 100), asked("m", 200)]
    prompts = sum(len(call.body) // 4 + 1 for call in calls)
    assert estimate(calls, deployment()) == pytest.approx(prompts * 75 + 300 * 300, abs=2)
    assert estimate(calls, deployment("openai/nobody-knows-its-price")) is None


def test_a_model_without_a_price_of_batches_costs_its_usual_one() -> None:
    async def scenario() -> None:
        terms = Terms(input_rate=10**9, output_rate=2 * 10**9)  # nano-dollars a million: of a configuration
        place = Deployment(deployment().target, group="m", terms=terms)
        one = Worker(await _stored(), "w1", Provider(ENDED), place)
        await one.makes(500_000)
        await one.books.closed("openai", ENDED)
        assert [row.charged for row in await ledger(one)] == [2 * (1000 * 1000 + 100 * 2000)]

    asyncio.run(scenario())


def test_where_workers_lease_what_batches_hold_is_off_the_limit() -> None:
    counter, budget = Counter(CounterKey("key", "k", "", ""), inf, shared=True), Budget(nano=100)
    counter.reserved = 60
    charges = (Charge(counter, (budget,)),)
    with pytest.raises(LeaseNeededError) as needed:
        reserve(charges, 30, 0.0)
    assert needed.value.wanted == (Wanted(counter, 30, 40),)
    with pytest.raises(BudgetExceededError):
        reserve(charges, 41, 0.0, whole=True)


def test_one_whose_making_took_too_long_is_booked_once_and_holds_nothing_more(run: Callable[[Scenario], None]) -> None:
    async def scenario(worker: Callable[[str, Provider], Worker]) -> None:
        one = worker("w1", Provider(ENDED))
        held = await one.makes(400_000, "")
        one.now += AGAIN + 1
        await one.books.turn()
        await one.books.made(held, "batch_1")
        assert [(row.outcome, row.charged) for row in await ledger(one)] == [("interrupted", 400_000)]
        assert await one.store.reserved() == {}

    run(scenario)


CLOSED = TransportFailure("closed", "reset by peer")
UNSENT = TransportFailure("connect", "refused", sent=False)


@pytest.mark.parametrize(
    "error, cause, held",
    [
        (APIConnectionError("it broke"), CLOSED, True),
        (Timeout("silence", phase="first_token"), TransportFailure("first_token", "silence"), True),
        (ResponseDecodeError("no JSON"), None, True),
        (APIConnectionError("nobody there"), UNSENT, False),
        (BadRequestError("no such file"), None, False),
    ],
    ids=repr,
)
def test_what_the_provider_may_have_taken_stays_held(error: DragomanError, cause: Exception | None, held: bool) -> None:
    async def scenario() -> None:
        one = Worker(await _stored(), "w", Provider(ENDED))
        batch = await one.makes(700_000, "")
        error.__cause__ = cause
        await one.books.failed(batch, error)
        assert await one.left() == (LIMIT - 700_000 if held else LIMIT)

    asyncio.run(scenario())


def test_one_that_cannot_be_looked_at_keeps_no_other_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    class Strange(Provider):
        async def find(self, upstream: str) -> Batch:
            if upstream == "strange":
                raise KeyError("processing_status")
            return msgspec.structs.replace(ENDED, id=upstream)

    async def scenario() -> None:
        one = Worker(await _stored(), "w", Strange(ENDED))
        for upstream in ("strange", "batch_1", "batch_2"):
            await one.makes(1000, upstream)
        one.now += AGAIN + 1
        await one.books.turn()
        assert len(await ledger(one)) == 2

    asyncio.run(scenario())
    assert "is looked at again later" in caplog.text


def test_what_is_held_while_a_worker_hears_of_others_is_not_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await _stored()
        one, news, asked = Worker(store, "w", Provider(ENDED)), store.news, asyncio.Event()
        shipping = Shipping(one.governance, store, FileJournal(tmp_path, "w"), pace=Pace(), clock=lambda: one.now)

        async def slow(*given: Any, **named: Any) -> News:
            found = await news(*given, **named)
            asked.set()
            await going_on.wait()
            return found

        going_on = asyncio.Event()
        store.news = slow  # type: ignore[method-assign]  # as slow as a database
        turn = asyncio.create_task(shipping.turn())
        await asked.wait()
        await one.makes(900_000)
        going_on.set()
        await turn
        with pytest.raises(BudgetExceededError):
            await one.makes(900_000, "batch_2")

    asyncio.run(scenario())


def test_who_leaves_cancels_the_end_of_no_batch() -> None:
    class Slow(Provider):
        async def results(self, batch: Batch) -> AsyncIterator[bytes]:
            await going_on.wait()
            async for line in super().results(batch):
                yield line

    going_on = asyncio.Event()

    async def scenario() -> None:
        one = Worker(await _stored(), "w", Slow(ENDED))
        for upstream in ("batch_1", "batch_2"):
            await one.makes(1000, upstream)
        one.books.seen("openai", ENDED)
        leaving = asyncio.create_task(one.books.closed("openai", msgspec.structs.replace(ENDED, id="batch_2")))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        going_on.set()
        await one.books.settled()
        assert len(await ledger(one)) == 2

    asyncio.run(scenario())
