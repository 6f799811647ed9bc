"""Prompts and their versions: what a store must do, one in memory and one in a SQLite file. No HTTP, no templates.

A prompt's id always gives its newest content. Changing it keeps what was there before under an id of its own, together with
the labels it had, so that whoever runs a label goes on running the same words. Versions share `parentPromptId`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

Result = TypeVar("Result")


class Prompt(Struct, frozen=True, kw_only=True, rename="camel"):
    """`models` are asked in order: ids, or "provider/model". Times are RFC 3339."""

    id: str
    title: str
    prompt_params: dict[str, Any]
    models: tuple[str, ...] = ()
    parent_prompt_id: str = ""
    version_number: int = 1
    update_message: str | None = None
    labels: tuple[str, ...] = ()
    is_deleted: bool = False
    created_at: str = ""
    updated_at: str = ""


class PromptStore(Protocol):
    async def get(self, prompt_id: str) -> Prompt | None: ...

    async def versions(self, group: str) -> list[Prompt]:
        """All prompts with this `parent_prompt_id`, the oldest version first."""
        ...

    async def newest(self) -> list[Prompt]:
        """The newest version of each group that is not deleted."""
        ...

    async def put(self, *prompts: Prompt) -> None:
        """Write these, all or none, in place of those with their ids."""
        ...


class MemoryPrompts:
    """For one worker and tests: it forgets when the process ends."""

    def __init__(self) -> None:
        self._prompts: dict[str, Prompt] = {}

    async def get(self, prompt_id: str) -> Prompt | None:
        return self._prompts.get(prompt_id)

    async def versions(self, group: str) -> list[Prompt]:
        return _in_order(prompt for prompt in self._prompts.values() if prompt.parent_prompt_id == group)

    async def newest(self) -> list[Prompt]:
        return _newest(self._prompts.values())

    async def put(self, *prompts: Prompt) -> None:
        self._prompts.update({prompt.id: prompt for prompt in prompts})


class SqlitePrompts:
    """One file for all workers of a machine. Statements run in threads, one at a time, so the loop never waits for the disk."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
        with self._connection:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS gptrouter_prompts (id TEXT PRIMARY KEY, parent TEXT NOT NULL, record TEXT NOT NULL)"
            )
            self._connection.execute("CREATE INDEX IF NOT EXISTS gptrouter_prompts_parent ON gptrouter_prompts (parent)")

    async def get(self, prompt_id: str) -> Prompt | None:
        found = await self._run(lambda: self._read("WHERE id = ?", prompt_id))
        return found[0] if found else None

    async def versions(self, group: str) -> list[Prompt]:
        return _in_order(await self._run(lambda: self._read("WHERE parent = ?", group)))

    async def newest(self) -> list[Prompt]:
        return _newest(await self._run(lambda: self._read("ORDER BY rowid")))

    async def put(self, *prompts: Prompt) -> None:
        rows = [(prompt.id, prompt.parent_prompt_id, msgspec.json.encode(prompt).decode()) for prompt in prompts]
        await self._run(lambda: self._write(rows))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    async def _run(self, work: Callable[[], Result]) -> Result:
        def locked() -> Result:
            with self._lock:
                return work()

        return await asyncio.to_thread(locked)

    def _read(self, condition: str, *values: str) -> list[Prompt]:
        rows = self._connection.execute(f"SELECT record FROM gptrouter_prompts {condition}", values)  # noqa: S608 - ours
        return [msgspec.json.decode(record, type=Prompt) for (record,) in rows]

    def _write(self, rows: list[tuple[str, str, str]]) -> None:
        with self._connection:
            self._connection.executemany(
                "INSERT INTO gptrouter_prompts VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, record = excluded.record",
                rows,
            )


def _in_order(prompts: Iterable[Prompt]) -> list[Prompt]:
    return sorted(prompts, key=lambda prompt: prompt.version_number)


def _newest(prompts: Iterable[Prompt]) -> list[Prompt]:
    groups: dict[str, Prompt] = {}
    for prompt in prompts:
        held = groups.get(prompt.parent_prompt_id)
        if not prompt.is_deleted and (held is None or prompt.version_number > held.version_number):
            groups[prompt.parent_prompt_id] = prompt
    return list(groups.values())
