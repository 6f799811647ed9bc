"""The gateway assembled: its route table, and the app for everything that is in no table.

`build` is what `serve` and the ASGI entry both call; nothing here runs a server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import Struct

from dragoman.engine.call import CallOptions
from dragoman.gateway import serving
from dragoman.gateway.asgi_exchange import App
from dragoman.gateway.config import Config, load, timeouts
from dragoman.gateway.late_app import LateApp
from dragoman.gateway.models import Models
from dragoman.gateway.pages import Pages
from dragoman.gateway.pipeline import Pipeline
from dragoman.router.retry import RetryPolicy
from dragoman.transport.base import AsyncTransport
from dragoman.transport.gateway import gateway_transport

INFERENCE = (
    ("/v1/chat/completions", "chat", "openai_chat"),
    ("/v1/messages", "chat", "anthropic_messages"),
    ("/v1/embeddings", "embedding", "openai_embeddings"),
)
"""Path, operation, the client's dialect. Each is also served without `/v1`, as base URLs are written both ways."""


class Gateway(Struct, frozen=True, kw_only=True):
    """`routes` are answered by our protocol (or by `asgi_exchange`), everything else by `app`, an ASGI app."""

    config: Config
    models: Models
    routes: serving.Routes
    limits: serving.Limits
    app: LateApp


def build(path: str | None = None, *, env: Mapping[str, str] = os.environ, transport: AsyncTransport | None = None) -> Gateway:
    """Read the configuration at `path` and put the gateway together. Raises ConfigurationError."""
    config, models = load(path, env=env)
    return assemble(config, models, transport or gateway_transport(env))


def assemble(config: Config, models: Models, transport: AsyncTransport) -> Gateway:
    options = CallOptions(
        timeouts=timeouts(config.timeouts), retry=RetryPolicy(max_retries=config.retries), strict=config.strict
    )
    pipeline = Pipeline(models, transport, options=options, api_key=config.server.api_key)
    limits = serving.Limits(max_body_bytes=int(config.server.max_body_mb * 1024 * 1024))
    pages = Pages(models, pipeline)
    routes = {**inference_routes(pipeline), **pages.routes()}
    app = LateApp(lambda: _other_pages(pages), closing=transport.aclose)
    return Gateway(config=config, models=models, routes=routes, limits=limits, app=app)


def _other_pages(pages: Pages) -> App:
    from dragoman.gateway.other_pages import starlette_app  # noqa: PLC0415 - it costs 6 MB, and many gateways never need it

    return starlette_app(pages, tuple(path for path, _, _ in INFERENCE))


def inference_routes(pipeline: Pipeline) -> serving.Routes:
    table: dict[tuple[str, bytes], serving.Route] = {}
    for path, operation, dialect in INFERENCE:
        handler = pipeline.route(operation, dialect)
        route = serving.Route(handler, handler.encode_error)
        for spelling in (path, path.removeprefix("/v1")):
            table["POST", spelling.encode()] = route
    return table
