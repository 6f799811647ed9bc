"""How fast a deployment has been: time to the first token, time of a whole answer, tokens a second. Learnt from real traffic.

Peak-sensitive moving averages: a slow answer is believed at once by half, a fast one only as time passes, so a deployment
that turns slow is left quickly and taken back carefully. By size of the request. Pure; `state` feeds it, `balance` reads it.
"""

from __future__ import annotations

from math import exp

SIZES = (1_000, 8_000, 64_000)
"""Input tokens that part the four classes."""

RISE = 0.5
FALL = 0.1
MEMORY = 10.0
"""Of a slower sample half is believed, of a faster one at least a tenth, and all of it long after `MEMORY` seconds."""

_CLASSES = len(SIZES) + 1
_FEW = 8
_KEPT = 64


def size_class(input_tokens: int) -> int:
    return sum(input_tokens >= size for size in SIZES)


def place_of(input_tokens: int, stream: bool) -> int:  # noqa: FBT001 - the hot path
    """Where in `Speed.values` such a request has its place."""
    start = 0 if stream else _CLASSES
    return start + size_class(input_tokens) if input_tokens >= SIZES[0] else start


class Speed:
    """`seen` is when it was last learnt from (seconds). All values are seconds, `rate` is tokens a second. `values`: what is
    expected by `place_of` a request, None where no such one was seen.
    """

    __slots__ = ("_firsts", "_rate_at", "_stamps", "_wholes", "rate", "seen", "values")

    def __init__(self) -> None:
        self.values: list[float | None] = [None] * (2 * _CLASSES)
        self._stamps = [0.0] * (2 * _CLASSES)
        self._firsts: list[float] = []
        self._wholes: list[float] = []
        self._rate_at = 0.0
        self.rate: float | None = None
        self.seen: float | None = None

    def learn(
        self, *, input_tokens: int, output_tokens: int, first_token: float | None, seconds: float, now: float, good: bool = True
    ) -> None:
        """A success; or (not `good`) a timeout, which counts as an answer that took this long, or a stream that crawled."""
        self.seen = now
        size = size_class(input_tokens)
        if first_token is None:
            self._blend(_CLASSES + size, seconds, now)
            if good:
                _keep(self._wholes, seconds)
            else:
                self._blend(size, seconds, now)
            return
        self._blend(size, first_token, now)
        _keep(self._firsts, first_token)
        taken = seconds - first_token
        if (output_tokens >= _FEW or not good) and taken > 0:
            rate = output_tokens / taken
            self.rate = rate if self.rate is None else self.rate + self._weight(self._rate_at, now) * (rate - self.rate)
            self._rate_at = now

    def expected(self, input_tokens: int, stream: bool) -> float | None:  # noqa: FBT001 - the hot path
        """Seconds until the first token of a `stream`, or until the whole answer; None when nothing is known."""
        place = place_of(input_tokens, stream)
        value = self.values[place]
        return self.nearest(place) if value is None else value

    def quantile(self, share: float, *, stream: bool) -> float | None:
        """Of the last 64 times to the first token of a `stream`, or of a whole answer; None while there are too few to tell."""
        times = self._firsts if stream else self._wholes
        count = len(times)
        return sorted(times)[min(count - 1, int(share * count))] if count >= 2 * _FEW else None

    def nearest(self, place: int) -> float | None:
        """What other sizes took, else what the other way of answering took: better than nothing."""
        start = place - place % _CLASSES
        known = [value for value in self.values[start : start + _CLASSES] if value is not None]
        known = known or [value for value in self.values if value is not None]
        return sum(known) / len(known) if known else None

    def _blend(self, place: int, sample: float, now: float) -> None:
        old = self.values[place]
        if old is None:
            self.values[place] = sample
        elif sample > old:
            self.values[place] = old + RISE * (sample - old)
        else:
            self.values[place] = old + self._weight(self._stamps[place], now) * (sample - old)
        self._stamps[place] = now

    @staticmethod
    def _weight(then: float, now: float) -> float:
        """How much of a sample is believed when the last one was `then`: the longer ago, the more."""
        return max(FALL, 1.0 - exp((then - now) / MEMORY))


def _keep(times: list[float], seconds: float) -> None:
    times.append(seconds)
    if len(times) > _KEPT:
        del times[0]
