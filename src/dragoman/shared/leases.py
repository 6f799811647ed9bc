"""The pool of leases in a Valkey server: `accounts.Leases` for several workers on any number of machines.

A lease is a block: what a call wants, or a quarter of an even share of what is left, so a limit of N is leased in about
`4 * workers * log(N)` round trips a window and its last units one by one. A worker gives back what it has not used for a turn,
and at once when another lacks it. When the server is away each goes on alone, and tells what it used afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import files
from itertools import islice
from math import isinf
from typing import Any, NamedTuple

from dragoman.shared.accounts import Account, Wanted
from dragoman.shared.valkey import AwayError, Run, Script, Valkey, end

TURN = 0.25
"""Seconds between two turns. So long a refusal by the pool holds in a worker."""
RECALL = 0.01
"""Seconds for other workers to give back what they do not use, before a call is refused."""
SILENT = 45
"""Seconds after which a silent worker is taken for dead. Longer than the pause between two looks at the journals of dead
workers, so that what one has spent is in the ledger before its part is dropped here."""
KEPT = 86400
"""Seconds that an account without an end is kept; what was spent of it is in the database."""
LOOKED_AT = 2000
"""Accounts that a turn looks at; with more of them it takes turns to see them all."""
LINES = 500
"""Accounts of one command."""

RECALLS = "recalls"
_SCRIPT = Script((files("dragoman.shared") / "leases.lua").read_text())


class _Asked:
    """What the calls that wait want of one account: all together, and the first of them."""

    __slots__ = ("account", "all", "first", "limit", "place")

    def __init__(self, account: Account, amount: int, limit: int) -> None:
        self.account = account
        self.place = account.place
        self.all = self.first = amount
        self.limit = limit

    def add(self, amount: int, limit: int) -> None:
        self.all += amount
        self.limit = min(self.limit, limit)

    @property
    def stale(self) -> bool:
        """Its window has ended meanwhile."""
        return self.account.place != self.place

    @property
    def short(self) -> bool:
        account = self.account
        return account.granted is not None and account.used + self.all > account.granted


class _Line(NamedTuple):
    """What the pool is told of one account, and asked for it."""

    account: Account
    want: int = 0
    first: int = 0
    limit: int = 0


class _Kept:
    """An account that has something of the pool. `promised`: what calls that wait for a lease are about to take. `seen`: its
    use at the last look.
    """

    __slots__ = ("account", "promised", "seen")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.promised = 0
        self.seen = -1

    def trim(self) -> None:
        """Keep what is used and promised; the rest is the pool's again, once it hears of it."""
        account = self.account
        if account.granted is not None:
            account.granted = min(max(account.granted, account.used), account.used + self.promised)

    def rests(self) -> bool:
        """Whether the pool should hear of it: it has what it does not use, or used more than it was granted."""
        granted, used = self.account.granted, self.account.used
        before, self.seen = self.seen, used
        return granted is not None and (used > granted or (used < granted and used == before))


class SharedLeases:
    """`worker` is unique among all. Between `start` and `stop` a task does the turns. `workers`: how many there are, until the
    pool has told. `lock`: held while accounts are changed, where calls change them in other threads.
    """

    def __init__(
        self,
        valkey: Valkey,
        worker: str,
        *,
        clock: Callable[[], float] = time.time,
        workers: int = 1,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._valkey = valkey
        self._worker = worker
        self._clock = clock
        self._workers = workers
        self._lock = lock or nullcontext()
        self._asked: dict[str, _Asked] = {}
        self._kept: dict[str, _Kept] = {}
        self._one_by_one = asyncio.Lock()
        self._turning: asyncio.Task[None] | None = None
        valkey.hear(RECALLS, self._recall)
        valkey.on_return(self._reconcile)

    def start(self) -> None:
        self._turning = asyncio.create_task(self._turns(), name="dragoman-leases")

    async def stop(self) -> None:
        """Give back all that is not used."""
        if self._turning is not None:
            await end(self._turning)
        async with self._one_by_one:
            await self._give_back(list(self._kept.values()))

    async def lease(self, wanted: Iterable[Wanted]) -> None:
        """See `accounts.Leases`. What calls want that come while one asks is asked for together."""
        with self._lock:
            promised = [(self._wanted(each), each.amount) for each in wanted]
            for kept, amount in promised:
                kept.promised += amount
        try:
            async with self._one_by_one:
                await self._fetch()
        finally:
            for kept, amount in promised:
                kept.promised -= amount

    def _wanted(self, wanted: Wanted) -> _Kept:
        account, amount, limit = wanted
        place = account.place
        if place in self._asked:
            self._asked[place].add(amount, limit)
        else:
            self._asked[place] = _Asked(account, amount, limit)
        kept = self._kept.get(place)
        if kept is None or kept.account is not account:
            kept = self._kept[place] = _Kept(account)
        return kept

    async def _fetch(self) -> None:
        """Ask for what is wanted by now, if nobody has."""
        taken, self._asked = list(self._asked.values()), {}
        short = await self._ask(taken) if taken else []
        if short and self._workers > 1 and self._valkey.up:
            await asyncio.sleep(RECALL)
            short = await self._ask(short)
        for each in short:
            each.account.full_until = self._clock() + TURN

    async def turn(self) -> None:
        """Tell the pool of accounts that changed and then rested, and forget those whose window has ended."""
        now, resting = self._clock(), []
        for place in list(islice(self._kept, LOOKED_AT)):
            kept = self._kept.pop(place)
            if kept.account.place == place and now < kept.account.ends:
                self._kept[place] = kept  # at the end of the row
                if kept.rests():
                    resting.append(kept)
        async with self._one_by_one:
            await self._give_back(resting)

    async def _ask(self, asked: list[_Asked]) -> list[_Asked]:
        """Those that did not get all they want."""
        with self._lock:
            asked = [each for each in asked if not each.stale]
            for each in asked:
                each.account.granted = each.account.used
        try:
            found = await self._told([_Line(each.account, each.all, each.first, each.limit) for each in asked])
        except AwayError:
            with self._lock:
                for each in asked:
                    each.account.alone(each.first, each.limit, self._workers)
        else:
            with self._lock:
                for each, (grant, others) in zip(asked, found, strict=True):
                    if not each.stale:
                        each.account.lent(grant, others)
        return [each for each in asked if not each.stale and each.short]

    async def _give_back(self, given: list[_Kept]) -> None:
        with self._lock:
            for kept in given:
                kept.trim()
        try:
            await self._told([_Line(kept.account) for kept in given if kept.account.granted is not None])
        except AwayError:
            return  # it hears of them when it is there again
        for account, promised in [(kept.account, kept.promised) for kept in given]:
            if not (promised or account.used or account.granted):
                self._kept.pop(account.place, None)

    async def _told(self, lines: Sequence[_Line], run: Run | None = None) -> list[tuple[int, int]]:
        """(granted on top, what others have) of each account; with no line the pool hears that we live. Raises AwayError."""
        run = run or self._valkey.run
        found: list[tuple[int, int]] = []
        for start in range(0, max(1, len(lines)), LINES):
            some = lines[start : start + LINES]
            keys = [self._valkey.name(place) for place in ("workers", *(line.account.place for line in some))]
            arguments = [argument for line in some for argument in self._arguments(line)]
            channel = self._valkey.name(RECALLS)
            workers, *numbers = await run(_SCRIPT, keys, [self._worker, SILENT, channel, *arguments])
            self._workers = int(workers)
            found += zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True)
        return found

    def _arguments(self, line: _Line) -> tuple[Any, ...]:
        account = line.account
        has = max(account.granted or 0, account.used)
        kept = KEPT if isinf(account.ends) else max(1, round(account.ends - self._clock()) + SILENT)
        marks = int(account.idle), int(account.outlives)
        return has, line.want, line.first, line.limit, account.base, *marks, kept, account.place

    async def _reconcile(self, run: Run) -> None:
        """The server is there again and may have forgotten everything: what is used is all that is granted."""
        async with self._one_by_one:
            with self._lock:
                for kept in self._kept.values():
                    kept.account.granted = kept.account.used
            await self._told([_Line(kept.account) for kept in self._kept.values()], run)

    def _recall(self, place: bytes) -> None:
        """Somebody lacks what we may not need."""
        kept = self._kept.get(place.decode())
        if kept is not None and (kept.account.granted or 0) > kept.account.used + kept.promised:
            with self._lock:
                kept.trim()
            self._valkey.begin(self._returned(kept))

    async def _returned(self, kept: _Kept) -> None:
        async with self._one_by_one:
            await self._give_back([kept])

    async def _turns(self) -> None:
        while True:
            await asyncio.sleep(TURN)
            await self.turn()
