"""What a Router with an address of Redis shares with those of other processes: limits and cooldowns of its deployments.

The connection lives on an event loop in a thread of its own, since the Router's calls are made in any thread and loop. It
begins with the first call, so that a process may fork before that; what is shared is `dragoman.shared`'s business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractContextManager
from functools import partial
from threading import Lock, Thread
from typing import Any

from dragoman.caching.cache import redis_url
from dragoman.engine.call import Call
from dragoman.router.policy import Policy
from dragoman.shared.sharing import Sharing

PREFIX = "dragoman-router"
"""Begins the names of keys. Gateways have another one: they and Routers do not share."""


class RouterSharing:
    """`lock`: the Router's, held while its policy is looked at. Raises ConfigurationError for a bad address."""

    def __init__(
        self, arguments: Mapping[str, Any], env: Mapping[str, str], policy: Policy, lock: AbstractContextManager[Any]
    ) -> None:
        place = {name.removeprefix("redis_"): value for name, value in arguments.items() if name.startswith("redis_")}
        self._make = partial(Sharing, redis_url(place, env), PREFIX, clock=time.monotonic, lock=lock)
        self._policy = policy
        self._sharing = self._make(policy)
        self._beginning = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def join(self, call: Call) -> None:
        """A call is about to be made. Not to be asked under the Router's lock."""
        if self._loop is None:
            with self._beginning:
                if self._loop is None:
                    self._begin()
        call.watch(self._sharing.observe)

    def use(self, policy: Policy) -> None:
        self._policy = policy
        if self._loop is not None:
            self._sharing.use(policy)

    def close(self) -> None:
        """What is leased and not used goes back. The next call begins anew."""
        with self._beginning:
            loop, self._loop = self._loop, None
            if loop is not None and self._thread.is_alive():  # after a fork there is no thread any more
                _run(loop, self._sharing.stop())
                loop.call_soon_threadsafe(loop.stop)

    def _begin(self) -> None:
        loop, self._sharing = asyncio.new_event_loop(), self._make(self._policy)
        self._thread = Thread(target=_forever, args=(loop,), name="dragoman-sharing", daemon=True)
        self._thread.start()
        _run(loop, self._sharing.start())
        self._loop = loop


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(work, loop).result()
