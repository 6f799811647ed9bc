"""Answers in Redis or Valkey, for any number of processes and machines. Needs the `redis` extra.

One that is away is a miss: short timeouts, no second try, then nobody asks it for a while that doubles from one second to half
a minute. The log hears of it once, and when it is back. How much it holds, and what goes first, is for its own `maxmemory`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from dragoman.caching.store import Found, SlowStore, Waiting, logger
from dragoman.core.errors import ConfigurationError

PREFIX = "dragoman:answer:"
TIMEOUT = 0.25
"""Seconds for a connection, and for an answer."""
ADDRESS = "redis://[[user]:password@]host[:port][/database] (or rediss://, unix://), the password percent-encoded"
_SHORTEST, _LONGEST = 1.0, 30.0


class Breaker:
    """Whether to ask something that fails now and then. `clock` is monotonic seconds. Safe between threads."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._lock = Lock()
        self._wait = 0.0
        self._again = 0.0

    def closed(self) -> bool:
        """True: ask it. While it fails one asks at a time, after a wait."""
        with self._lock:
            now = self._clock()
            if now < self._again:
                return False
            if self._wait:
                self._again = now + self._wait
            return True

    def failed(self, problem: Exception) -> None:
        with self._lock:
            if not self._wait:
                logger.warning("The cache at %s is away, calls go on without it: %s", self._name, problem)
            self._wait = min(self._wait * 2 or _SHORTEST, _LONGEST)
            self._again = self._clock() + self._wait

    def worked(self) -> None:
        with self._lock:
            failed, self._wait, self._again = self._wait, 0.0, 0.0
        if failed:
            logger.warning("The cache at %s is back", self._name)


class RedisStore(SlowStore):
    """`url`: see ADDRESS; rediss:// is with TLS, unix:// a socket. Raises ConfigurationError, without what was given."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        try:
            import redis  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigurationError("cache: Redis needs a package more: pip install 'dragoman[redis]'") from None
        once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        try:
            self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=once)
        except ValueError:  # it may quote a part of the password
            raise ConfigurationError(f"cache: this is no address of Redis; expected {ADDRESS}") from None
        place = self._client.connection_pool.connection_kwargs
        self._breaker = Breaker(str(place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"), clock)
        self._failures = (redis.RedisError, OSError)

    def fetch(self, keys: Sequence[str]) -> Found:
        found: Found = self._guarded(lambda: self._client.mget(_named(keys)), [None] * len(keys))
        return found

    def save(self, entries: Waiting) -> None:
        def send() -> None:
            pipe = self._client.pipeline(transaction=False)
            for key, (value, ttl) in entries.items():
                pipe.set(PREFIX + key, value, px=None if ttl is None else max(1, round(ttl * 1000)))
            pipe.execute()

        self._guarded(send, None)

    def clear(self) -> None:
        self.flush()
        self._guarded(lambda: [self._client.delete(key) for key in self._client.scan_iter(PREFIX + "*", count=1000)], [])

    def close(self) -> None:
        super().close()
        self._client.close()

    def _guarded(self, ask: Callable[[], Any], otherwise: Any) -> Any:
        if not self._breaker.closed():
            return otherwise
        try:
            found = ask()
        except self._failures as problem:
            self._breaker.failed(problem)
            return otherwise
        self._breaker.worked()
        return found


def _named(keys: Sequence[str]) -> list[str]:
    return [PREFIX + key for key in keys]
