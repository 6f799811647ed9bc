"""Limits: requests and tokens in a window, and calls at once. Exact, counted per window, all or nothing.

Tokens are reserved by an estimate and corrected when the call has ended, in the window where they were reserved. A refusal
says how long to wait: until the window ends. Where workers share, a meter is an account of `leases`. Pure: `now` is Unix
seconds. The `governance` calls it for every face alike.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from math import inf, isinf
from typing import NamedTuple

from msgspec import Struct

from dragoman.core.errors import RateLimitExceededError
from dragoman.gateway.governance import windows
from dragoman.gateway.governance.leases import LeaseNeededError, Wanted

KINDS = frozenset({"requests", "tokens", "input_tokens", "output_tokens", "parallel"})
_COUNTED_ONCE = frozenset({"requests", "parallel"})
PARALLEL_RETRY = 1.0
"""Seconds to wait for a free place among parallel calls: nobody can know when one ends."""


class Limit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most `amount` of a kind in each window of `span`; of "parallel" at once. `model` is a glob, "" for all."""

    kind: str
    amount: int
    span: str = "1m"
    model: str = ""

    def covers(self, model: str) -> bool:
        return not self.model or fnmatchcase(model, self.model)


class Amounts(NamedTuple):
    """What one call takes: estimated at first, then counted."""

    input_tokens: int = 0
    output_tokens: int = 0

    def of(self, kind: str) -> int:
        if kind in _COUNTED_ONCE:
            return 1
        if kind == "tokens":
            return self.input_tokens + self.output_tokens
        return self.input_tokens if kind == "input_tokens" else self.output_tokens


class Meter:
    """What this worker used of one limit of one scope in its current window, and what it may: see `leases.Account`.

    `elsewhere`: what other workers were granted when we last asked.
    """

    __slots__ = ("elsewhere", "ends", "full_until", "granted", "limit", "owner", "used")

    base = 0
    """Whatever is used is some worker's."""

    def __init__(self, owner: str, limit: Limit, *, shared: bool = False) -> None:
        self.owner = owner
        self.limit = limit
        self.used = self.elsewhere = 0
        self.granted: int | None = 0 if shared else None
        self.full_until = 0.0
        self.ends = inf if limit.kind == "parallel" else 0.0

    def turn(self, now: float) -> None:
        """Begin the window that `now` is in, if it is another one."""
        if now >= self.ends:
            self.used = self.elsewhere = 0
            self.full_until = 0.0
            self.ends = windows.window(self.limit.span, now).ends
            if self.granted is not None:
                self.granted = 0

    @property
    def remaining(self) -> int:
        return max(0, self.limit.amount - self.used - self.elsewhere)

    @property
    def place(self) -> str:
        window = "" if isinf(self.ends) else f"#{self.ends:.0f}"
        return f"{self.owner} {self.limit.kind} {self.limit.span} {self.limit.model}{window}"

    @property
    def idle(self) -> bool:
        return not self.used

    @property
    def outlives(self) -> bool:
        """A dead worker's requests were made; its calls at once are over."""
        return self.limit.kind != "parallel"

    def fits(self, amount: int) -> bool:
        """An estimate larger than the whole limit passes when nothing else was used: else it never would."""
        if self.granted is not None:
            return self.used + amount <= self.granted
        return self.used + amount <= self.limit.amount or (self.used == 0 < self.limit.amount)

    def lent(self, amount: int, elsewhere: int) -> None:
        self.granted = (self.granted or 0) + amount
        self.elsewhere = elsewhere

    def alone(self, amount: int, limit: int, workers: int) -> None:
        """An even share for each worker."""
        share = -(-limit // workers)
        self.granted = max(share, amount) if self.used == 0 < limit else max(share, self.used)


class Taken(NamedTuple):
    """What a call took of a meter, and in which window (its end)."""

    meter: Meter
    amount: int
    ends: float


class Limiter:
    """Every meter, by scope and limit. A limit whose amount is changed keeps what was used. `shared`: with other workers."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._meters: dict[tuple[str, str, str, str, str], Meter] = {}

    def meter(self, kind: str, id_: str, limit: Limit) -> Meter:
        place = (kind, id_, limit.kind, limit.span, limit.model)
        found = self._meters.get(place)
        if found is None:
            found = self._meters[place] = Meter(f"{kind} {id_}", limit, shared=self._shared)
        found.limit = limit
        return found

    def sweep(self, now: float) -> bool:
        """Forget windows that are over, and idle places. Whether any was: who still has one has to ask for it anew."""
        idle = [p for p, m in self._meters.items() if now >= m.ends or (m.limit.kind == "parallel" and not m.used)]
        for place in idle:
            del self._meters[place]
        return bool(idle)


def take(meters: tuple[Meter, ...], amounts: Amounts, now: float) -> tuple[Taken, ...]:
    """Take of every meter, or of none.

    Raises RateLimitExceededError with `retry_after`, of the limit that waits longest, and LeaseNeededError.
    """
    taken, short = [], []
    for meter in meters:
        if now >= meter.ends:
            meter.turn(now)
        amount = amounts.of(meter.limit.kind)
        taken.append(Taken(meter, amount, meter.ends))
        if not meter.fits(amount):
            short.append((meter, amount))
    if short:
        raise _short(short, now)
    for meter, amount, _ in taken:
        meter.used += amount
    return tuple(taken)


def correct(taken: tuple[Taken, ...], counted: Amounts | None) -> None:
    """The call has ended: places are free again, tokens are what was counted (None: as estimated)."""
    for meter, amount, ends in taken:
        if meter.ends != ends:
            continue
        if meter.limit.kind == "parallel":
            meter.used -= amount
        elif counted is not None and meter.limit.kind != "requests":
            meter.used += counted.of(meter.limit.kind) - amount


def give_back(taken: tuple[Taken, ...]) -> None:
    """The call never happened."""
    for meter, amount, ends in taken:
        if meter.ends == ends:
            meter.used -= amount


def headers(taken: tuple[Taken, ...], now: float) -> list[tuple[bytes, bytes]]:
    """`x-ratelimit-*` of the tightest limit of requests and of tokens; the reset is in seconds."""
    found: list[tuple[bytes, bytes]] = []
    for name, kinds in ((b"requests", {"requests"}), (b"tokens", {"tokens", "input_tokens", "output_tokens"})):
        meters = [meter for meter, _, _ in taken if meter.limit.kind in kinds]
        if meters:
            tightest = min(meters, key=lambda meter: meter.remaining / (meter.limit.amount or 1))
            found += [
                (b"x-ratelimit-limit-" + name, b"%d" % tightest.limit.amount),
                (b"x-ratelimit-remaining-" + name, b"%d" % tightest.remaining),
                (b"x-ratelimit-reset-" + name, b"%ds" % max(0, round(tightest.ends - now + 0.5))),
            ]
    return found


def _short(short: list[tuple[Meter, int]], now: float) -> Exception:
    """What to raise where not everything fits."""
    full = [meter for meter, _ in short if meter.granted is None or now < meter.full_until]
    if not full:
        return LeaseNeededError(tuple(Wanted(meter, amount, meter.limit.amount) for meter, amount in short))
    return _exceeded(max(full, key=lambda meter: _wait(meter, now)), now)


def _wait(meter: Meter, now: float) -> float:
    return PARALLEL_RETRY if meter.limit.kind == "parallel" else meter.ends - now


def _exceeded(meter: Meter, now: float) -> RateLimitExceededError:
    limit, wait = meter.limit, _wait(meter, now)
    what = "calls at once" if limit.kind == "parallel" else f"{limit.kind.replace('_', ' ')} each {limit.span}"
    of = f" of {limit.model}" if limit.model else ""
    return RateLimitExceededError(
        f"{meter.owner} has its limit of {limit.amount} {what}{of}: "
        f"{meter.used + meter.elsewhere} are used; try again in {wait:.1f} s",
        retry_after=wait,
    )
