"""Limits of a deployment: requests a minute, tokens a minute, requests at once. Exact: N serves N in every window.

Tokens are reserved by estimate when an attempt begins and corrected when its usage is known. A window is sliding (no 60
seconds hold more than N) or fixed (counted anew each minute). Memory is bounded whatever the limit. Used by `state`.

`Limits` counts for one process. Where several count together `Policy.share` puts another `Limited` in its place.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Protocol

MINUTE = 60.0
LARGEST_EXACT = 100_000
"""Requests a minute up to which a sliding window remembers each one (8 bytes each); a larger limit has a fixed window."""


_INSTANT = 1e-6
"""Seconds that are left of a minute when rounding says that none are."""


class SlidingRequests:
    """At most `limit` admissions in any 60 seconds. O(1): a ring of the last `limit` times; the oldest must be a minute old."""

    __slots__ = ("_at", "_next", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._at = array("d", [float("-inf")]) * limit
        self._next = 0

    def wait(self, now: float) -> float:
        """Seconds until one more is admitted; 0 when it is now."""
        if not self.limit:
            return MINUTE
        oldest = self._at[self._next]
        return 0.0 if oldest <= now - MINUTE else max(oldest + MINUTE - now, _INSTANT)

    def take(self, now: float) -> None:
        self._at[self._next] = now
        self._next = (self._next + 1) % self.limit

    def used(self, now: float) -> int:
        return sum(1 for at in self._at if at > now - MINUTE)


class FixedRequests:
    """At most `limit` admissions in each minute of the clock that `now` is of."""

    __slots__ = ("_count", "_minute", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = -1.0
        self._count = 0

    def wait(self, now: float) -> float:
        return 0.0 if self.used(now) < self.limit else MINUTE - now % MINUTE

    def take(self, now: float) -> None:
        self._count = self.used(now) + 1
        self._minute = now // MINUTE

    def used(self, now: float) -> int:
        return self._count if now // MINUTE == self._minute else 0


class Amounts:
    """A sum over the last 60 seconds (or the current minute), kept by whole seconds: an amount leaves with its second.

    It never counts less than the exact sum, so a limit on it is never passed. At most 61 entries.
    """

    __slots__ = ("_entries", "_fixed", "total")

    def __init__(self, *, fixed: bool = False) -> None:
        self._entries: deque[list[int]] = deque()
        self._fixed = fixed
        self.total = 0

    def used(self, now: float) -> int:
        oldest = int(now // MINUTE * MINUTE) if self._fixed else int(now - MINUTE)
        entries = self._entries
        while entries and entries[0][0] < oldest:
            self.total -= entries.popleft()[1]
        return self.total

    def add(self, amount: int, now: float) -> None:
        self.used(now)
        second = int(now)
        if self._entries and self._entries[-1][0] == second:
            self._entries[-1][1] += amount
        else:
            self._entries.append([second, amount])
        self.total += amount

    def correct(self, difference: int, began: float) -> None:
        """Change what was added at `began`; when that has left the window there is nothing to correct."""
        second = int(began)
        for entry in self._entries:
            if entry[0] == second:
                entry[1] += difference
                self.total += difference
                return

    def wait(self, amount: int, limit: int, now: float) -> float:
        """Seconds until `amount` more fits under `limit`. One that is larger than the limit goes alone into an empty window."""
        left = self.used(now)
        if left + amount <= limit or left <= 0:
            return 0.0
        if self._fixed:
            return MINUTE - now % MINUTE
        for second, size in self._entries:
            left -= size
            if left + amount <= limit or left <= 0:
                return second + 1 + MINUTE - now
        return MINUTE


class Limited(Protocol):
    """The limits of one deployment. `now` and `began` are of the engine's clock, `tokens` an estimate."""

    def wait(self, tokens: int, in_flight: int, now: float) -> float:
        """Seconds until it may be asked; infinity when it waits for another request to end, which nobody can date."""
        ...

    def leased(self, tokens: int, now: float) -> bool:
        """Whether one more may be counted at once, when `wait` says 0. If not it is being found out: ask again in a moment."""
        ...

    def reserve(self, tokens: int, now: float) -> None:
        """Count an attempt that begins."""
        ...

    def settle(self, reserved: int, used: int, began: float) -> None:
        """It has ended: its tokens are what was used."""
        ...


class Limits:
    """A `Limited` for one process."""

    __slots__ = ("max_parallel", "requests", "tokens", "tpm")

    def __init__(
        self,
        deployment: str = "",  # noqa: ARG002 - as every LimitsOf
        *,
        rpm: int | None = None,
        tpm: int | None = None,
        max_parallel: int | None = None,
        fixed: bool = False,
    ) -> None:
        window = FixedRequests if fixed or (rpm or 0) > LARGEST_EXACT else SlidingRequests
        self.requests = None if rpm is None else window(rpm)
        self.tokens = None if tpm is None else Amounts(fixed=fixed)
        self.tpm = tpm
        self.max_parallel = max_parallel

    def wait(self, tokens: int, in_flight: int, now: float) -> float:
        if self.max_parallel is not None and in_flight >= self.max_parallel:
            return float("inf")
        longest = 0.0 if self.requests is None else self.requests.wait(now)
        if self.tokens is not None and self.tpm is not None:
            longest = max(longest, self.tokens.wait(tokens, self.tpm, now))
        return longest

    def leased(self, tokens: int, now: float) -> bool:  # noqa: ARG002 - nobody else has any of it
        return True

    def reserve(self, tokens: int, now: float) -> None:
        if self.requests is not None:
            self.requests.take(now)
        if self.tokens is not None:
            self.tokens.add(tokens, now)

    def settle(self, reserved: int, used: int, began: float) -> None:
        if self.tokens is not None and used != reserved:
            self.tokens.correct(used - reserved, began)


class LimitsOf(Protocol):
    """Makes the limits of the deployment with this id, of which there is at least one. `fixed`: by the minute."""

    def __call__(
        self, deployment: str, *, rpm: int | None, tpm: int | None, max_parallel: int | None, fixed: bool
    ) -> Limited: ...
