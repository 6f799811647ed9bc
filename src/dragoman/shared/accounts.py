"""Leases: what one worker may use of something that all workers count together, so that no call has to ask for itself.

What is counted is an account: of limits a `Tally`, of budgets the gateway's Counter. Where workers share, it has `granted`:
the worker's own use may grow up to that and nobody is asked. Beyond it `LeaseNeededError` says what is wanted; who has it
takes a block from the pool by `Leases.lease` and tries again. After an account was refused there it is `full` for a moment,
and refuses by itself. Pure: the pool itself is `shared.leases`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isinf
from typing import NamedTuple, Protocol


class Account(Protocol):
    """`place` names it among all workers, with its window. `used` is this worker's share of what is counted, `base` what is
    counted for nobody in particular any more; `idle`: no call of ours holds any of it. `granted` None: nobody shares it.
    `full_until` and `ends` are Unix seconds. `outlives`: what a worker that has died used is used all the same.
    """

    granted: int | None
    full_until: float
    ends: float

    @property
    def place(self) -> str: ...
    @property
    def used(self) -> int: ...
    @property
    def base(self) -> int: ...
    @property
    def idle(self) -> bool: ...
    @property
    def outlives(self) -> bool: ...
    def lent(self, amount: int, elsewhere: int) -> None:
        """The pool grants so much more, and says what others have."""
        ...

    def alone(self, amount: int, limit: int, workers: int) -> None:
        """Nobody can be asked: go on by what is known here, one of so many workers."""
        ...


class Tally:
    """An account of what is counted anew in each window, or (without an end) of what is held at once. `elsewhere`: what other
    workers were granted when we last asked.
    """

    __slots__ = ("elsewhere", "ends", "full_until", "granted", "used")

    base = 0
    """Whatever is used is some worker's."""

    def __init__(self, ends: float, *, shared: bool) -> None:
        self.ends = ends
        self.used = self.elsewhere = 0
        self.full_until = 0.0
        self.granted: int | None = 0 if shared else None

    def begin(self, ends: float) -> None:
        """Another window."""
        self.used = self.elsewhere = 0
        self.full_until = 0.0
        self.ends = ends
        if self.granted is not None:
            self.granted = 0

    @property
    def idle(self) -> bool:
        return not self.used

    @property
    def outlives(self) -> bool:
        """A dead worker's requests were made; what it held at once is free."""
        return not isinf(self.ends)

    def lent(self, amount: int, elsewhere: int) -> None:
        self.granted = (self.granted or 0) + amount
        self.elsewhere = elsewhere

    def alone(self, amount: int, limit: int, workers: int) -> None:
        """An even share for each worker."""
        share = -(-limit // workers)
        self.granted = max(share, amount) if self.used == 0 < limit else max(share, self.used)


class Wanted(NamedTuple):
    """One call wants `amount` of an account that has `limit` in all."""

    account: Account
    amount: int
    limit: int


class LeaseNeededError(Exception):
    """Not granted here, and perhaps to be had: nothing was taken."""

    def __init__(self, wanted: tuple[Wanted, ...]) -> None:
        super().__init__(f"a lease of {', '.join(each.account.place for each in wanted)} is needed")
        self.wanted = wanted


class Leases(Protocol):
    """The pool."""

    async def lease(self, wanted: Iterable[Wanted]) -> None:
        """Afterwards each account was granted more, or is full for a moment, or goes on alone. Never raises."""
        ...
