"""What the gateway says about itself: its models, and whether it is well. Small JSON answers, made here for every server.

`routes` serves them on the exchange, `other_pages` what is left of them (HEAD, one model by its name).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dragoman
from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.gateway.exchange import Exchange, Handler
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import JSON_HEADERS, Route, encode_plain_error
from dragoman.router.policy import Policy

Page = Callable[[], Any]


class Pages:
    """`open`: path -> the page that anyone may see; `guarded`: path -> one that wants the gateway's key."""

    def __init__(self, policy: Policy, pipeline: Pipeline) -> None:
        self._policy = policy
        self._started = int(time.time())
        self.authorised = pipeline.authorised
        self.open: dict[str, Page] = {"/health/live": self.live, "/health/ready": self.ready}
        self.guarded: dict[str, Page] = {"/v1/models": self.models, "/models": self.models}

    def routes(self) -> dict[tuple[str, bytes], Route]:
        pages = [(path, page, False) for path, page in self.open.items()]
        pages += [(path, page, True) for path, page in self.guarded.items()]
        return {("GET", path.encode()): Route(self._handler(page, guarded=guarded)) for path, page, guarded in pages}

    def live(self) -> Any:
        return {"status": "live", "version": dragoman.__version__}

    def ready(self) -> Any:
        return {"status": "ready", "models": len(self._policy.names)}

    def models(self) -> Any:
        return {"object": "list", "data": [self.model(name) for name in self._policy.names]}

    def model(self, name: str) -> Any:
        """One model of the list; None when it is not in it."""
        if name not in self._policy.names:
            return None
        return {"id": name, "object": "model", "created": self._started, "owned_by": "dragoman"}

    def _handler(self, page: Page, *, guarded: bool) -> Handler:
        def handle(exchange: Exchange) -> None:
            exchange.respond(200, JSON_HEADERS, json.encode(page()))

        async def check(exchange: Exchange) -> None:
            try:
                await self.authorised(exchange.header, exchange.client)
            except DragomanError as error:
                exchange.respond(error.status_code, JSON_HEADERS, key_error(error))
            else:
                handle(exchange)

        return check if guarded else handle


def key_error(error: DragomanError) -> bytes:
    """The body for a request without the right key."""
    body = json.decode(encode_plain_error(error))
    return json.encode({"error": {**body["error"], "type": "authentication_error", "code": "invalid_api_key"}})
