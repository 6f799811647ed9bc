"""What all routes of the face share: who may ask, how errors are said, and small pages that answer JSON.

Called by `routes` with an Exchange. It decides nothing about models and holds no state but its parts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import DragomanError, RateLimitExceededError
from dragoman.dialects.gptrouter.errors import encode_error, status_of
from dragoman.engine.call import Call, CallOptions
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.gptrouter.accounts import Accounts
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.health import History
from dragoman.gateway.gptrouter.prompt_store import PromptStore
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.serving import JSON_HEADERS

Lookup = Callable[[bytes], bytes | None]


class Settings(Struct, frozen=True, kw_only=True):
    """`stream_refusals`: how a stream is told that its key or its limit is the trouble: `event`, a 200 with an error event,
    which every client shows, or `status`, the honest status with that event as its body. `ping_seconds`: between two
    keep-alive comments. `optimizer`: the public name of the model that rewrites prompts, "" for none.
    """

    stream_refusals: Literal["event", "status"] = "event"
    ping_seconds: float = 15.0
    optimizer: str = ""


class Face(Struct, frozen=True, kw_only=True):
    """The parts, held once a process."""

    pipeline: Pipeline
    options: CallOptions
    directory: Directory
    prompts: PromptStore
    accounts: Accounts
    history: History
    settings: Settings = Settings()
    notes: bool = True
    """Whether the face's own calls are to be noted: not where somebody tells the history of all calls there are."""

    def authorise(self, exchange: Exchange) -> None:
        """Raises InvalidKeyError."""
        self.pipeline.authorise(self.shown(exchange))

    def note(self, call: Call) -> None:
        """A call has ended."""
        if self.notes:
            self.history.note(call, time.time())

    def shown(self, exchange: Exchange) -> Lookup:
        """The request's headers with its key where the gateway looks for one: `ws-secret` counts as `x-api-key`, and the token
        of a login as the key that it stands for.
        """

        def header(name: bytes) -> bytes | None:
            found = exchange.header(name)
            if name == b"authorization" and found is not None:
                return self.accounts.header_for(found)
            if name == b"x-api-key" and found is None:
                return exchange.header(b"ws-secret")
            return found

        return header


Answer = tuple[int, Any]
PageFunction = Callable[[Face, Exchange], Answer | Awaitable[Answer]]


class Page:
    """A handler for what is answered as (status, value). `guarded`: only with a key."""

    def __init__(self, face: Face, function: PageFunction, *, guarded: bool = True) -> None:
        self._face = face
        self._function = function
        self._guarded = guarded

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        try:
            if self._guarded:
                self._face.authorise(exchange)
            found = self._function(self._face, exchange)
        except DragomanError as error:
            refuse(exchange, error)
            return None
        if isinstance(found, tuple):
            respond(exchange, *found)
            return None
        return self._later(found, exchange)

    async def _later(self, found: Awaitable[Answer], exchange: Exchange) -> None:
        try:
            status, value = await found
        except DragomanError as error:
            refuse(exchange, error)
        else:
            respond(exchange, status, value)


def respond(exchange: Exchange, status: int, value: Any) -> None:
    exchange.respond(status, JSON_HEADERS, json.encode(value))


def refuse(exchange: Exchange, error: DragomanError) -> None:
    exchange.respond(status_of(error), JSON_HEADERS + wait_headers(error), encode_error(error))


def wait_headers(error: DragomanError) -> Headers:
    wait = getattr(error, "retry_after", None)
    if wait is None and isinstance(error, RateLimitExceededError):
        wait = 1.0
    return [] if wait is None else [(b"retry-after", b"%d" % max(1, math.ceil(wait)))]
