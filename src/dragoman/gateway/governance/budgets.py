"""Budgets: money is reserved before a call, settled after it, released when it never happened. Integer nano-dollars.

A counter holds what was spent and what is held of one (scope, part, window). Reservation is all or nothing over every budget
that a call touches. A call is admitted when its estimate fits what is left; or when nothing else is held and something is
left, so that a generous estimate cannot lock the last cents away. So a budget is overrun by no more than: what calls in flight
cost beyond their estimates, and of one call what it costs beyond what was left. Where workers share a counter is an account
of `leases`, else each adds what it last heard of the others. Pure: `now` is an argument, no clock, no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import isinf
from typing import NamedTuple

from msgspec import Struct

from dragoman.core.errors import BudgetExceededError
from dragoman.gateway.governance import windows
from dragoman.shared.accounts import LeaseNeededError, Wanted

NANO = 1_000_000_000


class Increase(Struct, frozen=True):
    """`nano` more, `until` a time."""

    nano: int
    until: float


class Budget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`nano` in each window of `span`. `model` (a glob) and `tag` narrow it to calls of those; "" means all.

    `thresholds`: percent at which someone is told. Several budgets of one scope all hold.
    """

    nano: int
    span: str = windows.ALWAYS
    model: str = ""
    tag: str = ""
    thresholds: tuple[int, ...] = (80, 100)
    increases: tuple[Increase, ...] = ()

    def limit(self, now: float) -> int:
        if not self.increases:
            return self.nano
        return self.nano + sum(increase.nano for increase in self.increases if now < increase.until)

    @property
    def part(self) -> str:
        """The part of a scope's calls that it counts, as it stands in keys."""
        return part(self.model, self.tag)

    def covers(self, model: str, tags: tuple[str, ...]) -> bool:
        return (not self.model or fnmatchcase(model, self.model)) and (not self.tag or self.tag in tags)


def part(model: str = "", tag: str = "") -> str:
    return f"{'model=' + model if model else ''}{'&' if model and tag else ''}{'tag=' + tag if tag else ''}"


class CounterKey(NamedTuple):
    """What a sum belongs to. `window` is the id of one, so no sum is ever set back to 0."""

    kind: str
    id: str
    part: str
    window: str


class Counter:
    """One sum in nano-dollars. `stored` is in the store (every worker's), `unshipped` is ours and not there yet, `held` is
    reserved by calls of ours in flight, `elsewhere` by those of other workers when we last heard, `reserved` by all batches.
    `known`: `stored` was read. `over`: the budgets over it that calls have met. `ends`: Unix seconds. Of what the workers share
    see `accounts.Account`.
    """

    __slots__ = (
        "elsewhere",
        "ends",
        "full_until",
        "granted",
        "held",
        "key",
        "known",
        "over",
        "reserved",
        "stored",
        "unshipped",
    )

    outlives = False
    """What a dead worker held is in its journal, and is counted from there."""

    def __init__(self, key: CounterKey, ends: float, *, shared: bool = False) -> None:
        self.key = key
        self.ends = ends
        self.known = False
        self.granted: int | None = 0 if shared else None
        self.full_until = 0.0
        self.over: tuple[Budget, ...] = ()
        self.stored = self.unshipped = self.held = self.elsewhere = self.reserved = 0

    @property
    def spent(self) -> int:
        return self.stored + self.unshipped

    @property
    def taken(self) -> int:
        """Spent and held, here and elsewhere."""
        return self.stored + self.unshipped + self.held + self.elsewhere + self.reserved

    @property
    def place(self) -> str:
        return " ".join(self.key)

    @property
    def used(self) -> int:
        return self.held + self.unshipped

    @property
    def base(self) -> int:
        return self.stored

    @property
    def idle(self) -> bool:
        return not self.held

    def fits(self, nano: int, limit: int) -> bool:
        spent = self.stored + self.unshipped
        if self.granted is not None:
            return spent < limit and self.held + self.unshipped + nano <= self.granted
        held = self.held + self.elsewhere
        return spent < limit and (not held or spent + held + nano <= limit)

    def lent(self, amount: int, elsewhere: int) -> None:  # noqa: ARG002 - the store tells what others hold
        self.granted = (self.granted or 0) + amount

    def alone(self, amount: int, limit: int, workers: int) -> None:  # noqa: ARG002 - the store tells what others hold
        self.granted = None

    def shipped(self, nano: int) -> None:
        """So much of ours is in the store now."""
        self.unshipped -= nano
        if self.granted is not None:
            self.granted -= nano


class Alert(NamedTuple):
    """A budget has passed `percent` of its limit. Told once for each counter and threshold, by the worker whose rows did it."""

    key: CounterKey
    percent: int
    spent: int
    limit: int


class Charge(NamedTuple):
    """A counter that a call touches, and the budgets over it; none where spending is only recorded. A counter stands once."""

    counter: Counter
    budgets: tuple[Budget, ...] = ()


class Book:
    """Every counter of the current windows, by scope. A window that is over lives on in the holds that still point to it."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._reserved: Mapping[CounterKey, int] = {}
        self._scopes: dict[tuple[str, str], dict[tuple[str, str], Counter]] = {}

    def counter(self, kind: str, id_: str, budget_part: str, span: str, now: float) -> Counter:
        held = self._scopes.setdefault((kind, id_), {})
        found = held.get((budget_part, span))
        if found is None or now >= found.ends:
            window = windows.window(span, now)
            found = held[budget_part, span] = Counter(
                CounterKey(kind, id_, budget_part, window.id), window.ends, shared=self._shared
            )
            found.reserved = self._reserved.get(found.key, 0)
        return found

    @property
    def reserved(self) -> bool:
        """Whether batches hold anything, by what was heard last."""
        return bool(self._reserved)

    def reserve(self, held: Mapping[CounterKey, int]) -> None:
        """What batches hold, now: of all workers, in all windows."""
        self._reserved = held
        for counter in self.current():
            counter.reserved = held.get(counter.key, 0)

    def find(self, key: CounterKey) -> Counter | None:
        """The counter of this very window, if it is a current one."""
        return next((counter for counter in self._scopes.get(key[:2], {}).values() if counter.key == key), None)

    def forget(self, kind: str, id_: str) -> None:
        """Forget a scope that nobody uses now. What comes back is read anew from the store."""
        held = self._scopes.get((kind, id_), {})
        if not any(counter.held or counter.unshipped for counter in held.values()):
            self._scopes.pop((kind, id_), None)

    def sweep(self, now: float) -> None:
        """Forget windows that are over."""
        for held in self._scopes.values():
            for place in [place for place, counter in held.items() if now >= counter.ends]:
                del held[place]

    def current(self) -> list[Counter]:
        return [counter for held in self._scopes.values() for counter in held.values()]


def reserve(charges: tuple[Charge, ...], nano: int, now: float, *, whole: bool = False) -> None:
    """Hold `nano` on every counter, or on none. `whole`: only where all of it fits what is left, as it is many calls at once.

    Raises BudgetExceededError and LeaseNeededError.
    """
    wanted = []
    for counter, over in charges:
        for budget in over:
            limit = budget.limit(now) - counter.reserved
            too_large = whole and counter.taken + nano > budget.limit(now)
            if counter.fits(nano, limit) and not too_large:
                continue
            if too_large or counter.granted is None or now < counter.full_until or counter.spent >= limit:
                raise _exceeded(counter, budget, nano, now)
            wanted.append(Wanted(counter, nano, limit))
    if wanted:
        raise LeaseNeededError(tuple(wanted))
    for counter, _ in charges:
        counter.held += nano


def release(charges: tuple[Charge, ...], nano: int) -> None:
    """Give back what `reserve` held."""
    for charge in charges:
        charge.counter.held -= nano


def settle(charges: tuple[Charge, ...], held: int, cost: int) -> None:
    """Turn a reservation into what the call cost."""
    for counter, _ in charges:
        counter.held -= held
        counter.unshipped += cost


def passed(key: CounterKey, over: tuple[Budget, ...], before: int, after: int, now: float) -> list[Alert]:
    """The thresholds of the budgets over a counter that lie between two of its sums in the store."""
    alerts: list[Alert] = []
    for budget in over if after > before else ():
        limit = budget.limit(now)
        reached = [at for at in budget.thresholds if before * 100 < limit * at <= after * 100]
        alerts += [Alert(key, at, after, limit) for at in reached]
    return alerts


def dollars(nano: int) -> str:
    return f"${nano / NANO:.6f}".rstrip("0").rstrip(".")


def headers(nano: int) -> tuple[tuple[bytes, bytes], ...]:
    """What an answer cost, in USD, for whoever asked; under LiteLLM's name too."""
    cost = b"%d.%09d" % divmod(nano, NANO)
    return (b"x-dragoman-cost", cost), (b"x-litellm-response-cost", cost)


def nearly_spent(counter: Counter, budget: Budget, now: float) -> str:
    """Of what is held too, for whoever is asked to be thrifty."""
    span = f" each {budget.span}" if budget.span else ""
    return f"{dollars(counter.taken)} of {dollars(budget.limit(now))}{span} of {_named(counter.key)} is spent or held"


def _named(key: CounterKey) -> str:
    return f"the budget of {key.kind} {key.id}{' for ' + key.part if key.part else ''}"


def _exceeded(counter: Counter, budget: Budget, nano: int, now: float) -> BudgetExceededError:
    """Where nothing is left it says how long to wait; what calls in flight hold is there again when nobody can know."""
    limit = budget.limit(now)
    span = f" each {budget.span}" if budget.span else ""
    wanted = when = ""
    wait = None if counter.spent < limit or isinf(counter.ends) else counter.ends - now
    if counter.spent < limit:
        held = dollars(counter.held + counter.elsewhere + counter.reserved)
        batches = " and batches" if counter.reserved else ""
        wanted = f", {held} is held by calls in flight{batches} and this one may cost {dollars(nano)}"
    if not isinf(counter.ends):
        when = f"; it begins anew at {datetime.fromtimestamp(counter.ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
    spent = f"{dollars(counter.spent)} of {dollars(limit)}{span} is spent"
    return BudgetExceededError(f"{_named(counter.key)} is used up: {spent}{wanted}{when}", retry_after=wait)
