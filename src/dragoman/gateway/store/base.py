"""What the gateway asks of a store. `sql.SqlStore` and `memory.MemoryStore` are two; both pass the same tests.

Money is nano-dollars, times are Unix seconds. Every change of a scope is written together with its line in the audit log, whose
lines are chained by hashes; `changes` reads that log, which is also how other workers learn what to forget.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from dragoman.gateway.governance.batches import BatchStore
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.directory import Reader
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.scopes import Reference, Scope

FIRST_HASH = "0" * 64
GROUPS = ("key", "team", "user", "organization", "end_user", "model", "provider", "operation", "day", "tag")
"""What spending may be summed by."""


class Change(Struct, frozen=True, kw_only=True):
    """A line of the audit log. `actor` names who did it, never by a secret; `detail` is JSON of what was asked, or ""."""

    at: float
    actor: str
    action: str
    kind: str
    id: str
    detail: str = ""
    seq: int = 0
    previous: str = ""
    hash: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A part of the configuration that came by the admin API: a "model" or a "credential". `plain` is what everybody may read
    who reads the database; `sealed` is encrypted before it comes here, and nothing here opens it.
    """

    kind: str
    id: str
    plain: dict[str, Any]
    sealed: str
    created: float = 0.0
    updated: float = 0.0
    created_by: str = ""

    @property
    def reference(self) -> Reference:
        return Reference(self.kind, self.id)


class Filter(Struct, frozen=True, kw_only=True):
    """Which scopes, or which rows: "" means any. `since` and `until` are of rows: from and before, by their end."""

    key: str = ""
    team: str = ""
    user: str = ""
    organization: str = ""
    end_user: str = ""
    model: str = ""
    alias: str = ""
    request_id: str = ""
    session: str = ""
    tag: str = ""
    since: float = 0.0
    until: float = 0.0


class Spending(NamedTuple):
    """One group of rows, summed."""

    group: str
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    nano: int


class Problem(NamedTuple):
    """What `verify` found: a counter that differs from the sum of its ledger rows."""

    key: CounterKey
    counter: int
    ledger: int


class News(NamedTuple):
    """Whether there is something to be asked for: changes, counters that moved, what other workers hold, what batches do."""

    changes: bool
    moved: bool
    held: bool
    reserved: bool


class Store(Reader, BatchStore, Protocol):
    """Raises ServiceUnavailableError when it cannot be reached, ConflictError for an id or a key that is there already."""

    async def close(self) -> None: ...

    # scopes
    async def create(self, scope: Scope, change: Change, digest: str = "") -> None:
        """A new one; of a key with its digest."""
        ...

    async def replace(self, scope: Scope, change: Change) -> None:
        """The scope as it is from now on. Raises NotFoundError."""
        ...

    async def rotate(self, scope: Scope, digest: str, until: float, change: Change) -> None:
        """Give a key a new digest; those it had end at `until`, unless they end before."""
        ...

    async def delete(self, references: Sequence[Reference], change: Change) -> int:
        """How many were there. What they spent stays in the ledger."""
        ...

    async def listed(self, kind: str, found: Filter, *, limit: int, offset: int) -> tuple[list[Scope], int]:
        """A page of scopes, the newest first, and how many there are."""
        ...

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """The audit log beyond `after`, in order."""
        ...

    async def last_change(self) -> int: ...

    # configuration
    async def entries(self, references: Iterable[Reference] | None = None) -> list[Entry]:
        """These, as far as they are there; None: all. The oldest first."""
        ...

    async def put_entry(self, entry: Entry, change: Change, *, over: Entry | None) -> None:
        """A new one, or one in place of `over`. Raises ConflictError when it is there, or is not as it was in `over`."""
        ...

    async def delete_entry(self, reference: Reference, change: Change) -> None:
        """Raises NotFoundError."""
        ...

    # ledger
    async def ship(self, rows: Sequence[Row], now: float) -> Mapping[CounterKey, int]:
        """Append rows and count what they charge: each row once, however often it comes. What the touched counters say now."""
        ...

    async def moved(self, since: float) -> Mapping[CounterKey, int]:
        """The counters that rows were counted in since then, by the clock of whoever shipped them."""
        ...

    async def rows(self, found: Filter, *, limit: int, offset: int) -> list[Row]:
        """The newest first."""
        ...

    def each(self, found: Filter) -> AsyncIterator[Row]:
        """All of them, the oldest first, however many; not to be left in the middle."""
        ...

    async def charged(self, ids: Sequence[str]) -> Mapping[str, int]:
        """What these rows were charged; of those that are there."""
        ...

    async def spending(self, by: str, found: Filter) -> list[Spending]:
        """Sums by one of `GROUPS`, the dearest first."""
        ...

    async def prune(self, before: float, limit: int = 10_000) -> int:
        """Remove up to so many of the rows that ended before; how many went. Counters stay."""
        ...

    async def verify(self) -> list[Problem]:
        """Counters whose value is not that of their rows. Holds only where nothing was pruned."""
        ...

    # between workers
    async def news(self, worker: str, *, after: int, since: float, now: float) -> News:
        """Whether `changes(after)`, `moved(since)`, `share` and `reserved` have something to tell: at one moment, cheaply."""
        ...

    async def share(self, worker: str, held: Mapping[CounterKey, int], until: float, now: float) -> Mapping[CounterKey, int]:
        """Tell what this worker holds, good until then, and hear what all others do."""
        ...


def conflict(entry: Entry, over: Entry | None) -> str:
    """Why an entry cannot be put."""
    what = f"the {entry.kind} {entry.id!r}"
    return f"{what} is there already" if over is None else f"{what} was changed or deleted meanwhile: look at it and ask again"


def sealed(change: Change, previous: str) -> Change:
    """The line with its place in the chain of hashes."""
    line = msgspec.structs.replace(change, seq=0, previous=previous, hash="")
    return msgspec.structs.replace(line, hash=sha256(msgspec.json.encode(line)).hexdigest())


def broken(changes: Iterable[Change], previous: str = FIRST_HASH) -> Change | None:
    """The first line of an audit log that does not follow from the one before."""
    for change in changes:
        if sealed(change, previous).hash != change.hash:
            return change
        previous = change.hash
    return None


def charged_by(rows: Iterable[Row]) -> dict[CounterKey, int]:
    """What rows charge, by counter, in the one order in which everybody locks them."""
    sums: dict[CounterKey, int] = {}
    for row in rows:
        for key in row.charges:
            sums[key] = sums.get(key, 0) + row.charged
    return dict(sorted(sums.items()))
