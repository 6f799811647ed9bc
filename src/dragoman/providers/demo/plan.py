"""One request -> what demo will do about it: operation by path, parameters, the reply, and the timing and faults put to it.

It never raises for what a caller sends: a bad request becomes the script of an error answer in the caller's dialect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.http import HttpRequest
from dragoman.providers.demo import anthropic_messages, embeddings, images, openai_chat
from dragoman.providers.demo.answers import CHAT_MODELS
from dragoman.providers.demo.errors import ANTHROPIC, OPENAI, ErrorWire
from dragoman.providers.demo.faults import error_answer, failing
from dragoman.providers.demo.reply import CREATED, Reply
from dragoman.providers.demo.script import Piece, Refusal, Script, streamed, whole
from dragoman.providers.demo.settings import Settings, changed, split_model

PREFIX = "demo/"
MODELS = (*CHAT_MODELS, "embed", "image")

Handler = Callable[[bytes, str, str, Settings], Reply]


class _Operation(Struct, frozen=True):
    path: str
    models: tuple[str, ...]
    handler: Handler
    wire: ErrorWire = OPENAI


_CHAT = tuple(CHAT_MODELS)
_OPERATIONS = (
    _Operation("/chat/completions", _CHAT, openai_chat.reply),
    _Operation("/messages", _CHAT, anthropic_messages.reply, ANTHROPIC),
    _Operation("/embeddings", ("embed",), embeddings.reply),
    _Operation("/images/generations", ("image",), images.reply),
)
_MODEL_LIST = "/models"


class Plan(Struct, frozen=True, kw_only=True):
    """What happens to a request like this. `faulty` instead of `clean` for the share `rate` of the turns.

    `model` is the bare name, "" where there was none.
    """

    clean: Script
    faulty: Script | None = None
    rate: float = 1.0
    seed: int = 0
    model: str = ""

    def at(self, turn: int) -> Script:
        """The script for request number `turn` of the one who plays: the fault is drawn from the seed and that number."""
        if self.faulty is None or draw(self.seed, turn) >= self.rate:
            return self.clean
        return self.faulty


class _Peek(Struct):
    """The fields of a body that every operation has."""

    model: str
    demo: dict[str, Any] | None = None
    seed: int | None = None


_peek = msgspec.json.Decoder(_Peek).decode


def plan(request: HttpRequest, defaults: Settings = Settings()) -> Plan:  # noqa: B008 - frozen
    """What to play for this request. Of the URL only the path counts; headers are not looked at."""
    path = path_of(request.url)
    operation = next((found for found in _OPERATIONS if path.endswith(found.path)), None)
    try:
        if path.endswith(_MODEL_LIST):
            _require(request.method, "GET", path)
            return Plan(clean=whole(200, _model_list()))
        if operation is None:
            known = ", ".join((*(found.path for found in _OPERATIONS), _MODEL_LIST))
            raise Refusal(404, f"demo has nothing at {path}; it has: {known}", code="not_found")
        _require(request.method, "POST", path)
        return _planned(operation, request.body, defaults)
    except Refusal as refusal:
        return Plan(clean=refuse(path, refusal))


def refuse(path: str, refusal: Refusal) -> Script:
    """An error answer in the dialect that is spoken at the path."""
    wire = ANTHROPIC if path.endswith("/messages") else OPENAI
    return error_answer(refusal, Settings(), wire)


def draw(seed: int, turn: int) -> float:
    """A number from 0 up to 1, the same for the same two."""
    digest = hashlib.blake2b(f"{seed}/{turn}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def path_of(url: str) -> str:
    return "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]


def _require(method: str, wanted: str, path: str) -> None:
    if method != wanted:
        raise Refusal(405, f"{path} takes {wanted}, not {method}")


def _planned(operation: _Operation, raw: bytes, defaults: Settings) -> Plan:
    try:
        peek = _peek(raw)
        name, query = split_model(peek.model)
        settings = changed(changed(defaults, query), peek.demo or {})
        bare = _known(name, operation)
        reply = operation.handler(raw, name, bare, settings)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"Invalid request: {error}", param=_field(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The body is not JSON: {error}") from None
    clean = _timed(reply, settings)
    faulty = failing(clean, settings, operation.wire) if settings.fail else None
    return Plan(clean=clean, faulty=faulty, rate=settings.fail_rate, seed=peek.seed or 0, model=bare)


def _known(name: str, operation: _Operation) -> str:
    bare = name.removeprefix(PREFIX)
    if bare not in operation.models:
        there = ", ".join(operation.models)
        raise Refusal(404, f"The model {name!r} does not exist at {operation.path}; there are: {there}", param="model")
    return bare


def _field(message: str) -> str | None:
    """The path that msgspec ends its messages with: "... - at `$.messages[0].role`"."""
    _, mark, path = message.rpartition("`$.")
    return path.rstrip("`") if mark else None


def _timed(reply: Reply, settings: Settings) -> Script:
    latency, pace = settings.latency / 1000, settings.seconds_per_token
    if reply.stream:
        pieces = tuple(Piece(count * pace, data) for data, count in reply.chunks)
        return streamed(pieces, headers=reply.headers, delay=latency)
    ((body, count),) = reply.chunks
    return whole(200, body, headers=reply.headers, delay=latency + count * pace)


def _model_list() -> bytes:
    rows = [{"id": name, "object": "model", "created": CREATED, "owned_by": "demo"} for name in MODELS]
    return json.encode({"object": "list", "data": rows})
