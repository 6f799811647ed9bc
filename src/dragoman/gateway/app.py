"""The gateway assembled: its route table, and the Starlette app for everything that is not inference.

`build` is what `serve` and the ASGI entry both call; nothing here runs a server.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Path

import dragoman
from dragoman.core.errors import InvalidKeyError
from dragoman.engine.call import CallOptions
from dragoman.gateway import serving
from dragoman.gateway.config import Config, load, timeouts
from dragoman.gateway.models import Models
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
    """`routes` are answered by our protocol (or by `asgi_exchange`), everything else by `app`."""

    config: Config
    models: Models
    routes: serving.Routes
    limits: serving.Limits
    app: Starlette


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
    return Gateway(
        config=config, models=models, routes=route_table(pipeline), limits=limits, app=_app(models, pipeline, transport)
    )


def route_table(pipeline: Pipeline) -> serving.Routes:
    table: dict[tuple[str, bytes], serving.Route] = {}
    for path, operation, dialect in INFERENCE:
        handler = pipeline.route(operation, dialect)
        route = serving.Route(handler, handler.encode_error)
        for spelling in (path, path.removeprefix("/v1")):
            table["POST", spelling.encode()] = route
    return table


def _app(models: Models, pipeline: Pipeline, transport: AsyncTransport) -> Starlette:
    started = int(time.time())

    async def list_models(request: Request) -> Response:
        refused = _refusal(pipeline, request)
        if refused is not None:
            return refused
        data = [{"id": name, "object": "model", "created": started, "owned_by": "dragoman"} for name in models.names]
        return JSONResponse({"object": "list", "data": data})

    async def one_model(request: Request) -> Response:
        refused = _refusal(pipeline, request)
        if refused is not None:
            return refused
        name = request.path_params["name"]
        if name not in models.names:
            return _error(404, f"no model is called {name!r}; GET /v1/models lists them", "model_not_found")
        return JSONResponse({"id": name, "object": "model", "created": started, "owned_by": "dragoman"})

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live", "version": dragoman.__version__})

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ready", "models": len(models.names)})

    async def not_found(request: Request, problem: Exception) -> Response:
        if any(request.url.path in (path, path.removeprefix("/v1")) for path, _, _ in INFERENCE):
            return await not_allowed(request, problem)
        paths = ", ".join(f"POST {path}" for path, _, _ in INFERENCE)
        return _error(404, f"nothing is at {request.method} {request.url.path}; there are {paths}, GET /v1/models", "not_found")

    async def not_allowed(request: Request, _: Exception) -> Response:
        return _error(405, f"{request.method} is not allowed at {request.url.path}", "method_not_allowed")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await transport.aclose()

    return Starlette(
        routes=[
            Path("/v1/models", list_models),
            Path("/models", list_models),
            Path("/v1/models/{name:path}", one_model),
            Path("/models/{name:path}", one_model),
            Path("/health/live", live),
            Path("/health/ready", ready),
        ],
        exception_handlers={404: not_found, 405: not_allowed},
        lifespan=lifespan,
    )


def _refusal(pipeline: Pipeline, request: Request) -> Response | None:
    try:
        pipeline.authorise(lambda name: request.headers.get(name.decode(), "").encode("latin-1") or None)
    except InvalidKeyError as error:
        return _error(error.status_code, error.message, "invalid_api_key")
    return None


def _error(status: int, message: str, code: str) -> Response:
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status_code=status)
