"""All that one worker shares with others, over one connection: leases for its governance, the cooldowns of its router."""

from __future__ import annotations

import secrets

from dragoman.core.errors import ConfigurationError
from dragoman.router.policy import Policy

try:
    from dragoman.gateway.shared.cooldowns import Cooldowns
    from dragoman.gateway.shared.leases import SharedLeases
    from dragoman.gateway.shared.valkey import Valkey
except ModuleNotFoundError as missing:
    raise ConfigurationError(f"shared: it needs {missing.name}: pip install 'dragoman[redis]'") from None


class Sharing:
    """`observe` is for `Pipeline.observers`. Stop it after the last row was shipped. ConfigurationError: a bad URL."""

    def __init__(self, url: str, prefix: str, policy: Policy) -> None:
        self.worker = secrets.token_hex(6)
        self._valkey = Valkey(url, prefix)
        self.leases = SharedLeases(self._valkey, self.worker)
        self.observe = Cooldowns(self._valkey, policy, self.worker).observe

    async def start(self) -> None:
        """Whether the server answers or not."""
        await self._valkey.start()
        self.leases.start()

    async def stop(self) -> None:
        await self.leases.stop()
        await self._valkey.stop()
