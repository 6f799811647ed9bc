"""All that one process shares with others, over one connection: leases, the limits and the cooldowns of its deployments."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dragoman.core.errors import ConfigurationError
from dragoman.router.limits import Limits
from dragoman.router.policy import Policy

try:
    from dragoman.shared.cooldowns import Cooldowns
    from dragoman.shared.leases import SharedLeases
    from dragoman.shared.limits import LimitsPool
    from dragoman.shared.valkey import Valkey
except ModuleNotFoundError as missing:
    raise ConfigurationError(f"shared: it needs {missing.name}: pip install 'dragoman[redis]'") from None


class Sharing:
    """`observe` is for the observers of calls. Stop it after the last row was shipped. `clock` is the engine's; `workers`: how
    many there are until the server has told; `lock`: held while the policy is changed, where calls are made in other threads.

    Raises ConfigurationError for a bad URL.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        policy: Policy,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.perf_counter,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.worker = secrets.token_hex(6)
        self._lock = lock or nullcontext()
        self._valkey = Valkey(url, prefix)
        self.leases = SharedLeases(self._valkey, self.worker, workers=workers, lock=lock)
        self._limits = LimitsPool(self._valkey, self.leases, clock=clock)
        self._cooldowns = Cooldowns(self._valkey, policy, self.worker, clock=clock, lock=lock)
        self.observe = self._cooldowns.observe

    async def start(self) -> None:
        """Whether the server answers or not."""
        await self._valkey.start()
        self.leases.start()
        self.use(self._cooldowns.policy)

    def use(self, policy: Policy) -> None:
        """Share what this policy counts, in place of the one before."""
        with self._lock:
            self._cooldowns.policy = policy
            policy.share(self._limits)

    async def stop(self) -> None:
        with self._lock:
            self._cooldowns.policy.share(Limits)
        await self.leases.stop()
        await self._valkey.stop()
