"""Budgets: never over the stated bound, whatever happens in whatever order, and every reservation ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from dragoman.catalog.cost import Cost
from dragoman.core.chat import Usage
from dragoman.core.errors import BudgetExceededError, StreamInterruptedError, Timeout
from dragoman.gateway.governance.budgets import Alert, Budget, CounterKey, Increase
from dragoman.gateway.governance.governance import Governance, Hold
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store.memory import MemoryStore
from support.governing import ADDRESS, NOW, ListJournal, call, facts, governed, header, run, stored

DAY = 86400.0


def spent(governance: object, kind: str, id_: str, part: str = "", span: str = "", now: float = NOW) -> int:
    return governance.book.counter(kind, id_, part, span, now).spent  # type: ignore[attr-defined]


def priced(nano: int) -> Cost:
    return Cost(nano_dollars=nano)


USED = Usage(input_tokens=1)


class Money(RuleBasedStateMachine):
    """One key with two budgets in a team with one, calls of any estimate, any end, and the clock going on."""

    holds = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.limits = {("key", ""): 1000, ("key", "1d"): 400, ("team", "30d"): 700}
        own = (Budget(nano=1000), Budget(nano=400, span="1d"))
        team = Scope(kind="team", id="t", budgets=(Budget(nano=700, span="30d"),))
        self.governance, self.identity = run(governed(team, Scope(kind="key", id="k", team="t", budgets=own)))
        self.now = NOW
        self.excess: dict[CounterKey, int] = {}
        self.last: dict[CounterKey, int] = {}
        self.open = 0

    @rule(target=holds, nano=st.integers(0, 600))
    def admit(self, nano: int) -> Hold | None:
        try:
            hold = self.governance.admit(self.identity, facts(nano=nano), self.now)
        except BudgetExceededError:
            return None
        self.open += 1
        for charge in hold.charges:  # what one call may take beyond what was left
            for budget in charge.budgets:
                over = charge.counter.taken - budget.limit(self.now)
                self.last[charge.counter.key] = max(self.last.get(charge.counter.key, 0), over)
        return hold

    @rule(hold=consumes(holds), cost=st.integers(0, 900))
    def settle(self, hold: Hold | None, cost: int) -> None:
        if hold is None:
            return
        self.governance.settle(hold, call(usage=USED), USED, priced(cost), self.now)
        self.governance.settle(hold, call(usage=USED), USED, priced(cost), self.now)
        self.governance.release(hold, self.now)
        self.open -= 1
        for charge in hold.charges:
            key = charge.counter.key
            self.excess[key] = self.excess.get(key, 0) + max(0, cost - hold.row.held)

    @rule(hold=consumes(holds), how=st.sampled_from(["release", "fail", "cancel"]))
    def end(self, hold: Hold | None, how: str) -> None:
        if hold is None:
            return
        self.open -= 1
        if how == "release":
            self.governance.release(hold, self.now)
        else:
            ended = call(error=Timeout("late")) if how == "fail" else call(cancelled=True)
            self.governance.settle(hold, ended, None, None, self.now)

    @rule(seconds=st.sampled_from([1.0, DAY / 3, DAY, 31 * DAY]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def no_budget_is_over_its_bound(self) -> None:
        for counter in self.governance.book.current():
            limit = self.limits.get((counter.key.kind, counter.key.window.partition("#")[0]))
            if limit is not None:
                bound = limit + self.excess.get(counter.key, 0) + self.last.get(counter.key, 0)
                assert counter.spent <= bound

    @invariant()
    def what_is_held_is_what_open_calls_hold(self) -> None:
        assert len(self.governance.holds) == self.open
        for counter in self.governance.book.current():
            holding = [
                hold.row.held for hold in self.governance.holds.values() if any(c.counter is counter for c in hold.charges)
            ]
            assert counter.held == sum(holding) >= 0

    @invariant()
    def the_ledger_says_what_the_counters_say(self) -> None:
        for counter in self.governance.book.current():
            rows = [row.charged for row in self.governance.ended if counter.key in row.charges]
            assert counter.spent == sum(rows)

    def teardown(self) -> None:
        if hasattr(self, "governance"):
            self.governance.sweep(self.now + self.governance.policy.hold_seconds + 1)
            assert not self.governance.holds
            assert all(counter.held == 0 for counter in self.governance.book.current())


Money.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_money = Money.TestCase


def test_500_calls_at_once_on_money_for_100() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", budgets=(Budget(nano=100_000),))))
    holds = []
    for _ in range(500):
        try:
            holds.append(governance.admit(identity, facts(nano=1000), NOW))
        except BudgetExceededError:
            continue
    assert len(holds) == 100
    for hold in holds:
        governance.settle(hold, call(usage=USED), USED, priced(900), NOW)
    assert spent(governance, "key", "k") == 90_000
    more = [governance.admit(identity, facts(nano=1000), NOW) for _ in range(10)]
    assert len(more) == 10
    with pytest.raises(BudgetExceededError):
        governance.admit(identity, facts(nano=1000), NOW)


def test_a_generous_estimate_does_not_lock_the_last_cents_away() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", budgets=(Budget(nano=100),))))
    hold = governance.admit(identity, facts(nano=5000), NOW)
    with pytest.raises(BudgetExceededError, match="held by calls in flight"):
        governance.admit(identity, facts(nano=1), NOW)
    governance.settle(hold, call(usage=USED), USED, priced(60), NOW)
    governance.release(governance.admit(identity, facts(nano=5000), NOW), NOW)


def test_a_late_call_is_booked_in_the_window_where_it_began() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", budgets=(Budget(nano=100, span="1d"),))))
    hold = governance.admit(identity, facts(nano=100), NOW)
    tomorrow = NOW + DAY
    other = governance.admit(identity, facts(nano=100), tomorrow)
    governance.settle(hold, call(usage=USED), USED, priced(100), tomorrow)
    assert spent(governance, "key", "k", span="1d", now=tomorrow) == 0
    yesterday, today = (next(key for key in h.row.charges if key.window) for h in (hold, other))
    assert yesterday != today


@pytest.mark.parametrize(
    "budget, model, tags, counts",
    [
        (Budget(nano=5), "gpt", (), True),
        (Budget(nano=5, model="gpt*"), "gpt-4o", (), True),
        (Budget(nano=5, model="gpt*"), "claude", (), False),
        (Budget(nano=5, tag="batch"), "claude", ("batch",), True),
        (Budget(nano=5, tag="batch"), "claude", (), False),
        (Budget(nano=5, tag="batch", model="gpt*"), "claude", ("batch",), False),
    ],
)
def test_a_budget_counts_its_part(budget: Budget, model: str, tags: tuple[str, ...], counts: bool) -> None:
    async def scenario() -> None:
        governance, identity = await governed(Scope(kind="key", id="k", budgets=(budget,)))
        asked = facts(model=model, nano=5, tags=tags)
        await governance.prepare(identity, asked, NOW)
        governance.settle(governance.admit(identity, asked, NOW), call(usage=USED), USED, priced(5), NOW)
        if counts:
            with pytest.raises(BudgetExceededError):
                governance.admit(identity, asked, NOW)
        else:
            governance.admit(identity, asked, NOW)

    run(scenario())


def test_every_level_holds_and_a_refusal_holds_nothing() -> None:
    for kind, scope in {
        "organization": Scope(kind="organization", id="x", budgets=(Budget(nano=10),)),
        "team": Scope(kind="team", id="x", budgets=(Budget(nano=10),)),
        "user": Scope(kind="user", id="x", budgets=(Budget(nano=10),)),
    }.items():
        key = Scope(kind="key", id="k", budgets=(Budget(nano=1000),), **{kind: "x"})
        governance, identity = run(governed(scope, key))
        first = governance.admit(identity, facts(nano=10), NOW)
        with pytest.raises(BudgetExceededError, match=f"the budget of {kind} x is used up"):
            governance.admit(identity, facts(nano=1), NOW)
        assert governance.book.counter("key", "k", "", "", NOW).held == 10
        governance.release(first, NOW)


def test_a_member_has_a_budget_in_its_team() -> None:
    member = Scope(kind="member", id="t/u", team="t", user="u", budgets=(Budget(nano=10),))
    scopes = [Scope(kind="team", id="t"), Scope(kind="user", id="u"), member, Scope(kind="key", id="k", team="t", user="u")]
    governance, identity = run(governed(*scopes))
    governance.admit(identity, facts(nano=10), NOW)
    with pytest.raises(BudgetExceededError, match="member t/u"):
        governance.admit(identity, facts(nano=1), NOW)


def test_a_temporary_increase_ends() -> None:
    budget = Budget(nano=10, increases=(Increase(nano=20, until=NOW + 60),))
    assert (budget.limit(NOW), budget.limit(NOW + 60)) == (30, 10)


class Worker:
    """One of several over a store, and the alerts that it has told."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.told: list[Alert] = []
        self.store = store
        self.governance = Governance(store, ListJournal(), worker=name, alerted=self.told.append)

    async def spend(self, nano: int) -> None:
        identity = await self.governance.load(header(), ADDRESS, NOW)
        self.governance.settle(self.governance.admit(identity, facts(), NOW), call(usage=USED), USED, priced(nano), NOW)

    async def ship(self) -> None:
        rows = self.governance.take_ended(100)
        self.governance.shipped(rows, await self.store.ship(rows, NOW))


def test_thresholds_are_told_once_of_each_window() -> None:
    own = (Budget(nano=100, thresholds=(50, 100)), Budget(nano=1000, span="1d", thresholds=(10,)))

    async def scenario() -> list[tuple[str, int, int, int]]:
        worker = Worker(await stored(Scope(kind="key", id="k", budgets=own)), "w")
        for nano in (30, 30, 0, 39, 1):
            await worker.spend(nano)
            await worker.ship()
        return [(alert.key.window[:2], alert.percent, alert.spent, alert.limit) for alert in worker.told]

    assert run(scenario()) == [("", 50, 60, 100), ("", 100, 100, 100), ("1d", 10, 100, 1000)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.booleans()), min_size=1, max_size=15))
def test_of_several_workers_one_tells_of_a_threshold(spent: list[tuple[int, int, bool]]) -> None:
    async def scenario() -> None:
        store = await stored(Scope(kind="key", id="k", budgets=(Budget(nano=1000, thresholds=(5,)),)))
        workers = [Worker(store, name) for name in "abc"]
        for place, nano, ships in spent:
            await workers[place].spend(nano)
            if ships:
                await workers[place].ship()
        for worker in workers:
            await worker.ship()
        passed = sum(nano for _, nano, _ in spent) >= 50
        assert len([alert for worker in workers for alert in worker.told]) == passed

    run(scenario())


@pytest.mark.parametrize(
    "ended, cost, charged, estimated",
    [
        (call(usage=USED), priced(7), 7, False),
        (call(usage=USED), Cost(reason="nobody knows"), 0, False),
        (call(error=Timeout("late")), None, 0, False),
        (call(cancelled=True, sent=False), None, 0, False),
        (call(cancelled=True), None, 50, True),  # it left early and nobody told the usage
        (call(error=StreamInterruptedError("cut")), None, 50, True),
        (call(), None, 50, True),
        (call(cancelled=True, usage=USED), priced(3), 3, False),
    ],
    ids=["priced", "unpriced", "failed", "never sent", "left", "broken", "silent", "left with usage"],
)
def test_what_an_end_costs(ended: object, cost: Cost | None, charged: int, estimated: bool) -> None:
    governance, identity = run(governed(Scope(kind="key", id="k")))
    hold = governance.admit(identity, facts(nano=50), NOW)
    governance.settle(hold, ended, ended.settlement.usage, cost, NOW + 1)  # type: ignore[attr-defined]
    row = governance.ended[-1]
    assert (row.charged, row.estimated, row.held) == (charged, estimated, 50)
    assert spent(governance, "key", "k") == charged
