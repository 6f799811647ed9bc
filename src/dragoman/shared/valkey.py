"""The connection to a Valkey or Redis server: commands that never make a request wait for one that is away, and the news.

`run` raises AwayError at once while the server is known to be away; the first that finds out waits `PATIENCE` at most. A task
asks again until it answers, says both once in the log, and hears what other workers publish. Nothing here knows what is shared.
All of it lives on one event loop; `begin` alone may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from dragoman.core.errors import ConfigurationError

logger = logging.getLogger("dragoman.gateway")

PATIENCE = 0.5
"""Seconds for one command."""
AGAIN = 0.25
"""Seconds between two looks for a server that is away."""

PRESSING = 0.1
"""Seconds before a task that was cancelled is cancelled again."""

Heard = Callable[[bytes], None]


class AwayError(Exception):
    """The server cannot be asked now."""


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel it until it is over: where its own timeout comes in the same moment, the client takes one for the other."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=PRESSING)


class Script:
    """A Lua script and the name that the server keeps it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


Run = Callable[[Script, list[str], list[Any]], Awaitable[Any]]


class Valkey:
    """`url` is `redis://[USER:PASSWORD@]HOST:PORT/DATABASE`, `rediss://` for TLS or `unix://PATH`; it is never shown.

    `prefix` begins the name of every key and channel. All keys hash to one slot of a cluster. `hear` something, then `start`.
    """

    def __init__(self, url: str, prefix: str = "dragoman") -> None:
        self._prefix = prefix
        try:
            self._client = Redis.from_url(
                url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
            )
        except ValueError:
            raise ConfigurationError("shared.url: expected redis://HOST:PORT/DATABASE, rediss:// or unix://PATH") from None
        self._heard: dict[bytes, Heard] = {}
        self._returned: list[Callable[[Run], Awaitable[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self.begun: set[asyncio.Task[None]] = set()
        self._warned = False
        self.up = False

    def name(self, what: str) -> str:
        return f"{{{self._prefix}}}:{what}"

    def hear(self, channel: str, heard: Heard) -> None:
        """Tell `heard` what is published there, also by this worker. Before `start`."""
        self._heard[self.name(channel).encode()] = heard

    def on_return(self, returned: Callable[[Run], Awaitable[None]]) -> None:
        """Have this done when the server is there (again), before anybody else may ask it. It may raise AwayError."""
        self._returned.append(returned)

    async def start(self) -> None:
        """Connect, or go on without it."""
        self._loop, self._process = asyncio.get_running_loop(), os.getpid()
        connected = asyncio.Event()
        self._task = asyncio.create_task(self._keep(connected), name="dragoman-valkey")
        await connected.wait()

    async def stop(self) -> None:
        self._loop = None
        await asyncio.gather(*map(end, [*self.begun, *([self._task] if self._task else [])]))
        self.up = False
        await self._client.aclose()

    def begin(self, work: Coroutine[Any, Any, None]) -> bool:
        """Have this done on the connection's loop, whoever asks; it must not raise. False: before `start`, after `stop`, and in
        a forked child, there is no loop to do it.
        """
        loop = self._loop
        if loop is None or self._process != os.getpid():
            work.close()
            return False
        loop.call_soon_threadsafe(self._begun, loop, work)
        return True

    def _begun(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work, name="dragoman-shared")
        self.begun.add(task)
        task.add_done_callback(self.begun.discard)

    async def run(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        """A script on the server, in one round trip. Raises AwayError."""
        if not self.up:
            raise AwayError
        return await self._run(script, keys, arguments)

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell the other workers; nobody, when the server is away."""
        if self.up:
            try:
                await self._client.publish(self.name(channel), message)
            except (RedisError, OSError) as problem:
                self._lost(problem)

    async def _run(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        try:
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as problem:
            self._lost(problem)
            raise AwayError from problem

    def _lost(self, problem: Exception) -> None:
        if not self._warned:
            logger.error(
                "The shared server does not answer (%s): each worker goes on with what it knows", type(problem).__name__
            )
        self._warned, self.up = True, False

    async def _keep(self, connected: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(connected)
            except (RedisError, OSError, AwayError) as problem:
                self._lost(problem)
            except Exception as problem:  # whatever it is, this must not stop listening for good
                logger.exception("What is shared failed; it begins anew")
                self._lost(problem)
            connected.set()
            await asyncio.sleep(AGAIN)

    async def _listen(self, connected: asyncio.Event) -> None:
        """Until the connection breaks."""
        async with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
            await self._client.ping()
            await subscription.subscribe(*self._heard)
            await self._back()
            connected.set()
            while self.up:  # until a command fails, or this does
                await self._next(subscription)

    async def _back(self) -> None:
        """It may have forgotten everything, so it is told, and not asked before the other workers have told it too."""
        if self._warned:
            await self._tell()
            await asyncio.sleep(2 * AGAIN)
        await self._tell()
        self.up = True
        if self._warned:
            logger.warning("The shared server answers again")
            self._warned = False

    async def _tell(self) -> None:
        for returned in self._returned:
            await returned(self._run)

    async def _next(self, subscription: PubSub) -> None:
        message = await subscription.get_message(timeout=AGAIN)
        if message is not None:
            try:
                self._heard[message["channel"]](message["data"])
            except Exception:
                logger.exception("A message of another worker could not be taken up")
