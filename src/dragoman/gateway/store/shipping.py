"""Carries rows from a worker's memory to the store, beside the requests, and brings back what other workers did.

    governance, shipping = await begin(database="sqlite:///dragoman.db", journal=Path("journal"), master_key=...)
    ...                                                # serve
    await shipping.stop()                              # the last rows go out

A turn ships what has ended, tells what this worker holds, hears of changed scopes, and now and then looks for what dead workers
left; where nothing happens it is one cheap question. When the store is away rows wait in the journal and in memory, calls go
on, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dragoman.core.errors import DragomanError
from dragoman.gateway.governance.budgets import Alert, CounterKey, dollars
from dragoman.gateway.governance.governance import Governance, Policy
from dragoman.gateway.governance.scopes import Reference
from dragoman.gateway.store.base import Change, News, Store
from dragoman.gateway.store.journal import FileJournal, abandoned
from dragoman.shared.accounts import Leases

logger = logging.getLogger("dragoman.gateway")

BATCH = 1000
"""Rows of one transaction."""
SKEW = 10.0
"""Seconds that the clocks of two workers, or a transaction's beginning and its end, may be apart."""


class Pace(Struct, frozen=True, kw_only=True):
    """Seconds. `turn` between two of shipping; `recovery` between two looks for what dead workers left; `held`: how long other
    workers believe what this one last said it holds: until after a look for what it left. `shared`: there are other workers.
    """

    turn: float = 0.25
    recovery: float = 30.0
    held: float = 60.0
    shared: bool = True


async def begin(
    *,
    database: str = "",
    journal: Path,
    master_key: str | None = None,
    policy: Policy | None = None,
    worker: str | None = None,
    leases: Leases | None = None,
    alerted: Callable[[Alert], None] | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.time,
) -> tuple[Governance, Shipping]:
    """A worker's governance, with what dead workers left already in the store. "" as the database: memory. `worker`: its name,
    unique among all that ever were. `alerted`: who hears of budgets that pass their thresholds, beside the log.

    Raises ConfigurationError, ServiceUnavailableError.
    """

    def alert(told: Alert) -> None:
        log_alert(told)
        if alerted is not None:
            alerted(told)

    store = await _store(database)
    worker = worker or secrets.token_hex(6)
    recovered = await recover(store, journal, clock())
    if recovered:
        logger.warning("%d calls of a worker that ended early were brought to the ledger", recovered)
    written = FileJournal(journal, worker)
    governance = Governance(store, written, worker=worker, policy=policy, leases=leases, alerted=alert)
    if master_key:
        governance.trust(master_key)
    shipping = Shipping(governance, store, written, pace=pace or Pace(), clock=clock)
    await shipping.start()
    return governance, shipping


async def _store(database: str) -> Store:
    if not database:
        from dragoman.gateway.store.memory import MemoryStore  # noqa: PLC0415 - one of two

        return MemoryStore()
    from dragoman.gateway.store.sql import open_store  # noqa: PLC0415 - SQLAlchemy costs a third of a second

    return await open_store(database)


async def recover(store: Store, folder: Path, now: float) -> int:
    """Bring to the store what dead workers left in their journals; how many rows that were."""
    with abandoned(folder, now) as rows:
        for start in range(0, len(rows), BATCH):
            await store.ship(rows[start : start + BATCH], now)
    return len(rows)


def log_alert(alert: Alert) -> None:
    key = alert.key
    what = f"{key.kind} {key.id}{' for ' + key.part if key.part else ''}"
    spent, limit = dollars(alert.spent), dollars(alert.limit)
    logger.warning("The budget of %s has passed %d%%: %s of %s", what, alert.percent, spent, limit)


class Shipping:
    """See the module. One task; `turn` is one round of it, for tests and for `stop`."""

    def __init__(
        self, governance: Governance, store: Store, journal: FileJournal, *, pace: Pace, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self._governance = governance
        self._journal = journal
        self._pace = pace
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._seen = 0
        self._recovered = clock()
        self._away = False
        self._shared = clock()
        self._told = False
        self._hearing = asyncio.Lock()
        self.watching: Callable[[Sequence[Change]], Awaitable[None]] | None = None
        """Told of all that is heard, before it counts as heard."""

    async def start(self) -> None:
        self._seen = await self.store.last_change()
        self._governance.book.reserve(await self.store.reserved())
        self._task = asyncio.create_task(self._run(), name="dragoman-shipping")

    async def stop(self) -> None:
        """Ship what is left and close everything. What the store does not take stays in the journal."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.turn()
        except DragomanError as problem:
            logger.error("The last rows stay in the journal: %s", problem.message)  # noqa: TRY400 - it says what is wrong
        self._journal.close()
        await self.store.close()

    async def turn(self) -> None:
        """One round. Raises ServiceUnavailableError when the store is away; the next round does what this one left."""
        now = self._clock()
        self._journal.prepare()
        if self._governance.ended:
            await asyncio.to_thread(self._journal.sync)
        while rows := self._governance.take_ended(BATCH):
            totals = await self.store.ship(rows, now)
            self._governance.shipped(rows, totals)
            self._journal.shipped(row.id for row in rows)
        news = await self.store.news(self._journal.worker, after=self._seen, since=self._shared - SKEW, now=now)
        if news.changes:
            await self.hear()
        if self._pace.shared:
            await self._share(news, now)
        if now - self._recovered >= self._pace.recovery:
            self._recovered = now
            await recover(self.store, self._journal.folder, now)
            self._governance.sweep(now)

    async def watch(
        self, start: Callable[[], Awaitable[None]], watching: Callable[[Sequence[Change]], Awaitable[None]]
    ) -> None:
        """`watching` is told of all that changes after what `start` has read."""
        async with self._hearing:
            await start()
            self.watching = watching

    async def hear(self) -> None:
        """Forget what was changed, here or by another worker. The admin API calls it, so that its changes hold at once."""
        async with self._hearing:  # else what was read first might be taken up last
            while changes := await self.store.changes(self._seen):
                self._governance.changed([Reference(change.kind, change.id) for change in changes])
                if self.watching is not None:
                    await self.watching(changes)
                self._seen = changes[-1].seq  # what was not taken up is heard of again

    async def _share(self, news: News, now: float) -> None:
        """What is held is read before what it has become, so that it may be there twice for a turn, and is never missing."""
        governance, store = self._governance, self.store
        async with governance.reserving:
            mine = governance.held()
            held: Mapping[CounterKey, int] = {}
            reserved = await store.reserved() if news.reserved or governance.book.reserved else {}
            if news.held or mine or self._told:
                held = await store.share(self._journal.worker, mine, now + self._pace.held, now)
                self._told = bool(mine)
            moved = await store.moved(self._shared - SKEW) if any(news) else {}
            governance.others(held, moved)
            governance.book.reserve(reserved)
        self._shared = now

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pace.turn)
            try:
                await self.turn()
            except DragomanError as problem:
                if not self._away:
                    logger.error("The ledger waits for its database: %s", problem.message)  # noqa: TRY400 - as above
                self._away = True
            except Exception:
                logger.exception("The ledger could not be shipped; it is tried again")
            else:
                self._away = False
