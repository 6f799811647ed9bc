"""The results of batches in the books: one row each, at the price of batches, when they are first fetched from a worker.
Leaving before the end is not free: what has been sent is booked, and the rest when it is fetched.

Governance is asked before anything is sent, so a key that may not use the model gets nothing. What a batch takes is not held
while it runs: a budget that is used up keeps a client from the results, and not a provider from the work.
"""

from __future__ import annotations

import asyncio
import time
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from dragoman.core.errors import PermissionDeniedError
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.engine.price import price
from dragoman.gateway.governance import scopes
from dragoman.gateway.governance.facts import Facts
from dragoman.gateway.governance.leases import LeaseNeededError
from dragoman.gateway.raw.batch_lines import Results

if TYPE_CHECKING:
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.governance.governance import Governance, Hold
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.gateway.raw.file_ids import Known
    from dragoman.router.deployment import Deployment

REMEMBERED = 10_000
"""Results of which a worker knows that they are booked."""
ALL = 1 << 62

Key = tuple[str, str]
"""The provider, and its id of the file."""


def check(who: Identity | None, operation: str, route: str) -> None:
    """Whether this may be asked, whatever the model. Raises PermissionDeniedError."""
    if who is None:
        return
    if "inference" not in who.key.rights:
        raise PermissionDeniedError("this key is for the admin API only", attempts=0)
    for scope in who.scopes:
        scopes.check_call(replace(scope, models=()), "", operation, route)


class Books:
    """Which results are booked: all, or so many of their lines, where a client has left before the end."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lines: dict[Key, int] = {}
        self._turns: dict[Key, _Turn] = {}

    async def opened(
        self, who: Identity | None, known: Known, deployment: Deployment, exchange: Exchange, identity: bytes
    ) -> BookEntry | None:
        """The entry for these results, which must be closed; None when they are booked. Raises the errors of governance.

        Of two who fetch the same results one waits for the other.
        """
        key = (known.provider, known.id)
        turn = self._turns.setdefault(key, _Turn())
        turn.wanted += 1
        try:
            await turn.lock.acquire()
        except BaseException:
            turn.wanted -= 1
            raise
        try:
            skip = self._lines.get(key, 0)
            if skip == ALL:
                self._leave(key)
                return None
            call = self._call(known, deployment)
            admission, hold = self._pipeline.admission, None
            if admission is not None and who is not None:
                facts = Facts(
                    model=known.group,
                    operation=call.operation,
                    route=exchange.path.decode("latin-1"),
                    request_id=identity.decode("latin-1"),
                    client=exchange.client,
                )
                hold = await _held(admission.governance, who, facts)
        except BaseException:
            self._leave(key)
            raise
        return BookEntry(self, key, call, hold, Results(skip))

    def _call(self, known: Known, deployment: Deployment) -> Call:
        call = Call(operation="batch", dialect="openai_chat", model=known.group, body=b"", deployments=(deployment,))
        call.attempts.append(Attempt(deployment, perf_counter()))
        call.observers = self._pipeline.observers
        return call

    def close(self, entry: BookEntry, *, complete: bool) -> None:
        """So many lines have been sent."""
        tap, call, hold, now = entry.tap, entry.call, entry.hold, time.time()
        call.attempts[-1].ended = perf_counter()
        call.settle(Settlement(usage=tap.usage, cancelled=not complete))
        self._lines[entry.key] = ALL if complete else max(tap.lines, self._lines.get(entry.key, 0))
        if len(self._lines) > REMEMBERED:
            del self._lines[next(iter(self._lines))]
        self._leave(entry.key)
        if hold is None or self._pipeline.admission is None:
            return
        governance = self._pipeline.admission.governance
        if tap.usage is None:
            governance.release(hold, now)
        else:
            governance.settle(hold, call, tap.usage, price(call, tap.usage, service_tier="batch"), now)

    def _leave(self, key: Key) -> None:
        turn = self._turns[key]
        turn.wanted -= 1
        turn.lock.release()
        if not turn.wanted:
            del self._turns[key]


class _Turn:
    """Who fetches some results now, and how many want to."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


class BookEntry(NamedTuple):
    """One batch's results on their way to the client, read by `tap`."""

    books: Books
    key: Key
    call: Call
    hold: Hold | None
    tap: Results

    def close(self, *, complete: bool) -> None:
        self.books.close(self, complete=complete)


async def _held(governance: Governance, who: Identity, facts: Facts) -> Hold:
    now = time.time()
    if not governance.ready(who, facts):
        await governance.prepare(who, facts, now)
    while True:
        try:
            return governance.admit(who, facts, now)
        except LeaseNeededError as needed:
            await governance.lease(needed)
