"""Answers in a file, for as many processes of this machine as like to share it: SQLite with its write-ahead log.

The oldest answers go when the file has grown to its bound. The file is readable for its owner alone. Reading does not wait
for writing; whatever SQLite fails with is a miss and a line in the log.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock

from dragoman.caching.store import Found, SlowStore, Waiting, logger
from dragoman.core.errors import ConfigurationError

_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (place INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, value BLOB, expires REAL)"
_MOST_ASKED = 500
"""Keys in one query; SQLite's own bound is higher everywhere."""
_BUSY = 2.0
"""Seconds that a writer waits for another one."""


class DiskStore(SlowStore):
    """`path` is the file, made with its folder when it is not there. Raises ConfigurationError where it cannot be used."""

    def __init__(self, path: Path, *, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._reading = self._connect()
            self._reading.execute(_SCHEMA)
            self._page = self._pragma("page_size")
        except (OSError, sqlite3.Error) as problem:
            raise ConfigurationError(f"cache: {path} cannot be used: {problem}; name another file") from None

    def fetch(self, keys: Sequence[str]) -> Found:
        found: dict[str, bytes] = {}
        try:
            with self._lock:
                for start in range(0, len(keys), _MOST_ASKED):
                    found.update(self._select(keys[start : start + _MOST_ASKED]))
        except sqlite3.Error as problem:
            logger.warning("The cache in %s cannot be read: %s", self._path, problem)
        return [found.get(key) for key in keys]

    def save(self, entries: Waiting) -> None:
        now = self._clock()
        rows = [(key, value, None if ttl is None else now + ttl) for key, (value, ttl) in entries.items()]
        try:
            with closing(self._connect()) as writing:
                with writing:
                    writing.executemany("INSERT OR REPLACE INTO answers (key, value, expires) VALUES (?, ?, ?)", rows)
                self._make_room(writing, now)
        except sqlite3.Error as problem:
            logger.warning("The cache in %s cannot be written: %s", self._path, problem)

    def clear(self) -> None:
        self.flush()
        try:
            with self._lock, closing(self._connect()) as writing, writing:
                writing.execute("DELETE FROM answers")
        except sqlite3.Error as problem:
            logger.warning("The cache in %s cannot be cleared, what it holds is still given: %s", self._path, problem)

    def close(self) -> None:
        super().close()
        with self._lock:
            self._reading.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # what a crash of the machine loses is asked for again
        return connection

    def _select(self, keys: Sequence[str]) -> list[tuple[str, bytes]]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM answers WHERE key IN ({marks}) AND (expires IS NULL OR expires > ?)"  # noqa: S608 - question marks
        return self._reading.execute(query, (*keys, self._clock())).fetchall()

    def _pragma(self, name: str, connection: sqlite3.Connection | None = None) -> int:
        value: int = (connection or self._reading).execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _make_room(self, writing: sqlite3.Connection, now: float) -> None:
        """What has expired goes first, then a tenth of the rest, the oldest, until the file is in bounds."""
        if self._used(writing) <= self._max_bytes:
            return
        with writing:
            writing.execute("DELETE FROM answers WHERE expires <= ?", (now,))
        while self._used(writing) > self._max_bytes:
            with writing:
                left = writing.execute("SELECT count(*) FROM answers").fetchone()[0]
                if not left:
                    return
                oldest = "SELECT place FROM answers ORDER BY place LIMIT ?"
                writing.execute(f"DELETE FROM answers WHERE place IN ({oldest})", (left // 10 + 1,))  # noqa: S608 - as it stands above

    def _used(self, writing: sqlite3.Connection) -> int:
        return (self._pragma("page_count", writing) - self._pragma("freelist_count", writing)) * self._page
