"""What the face is made of, as its configuration says: prompts, accounts, history, probes, and the routes over them.

Made once a process, by `served`; files are opened then. Raises ConfigurationError for a file that cannot be used.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from dragoman.core.errors import ConfigurationError
from dragoman.engine.call import CallOptions
from dragoman.gateway.gptrouter.accounts import Account
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.entry import GPTRouterEntry
from dragoman.gateway.gptrouter.face import Settings
from dragoman.gateway.gptrouter.health import Changed, History, iso
from dragoman.gateway.gptrouter.health_store import HealthStore
from dragoman.gateway.gptrouter.probes import Probes
from dragoman.gateway.gptrouter.prompt_store import MemoryPrompts, SqlitePrompts
from dragoman.gateway.gptrouter.prompted import Prompts
from dragoman.gateway.gptrouter.routes import gptrouter_routes
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import Routes

logger = logging.getLogger("dragoman.gateway")

Store = TypeVar("Store")


def changed_in_the_log(model: str, up: bool) -> None:  # noqa: FBT001 - the seam's shape
    """Who else wants to know is given to `Parts` in its place."""
    if up:
        logger.info("%s answers again", model)
    else:
        logger.warning("%s is down: all it does is fail", model)


class Parts:
    """See the module. `changed` is told when a model goes down or comes up again: provider/model, and whether it is up."""

    def __init__(
        self,
        entry: GPTRouterEntry,
        pipeline: Pipeline,
        options: CallOptions,
        *,
        token_secret: bytes = b"",
        changed: Changed = changed_in_the_log,
    ) -> None:
        self._entry = entry
        self._pipeline = pipeline
        self._options = options
        self._secret = token_secret
        self.history = History(changed=changed)
        self.directory = Directory(lambda: pipeline.policy, started=iso(time.time()))
        self._sqlite = None if entry.prompts is None else _opened(SqlitePrompts, entry.prompts, "prompts")
        self._store = None if entry.history is None else _opened(HealthStore, entry.history, "history")
        self.prompts = Prompts(self._sqlite or MemoryPrompts(), self.directory)
        pipeline.observers += (self.history.note,)
        self._probes = None
        if entry.probes is not None:
            self._probes = Probes(entry.probes, pipeline, options, self.history)
            pipeline.observers += (self._probes.seen,)

    def routes(self) -> Routes:
        entry = self._entry
        return gptrouter_routes(
            self._pipeline,
            options=self._options,
            directory=self.directory,
            prompts_store=self.prompts.store,
            accounts=[
                Account(id=one.email, email=one.email, password=one.password, role=one.role, key=one.key)
                for one in entry.accounts
            ],
            token_secret=self._secret,
            history=self.history,
            settings=Settings(
                stream_refusals=entry.stream_refusals,
                ping_seconds=entry.ping_seconds,
                optimizer=entry.optimizer,
                status=entry.status,
            ),
        )

    def load(self) -> None:
        """What the history knew before."""
        if self._store is not None:
            self.history.keep(self._store.load(time.time()))

    async def save(self) -> None:
        """What it has come to know goes to the file, and what other workers know comes from there."""
        if self._store is not None:
            store, rows = self._store, self.history.take_unsaved()
            try:
                found = await asyncio.to_thread(store.add, rows, time.time())
            except sqlite3.Error:
                self.history.give_back(rows)
                raise
            self.history.keep(found)

    async def probe(self) -> None:
        if self._probes is not None:
            await self._probes.turn()

    async def close(self) -> None:
        await self.save()
        for store in (self._store, self._sqlite):
            if store is not None:
                store.close()


def _opened(store: Callable[[str], Store], path: str, key: str) -> Store:
    try:
        return store(path)
    except sqlite3.Error as problem:
        raise ConfigurationError(f"gptrouter.{key}: cannot use {path}: {problem}") from None
