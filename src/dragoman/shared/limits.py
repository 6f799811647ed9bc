"""Limits of deployments, counted by several processes together: requests and tokens a minute, requests at once.

As the limits of keys they are leased: a process has a block of what is left and admits out of it by itself. When it is used
`leased` has more asked for, beside the calls, which look again in a moment. A minute is that of the clock, the same for all.
Made for `Policy.share`; whom to ask is the policy's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf, isinf
from weakref import WeakValueDictionary

from dragoman.router.limits import MINUTE
from dragoman.shared.accounts import Leases, Tally, Wanted
from dragoman.shared.valkey import Valkey

REQUESTS, TOKENS, PARALLEL = "requests", "tokens", "parallel"


class Meter(Tally):
    """What this process used of one limit of a deployment in the current minute, or at once. `asking`: a lease is under way.

    Times are Unix seconds, `tokens` those of a call, of which each kind of limit takes what it counts.
    """

    __slots__ = ("__weakref__", "asking", "kind", "limit", "owner")

    def __init__(self, owner: str, kind: str, limit: int) -> None:
        super().__init__(inf if kind == PARALLEL else 0.0, shared=True)
        self.owner = owner
        self.kind = kind
        self.limit = limit
        self.asking = False

    @property
    def place(self) -> str:
        window = "" if isinf(self.ends) else f"#{self.ends:.0f}"
        return f"deployment {self.owner} {self.kind}{window}"

    def amount(self, tokens: int) -> int:
        return tokens if self.kind == TOKENS else 1

    def fits(self, tokens: int, now: float) -> bool:
        if now >= self.ends:
            self.begin((now // MINUTE + 1.0) * MINUTE)
        return self.used + self.amount(tokens) <= (self.granted or 0)

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until it may fit: 0 also where the others have to be asked."""
        return 0.0 if self.fits(tokens, now) or now >= self.full_until else self.ends - now

    def settle(self, reserved: int, used: int, began: float) -> None:
        """A place at once is free again; tokens are what was used, if their minute is not over."""
        if self.kind == PARALLEL:
            self.used = max(0, self.used - 1)
        elif self.kind == TOKENS and began >= self.ends - MINUTE:
            self.used += used - reserved


class SharedLimits:
    """A `router.limits.Limited` out of meters."""

    __slots__ = ("_meters", "_pool")

    def __init__(self, meters: tuple[Meter, ...], pool: LimitsPool) -> None:
        self._meters = meters
        self._pool = pool

    def wait(self, tokens: int, in_flight: int, now: float) -> float:  # noqa: ARG002 - what others have in flight counts too
        unix = now + self._pool.ahead
        return max(meter.wait(tokens, unix) for meter in self._meters)

    def leased(self, tokens: int, now: float) -> bool:
        unix = now + self._pool.ahead
        short = [meter for meter in self._meters if not meter.fits(tokens, unix)]
        if short:
            self._pool.ask(short, tokens)
        return not short

    def reserve(self, tokens: int, now: float) -> None:  # noqa: ARG002 - `leased` was asked in the same moment
        for meter in self._meters:
            meter.used += meter.amount(tokens)

    def settle(self, reserved: int, used: int, began: float) -> None:
        for meter in self._meters:
            meter.settle(reserved, used, began + self._pool.ahead)


class LimitsPool:
    """A `router.limits.LimitsOf` for this process. Limits that are made anew for an id go on from what was counted for it.

    `clock` is the engine's, `wall` Unix seconds; `ahead`: by how much.
    """

    def __init__(
        self,
        valkey: Valkey,
        leases: Leases,
        *,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._valkey = valkey
        self._leases = leases
        self._clock = clock
        self._wall = wall
        self._meters: WeakValueDictionary[tuple[str, str], Meter] = WeakValueDictionary()
        self.ahead = wall() - clock()

    def __call__(
        self,
        deployment: str,
        *,
        rpm: int | None,
        tpm: int | None,
        max_parallel: int | None,
        fixed: bool,  # noqa: ARG002 - they always are
    ) -> SharedLimits:
        limits = {REQUESTS: rpm, TOKENS: tpm, PARALLEL: max_parallel}
        given = [(kind, limit) for kind, limit in limits.items() if limit is not None]
        return SharedLimits(tuple(self._meter(deployment, kind, limit) for kind, limit in given), self)

    def ask(self, short: list[Meter], tokens: int) -> None:
        """Have more leased of these, as far as nobody is about it."""
        idle = [meter for meter in short if not meter.asking]
        if not idle:
            return
        for meter in idle:
            meter.asking = True
        if not self._valkey.begin(self._lease(idle, tokens)):
            for meter in idle:  # nobody is there to ask any more
                meter.asking, meter.full_until = False, meter.ends
                meter.alone(meter.amount(tokens), meter.limit, 1)

    async def _lease(self, meters: list[Meter], tokens: int) -> None:
        self.ahead = self._wall() - self._clock()
        try:
            await self._leases.lease([Wanted(meter, meter.amount(tokens), meter.limit) for meter in meters])
        finally:
            for meter in meters:
                meter.asking = False

    def _meter(self, deployment: str, kind: str, limit: int) -> Meter:
        meter = self._meters.get((deployment, kind))
        if meter is None:
            meter = self._meters[deployment, kind] = Meter(deployment, kind, limit)
        meter.limit = limit
        return meter
