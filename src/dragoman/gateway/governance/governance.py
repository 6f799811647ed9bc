"""The governance of one worker: who asks, may they, what is held for it, what it came to. Every face of the gateway asks here.

    identity = governance.identify(header, now) or await governance.load(header, address, now)
    if not governance.ready(identity, facts): await governance.prepare(identity, facts, now)
    hold = governance.admit(identity, facts, now)          # raises, or reserves everywhere at once
    call.watch(governance.observer(hold, time.time))       # settles exactly once; or governance.release(hold, now)

Nothing here waits, but for `load` and `prepare`, which ask the store about what is new. What a call did goes to the journal,
which is memory of the kernel's, and from there to the store by `shipping`. Time is an argument: Unix seconds.
"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from dragoman.catalog.cost import Cost, minute_of_day
from dragoman.core.chat import Usage
from dragoman.core.errors import (
    BudgetExceededError,
    InvalidKeyError,
    PermissionDeniedError,
    ServiceUnavailableError,
    StreamInterruptedError,
)
from dragoman.engine.call import Call
from dragoman.engine.price import price
from dragoman.gateway.governance import budgets, keys, ledger, limits
from dragoman.gateway.governance.batches import BatchStore
from dragoman.gateway.governance.budgets import Alert, Book, Budget, Charge, Counter, CounterKey
from dragoman.gateway.governance.directory import Directory, FoundKey, Over, Reader
from dragoman.gateway.governance.facts import Facts, Prices
from dragoman.gateway.governance.identity import MAX_CHECKED, Failures, Identity, master
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.limits import Amounts, Limiter, Meter, Taken
from dragoman.gateway.governance.scopes import Reference, Scope, check_call
from dragoman.gateway.governance.thrift import Thrift
from dragoman.shared.accounts import LeaseNeededError, Leases

Lookup = Callable[[bytes], bytes | None]


class Policy(Struct, frozen=True, kw_only=True):
    """`unpriced`: what happens to a call without a known price where a budget holds: "refuse" or "allow". `end_users`: what
    end users without a record are under, whatever its id. `failures`: wrong keys an address may show in a minute.
    `hold_seconds`: after this long a reservation that nobody settled is taken as spent. `unshipped`: rows that may wait for the
    store; with more of them no call is admitted. `thrift`: cheaper models, for scopes that name none.
    """

    unpriced: str = "refuse"
    end_users: Scope | None = None
    failures: int = 20
    hold_seconds: float = 6 * 3600.0
    unshipped: int = 100_000
    thrift: Thrift | None = None


class Journal(Protocol):
    """Where rows are safe from a kill. `append` raises ServiceUnavailableError when there is no room for an opened row."""

    def append(self, row: Row) -> None: ...


class Kept(Reader, BatchStore, Protocol):
    """What is asked of the store beside the requests: who is who, what was spent, and the batches."""


class Tokens(Protocol):
    """Keys that somebody else signs. `key` raises InvalidKeyError, PermissionDeniedError, ServiceUnavailableError."""

    def recognises(self, key: bytes) -> bool: ...
    async def key(self, token: bytes, now: float) -> FoundKey: ...


class Plan(NamedTuple):
    """What calls of one kind by one identity touch. Good until `ends`, in its `generation`."""

    charges: tuple[Charge, ...]
    meters: tuple[Meter, ...]
    keys: tuple[CounterKey, ...]
    budgeted: bool
    ends: float
    generation: int


class Hold:
    """What one admitted call holds. It ends exactly once: settled, released or expired. `row` is open in the journal."""

    __slots__ = ("charges", "open", "row", "taken")

    def __init__(self, row: Row, charges: tuple[Charge, ...], taken: tuple[Taken, ...]) -> None:
        self.row = row
        self.charges = charges
        self.taken = taken
        self.open = True


class Governance:
    """See the module. `worker` is unique among all workers that ever were; `leases`: where limits and budgets are shared.
    `alerted` is told when budgets pass thresholds.
    """

    def __init__(
        self,
        store: Kept,
        journal: Journal,
        *,
        worker: str,
        policy: Policy | None = None,
        leases: Leases | None = None,
        alerted: Callable[[Alert], None] = lambda _: None,
    ) -> None:
        self.policy = policy or Policy()
        self.store = store
        self.book = Book(shared=leases is not None)
        self.prices = Prices()
        self.directory = Directory(store, self.book, default=self._default, thrift=self.policy.thrift)
        self.holds: dict[str, Hold] = {}
        self.ended: list[Row] = []
        self.tokens: Tokens | None = None
        """What makes keys of the tokens of an identity provider, where there is one."""
        self._journal = journal
        self._leases = leases
        self._limiter = Limiter(shared=leases is not None)
        self._failures = Failures(self.policy.failures)
        self._worker = worker
        self._alerted = alerted
        self._count = 0
        self._elsewhere: set[CounterKey] = set()
        self.reserving = Lock()  # held from reading what batches hold until `book` has it: an older answer comes never last

    # who
    def trust(self, key: str) -> None:
        """The key of the configuration: it may do everything."""
        self.directory.trust(master(keys.digest(key.encode())))

    def identify(self, header: Lookup, now: float) -> Identity | None:
        """Who asks, from memory; None when the store has to be asked. Raises InvalidKeyError, PermissionDeniedError."""
        found = self.directory.find(keys.digest(keys.shown(header)))
        if found is not None:
            found.check(now)
        return found

    async def load(self, header: Lookup, address: str, now: float) -> Identity:
        """Who asks, out of the store. Raises as `identify`, and RateLimitExceededError for who keeps guessing."""
        key = keys.shown(header)
        if not key:
            raise InvalidKeyError("no API key was sent: use Authorization: Bearer KEY or x-api-key: KEY")
        self._failures.check(address, now)
        try:
            found = await self._found(key, now)
        except InvalidKeyError:
            self._failures.record(address, now)
            raise
        found.check(now)
        return found

    async def _found(self, key: bytes, now: float) -> Identity:
        if self.tokens is not None and self.tokens.recognises(key):
            return await self.directory.vouched(await self.tokens.key(key, now), now)
        return await self.directory.load(keys.digest(key), now)

    def ready(self, identity: Identity, facts: Facts) -> bool:
        """Whether `admit` can answer without `prepare`."""
        return not (facts.end_user or facts.tags) or self.directory.knows(_beside(identity, facts))

    async def prepare(self, identity: Identity, facts: Facts, now: float) -> None:
        await self.directory.prepare(_beside(identity, facts), now)

    # before a call
    def admit(self, identity: Identity, facts: Facts, now: float) -> Hold:
        """Hold money, tokens and a place for a call, everywhere or nowhere.

        Raises as `reserve`, and ServiceUnavailableError when the journal has no room.
        """
        hold = self.reserve(identity, facts, now)
        try:
            self._journal.append(hold.row)
        except Exception:
            self.returned(hold)
            raise
        self.holds[hold.row.id] = hold
        return hold

    def reserve(self, identity: Identity, facts: Facts, now: float, *, whole: bool = False) -> Hold:
        """What `admit` holds, in memory alone: for who keeps the row elsewhere and says `returned` then. `whole`: of `budgets`.

        Raises PermissionDeniedError, InvalidKeyError, RateLimitExceededError, BudgetExceededError, and
        ServiceUnavailableError when `prepare` was left out. LeaseNeededError: `lease` what it wants.
        """
        if len(self.ended) >= self.policy.unshipped:
            raise ServiceUnavailableError("the gateway's ledger cannot be written, so it takes no calls", attempts=0)
        identity.check(now)
        identity.check_call(facts.model, facts.operation, facts.route)
        plan = self._plan(identity, facts, now)
        if facts.nano is None and plan.budgeted and self.policy.unpriced == "refuse":
            raise PermissionDeniedError(
                f"no price is known for {facts.model!r}, and a budget holds for this key: ask the admin to state the price",
                attempts=0,
            )
        taken = limits.take(plan.meters, facts.amounts, now) if plan.meters else ()
        nano = facts.nano or 0
        try:
            budgets.reserve(plan.charges, nano, now, whole=whole)
        except Exception as problem:
            limits.give_back(taken)
            if isinstance(problem, BudgetExceededError):
                problem.limits = limits.headers(plan.meters, now)
            raise
        return Hold(self._row(identity, facts, plan, nano, now), plan.charges, taken)

    def returned(self, hold: Hold, *, counted: bool = False) -> None:
        """Nothing of it is held here any more. `counted`: it was a request all the same."""
        budgets.release(hold.charges, hold.row.held)
        if counted:
            limits.correct(hold.taken, Amounts())
        else:
            limits.give_back(hold.taken)

    async def lease(self, needed: LeaseNeededError) -> None:
        """Have what `admit` lacked; then it answers, or it lacks something else."""
        if self._leases is not None:
            await self._leases.lease(needed.wanted)

    def headers(self, hold: Hold, now: float) -> tuple[tuple[bytes, bytes], ...]:
        """`x-ratelimit-*` for the answer."""
        return limits.headers([taken.meter for taken in hold.taken], now)

    # after it
    def observer(self, hold: Hold, clock: Callable[[], float]) -> Callable[[Call], None]:
        """For `call.watch`: settles when the call does, at the price of the catalog."""

        def settled(call: Call) -> None:
            now = clock()
            usage = call.settlement.usage if call.settlement else None
            cost = price(call, usage, minute=minute_of_day(now))
            self.settle(hold, call, usage, cost, now)
            if cost is not None and cost.nano_dollars is not None and not call.stream:
                call.headers += budgets.headers(cost.nano_dollars)

        return settled

    def settle(self, hold: Hold, call: Call, usage: Usage | None, cost: Cost | None, now: float) -> None:
        """The call has ended, well or not. Only the first end of a hold counts."""
        self._end(hold, settled(hold.row, call, usage, cost, now), ledger.kept(usage))

    def release(self, hold: Hold, now: float, error: BaseException | None = None) -> None:
        """The call never went out. Only the first end of a hold counts."""
        if hold.open:
            limits.give_back(tuple(taken for taken in hold.taken if taken.meter.limit.kind != "requests"))
            hold.taken = tuple(taken for taken in hold.taken if taken.meter.limit.kind == "requests")
        self._end(hold, ledger.released(hold.row, error, now), None)

    def sweep(self, now: float) -> None:
        """End reservations that nobody settled, and forget windows that are over. Called now and then."""
        limit = now - self.policy.hold_seconds
        for hold in [hold for hold in self.holds.values() if hold.row.began < limit]:
            self._end(hold, ledger.interrupted(hold.row, now), None)
        self.book.sweep(now)
        if self._limiter.sweep(now):
            self.directory.generation += 1

    # between memory and store
    def take_ended(self, most: int) -> list[Row]:
        """Rows to be shipped, the oldest first. They stay until `shipped`."""
        return self.ended[:most]

    def shipped(self, rows: list[Row], totals: Mapping[CounterKey, int]) -> None:
        """These rows are in the store, whose counters now say `totals`."""
        for row in rows:
            for key in row.charges:
                if (counter := self.book.find(key)) is not None:
                    counter.shipped(row.charged)
        del self.ended[: len(rows)]
        over = {key: counter.over for key in totals if (counter := self.book.find(key)) is not None}
        self.counted(rows, totals, over)

    def counted(self, rows: list[Row], totals: Mapping[CounterKey, int], over: Over) -> None:
        """As `shipped`, of rows that were not ended here. `over`: the budgets, as `directory.over` tells them. The store counts
        one lot after the other, so of all workers one alone sees a sum pass a threshold: the one whose rows did it.
        """
        for key, nano in totals.items():
            if (counter := self.book.find(key)) is not None:
                counter.stored, counter.known = nano, True
            new = [row for row in rows if key in row.charges]
            if new:
                before = nano - sum(row.charged for row in new)
                for alert in budgets.passed(key, over.get(key, ()), before, nano, new[-1].ended):
                    self._alerted(alert)

    def held(self) -> dict[CounterKey, int]:
        """What this worker has taken and the store does not know: for the other workers."""
        return {c.key: c.held + c.unshipped for c in self.book.current() if c.held or c.unshipped}

    def others(self, held: Mapping[CounterKey, int], stored: Mapping[CounterKey, int]) -> None:
        """What other workers hold, and what counters that have moved say in the store."""
        for key in self._elsewhere - held.keys():
            self._hear(key, 0)
        for key, nano in held.items():
            self._hear(key, nano)
        self._elsewhere = set(held)
        for key, nano in stored.items():
            if (counter := self.book.find(key)) is not None:
                counter.stored, counter.known = nano, True

    def _hear(self, key: CounterKey, nano: int) -> None:
        counter = self.book.find(key)
        if counter is not None:
            counter.elsewhere = nano

    def changed(self, references: Iterable[Reference]) -> None:
        """These scopes were changed, here or by another worker."""
        self.directory.changed(references)

    # parts
    def _default(self, reference: Reference) -> Scope | None:
        """End users without a record, under a policy that confines them."""
        typical = self.policy.end_users
        if reference.kind != "end_user" or typical is None:
            return None
        return msgspec.structs.replace(typical, id=reference.id)

    def _end(self, hold: Hold, row: Row, usage: Usage | None) -> None:
        if not hold.open:
            return
        hold.open = False
        del self.holds[row.id]
        limits.correct(hold.taken, _counted(row, usage))
        budgets.settle(hold.charges, row.held, row.charged)
        self.ended.append(row)
        self._journal.append(row)

    def _row(self, identity: Identity, facts: Facts, plan: Plan, nano: int, now: float) -> Row:
        self._count += 1
        key = identity.key
        return Row(
            id=f"{self._worker}-{self._count:x}",
            began=now,
            request_id=ledger.plain(facts.request_id),
            client=facts.client,
            key=key.id,
            organization=key.organization,
            team=key.team,
            user=key.user,
            end_user=facts.end_user,
            session=facts.session,
            tags=(*key.tags, *facts.tags)[: ledger.MAX_LISTED],
            route=facts.route,
            operation=facts.operation,
            dialect=facts.dialect,
            model=ledger.plain(facts.model),
            asked=ledger.plain(facts.asked),
            stream=facts.stream,
            held=nano,
            charges=plan.keys,
        )

    def _plan(self, identity: Identity, facts: Facts, now: float) -> Plan:
        kind = (facts.model, facts.operation, facts.route, facts.end_user, facts.tags)
        found: Plan | None = identity.plans.get(kind)
        if found is None or now >= found.ends or found.generation != self.directory.generation:
            if len(identity.plans) >= MAX_CHECKED:
                identity.plans.clear()
            found = identity.plans[kind] = self._made(identity, facts, now)
        return found

    def _made(self, identity: Identity, facts: Facts, now: float) -> Plan:
        tags = identity.tags + facts.tags
        charges: dict[Counter, list[Budget]] = {}
        meters: dict[Meter, None] = {}
        for scope in self._touched(identity, facts, now, charges):
            charges.setdefault(self.book.counter(scope.kind, scope.id, "", "", now), [])
            for budget in scope.budgets:
                if budget.covers(facts.model, tags):
                    counter = self.book.counter(scope.kind, scope.id, budget.part, budget.span, now)
                    charges.setdefault(counter, []).append(budget)
            for limit in sorted(scope.limits, key=lambda limit: -limit.amount):  # of two alike the smaller one stays
                if limit.covers(facts.model):
                    meters[self._limiter.meter(scope.kind, scope.id, limit)] = None
        for counter, over in charges.items():
            counter.over = tuple(over)
        return Plan(
            charges=tuple(Charge(counter, tuple(over)) for counter, over in charges.items()),
            meters=tuple(meters),
            keys=tuple(counter.key for counter in charges),
            budgeted=any(charges.values()),
            ends=min((counter.ends for counter in charges), default=inf),
            generation=self.directory.generation,
        )

    def _touched(self, identity: Identity, facts: Facts, now: float, charges: dict[Counter, list[Budget]]) -> list[Scope]:
        """The identity's scopes, the end user's and the tags'. For those without a record only spending is recorded."""
        found = list(identity.scopes)
        for reference in _beside(identity, facts):
            try:
                scope = self.directory.scope(reference)
            except KeyError:
                raise ServiceUnavailableError(
                    f"{reference.kind} {reference.id!r} is not loaded: ask again", attempts=0
                ) from None
            if scope is None:
                charges[Counter(CounterKey(*reference, "", ""), inf)] = []
                continue
            scope.check(now)
            check_call(scope, facts.model, facts.operation, facts.route)
            found.append(scope)
        return found


def settled(row: Row, call: Call, usage: Usage | None, cost: Cost | None, now: float) -> Row:
    """The open row as it stands once the call has ended, well or not."""
    used = ledger.kept(usage)
    if used is None and usage is not None:  # it cannot be true, so neither is its price
        cost = None
    nano, estimated = charged(row.held, call, used, cost)
    return msgspec.structs.replace(ledger.closed(row, call, used, cost, now), charged=nano, estimated=estimated)


def charged(held: int, call: Call, usage: Usage | None, cost: Cost | None) -> tuple[int, bool]:
    """(nano-dollars to charge, whether that is an estimate).

    Where an answer had begun and nobody told its usage, what was held is charged: leaving early must not be free.
    """
    settlement = call.settlement
    error = settlement.error if settlement else None
    if usage is not None or (cost is not None and cost.lines):
        return min(cost.nano_dollars or 0, ledger.MAX_COUNT) if cost is not None else 0, False
    if not call.attempts or (error is not None and not isinstance(error, StreamInterruptedError)):
        return 0, False
    return held, held > 0


def _counted(row: Row, usage: Usage | None) -> Amounts | None:
    """The tokens that count against limits; None: as estimated. What failed took none."""
    if usage is not None:
        return Amounts(usage.input_tokens, usage.output_tokens)
    return None if row.outcome != "error" or row.estimated else Amounts()


def _beside(identity: Identity, facts: Facts) -> list[Reference]:
    """The end user and the tags of a call."""
    found = [Reference("end_user", facts.end_user)] if facts.end_user else []
    return found + [Reference("tag", tag) for tag in dict.fromkeys(identity.tags + facts.tags)]
