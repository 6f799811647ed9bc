"""Where answers are kept. A store holds bytes by key, for a time; what they mean is nobody's business here.

`Store` is what the engine asks. `SlowStore` is the base of those that wait for a disk or a network: reads are waited for, on
an event loop by way of a thread; writes are handed to a thread of the store's own, so that no answer ever waits for being
kept. What is on its way to be written is read from there. A store that fails is one that has nothing: it never raises.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from threading import Condition, Thread

logger = logging.getLogger("dragoman.cache")

MOST_WAITING = 64 * 1024 * 1024
"""Bytes that wait to be written; more are not kept."""
_LAST_WAIT = 5.0

Found = list[bytes | None]
Waiting = dict[str, tuple[bytes, float | None]]
"""Key -> (value, seconds it holds, or None)."""


class Store(ABC):
    """`instant`: reading and writing wait for nothing, so they may be done on an event loop."""

    instant = False

    @abstractmethod
    def read(self, keys: Sequence[str]) -> Found:
        """What is kept under each of the keys."""

    @abstractmethod
    async def aread(self, keys: Sequence[str]) -> Found:
        """As `read`, on an event loop."""

    @abstractmethod
    def write(self, entries: Mapping[str, bytes], ttl: float | None) -> None:
        """Keep these for `ttl` seconds; None: until there is no more room."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all that was kept here."""

    @abstractmethod
    def close(self) -> None:
        """Nothing is read or written after this."""


class SlowStore(Store):
    """See the module. Subclasses do what is abstract here, and may raise nothing in it."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: Waiting = {}
        self._size = 0
        self._writing: Waiting = {}
        self._writer: Thread | None = None
        self._closed = False

    @abstractmethod
    def fetch(self, keys: Sequence[str]) -> Found: ...

    @abstractmethod
    def save(self, entries: Waiting) -> None:
        """Called by the writing thread alone."""

    def read(self, keys: Sequence[str]) -> Found:
        found, missing = self._at_hand(keys)
        if missing:
            found.update(zip(missing, self.fetch(missing), strict=True))
        return [found[key] for key in keys]

    async def aread(self, keys: Sequence[str]) -> Found:
        found, missing = self._at_hand(keys)
        if missing:
            found.update(zip(missing, await asyncio.to_thread(self.fetch, missing), strict=True))
        return [found[key] for key in keys]

    def write(self, entries: Mapping[str, bytes], ttl: float | None) -> None:
        size = sum(map(len, entries.values()))
        with self._changed:
            if self._closed or self._size + size > MOST_WAITING:
                return
            self._waiting.update({key: (value, ttl) for key, value in entries.items()})
            self._size += size
            if self._writer is None or not self._writer.is_alive():  # a fork has left it behind
                self._writer = Thread(target=self._write_on, name="dragoman-cache", daemon=True)
                self._writer.start()
                atexit.register(self.close)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until what was written is kept, at most five seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._writing), timeout=_LAST_WAIT)

    def close(self) -> None:
        """What waits is still written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join(timeout=_LAST_WAIT)
            atexit.unregister(self.close)

    def _at_hand(self, keys: Sequence[str]) -> tuple[dict[str, bytes | None], list[str]]:
        """What is on its way, and the keys of what is not."""
        with self._changed:
            coming = {**self._writing, **self._waiting} if self._writing or self._waiting else {}
        found: dict[str, bytes | None] = {key: coming[key][0] for key in keys if key in coming}
        return found, [key for key in dict.fromkeys(keys) if key not in found]

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._writing = {}
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                self._writing, self._waiting, self._size = self._waiting, {}, 0
            try:
                self.save(self._writing)
            except Exception:
                logger.exception("The cache could not keep %d answers", len(self._writing))
