"""What the history keeps over restarts: a SQLite file, to which every worker of the machine adds what it saw.

Buckets are sums, so adding needs nobody's agreement. What is older than a day is dropped. Synchronous: all but
`load`, at the start, is called in a thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import astuple

from dragoman.gateway.gptrouter.health import BUCKET_SECONDS, KEPT_BUCKETS, Bucket, Row

_CREATE = """
CREATE TABLE IF NOT EXISTS gptrouter_health (
    provider TEXT, model TEXT, start INTEGER, good INTEGER NOT NULL, bad INTEGER NOT NULL, latency REAL NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost REAL NOT NULL, PRIMARY KEY (provider, model, start)
) WITHOUT ROWID
"""
_ADD = """
INSERT INTO gptrouter_health VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (provider, model, start) DO UPDATE SET
    good = good + excluded.good, bad = bad + excluded.bad, latency = latency + excluded.latency,
    input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
    cost = cost + excluded.cost
"""


class HealthStore:
    """`path` is made where it is not there. Raises sqlite3.Error."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
        with self._connection:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(_CREATE)

    def load(self, now: float) -> list[Row]:
        """The last day, the oldest first."""
        with self._lock:
            return self._read(_oldest(now))

    def add(self, rows: Iterable[Row], now: float) -> list[Row]:
        """What the last two buckets are by then, with what other workers saw."""
        values = [(row.provider, row.model, *astuple(row.bucket)) for row in rows]
        with self._lock:
            with self._connection:
                self._connection.executemany(_ADD, values)
                self._connection.execute("DELETE FROM gptrouter_health WHERE start < ?", (_oldest(now),))
            return self._read(int(now) - 2 * BUCKET_SECONDS)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _read(self, since: int) -> list[Row]:
        found = self._connection.execute("SELECT * FROM gptrouter_health WHERE start >= ? ORDER BY start", (since,))
        return [Row(provider, model, Bucket(*rest)) for provider, model, *rest in found]


def _oldest(now: float) -> int:
    return int(now) - BUCKET_SECONDS * KEPT_BUCKETS
