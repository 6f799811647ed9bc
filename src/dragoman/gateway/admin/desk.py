"""What every handler of the admin API does alike: who asks, the body, the answer, errors, and writing a change down.

A handler is `async def handle(desk, ask) -> JSON`; a list is given as CSV to who asks for `format=csv`. It raises our errors;
`endpoint` makes a Starlette endpoint of it. A change holds in this worker when its answer goes out, in others within a turn of
their shipping.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dragoman.core import json
from dragoman.core.errors import BadRequestError, DragomanError, InternalServerError, NotFoundError, RequestTooLargeError
from dragoman.dialects.openai_errors import encode_error
from dragoman.gateway.admin import shapes
from dragoman.gateway.admin.shapes import Asked
from dragoman.gateway.admin.tables import Table
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.governance import Governance
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store.base import Change, Entry, Store
from dragoman.gateway.store.shipping import Shipping
from dragoman.gateway.stored.serving import StoredModels

logger = logging.getLogger("dragoman.gateway")

_FRESH = {"cache-control": "no-store"}
MAX_BODY = 1024 * 1024
MAX_PAGE = 1000


class Ask:
    """One request to the admin API: who, what, when (Unix seconds)."""

    def __init__(
        self,
        identity: Identity,
        now: float,
        body: bytes = b"",
        *,
        query: Mapping[str, str] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> None:
        self.identity = identity
        self.now = now
        self.body = body
        self.query = query or {}
        self.path = path or {}

    def fields(self) -> Asked:
        """The body as the fields of a scope. Raises BadRequestError."""
        return shapes.read(self.body)

    def plain(self) -> dict[str, Any]:
        """The body as a JSON object. Raises BadRequestError."""
        try:
            found = json.decode(self.body or b"{}")
        except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise BadRequestError(f"the request body is no JSON: {problem}", attempts=0) from None
        if not isinstance(found, dict):
            raise BadRequestError("the request body is no JSON object", attempts=0)
        return found

    def names(self, *fields: str) -> list[str]:
        """A list of names in the body, under the first of these fields that is there. Raises BadRequestError."""
        body = self.plain()
        found = next((body[field] for field in fields if body.get(field) is not None), None)
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list) or not listed or not all(isinstance(name, str) and name for name in listed):
            raise BadRequestError(f"{fields[0]}: expected a list of names", attempts=0)
        return listed

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number of the query, from 1. Raises BadRequestError."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= most):
            raise BadRequestError(f"{name}: expected a number from 1 to {most}, found {text[:40]!r}", attempts=0)
        return int(text)


class Desk:
    """What the handlers need, held once. `stored`: the models of the database, in a gateway. `clock` gives Unix seconds,
    `chance` so many random bytes.
    """

    def __init__(
        self,
        governance: Governance,
        shipping: Shipping,
        *,
        stored: StoredModels | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.governance = governance
        self.shipping = shipping
        self._stored = stored
        self.clock = clock
        self.chance = chance

    @property
    def store(self) -> Store:
        return self.shipping.store

    async def stored(self) -> StoredModels:
        """As they are in the store now, whichever worker changed them. Raises BadRequestError where this is no gateway."""
        if self._stored is None:
            raise BadRequestError("models and credentials are those of a gateway: ask one that runs", attempts=0)
        await self.shipping.hear()
        return self._stored

    async def scope(self, kind: str, id_: str) -> Scope:
        """Raises NotFoundError."""
        found = (await self.store.scopes([Reference(kind, id_)])).get(Reference(kind, id_))
        if found is None:
            raise NotFoundError(f"there is no {kind.replace('_', ' ')} {id_[:80]!r}", attempts=0)
        return found

    async def spent(self, scopes: Iterable[Scope]) -> dict[Reference, int]:
        """What each has spent since ever, with what is not in the store yet."""
        keys = {scope.reference: CounterKey(scope.kind, scope.id, "", "") for scope in scopes}
        stored = await self.store.spent(keys.values())
        found = {}
        for reference, key in keys.items():
            counter = self.governance.book.find(key)
            found[reference] = stored.get(key, 0) + (counter.unshipped if counter else 0)
        return found

    def change(self, ask: Ask, action: str, scope: Scope | Entry, detail: str = "") -> Change:
        return Change(at=ask.now, actor=ask.identity.key.id, action=action, kind=scope.kind, id=scope.id, detail=detail)

    async def create(self, ask: Ask, scope: Scope, asked: Asked, digest: str = "") -> None:
        await self.store.create(scope, self.change(ask, "create", scope, shapes.detail(asked)), digest)
        await self.shipping.hear()

    async def replace(self, ask: Ask, scope: Scope, action: str, asked: Asked | None = None) -> None:
        await self.store.replace(scope, self.change(ask, action, scope, shapes.detail(asked) if asked else ""))
        await self.shipping.hear()

    async def delete(self, ask: Ask, scopes: list[Scope]) -> None:
        if scopes:
            await self.store.delete([scope.reference for scope in scopes], self.change(ask, "delete", scopes[0]))
            await self.shipping.hear()

    async def identify(self, request: Request, now: float) -> Identity:
        """Who asks. Raises InvalidKeyError, PermissionDeniedError, RateLimitExceededError."""
        address = request.client.host if request.client else ""

        def header(name: bytes) -> bytes | None:
            return request.headers.get(name.decode(), "").encode("latin-1") or None

        return self.governance.identify(header, now) or await self.governance.load(header, address, now)


Handler = Callable[[Desk, Ask], Awaitable[Any]]


def endpoint(desk: Desk, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            now = desk.clock()
            identity = await desk.identify(request, now)
            body = await _body(request)
            found = await handler(desk, Ask(identity, now, body, query=request.query_params, path=request.path_params))
        except DragomanError as error:
            return _refusal(error)
        except Exception:
            logger.exception("The admin API failed at %s", request.url.path)
            return _refusal(InternalServerError("The gateway failed on this request. Its log has the reason.", attempts=0))
        if isinstance(found, list) and request.query_params.get("format") == "csv":
            return Response("".join(map(Table().line, found)), media_type="text/csv", headers=_FRESH)
        return Response(msgspec.json.encode(found), media_type="application/json", headers=_FRESH)

    return answer


def new_id() -> str:
    return str(uuid4())


def _refusal(error: DragomanError) -> Response:
    wait = getattr(error, "retry_after", None)
    headers = {"retry-after": str(max(1, round(wait)))} if wait is not None else {}
    return Response(encode_error(error), error.status_code, headers=headers, media_type="application/json")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise RequestTooLargeError(f"a request to the admin API has at most {MAX_BODY} bytes", attempts=0)
    return bytes(body)
