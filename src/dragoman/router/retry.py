"""Which failures are tried again, and after what wait. The one owner of retries: no transport and no client retries beside it.

A failure that names its own wait (`retry_after`) is obeyed, unless the wait is longer than the caller would put up with:
then the failure goes to the caller at once, with that time in it. There is no sleep after the last attempt.
`Budget` keeps retries to a share of the requests, so that an outage is not met with a storm.
"""

from __future__ import annotations

from random import Random

from msgspec import Struct

from dragoman.core.errors import APIStatusError, CallError
from dragoman.router.outcome import KINDS


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """`max_retries` further attempts after the first; waits of `base * 2**n` seconds up to `cap`, with jitter.

    `least` is the shortest wait of a session's retry, `max_wait` the longest `retry_after` in seconds that is waited for.
    `by_kind` says for a kind of failure (`outcome`) how many retries it has, in place of `max_retries`, also for one that is
    not retried by itself.
    """

    max_retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    max_wait: float = 60.0
    least: float = 0.0
    by_kind: dict[str, int] = {}

    def allows(self, kind: str, attempts: int) -> bool:
        """Whether a failure of this kind, after `attempts` attempts, may be followed by one more in the same group."""
        given = self.by_kind.get(kind)
        if given is not None:
            return attempts <= given
        rules = KINDS[kind]
        return (rules.again or rules.elsewhere) and attempts <= self.max_retries

    def again(self, kind: str) -> bool:
        """Whether the deployment that failed so may be asked once more."""
        return KINDS[kind].again or kind in self.by_kind


class Budget:
    """A token bucket filled by requests: `share` of a token each, at most `reserve`. An extra attempt needs a whole token, and
    costs one if it fails; one that succeeds was worth it and costs nothing. While it runs it holds its risk of failing.

    So failed extra attempts number at most `reserve + share * requests`, and those that ran at once when the bucket emptied:
    in a total outage, where none succeeds, that is all of them.
    """

    __slots__ = ("reserve", "share", "tokens")

    def __init__(self, *, share: float, reserve: float) -> None:
        self.share = share
        self.reserve = reserve
        self.tokens = reserve

    def add_request(self) -> None:
        tokens = self.tokens + self.share
        self.tokens = tokens if tokens < self.reserve else self.reserve  # noqa: FURB136 - on the way of every request

    def take(self, risk: float = 1.0) -> bool:
        """`risk`, between 0 and 1, is how likely the attempt is to fail; `settle` must follow with the same one."""
        if self.tokens < 1.0:
            return False
        self.tokens -= risk
        return True

    def settle(self, risk: float, *, failed: bool) -> None:
        self.tokens = min(self.reserve, self.tokens + risk - failed)


def back_off(policy: RetryPolicy, attempts: int, rng: Random) -> float:
    """Seconds, evenly between the least and the doubled base more (full jitter), after `attempts` attempts."""
    return policy.least + _doubled(policy, attempts) * rng.random()


def wait_before_retry(
    policy: RetryPolicy, error: CallError, *, before: CallError | None, attempts: int, rng: Random
) -> float | None:
    """Seconds until the next attempt, or None to give up.

    `error` is the failure just seen, after `attempts` attempts. `before` is the one that the deployment to be asked next gave
    last (with one deployment the same); None if it has not been asked yet, and then it is asked without a wait.
    """
    if not error.retryable or attempts > policy.max_retries:
        return None
    if before is None:
        return 0.0
    backoff = _doubled(policy, attempts) * (0.5 + rng.random() / 2)
    asked = before.retry_after if isinstance(before, APIStatusError) else None
    if asked is None:
        return backoff
    return None if asked > policy.max_wait else asked + backoff * 0.1


def _doubled(policy: RetryPolicy, attempts: int) -> float:
    return min(policy.cap, policy.base * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS))


_MOST_DOUBLINGS = 64
"""Enough for any cap; 2 to the power of some thousand is no float."""
