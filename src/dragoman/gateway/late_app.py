"""An ASGI app that is made when the first request for it comes. Its lifespan is kept here, since a server begins with that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dragoman.core.errors import DragomanError
from dragoman.gateway.asgi_exchange import App, Receive, Scope, Send


class LateApp:
    """`make` makes the app, `starting` is awaited once before the server serves, `closing` when it shuts down."""

    def __init__(
        self, make: Callable[[], App], *, closing: Callable[[], Awaitable[None]], starting: Callable[[], Awaitable[None]]
    ) -> None:
        self._make = make
        self._starting = starting
        self._closing = closing
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._app is None:
            self._app = self._make()
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._starting()
        except DragomanError as problem:
            await send({"type": "lifespan.startup.failed", "message": problem.message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._closing()
        await send({"type": "lifespan.shutdown.complete"})
