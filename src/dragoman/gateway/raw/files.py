"""Files and batches in OpenAI's shapes: kept at a provider, under ids that know it and whose they are.

    files: {providers: [openai, azure]}

Who uploads chooses the provider with `custom_llm_provider` (a field, a query or the header x-dragoman-provider); the first one
is meant without. Everything after that goes by the ids. A batch names a model of this gateway; its results are booked, at the
price of batches, when they are first fetched from a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from msgspec.structs import replace

from dragoman.core import json, multipart
from dragoman.core.errors import BadGatewayError, BadRequestError, ErrorDetail, NotFoundError
from dragoman.core.http import HttpRequest
from dragoman.dialects import openai_errors
from dragoman.gateway import serving
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.raw import batch_lines
from dragoman.gateway.raw.booking import Books, check
from dragoman.gateway.raw.file_ids import Ids, Known
from dragoman.gateway.raw.passing import Passing
from dragoman.router.deployment import Deployment

if TYPE_CHECKING:
    from dragoman.engine.call import CallOptions
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.providers.base import Target

PROVIDER, HEADER = "custom_llm_provider", b"x-dragoman-provider"
_OWNER, _MODEL = "dragoman_owner", "dragoman_model"
_JSON = "application/json"


class Files:
    """`targets`: the providers that keep files, the first one first. `secret`: what ids are signed with."""

    def __init__(self, pipeline: Pipeline, options: CallOptions, targets: dict[str, Target], secret: bytes) -> None:
        self.pipeline = pipeline
        self.options = options
        self.targets = targets
        self.ids = Ids(secret)
        self.books = Books(pipeline)

    def routes(self) -> serving.Routes:
        """Under `/v1` and without it, as base URLs are written both ways."""
        table: dict[tuple[str, bytes], serving.Route] = {}
        for method, path, page in PAGES:
            route = serving.Route(self._handler(page), openai_errors.encode_error)
            table[method, f"/v1{path}".encode()] = table[method, path.encode()] = route
        return table

    def _handler(self, page: Page) -> Callable[[Exchange], Coroutine[Any, Any, None]]:
        def handle(exchange: Exchange) -> Coroutine[Any, Any, None]:
            passing = Passing(self.pipeline, self.options, exchange, openai_errors.encode_error)

            async def work(who: Identity | None) -> None:
                check(who, "file", exchange.path.decode("latin-1"))
                await page(Asking(self, exchange, passing, who))

            return passing.run(work)

        return handle

    def deployment(self, group: str, target: Target) -> Deployment:
        """Of the model group, the one that is at this provider. Raises NotFoundError and BadRequestError."""
        for node in self.pipeline.policy.group(group).nodes:
            place = node.deployment.target
            if (place.provider.name, place.base_url) == (target.provider.name, target.base_url):
                return node.deployment
        raise BadRequestError(f"model: {group!r} is not served by {target.provider.name}, where this file is kept", attempts=0)


class Asking:
    """One request. `rest` is what stands in its path behind `/files/` or `/batches/`."""

    def __init__(self, files: Files, exchange: Exchange, passing: Passing, who: Identity | None) -> None:
        self.files = files
        self.exchange = exchange
        self.passing = passing
        self.who = who
        self.owner = owner_of(who)
        self.mark = files.ids.mark(self.owner)
        self.query = {name: values[-1] for name, values in parse_qs(exchange.query.decode("latin-1")).items()}
        self.rest = unquote(exchange.path.decode("latin-1").removeprefix("/v1")).split("/")[2:]

    def target(self, name: str | None) -> Target:
        targets = self.files.targets
        asked = name or self.query.pop(PROVIDER, None) or (self.exchange.header(HEADER) or b"").decode("latin-1")
        found = targets.get(asked) if asked else next(iter(targets.values()))
        if found is None:
            message = f"{PROVIDER}: no files are kept at {asked[:80]!r}; there are: {', '.join(targets)}"
            raise BadRequestError(message, detail=ErrorDetail(message=message, param=PROVIDER), attempts=0)
        return found

    async def open(self, target: Target, path: str, body: bytes = b"", content_type: str = "") -> Any:
        """The provider's answer; see `Passing.open`."""
        headers = tuple(pair for pair in self.passing.headers(target) if pair[0] not in {"content-type", HEADER.decode()})
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
            data = await self.passing.whole(stream)
            if stream.head.status < 300:
                data = _edited(data, edit, target)
            self.passing.respond(stream, data)
        finally:
            await stream.aclose()

    # What the provider says, as the client may see it

    def file(self, value: dict[str, Any], target: Target, known: Known | None = None) -> dict[str, Any]:
        """`known`: what its id has said of it; else its name does."""
        group, name = _named(value.get("filename", ""), self.mark)
        same = known or Known(target.provider.name, value["id"], group)
        return {**value, "id": self.files.ids.written("file", same, self.owner), **({"filename": name} if name else {})}

    def batch(self, value: dict[str, Any], target: Target, group: str) -> dict[str, Any]:
        provider, ids = target.provider.name, self.files.ids
        made = {**value, "id": ids.written("batch", Known(provider, value["id"], group), self.owner)}
        for field in ("input_file_id", "output_file_id", "error_file_id"):
            if value.get(field):
                known = Known(provider, value[field], group, field == "output_file_id")
                made[field] = ids.written("file", known, self.owner)
        metadata = {name: held for name, held in (value.get("metadata") or {}).items() if name not in {_OWNER, _MODEL}}
        return {**made, "metadata": metadata or None}

    def read(self, kind: Any, written: str) -> tuple[Known, Target]:
        known = self.files.ids.read(kind, written, self.owner)
        target = next((held for held in self.files.targets.values() if held.provider.name == known.provider), None)
        if target is None:
            raise NotFoundError(f"no files are kept at {known.provider} any more", attempts=0)
        return known, target


def _edited(data: bytes, edit: Callable[[Any], Any], target: Target) -> bytes:
    """Raises BadGatewayError for an answer that is not of OpenAI's shape."""
    try:
        return json.encode(edit(json.decode(data)))
    except (*json.UNREADABLE, KeyError, TypeError, AttributeError):
        name = target.provider.name
        raise BadGatewayError(
            f"{name}: the answer is not what OpenAI's API says for files and batches", llm_provider=name
        ) from None


Page = Callable[[Asking], Coroutine[Any, Any, None]]


def owner_of(who: Identity | None) -> str:
    """Whose files these are: a team's, else a user's, else those of the key alone."""
    if who is None:
        return ""
    key = who.key
    return f"team/{key.team}" if key.team else f"user/{key.user}" if key.user else f"key/{key.id}"


# ----------------------------------------------------------------------------------------------------------------- files
async def upload(asking: Asking) -> None:
    content_type = (asking.exchange.header(b"content-type") or b"").decode("latin-1")
    try:
        parts = multipart.decode(asking.exchange.body, multipart.boundary_of(content_type))
        fields = {part.name: part.text for part in parts if part.filename is None}
    except multipart.MultipartError as problem:
        raise BadRequestError(f"the request body is no form: {problem}", attempts=0) from None
    target = asking.target(fields.get(PROVIDER))
    made = [_uploaded(part, fields, asking, target) for part in parts if part.name != PROVIDER]
    boundary = multipart.free_boundary(made)
    body = multipart.encode(made, boundary)
    await asking.answer(target, "/files", lambda value: asking.file(value, target), body, multipart.content_type(boundary))


def _uploaded(part: multipart.FormPart, fields: dict[str, str], asking: Asking, target: Target) -> multipart.FormPart:
    """A file is given a name that tells whose it is; the lines of a batch get the provider's name of their model."""
    if part.filename is None:
        return part
    data, group = part.data, ""
    if fields.get("purpose") == "batch":
        data, group = batch_lines.translated(data, lambda model: asking.files.deployment(model, target).target.model)
        _allowed(asking, group)
    name = f"{asking.mark}~{quote(group, safe='').replace('~', '%7E')}~{part.filename}"
    return multipart.FormPart(name=part.name, data=data, filename=name, media_type=part.media_type)


def _named(filename: str, mark: str) -> tuple[str, str]:
    """(model group, the name that the client gave)."""
    if not filename.startswith(f"{mark}~"):
        return "", filename
    group, _, name = filename.removeprefix(f"{mark}~").partition("~")  # a provider may have cut it short
    return unquote(group), name


def _allowed(asking: Asking, group: str) -> None:
    if asking.who is not None:
        asking.who.check_call(group, "batch", asking.exchange.path.decode("latin-1"))


async def list_files(asking: Asking) -> None:
    target = asking.target(None)
    _after(asking, "file")

    def edit(value: dict[str, Any]) -> dict[str, Any]:
        mine = [item for item in value.get("data", ()) if item.get("filename", "").startswith(f"{asking.mark}~")]
        return _listed(value, [asking.file(item, target) for item in mine])

    await asking.answer(target, "/files", edit)


async def file(asking: Asking) -> None:
    """One file, or with `/content` what is in it."""
    known, target = asking.read("file", asking.rest[0])
    path = f"/files/{quote(known.id, safe='')}"
    if asking.rest[1:] == ["content"]:
        await _content(asking, known, target, f"{path}/content")
    elif asking.rest[1:]:
        raise NotFoundError("there is nothing below a file but its content", attempts=0)
    else:
        await asking.answer(target, path, lambda value: asking.file(value, target, known))


async def delete_file(asking: Asking) -> None:
    known, target = asking.read("file", asking.rest[0])
    await asking.answer(target, f"/files/{quote(known.id, safe='')}", lambda value: {**value, "id": asking.rest[0]})


def _deployment(asking: Asking, group: str, target: Target) -> Deployment:
    """Of the batch's model; one that the configuration has forgotten has no price any more, but its results are there."""
    try:
        return asking.files.deployment(group, target)
    except (NotFoundError, BadRequestError):
        return Deployment(replace(target, model=group), group=group)


async def _content(asking: Asking, known: Known, target: Target, path: str) -> None:
    entry = None
    if known.result:
        deployment = _deployment(asking, known.group, target)
        entry = await asking.files.books.opened(asking.who, known, deployment, asking.exchange, asking.passing.identity)
    tap = None if entry is None else entry.tap
    complete = False
    stream = None
    try:
        stream = await asking.open(target, path)
        await asking.passing.stream(stream, tap if stream.head.status < 300 else None)
        complete = stream.head.status < 300
        if tap is not None and complete:
            tap.close()
    finally:
        if entry is not None:
            entry.close(complete=complete)
        if stream is not None:
            await stream.aclose()
    asking.exchange.finish()


# --------------------------------------------------------------------------------------------------------------- batches
async def create_batch(asking: Asking) -> None:
    try:
        body = json.decode(asking.exchange.body)
        written, said = body["input_file_id"], {**(body.get("metadata") or {})}
    except (*json.UNREADABLE, KeyError, TypeError):
        raise BadRequestError("expected a JSON object with input_file_id, whose metadata is one too", attempts=0) from None
    known, target = asking.read("file", str(written))
    if not known.group:
        raise BadRequestError("input_file_id: expected a file that was uploaded with purpose=batch", attempts=0)
    _allowed(asking, known.group)
    kept = {name: value for name, value in body.items() if name != PROVIDER}
    metadata = {**said, _OWNER: asking.mark, _MODEL: known.group}
    data = json.encode({**kept, "input_file_id": known.id, "metadata": metadata})
    await asking.answer(target, "/batches", lambda value: asking.batch(value, target, known.group), data, _JSON)


async def list_batches(asking: Asking) -> None:
    target = asking.target(None)
    _after(asking, "batch")

    def edit(value: dict[str, Any]) -> dict[str, Any]:
        held = [(item, item.get("metadata") or {}) for item in value.get("data", ())]
        mine = [(item, metadata.get(_MODEL, "")) for item, metadata in held if metadata.get(_OWNER) == asking.mark]
        return _listed(value, [asking.batch(item, target, group) for item, group in mine])

    await asking.answer(target, "/batches", edit)


async def batch(asking: Asking) -> None:
    """One batch; a POST to its `/cancel` ends it."""
    known, target = asking.read("batch", asking.rest[0])
    cancelling = asking.exchange.method == "POST"
    if asking.rest[1:] != (["cancel"] if cancelling else []):
        raise NotFoundError("there is nothing below a batch but, to be posted to, cancel", attempts=0)
    path = f"/batches/{quote(known.id, safe='')}" + ("/cancel" if cancelling else "")
    await asking.answer(target, path, lambda value: asking.batch(value, target, known.group), b"", _JSON if cancelling else "")


def _after(asking: Asking, kind: Any) -> None:
    """Pages go on behind an id, which is to be the provider's."""
    if "after" in asking.query:
        asking.query["after"] = asking.read(kind, asking.query["after"])[0].id


def _listed(value: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """A page of what is the client's own; it may be shorter than the provider's."""
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return {**value, "data": items, **{name: end for name, end in ends.items() if name in value}}


PAGES: tuple[tuple[str, str, Page], ...] = (
    ("POST", "/files", upload),
    ("GET", "/files", list_files),
    ("GET", "/files/*", file),
    ("DELETE", "/files/*", delete_file),
    ("POST", "/batches", create_batch),
    ("GET", "/batches", list_batches),
    ("GET", "/batches/*", batch),
    ("POST", "/batches/*", batch),
)
