"""What all routes of the face share: who may ask, how errors are said, and small pages that answer JSON.

Called by `routes` with an Exchange. It decides nothing about models and holds no state but its parts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import DragomanError, PermissionDeniedError
from dragoman.dialects.gptrouter.errors import encode_error, status_of
from dragoman.dialects.gptrouter.wire import NAME
from dragoman.engine.call import CallOptions
from dragoman.gateway.answer_headers import error_headers
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.accounts import Accounts
from dragoman.gateway.gptrouter.directory import Directory
from dragoman.gateway.gptrouter.health import History
from dragoman.gateway.gptrouter.prompt_store import PromptStore
from dragoman.gateway.pipeline import Pipeline
from dragoman.gateway.request_ids import request_id
from dragoman.gateway.serving import JSON_HEADERS

if TYPE_CHECKING:
    from dragoman.engine.call import Call
    from dragoman.gateway.governance.identity import Identity

Lookup = Callable[[bytes], bytes | None]


class Settings(Struct, frozen=True, kw_only=True):
    """`stream_refusals`: how a stream is told that its key or its limit is the trouble: `event`, a 200 with an error event,
    which every client shows, or `status`, the honest status with that event as its body. `ping_seconds`: between two
    keep-alive comments. `optimizer`: the public name of the model that rewrites prompts, "" for none. `status`: who may see the
    status page.
    """

    stream_refusals: Literal["event", "status"] = "event"
    ping_seconds: float = 15.0
    optimizer: str = ""
    status: Literal["public", "key", "off"] = "off"


class Face(Struct, frozen=True, kw_only=True):
    """The parts, held once a process."""

    pipeline: Pipeline
    options: CallOptions
    directory: Directory
    prompts: PromptStore
    accounts: Accounts
    history: History
    settings: Settings = Settings()

    async def authorised(self, exchange: Exchange) -> Identity | None:
        """Who asks, as on every face of the gateway; None where there is no governance. Raises as `Pipeline.authorised`."""
        return await self.pipeline.authorised(self.shown(exchange), exchange.client)

    def refused(
        self, problem: DragomanError, exchange: Exchange, identity: bytes, operation: str, *, call: Call | None = None
    ) -> None:
        """Whoever watches is told."""
        self.pipeline.refused(problem, exchange, identity, operation, NAME, call=call)

    def respond_error(self, problem: DragomanError, exchange: Exchange, identity: bytes) -> None:
        exchange.respond(status_of(problem), error_headers(problem, identity, None), encode_error(problem))

    def refuse(self, problem: DragomanError, exchange: Exchange) -> None:
        """A page is not shown."""
        identity = request_id(exchange.header(b"x-request-id"))
        self.refused(problem, exchange, identity, "page")
        self.respond_error(problem, exchange, identity)

    def shown(self, exchange: Exchange) -> Lookup:
        """The request's headers with its key where the gateway looks for one: `ws-secret` goes before all others, as it always
        did here, and the token of a login is the key that it stands for.
        """
        secret = exchange.header(b"ws-secret")

        def header(name: bytes) -> bytes | None:
            if secret is not None:
                return secret if name == b"x-api-key" else None
            found = exchange.header(name)
            if name == b"authorization" and found is not None:
                return self.accounts.header_for(found)
            return found

        return header


Answer = tuple[int, Any]
PageFunction = Callable[[Face, Exchange], Answer | Awaitable[Answer]]


def may_read(_: Identity) -> bool:
    """Whoever has a key."""
    return True


def may_manage(who: Identity) -> bool:
    """What a key changes here others run."""
    return "manage" in who.key.rights


def may_see_all(who: Identity) -> bool:
    """What all keys did together."""
    return who.role in ("admin", "viewer")


class Page:
    """A handler for what is answered as (status, value). `permit` says of a known key whether it may; None: anybody may."""

    def __init__(self, face: Face, function: PageFunction, *, permit: Callable[[Identity], bool] | None = may_read) -> None:
        self._face = face
        self._function = function
        self._permit = permit

    async def __call__(self, exchange: Exchange) -> None:
        try:
            if self._permit is not None:
                who = await self._face.authorised(exchange)
                if who is not None and not self._permit(who):
                    raise PermissionDeniedError("this key may not do that here; ask an admin for one that may", attempts=0)
            found = self._function(self._face, exchange)
            status, value = found if isinstance(found, tuple) else await found
        except DragomanError as error:
            self._face.refuse(error, exchange)
        else:
            respond(exchange, status, value)


def respond(exchange: Exchange, status: int, value: Any) -> None:
    exchange.respond(status, JSON_HEADERS, json.encode(value))
