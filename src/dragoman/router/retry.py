"""Which failures are tried again, and after what wait. The one owner of retries: no transport and no client retries beside it.

A failure that names its own wait (`retry_after`) is obeyed, unless the wait is longer than the caller would put up with:
then the failure goes to the caller at once, with that time in it. There is no sleep after the last attempt.
"""

from __future__ import annotations

from random import Random

from msgspec import Struct

from dragoman.core.errors import APIStatusError, CallError


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """`max_retries` further attempts after the first; waits of `base * 2**n` seconds up to `cap`, with half of it jitter.

    `max_wait` is the longest `retry_after` in seconds that is waited for.
    """

    max_retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    max_wait: float = 60.0


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
    doubled = policy.base * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)
    backoff = min(policy.cap, doubled) * (0.5 + rng.random() / 2)
    asked = before.retry_after if isinstance(before, APIStatusError) else None
    if asked is None:
        return backoff
    return None if asked > policy.max_wait else asked + backoff * 0.1


_MOST_DOUBLINGS = 64
"""Enough for any cap; 2 to the power of some thousand is no float."""
