"""An ASGI app that is made when the first request for it comes. Its lifespan is kept here, since a server begins with that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dragoman.gateway.asgi_exchange import App, Receive, Scope, Send


class LateApp:
    """`make` makes the app, `closing` is awaited once when the server shuts down."""

    def __init__(self, make: Callable[[], App], closing: Callable[[], Awaitable[None]]) -> None:
        self._make = make
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
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._closing()
        await send({"type": "lifespan.shutdown.complete"})
