"""The gateway assembled: its route table, and the app for everything that is in no table.

`build` is what `serve` and the ASGI entry both call; nothing here runs a server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from dragoman.engine.call import CallOptions
from dragoman.gateway import serving
from dragoman.gateway.asgi_exchange import App
from dragoman.gateway.config import Config, load, timeouts
from dragoman.gateway.governed import Governed
from dragoman.gateway.gptrouter.served import Served
from dragoman.gateway.late_app import LateApp
from dragoman.gateway.observing.observing import Observing
from dragoman.gateway.pages import Pages
from dragoman.gateway.pipeline import Pipeline, Route
from dragoman.gateway.subject import in_a_form, in_the_body, in_the_path, or_default
from dragoman.router.policy import Policy
from dragoman.transport.base import AsyncTransport
from dragoman.transport.gateway import gateway_transport

if TYPE_CHECKING:
    from dragoman.gateway.caching import Caching
    from dragoman.gateway.guardrails.screening import Guardrails
    from dragoman.gateway.raw.files import Files
    from dragoman.providers.base import Target

INFERENCE = (
    ("/v1/chat/completions", "chat", "openai_chat", in_the_body),
    ("/v1/responses", "responses", "openai_responses", in_the_body),
    ("/v1/messages", "chat", "anthropic_messages", in_the_body),
    ("/v1/completions", "completion", "openai_completions", in_the_body),
    ("/v1/embeddings", "embedding", "openai_embeddings", in_the_body),
    ("/v1/rerank", "rerank", "rerank", in_the_body),
    ("/v2/rerank", "rerank", "rerank", in_the_body),
    ("/v1/moderations", "moderation", "openai_moderations", or_default("omni-moderation-latest")),
    ("/v1/ocr", "ocr", "mistral_ocr", in_the_body),
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
    observing = Observing(config, pipeline)
    routes = {**observing.wrapped(inference_routes(pipeline)), **pages.routes(), **observing.routes}
    gptrouter = Served(config, pipeline, options)
    if config.guardrails:
        pipeline.guardrails = _guardrails(config, pipeline, options)
    routes |= observing.wrapped(gptrouter.routes())
    if config.passthrough is not None:
        routes |= observing.wrapped(_passthrough(config.passthrough.targets(), pipeline, options))
    files = _files(config, pipeline, options)
    if files is not None:
        routes |= observing.wrapped(files.routes())
    governed = Governed(config, pipeline, alerted=observing.alerted, relisted=observing.relisted)
    caching = pipeline.caching = _caching(config, policy)

    async def start() -> None:
        await governed.start()
        if files is not None:
            files.start()
        await gptrouter.start()
        await observing.start()

    async def close() -> None:
        await observing.stop()
        await gptrouter.stop()
        if files is not None:
            await files.stop()
        await governed.stop()
        if caching is not None:
            await caching.aclose()
        await transport.aclose()

    app = LateApp(lambda: _other_pages(pages, governed), starting=start, closing=close)
    return Gateway(config=config, policy=policy, routes=routes, limits=limits, app=app)


def _caching(config: Config, policy: Policy) -> Caching | None:
    """Raises ConfigurationError, when the file or the address cannot be used."""
    if config.cache is None:
        return None
    from dragoman.gateway.caching import Caching  # noqa: PLC0415 - many gateways have none

    return Caching(config.cache, policy)


def _guardrails(config: Config, pipeline: Pipeline, options: CallOptions) -> Guardrails:
    from dragoman.gateway.guardrails.screening import Guardrails  # noqa: PLC0415 - many gateways have none
    from dragoman.gateway.guardrails.services import Services  # noqa: PLC0415 - as above

    return Guardrails(tuple(entry.guard() for entry in config.guardrails), Services(pipeline, options))


def _passthrough(targets: dict[str, Target], pipeline: Pipeline, options: CallOptions) -> serving.Routes:
    from dragoman.gateway.raw.passthrough import Passthrough  # noqa: PLC0415 - many gateways pass nothing on

    return Passthrough(pipeline, options, targets).routes()


def _files(config: Config, pipeline: Pipeline, options: CallOptions) -> Files | None:
    """What keeps files and batches at providers."""
    if config.files is None or config.server.api_key is None:
        return None
    from dragoman.gateway.raw.files import Files  # noqa: PLC0415 - many gateways keep no files

    return Files(pipeline, options, config.files.targets(), config.server.api_key.encode())


def _other_pages(pages: Pages, governed: Governed) -> App:
    from dragoman.gateway.other_pages import starlette_app  # noqa: PLC0415 - it costs 6 MB, and many gateways never need it

    return starlette_app(pages, {path: spellings(path) for path, *_ in INFERENCE}, governed.routes())


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
