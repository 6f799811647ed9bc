"""GPTRouter's part of the gateway's route table: every route of its HTTP API, under the three spellings that clients use.

    gptrouter_routes(pipeline, options=...) -> {(method, path): Route}

Called by `gateway.app`. A misconfigured client doubles the slash or the `/api`; both work. What is nowhere under /api/v1 is
told in GPTRouter's own words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from dragoman.core.errors import DragomanError
from dragoman.dialects.gptrouter.errors import encode_error
from dragoman.dialects.gptrouter.requests import read_object
from dragoman.engine.call import CallOptions
from dragoman.gateway.exchange import Exchange, Handler
from dragoman.gateway.gptrouter import decisions, embeddings, images, openapi, prompt_runs, prompts, reading, status
from dragoman.gateway.gptrouter.accounts import Account, Accounts
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.face import Answer, Face, Page, Settings, may_manage, may_see_all, respond
from dragoman.gateway.gptrouter.generate import GenerateRoute, write_text
from dragoman.gateway.gptrouter.health import History, iso, span
from dragoman.gateway.gptrouter.prompt_store import MemoryPrompts, PromptStore
from dragoman.gateway.gptrouter.visits import Calling
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import JSON_HEADERS, Route

BASES = ("/api/v1", "//api/v1", "/api/api/v1")
_METHODS = ("GET", "POST", "PUT", "DELETE")
_DEFAULT_OPTIONS = CallOptions()
_DEFAULT_SETTINGS = Settings()


def gptrouter_routes(
    pipeline: Pipeline,
    *,
    options: CallOptions = _DEFAULT_OPTIONS,
    directory: Directory | None = None,
    prompts_store: PromptStore | None = None,
    accounts: Iterable[Account] = (),
    token_secret: bytes = b"",
    history: History | None = None,
    settings: Settings = _DEFAULT_SETTINGS,
) -> dict[tuple[str, bytes], Route]:
    """`options` are those of the gateway's calls. Without a store prompts live as long as the process.

    `history` is told of all calls by whoever made it; without one the face makes one that begins now.
    """
    face = Face(
        pipeline=pipeline,
        options=options,
        directory=directory or Directory(lambda: pipeline.policy, started=iso(time.time())),
        prompts=prompts_store or MemoryPrompts(),
        accounts=Accounts(accounts, secret=token_secret),
        history=history or _watched(pipeline),
        settings=settings,
    )
    table = _table(face)
    routes = {
        (method, (base + path).encode()): Route(handler, encode_error)
        for base in BASES
        for (method, path), handler in table.items()
    }
    if settings.status != "off":
        routes |= {("GET", path): Route(StatusPage(face, write), encode_error) for path, write in _STATUS}
    alive = Page(face, lambda _, __: (200, {"status": "ok"}), permit=None)
    return routes | {("GET", b"/healthcheck"): Route(alive), ("GET", b"/api/openapi.json"): Route(_document)}


def _watched(pipeline: Pipeline) -> History:
    """One that begins now: who has never asked for this face has not paid for it."""
    history = History()
    pipeline.observers += (history.note,)
    return history


def _table(face: Face) -> dict[tuple[str, str], Handler]:
    """Patterns, which end in `*`, are tried in this order."""
    page, calling = partial(Page, face), partial(Calling, face)
    table: dict[tuple[str, str], Handler] = {
        ("GET", "/provider/all"): page(_providers),
        ("GET", "/model/all"): page(_models),
        ("POST", "/generate"): GenerateRoute(face, reading.read_plain),
        ("POST", "/generate/prompt"): GenerateRoute(face, prompt_runs.run),
        ("POST", "/generate/image"): GenerateRoute(face, reading.read_vision, write_text),
        ("POST", "/generate/generate-image"): calling("image", images.generate_image),
        ("POST", "/generate/edit-image"): calling("image_edit", images.edit_image),
        ("POST", "/generate/embeddings"): calling("embedding", embeddings.embeddings),
        ("POST", "/generate/embeddings-v2"): calling("embedding", embeddings.embeddings_v2),
        ("POST", "/generate/system-one"): calling("decision", decisions.system_one),
        ("GET", "/healthcheck"): page(_health),
        ("POST", "/healthcheck"): page(_health_rows),
        ("GET", "/model-usage/model"): page(_usage, permit=may_see_all),
        ("GET", "/prompt/all"): page(prompts.all_prompts),
        ("POST", "/prompt"): page(prompts.create_prompt, permit=may_manage),
        ("POST", "/prompt/optimize"): calling("chat", prompts.optimize),
        ("POST", "/user/login"): page(_login, permit=None),
        ("GET", "/model/*"): page(_model),
        ("GET", "/prompt/*"): page(prompts.one_prompt),
        ("PUT", "/prompt/*"): page(prompts.change_prompt, permit=may_manage),
        ("DELETE", "/prompt/*"): page(prompts.delete_prompt, permit=may_manage),
    }
    return table | {(method, "/*"): _nowhere for method in _METHODS}


class StatusPage:
    """A handler for what is a page or a picture, and for whoever the settings say."""

    def __init__(self, face: Face, write: Callable[[History, Exchange], tuple[bytes, bytes]]) -> None:
        self._face = face
        self._write = write

    async def __call__(self, exchange: Exchange) -> None:
        try:
            if self._face.settings.status != "public":
                await self._face.authorised(exchange)
        except DragomanError as error:
            self._face.refuse(error, exchange)
        else:
            kind, body = self._write(self._face.history, exchange)
            exchange.respond(200, [(b"content-type", kind), (b"cache-control", b"no-cache"), *_SAFE], body)


_SAFE = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
    (b"x-content-type-options", b"nosniff"),
]


def _status_page(history: History, _: Exchange) -> tuple[bytes, bytes]:
    return b"text/html; charset=utf-8", status.page(history.models, time.time())


def _status_badge(history: History, exchange: Exchange) -> tuple[bytes, bytes]:
    name = status.badge_name(exchange.path)
    return b"image/svg+xml", status.badge(name, history.find(name), time.time())


_STATUS = ((b"/status", _status_page), (b"/status/badge/*", _status_badge))


def _providers(face: Face, _: Exchange) -> Answer:
    return 200, face.directory.providers()


def _models(face: Face, _: Exchange) -> Answer:
    return 200, face.directory.models()


def _model(face: Face, exchange: Exchange) -> Answer:
    found = face.directory.model(exchange.path.decode("latin-1").rpartition("/")[2])
    return (404, {"message": "Model not found"}) if found is None else (200, found)


def _health(face: Face, exchange: Exchange) -> Answer:
    return 200, face.history.health(*span(exchange.query))


def _health_rows(face: Face, _: Exchange) -> Answer:
    return 200, face.history.rows()


def _usage(face: Face, exchange: Exchange) -> Answer:
    return 200, face.history.usage(*span(exchange.query))


async def _login(face: Face, exchange: Exchange) -> Answer:
    fields = read_object(exchange.body)
    return 200, await face.accounts.login(fields.need_text("email"), fields.need_text("password"))


def _document(exchange: Exchange) -> None:
    exchange.respond(200, JSON_HEADERS, openapi.document())


def _nowhere(exchange: Exchange) -> None:
    path = exchange.path.decode("latin-1")
    message = f"Route {exchange.method}:{path} not found"
    respond(exchange, 404, {"message": message, "error": "Not Found", "statusCode": 404})
