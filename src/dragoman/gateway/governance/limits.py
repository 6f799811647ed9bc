"""Limits: requests and tokens in a window, and calls at once. Exact, counted per window, all or nothing.

Tokens are reserved by an estimate and corrected when the call has ended, in the window where they were reserved. A refusal
says how long to wait: until the window ends. Where workers share, a meter is an account of `shared.accounts`. Pure: `now` is
Unix seconds. The `governance` calls it for every face alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from math import inf, isinf
from typing import NamedTuple

from msgspec import Struct

from dragoman.core.errors import RateLimitExceededError
from dragoman.gateway.governance import windows
from dragoman.shared.accounts import LeaseNeededError, Tally, Wanted

KINDS = frozenset({"requests", "tokens", "input_tokens", "output_tokens", "parallel"})
_COUNTED_ONCE = frozenset({"requests", "parallel"})
_OF_REQUESTS = (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests")
_OF_TOKENS = (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens")
_TOLD = {"requests": _OF_REQUESTS, "tokens": _OF_TOKENS, "input_tokens": _OF_TOKENS, "output_tokens": _OF_TOKENS}
"""Kind -> the headers that tell of it."""
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


class Meter(Tally):
    """What this worker used of one limit of one scope in its current window, and what it may."""

    __slots__ = ("limit", "owner")

    def __init__(self, owner: str, limit: Limit, *, shared: bool = False) -> None:
        super().__init__(inf if limit.kind == "parallel" else 0.0, shared=shared)
        self.owner = owner
        self.limit = limit

    def turn(self, now: float) -> None:
        """Begin the window that `now` is in, if it is another one."""
        if now >= self.ends:
            self.begin(windows.window(self.limit.span, now).ends)

    @property
    def remaining(self) -> int:
        return max(0, self.limit.amount - self.used - self.elsewhere)

    @property
    def place(self) -> str:
        window = "" if isinf(self.ends) else f"#{self.ends:.0f}"
        return f"{self.owner} {self.limit.kind} {self.limit.span} {self.limit.model}{window}"

    def fits(self, amount: int) -> bool:
        """An estimate larger than the whole limit passes when nothing else was used: else it never would."""
        if self.granted is not None:
            return self.used + amount <= self.granted
        return self.used + amount <= self.limit.amount or (self.used == 0 < self.limit.amount)


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
        raise _short(short, meters, now)
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


def headers(meters: Iterable[Meter], now: float, full: Meter | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """`x-ratelimit-*` of the tightest limit of requests and of tokens; the reset is in seconds. `full`: it has refused, so it
    is the tightest of its kind, whatever is left of it.
    """
    tightest: dict[tuple[bytes, bytes, bytes], tuple[float, int, Meter]] = {}
    for meter in meters:
        names = _TOLD.get(meter.limit.kind)
        if names is not None:
            remaining = meter.remaining
            share = -1.0 if meter is full else remaining / (meter.limit.amount or 1)
            if names not in tightest or share < tightest[names][0]:
                tightest[names] = (share, remaining, meter)
    found: list[tuple[bytes, bytes]] = []
    for (limit, left, reset), (_, remaining, meter) in tightest.items():
        found.append((limit, b"%d" % meter.limit.amount))
        found.append((left, b"%d" % remaining))
        found.append((reset, b"%ds" % max(0, round(meter.ends - now + 0.5))))
    return tuple(found)


def _short(short: list[tuple[Meter, int]], meters: tuple[Meter, ...], now: float) -> Exception:
    """What to raise where not everything fits."""
    full = [meter for meter, _ in short if meter.granted is None or now < meter.full_until]
    if not full:
        return LeaseNeededError(tuple(Wanted(meter, amount, meter.limit.amount) for meter, amount in short))
    return _exceeded(max(full, key=lambda meter: _wait(meter, now)), meters, now)


def _wait(meter: Meter, now: float) -> float:
    return PARALLEL_RETRY if meter.limit.kind == "parallel" else meter.ends - now


def _exceeded(meter: Meter, meters: tuple[Meter, ...], now: float) -> RateLimitExceededError:
    limit, wait = meter.limit, _wait(meter, now)
    what = "calls at once" if limit.kind == "parallel" else f"{limit.kind.replace('_', ' ')} each {limit.span}"
    of = f" of {limit.model}" if limit.model else ""
    return RateLimitExceededError(
        f"{meter.owner} has its limit of {limit.amount} {what}{of}: "
        f"{meter.used + meter.elsewhere} are used; try again in {wait:.1f} s",
        retry_after=wait,
        limits=headers(meters, now, full=meter),
    )
