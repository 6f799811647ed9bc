"""What the gateway says about itself: its models, and whether it is well. Small JSON answers, made here for every server.

`routes` serves them on the exchange, `other_pages` what is left of them (HEAD, one model by its name).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dragoman
from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.gateway import model_pages
from dragoman.gateway.exchange import Exchange, Handler
from dragoman.gateway.model_pages import Header, Shape
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import JSON_HEADERS, Route, encode_plain_error
from dragoman.router.policy import Policy

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

Page = Callable[[], Any]
OwnPage = Callable[["Identity | None", Header], Any]
"""A page for whoever asks, None where nobody is known by name. `Header` looks one of the request up."""


class Pages:
    """`open`: path -> the page that anyone may see; `guarded`: path -> one that wants a key."""

    def __init__(self, policy: Policy, pipeline: Pipeline) -> None:
        self._policy = policy
        self._started = int(time.time())
        self.authorised = pipeline.authorised
        self.open: dict[str, Page] = {"/health/live": self.live, "/health/ready": self.ready}
        self.guarded: dict[str, OwnPage] = {
            "/v1/models": self.models,
            "/models": self.models,
            "/v1beta/models": self.gemini_models,
        }

    def routes(self) -> dict[tuple[str, bytes], Route]:
        pages = {path: _shown(page) for path, page in self.open.items()}
        pages |= {path: self._guarded(page) for path, page in self.guarded.items()}
        return {("GET", path.encode()): Route(handler) for path, handler in pages.items()}

    def live(self) -> Any:
        return {"status": "live", "version": dragoman.__version__}

    def ready(self) -> Any:
        return {"status": "ready", "models": len(self._policy.names)}

    def models(self, who: Identity | None, header: Header) -> Any:
        return model_pages.listed(self._usable(who), self._started, model_pages.shape(header))

    def gemini_models(self, who: Identity | None, _: Header) -> Any:
        return model_pages.listed(self._usable(who), self._started, model_pages.gemini)

    def model(self, name: str, who: Identity | None, shape: Shape) -> Any:
        """One model of the list; None when it is not in it."""
        known = [name] if name in self._policy.names else []
        return shape(name, self._started) if name in model_pages.usable(known, who) else None

    def _usable(self, who: Identity | None) -> list[str]:
        return model_pages.usable(self._policy.names, who)

    def _guarded(self, page: OwnPage) -> Handler:
        async def check(exchange: Exchange) -> None:
            try:
                who = await self.authorised(exchange.header, exchange.client)
            except DragomanError as error:
                exchange.respond(error.status_code, JSON_HEADERS, key_error(error))
            else:
                exchange.respond(200, JSON_HEADERS, json.encode(page(who, exchange.header)))

        return check


def _shown(page: Page) -> Handler:
    def handle(exchange: Exchange) -> None:
        exchange.respond(200, JSON_HEADERS, json.encode(page()))

    return handle


def key_error(error: DragomanError) -> bytes:
    """The body for a request without the right key."""
    body = json.decode(encode_plain_error(error))
    return json.encode({"error": {**body["error"], "type": "authentication_error", "code": "invalid_api_key"}})
