"""What batches cost: held when one is made, settled by its results when it has ended, free again where there are none.

Who asks how far a batch is has its end looked after at once; for the rest there are looks now and then, by one worker each.
What is held stands in the store, so it outlives a worker; the end of a batch is one transaction, so it counts once, whoever
sees it. Without a governance nothing is held or booked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dragoman.core.batches import ENDED, Batch
from dragoman.core.chat import Usage
from dragoman.core.errors import APIConnectionError, BadGatewayError, DragomanError, NotFoundError, ResponseDecodeError
from dragoman.core.http import TransportFailure
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.price import price
from dragoman.engine.usage import added
from dragoman.gateway.governance import ledger
from dragoman.gateway.governance.batches import StoredBatch
from dragoman.gateway.governance.governance import settled
from dragoman.gateway.raw.batch_places import Place
from dragoman.shared.accounts import LeaseNeededError

if TYPE_CHECKING:
    from dragoman.gateway.governance.facts import Facts
    from dragoman.gateway.governance.governance import Governance, Hold
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.router.deployment import Deployment

logger = logging.getLogger("dragoman.gateway")

TURN = 60.0
"""Seconds between two looks for batches that are due."""
AGAIN = 600.0
"""Seconds between two looks at one batch; and how long the making of one may take."""
GIVEN_UP = 30 * 86400.0
"""Seconds after which a batch of which nothing can be learnt is taken as spent. Providers keep results about as long."""
AT_ONCE = 100
"""Batches of one turn."""


class BatchBooks:
    """`places`: the name of a provider -> its batches. `deployment`: of a model group at a provider, for its price."""

    def __init__(
        self,
        pipeline: Pipeline,
        places: Callable[[str], Place | None],
        deployment: Callable[[str, str], Deployment],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._places = places
        self._deployment = deployment
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def _governance(self) -> Governance | None:
        return None if self._pipeline.admission is None else self._pipeline.admission.governance

    def start(self) -> None:
        if self._governance is not None:
            self._begin("", self._turns())

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Whatever is being settled now has been."""
        await asyncio.gather(*(task for name, task in self._tasks.items() if name))

    # a new batch
    async def hold(self, who: Identity | None, facts: Facts, owner: str, provider: str) -> StoredBatch | None:
        """What it may cost is held from now on; None where nobody keeps books. Raises the errors of governance, and
        ServiceUnavailableError when the store cannot be asked.
        """
        governance = self._governance
        if governance is None or who is None:
            return None
        hold = await self._reserved(governance, who, facts)
        batch = StoredBatch(row=hold.row, owner=owner, provider=provider, due=self._clock() + AGAIN)
        made = False
        try:
            await governance.store.put_batch(batch)
            await _heard(governance)
            made = True
        finally:
            governance.returned(hold, counted=made)
        return batch

    async def _reserved(self, governance: Governance, who: Identity, facts: Facts) -> Hold:
        now = self._clock()
        if not governance.ready(who, facts):
            await governance.prepare(who, facts, now)
        while True:
            try:
                return governance.reserve(who, facts, now, whole=True)
            except LeaseNeededError as needed:
                await governance.lease(needed)

    async def made(self, batch: StoredBatch | None, upstream: str) -> None:
        """The provider has taken it, and calls it so."""
        if batch is None or self._governance is None:
            return
        if not await self._governance.store.keep_batch(replace(batch, upstream=upstream, due=self._clock() + AGAIN)):
            logger.warning("The making of the batch %s took so long that it is booked as interrupted", upstream)

    async def refused(self, batch: StoredBatch | None, error: DragomanError) -> None:
        """The provider has not taken it."""
        if batch is not None:
            await self._ended(batch, ledger.released(batch.row, error, self._clock()))

    async def failed(self, batch: StoredBatch | None, error: DragomanError) -> None:
        """It was not made, as far as we know. Where the provider may have taken it all the same, what is held stays held."""
        unsure = isinstance(error, APIConnectionError) and not _unsent(error.__cause__)
        if not unsure and not isinstance(error, ResponseDecodeError):
            await self.refused(batch, error)

    async def find(self, provider: str, upstream: str) -> StoredBatch | None:
        governance = self._governance
        return None if governance is None else await governance.store.batch(provider, upstream)

    async def listed(self, owner: str, dialect: str, *, before: float, limit: int) -> list[StoredBatch] | None:
        """The newest of the owner's in this dialect that began before; None where nobody keeps books."""
        governance = self._governance
        return None if governance is None else await governance.store.batches(owner, dialect, before=before, limit=limit)

    # its end
    async def closed(self, provider: str, batch: Batch) -> None:
        """As `seen`, waiting for it: before nothing can be learnt of it any more."""
        self.seen(provider, batch)
        closing = self._tasks.get(f"{provider} {batch.id}")
        if closing is not None:
            await asyncio.wait([closing])  # whoever leaves meanwhile cancels nothing

    def seen(self, provider: str, batch: Batch) -> None:
        """So far it is: if that is its end, its books are closed beside the request that has asked."""
        if batch.status in ENDED and self._governance is not None and f"{provider} {batch.id}" not in self._tasks:
            self._begin(f"{provider} {batch.id}", self._close(provider, batch))

    async def turn(self) -> None:
        """One look for batches that are due."""
        governance = self._governance
        if governance is None:
            return
        now = self._clock()
        for batch in await governance.store.due_batches(now, now + AGAIN, AT_ONCE):
            try:
                await self.look(batch)
            except Exception:  # one that cannot be looked at must not keep the others from their end
                logger.exception("The batch %s is looked at again later", batch.id)

    async def look(self, batch: StoredBatch) -> None:
        """Ask the provider how far it is, and close its books if it has ended; or if nobody can say any more."""
        now, place = self._clock(), self._places(batch.provider)
        try:
            if batch.upstream and place is not None:
                found = await place.find(batch.upstream)
                if found.status in ENDED:
                    await self._settle(batch, found, place)
                return
            lost = not batch.upstream
        except NotFoundError:
            lost = True
        except DragomanError as problem:
            logger.warning("How far the batch %s is cannot be said: %s", batch.id, problem.message)
            lost = False
        if lost or now - batch.row.began > GIVEN_UP:
            await self._ended(batch, ledger.interrupted(batch.row, now))

    async def _close(self, provider: str, found: Batch) -> None:
        batch, place = await self.find(provider, found.id), self._places(provider)
        if batch is not None and batch.due is not None and place is not None:
            try:
                await self._settle(batch, found, place)
            except DragomanError as problem:
                logger.warning("The batch %s is settled later: %s", batch.id, problem.message)

    async def _settle(self, batch: StoredBatch, found: Batch, place: Place) -> None:
        usage, answered = await _taken(place, found) if found.results else (None, False)
        call = self._call(batch)
        call.settle(Settlement(usage=usage, cancelled=found.status == "cancelled"))
        if answered:
            row = settled(batch.row, call, usage, price(call, usage), self._clock())
        else:
            failed = BadGatewayError(f"{batch.provider}: no request of the batch was answered", llm_provider=batch.provider)
            error = None if found.status == "cancelled" else failed
            row = ledger.released(batch.row, error, self._clock())
        if await self._ended(batch, row):
            for observer in self._pipeline.observers:
                observer(call)

    async def _ended(self, batch: StoredBatch, row: ledger.Row) -> bool:
        """Whether it is we who ended it."""
        governance = self._governance
        if governance is None:
            return False
        over = await governance.directory.over(row.charges, row.began) if row.charged else {}
        totals = await governance.store.end_batch(replace(batch, row=row, due=None), self._clock())
        governance.counted([row], totals or {}, over)
        await _heard(governance)
        return totals is not None

    def _call(self, batch: StoredBatch) -> Call:
        deployment = self._deployment(batch.row.model, batch.provider)
        call = Call(operation="batch", dialect=batch.row.dialect, model=batch.row.model, body=b"", deployments=(deployment,))
        began = perf_counter()
        call.attempts.append(Attempt(deployment, began, ended=began))
        return call

    async def _turns(self) -> None:
        while True:
            try:
                await self.turn()
            except DragomanError as problem:
                logger.warning("Batches are looked after later: %s", problem.message)
            except Exception:
                logger.exception("Batches could not be looked after; it is tried again")
            await asyncio.sleep(TURN)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[name] = asyncio.create_task(work, name="dragoman-batches")
        task.add_done_callback(lambda _: self._tasks.pop(name, None))


async def _heard(governance: Governance) -> None:
    """Know what all batches hold by now."""
    async with governance.reserving:
        governance.book.reserve(await governance.store.reserved())


def _unsent(failure: BaseException | None) -> bool:
    """Whether the provider cannot have got the request."""
    if isinstance(failure, TransportFailure):
        return not failure.sent or failure.kind in {"connect", "connect_timeout"}
    return isinstance(failure, ValueError)


async def _taken(place: Place, batch: Batch) -> tuple[Usage | None, bool]:
    """What all its answers took, and whether there is one."""
    usage, answered = None, False
    async for line in place.results(batch):
        result = place.read_result(line)
        if result.outcome == "succeeded":
            usage, answered = added(place.usage(result.body), usage), True
    return usage, answered
