"""Batches: money that is held for a day or more, and so in the store and not in a worker's memory.

    put_batch      what it may cost is held before anything is sent: a kill loses nothing
    reserved       what all of them hold, which every worker takes off its budgets
    end_batch      one transaction: its row goes to the ledger, once, and what it held is free

A batch whose end nobody can tell any more is taken as spent, as a call of a dead worker is. What it costs counts in the windows
in which it began. Called by `gateway.raw.batch_books`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from dragoman.engine.call import Call
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.facts import FixedPrices, batch_rates, facts_of
from dragoman.gateway.governance.ledger import Row
from dragoman.router.deployment import Deployment


class StoredBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`row` is open until it has ended, and its id is the batch's. `owner` says whose it is. `provider` calls it `upstream`: ""
    until it has said so. `due`: Unix seconds, when its end is to be looked for; None once it has ended.
    """

    row: Row
    owner: str
    provider: str
    upstream: str = ""
    due: float | None = None

    @property
    def id(self) -> str:
        return self.row.id


class BatchStore(Protocol):
    """What is asked of a store for batches. Raises ServiceUnavailableError when it cannot be reached."""

    async def put_batch(self, batch: StoredBatch) -> None:
        """A new one. Until it ends it holds what its row says."""
        ...

    async def keep_batch(self, batch: StoredBatch) -> bool:
        """The same with more known of it; False, and nothing is done, where it has ended meanwhile."""
        ...

    async def end_batch(self, batch: StoredBatch, now: float) -> Mapping[CounterKey, int] | None:
        """Its row, which is closed now, into the ledger, and what it held is free: all of it once. None when it had ended; else
        what the touched counters say now. A batch that was never made is forgotten.
        """
        ...

    async def batch(self, provider: str, upstream: str) -> StoredBatch | None: ...

    async def batches(self, owner: str, dialect: str, *, before: float, limit: int) -> list[StoredBatch]:
        """Those that were made in this dialect and began before, the newest first."""
        ...

    async def due_batches(self, now: float, until: float, limit: int) -> list[StoredBatch]:
        """Those whose end is to be looked for; they are due again at `until`, and nobody else is told of them before."""
        ...

    async def reserved(self) -> Mapping[CounterKey, int]:
        """What batches hold that have not ended."""
        ...


def estimate(calls: Iterable[Call], deployment: Deployment) -> int | None:
    """Nano-dollars to hold for all of them, at the price of batches; None where nobody knows one."""
    rates = batch_rates(deployment)
    prices = FixedPrices(rates)
    return None if rates is None else sum(facts_of(call, prices).nano or 0 for call in calls)
