"""One AsyncClient for each event loop that asks, closed when its loop ends. For the package's own functions and `Router`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from weakref import WeakKeyDictionary

from dragoman.client.client import AsyncClient


class PerLoop:
    """`make` makes a client when a loop first asks for one."""

    def __init__(self, make: Callable[[], AsyncClient]) -> None:
        self._make = make
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[AsyncClient, AsyncGenerator[None]]] = (
            WeakKeyDictionary()
        )

    def __len__(self) -> int:
        return len(self._clients)

    async def get(self) -> AsyncClient:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is None:
            client = self._make()
            lifetime = self._lifetime(loop, client)
            await anext(lifetime)
            found = self._clients[loop] = client, lifetime
        return found[0]

    async def aclose(self) -> None:
        """Close that of the running loop."""
        found = self._clients.get(asyncio.get_running_loop())
        if found is not None:
            await found[1].aclose()

    async def _lifetime(self, loop: asyncio.AbstractEventLoop, client: AsyncClient) -> AsyncGenerator[None]:
        """Closes the client when the loop shuts down its asynchronous generators, which `asyncio.run` does at its end."""
        try:
            yield
        finally:
            self._clients.pop(loop, None)
            await client.aclose()
