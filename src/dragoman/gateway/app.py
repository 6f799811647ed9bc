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
from dragoman.gateway.governed import Governed
from dragoman.gateway.late_app import LateApp
from dragoman.gateway.late_routes import LateRoutes
from dragoman.gateway.pages import Pages
from dragoman.gateway.pipeline import Pipeline, Route
from dragoman.gateway.subject import in_a_form, in_the_body, in_the_path, or_default
from dragoman.router.policy import Policy
from dragoman.transport.base import AsyncTransport
from dragoman.transport.gateway import gateway_transport

INFERENCE = (
    ("/v1/chat/completions", "chat", "openai_chat", in_the_body),
    ("/v1/responses", "responses", "openai_responses", in_the_body),
    ("/v1/messages", "chat", "anthropic_messages", in_the_body),
    ("/v1/completions", "completion", "openai_completions", in_the_body),
    ("/v1/embeddings", "embedding", "openai_embeddings", in_the_body),
    ("/v1/rerank", "rerank", "rerank", in_the_body),
    ("/v2/rerank", "rerank", "rerank", in_the_body),
    ("/v1/moderations", "moderation", "openai_moderations", or_default("omni-moderation-latest")),
    ("/v1/decisions", "decision", "openai_decisions", in_the_body),
    ("/v1/systemone", "decision", "systemone", in_the_body),
    ("/v1/messages/count_tokens", "token_count", "anthropic_count_tokens", in_the_body),
    ("/v1/responses/input_tokens", "token_count", "openai_count_tokens", in_the_body),
    ("/v1/images/generations", "image", "openai_images", in_the_body),
    ("/v1/images/edits", "image_edit", "openai_image_edits", in_a_form),
    ("/v1/images/variations", "image_variation", "openai_image_variations", in_a_form),
    ("/v1/audio/speech", "speech", "openai_speech", in_the_body),
    ("/v1/audio/transcriptions", "transcription", "openai_transcriptions", in_a_form),
    ("/v1/audio/translations", "translation", "openai_translations", in_a_form),
    ("/v1beta/models/*", "chat", "gemini", in_the_path),
    ("/v1/models/*", "chat", "gemini", in_the_path),
)
"""Path, operation, the client's dialect, where a request names its model. Paths under `/v1` are also served without it, as base
URLs are written both ways.
"""


class Gateway(Struct, frozen=True, kw_only=True):
    """`routes` are answered by our protocol (or by `asgi_exchange`), everything else by `app`, an ASGI app."""

    config: Config
    policy: Policy
    routes: serving.Routes
    limits: serving.Limits
    app: LateApp


def build(path: str | None = None, *, env: Mapping[str, str] = os.environ, transport: AsyncTransport | None = None) -> Gateway:
    """Read the configuration at `path` and put the gateway together. Raises ConfigurationError."""
    config, policy = load(path, env=env)
    return assemble(config, policy, transport or gateway_transport(env))


def assemble(config: Config, policy: Policy, transport: AsyncTransport) -> Gateway:
    options = CallOptions(timeouts=timeouts(config.timeouts), retry=policy.settings.retry, strict=config.strict)
    pipeline = Pipeline(policy, transport, options=options, api_key=config.server.api_key)
    limits = serving.Limits(max_body_bytes=int(config.server.max_body_mb * 1024 * 1024))
    pages = Pages(policy, pipeline)
    routes = {**inference_routes(pipeline), **pages.routes()}
    if config.governance is None:  # GPTRouter's face asks no governance yet, so it must not be a way around it
        routes |= LateRoutes(lambda: _gptrouter(pipeline, options), GPTROUTER).routes
    governed = Governed(config, pipeline)

    async def close() -> None:
        await governed.stop()
        await transport.aclose()

    app = LateApp(lambda: _other_pages(pages, governed), starting=governed.start, closing=close)
    return Gateway(config=config, policy=policy, routes=routes, limits=limits, app=app)


def _other_pages(pages: Pages, governed: Governed) -> App:
    from dragoman.gateway.other_pages import starlette_app  # noqa: PLC0415 - it costs 6 MB, and many gateways never need it

    return starlette_app(pages, {path: spellings(path) for path, *_ in INFERENCE}, governed.routes())


_BASES = (b"/api/v1", b"//api/v1", b"/api/api/v1")
GPTROUTER = (
    ("GET", b"/healthcheck"),
    *((method, base + b"/*") for base in _BASES for method in ("GET", "POST", "PUT", "DELETE")),
)
"""What GPTRouter's face answers."""


def _gptrouter(pipeline: Pipeline, options: CallOptions) -> serving.Routes:
    from dragoman.gateway.gptrouter.routes import gptrouter_routes  # noqa: PLC0415 - 3 MB and a tenth of a second

    return gptrouter_routes(pipeline, options=options)


def spellings(path: str) -> tuple[str, ...]:
    return (path, path[3:]) if path.startswith("/v1/") else (path,)


def inference_routes(pipeline: Pipeline) -> serving.Routes:
    table: dict[tuple[str, bytes], serving.Route] = {}
    for path, operation, dialect, subject in INFERENCE:
        handler = Route(pipeline, operation, dialect, subject)
        route = serving.Route(handler, handler.encode_error)
        for spelling in spellings(path):
            table["POST", spelling.encode()] = route
    return table
