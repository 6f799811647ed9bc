"""One request about files or batches: who asks, for what, at which provider. The pages of both faces work with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode

from msgspec.structs import replace

from dragoman.core import json, multipart
from dragoman.core.errors import BadGatewayError, BadRequestError, ErrorDetail, NotFoundError, PermissionDeniedError
from dragoman.core.http import HttpRequest
from dragoman.gateway.admission import END_USER, TAGS
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.governance import scopes
from dragoman.gateway.governance.facts import MAX_NAME, Facts, split_tags
from dragoman.gateway.governance.ledger import plain
from dragoman.gateway.raw.file_ids import Kind, Known
from dragoman.gateway.raw.passing import Passing
from dragoman.gateway.raw.upstream import Answer

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.raw.files import Files
    from dragoman.providers.base import Target

PROVIDER, HEADER = "custom_llm_provider", b"x-dragoman-provider"


def check(who: Identity | None, operation: str, route: str) -> None:
    """Whether this may be asked, whatever the model. Raises PermissionDeniedError."""
    if who is None:
        return
    if "inference" not in who.key.rights:
        raise PermissionDeniedError("this key is for the admin API only", attempts=0)
    for scope in who.scopes:
        scopes.check_call(replace(scope, models=()), "", operation, route)


def owner_of(who: Identity | None) -> str:
    """Whose files these are: a team's, else a user's, else those of the key alone."""
    if who is None:
        return ""
    key = who.key
    return f"team/{key.team}" if key.team else f"user/{key.user}" if key.user else f"key/{key.id}"


class Asking:
    """`rest` is what stands in its path behind `/files/` or `/batches/`."""

    def __init__(self, files: Files, exchange: Exchange, passing: Passing, who: Identity | None) -> None:
        self.files = files
        self.exchange = exchange
        self.passing = passing
        self.who = who
        self.owner = owner_of(who)
        self.mark = files.ids.mark(self.owner)
        self.query = {name: values[-1] for name, values in parse_qs(exchange.query.decode("latin-1")).items()}
        path = unquote(exchange.path.decode("latin-1")).removeprefix("/v1").removeprefix("/messages")
        self.rest = path.split("/")[2:]

    @property
    def route(self) -> str:
        return self.exchange.path.decode("latin-1")

    def target(self, name: str | None, dialect: str) -> Target:
        """The provider that is named, else the first one that speaks so. Raises BadRequestError."""
        targets = self.files.targets
        asked = name or self.query.pop(PROVIDER, None) or (self.exchange.header(HEADER) or b"").decode("latin-1")
        fitting = [place for place in targets.values() if place.provider.dialects.get("chat") == dialect]
        found = targets.get(asked) if asked else next(iter(fitting), None)
        if found is None or found not in fitting:
            kept = ", ".join(name for name, place in targets.items() if place in fitting) or "none"
            message = f"{PROVIDER}: no files of this kind are kept at {(asked or 'any provider')[:80]!r}; there are: {kept}"
            raise BadRequestError(message, detail=ErrorDetail(message=message, param=PROVIDER), attempts=0)
        return found

    def form(self) -> list[multipart.FormPart]:
        """Raises BadRequestError."""
        content_type = (self.exchange.header(b"content-type") or b"").decode("latin-1")
        try:
            return list(multipart.decode(self.exchange.body, multipart.boundary_of(content_type)))
        except multipart.MultipartError as problem:
            raise BadRequestError(f"the request body is no form: {problem}", attempts=0) from None

    def allowed(self, group: str) -> None:
        """Whether batches of this model may be asked for. Raises PermissionDeniedError."""
        if self.who is not None:
            self.who.check_call(group, "batch", self.route)

    def facts(self, group: str, nano: int | None, dialect: str) -> Facts:
        """Of a batch that may cost so much. It takes no tokens of any minute's."""
        end_user, tags = ((self.exchange.header(name) or b"").decode("latin-1") for name in (END_USER, TAGS))
        return Facts(
            model=group,
            operation="batch",
            route=self.route,
            dialect=dialect,
            nano=nano,
            end_user=plain(end_user)[:MAX_NAME],
            tags=split_tags(tags),
            request_id=self.passing.identity.decode("latin-1"),
            client=self.exchange.client,
        )

    async def open(self, target: Target, path: str, body: bytes = b"", content_type: str = "") -> Answer:
        """The provider's answer; see `Passing.open`."""
        headers = self.passing.headers(target)
        headers = tuple(pair for pair in headers if pair[0] not in {"content-type", HEADER.decode()})
        if content_type:
            headers += (("content-type", content_type),)
        query = f"?{urlencode(self.query)}" if self.query else ""
        request = HttpRequest(method=self.exchange.method, url=target.base_url + path + query, headers=headers, body=body)
        return await self.passing.open(request, target)

    async def answer(
        self, target: Target, path: str, edit: Callable[[Any], Any], body: bytes = b"", content_type: str = ""
    ) -> None:
        """The provider's JSON, as `edit` makes it; a failure as it is."""
        stream = await self.open(target, path, body, content_type)
        try:
            data = await stream.whole()
            if stream.head.status < 300:
                data = edited(data, edit, target)
            self.passing.respond(stream, data)
        finally:
            await stream.aclose()

    async def content(self, target: Target, path: str) -> None:
        """What is in a file, as it comes."""
        stream = await self.open(target, path)
        try:
            await self.passing.stream(stream, None)
        finally:
            await stream.aclose()
        self.exchange.finish()

    def read(self, kind: Kind, written: str) -> tuple[Known, Target]:
        """Raises NotFoundError."""
        known = self.files.ids.read(kind, written, self.owner)
        target = self.files.at(known.provider)
        if target is None:
            raise NotFoundError(f"no files are kept at {known.provider} any more", attempts=0)
        return known, target


Page = Callable[[Asking], Coroutine[Any, Any, None]]


def edited(data: bytes, edit: Callable[[Any], Any], target: Target) -> bytes:
    """Raises BadGatewayError for an answer that is not of the API's shape."""
    try:
        return json.encode(edit(json.decode(data)))
    except (*json.UNREADABLE, KeyError, TypeError, AttributeError):
        name = target.provider.name
        message = f"{name}: the answer is not what its API says for files and batches"
        raise BadGatewayError(message, llm_provider=name) from None
