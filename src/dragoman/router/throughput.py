"""A stream that begins to crawl is handed over to another deployment: from when on it does, and what that is called.

Off unless asked for. It is looked at once, when its first window is over; a window of n tokens would be one of
n / tokens_per_second seconds, so there is but one number for it. Pure: the engine measures, and hands over (`engine.pace`).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from dragoman.core.chat import Usage
from dragoman.core.errors import StreamInterruptedError

_NONE = Usage()
_Positive = Annotated[float, Meta(gt=0, le=1e6)]


class ThroughputGuard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`window`: seconds of waiting for it after the first token, in which a stream is to come with `tokens_per_second`.
    `most_wait`: seconds that the next deployment has for its own first token; then the slow stream goes on.
    """

    tokens_per_second: _Positive = 5.0
    window: _Positive = 3.0
    most_wait: _Positive = 5.0


class SlowStreamError(StreamInterruptedError):
    """The stream crawled, and another deployment has taken over: no caller sees this but in the trail. `usage` is what it took,
    `seconds` how long it was waited for after its first token.
    """

    type = "slow_stream"

    def __init__(self, message: str, *, usage: Usage = _NONE, seconds: float = 0.0, **context: Any) -> None:
        super().__init__(message, code="slow", **context)
        self.usage = usage
        self.seconds = seconds


def crawls(guard: ThroughputGuard, tokens: int, seconds: float) -> bool:
    """Whether so many tokens in the window, which was over after so many seconds, are too few."""
    return tokens < guard.tokens_per_second * seconds
