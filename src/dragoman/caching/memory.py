"""Answers in this process, the least recently used ones going first when there is no more room. Safe between threads."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from dragoman.caching.store import Found, Store

OVERHEAD = 320
"""Bytes that Python needs for an entry beside its value: key, tuple, two numbers and their places in the dict."""


class MemoryStore(Store):
    """`max_bytes` bounds the values and what holds them. `clock` is Unix seconds."""

    instant = True

    def __init__(self, *, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self.size = 0
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, keys: Sequence[str]) -> Found:
        now = self._clock()
        with self._lock:
            return [self._one(key, now) for key in keys]

    async def aread(self, keys: Sequence[str]) -> Found:
        return self.read(keys)

    def write(self, entries: Mapping[str, bytes], ttl: float | None) -> None:
        expires = float("inf") if ttl is None else self._clock() + ttl
        with self._lock:
            for key, value in entries.items():
                self._drop(key)
                if len(value) + OVERHEAD <= self._max_bytes:
                    self._entries[key] = value, expires
                    self.size += len(value) + OVERHEAD
            while self.size > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.size = 0

    def close(self) -> None:
        self.clear()

    def _one(self, key: str, now: float) -> bytes | None:
        found = self._entries.get(key)
        if found is None:
            return None
        if found[1] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return found[0]

    def _drop(self, key: str) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.size -= len(gone[0]) + OVERHEAD
