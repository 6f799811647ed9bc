"""Anthropic's message batches, answered by whoever serves their model, and Anthropic's files.

A batch's requests go through the dialects like single calls, so they may be answered by a provider that speaks OpenAI's; its
results are then made Anthropic's line by line. Files keep the ids that Anthropic gave them, since requests name them; whose one
is stands in its name at the provider. Called by `files`.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from dragoman.core import json, multipart
from dragoman.core.batches import Batch
from dragoman.core.errors import BadRequestError, DragomanError, NotFoundError
from dragoman.dialects import anthropic_batches, registry
from dragoman.engine.batched import call_of, result_for, translated
from dragoman.engine.interpret import masking
from dragoman.gateway.answer_headers import warning_headers
from dragoman.gateway.governance.batches import StoredBatch, estimate
from dragoman.gateway.raw.asking import HEADER, Asking, Page, edited
from dragoman.gateway.raw.batch_places import Place, place_of, spoken
from dragoman.gateway.raw.file_ids import Known
from dragoman.gateway.raw.openai_pages import Marked, marks
from dragoman.gateway.serving import JSON_HEADERS

if TYPE_CHECKING:
    from dragoman.core.chat import Warning
    from dragoman.core.http import Headers
    from dragoman.engine.call import Call
    from dragoman.providers.base import Target
    from dragoman.router.deployment import Deployment

DIALECT = "anthropic_messages"
_PATH = "/v1/messages/batches"
_LIMIT, _MOST = 20, 100
"""Batches of a page: by default, and at most, for each is asked for at its provider."""
_PAGES = 20
"""Pages of a provider's files that are looked through for one's own."""


# --------------------------------------------------------------------------------------------------------------- batches
async def create_batch(asking: Asking) -> None:
    requests = anthropic_batches.read_requests(asking.exchange.body)
    calls = [call_of(request) for request in requests]
    group = _model(calls)
    asking.allowed(group)
    deployment, place = _answered_by(asking, group)
    files = asking.files
    made = translated(requests, lambda _: deployment, place.endpoint, files.options)
    nano = estimate(calls, deployment)
    provider = place.target.provider.name
    held = await files.books.hold(asking.who, asking.facts(group, nano, DIALECT), asking.mark, provider)
    try:
        name = Marked(group, nano, "batch.jsonl").written(asking.mark)
        batch = await place.create(made.requests, name, marks(asking, group, nano))
    except DragomanError as problem:
        await files.books.failed(held, problem)
        raise
    await files.books.made(held, batch.id)
    _respond(asking, _batch(asking, batch, place.target, group), made.warnings)


def _model(calls: list[Call]) -> str:
    """Raises BadRequestError for none, or several."""
    models = list(dict.fromkeys(call.model for call in calls))
    if len(models) != 1:
        found = ", ".join(models[:20]) or "no request"
        raise BadRequestError(f"requests: one batch has one model, found {found}; make a batch for each", attempts=0)
    return models[0]


def _answered_by(asking: Asking, group: str) -> tuple[Deployment, Place]:
    """Who takes batches of this model. Raises NotFoundError and BadRequestError."""
    files = asking.files
    for target in files.targets.values():
        place = _place(asking, target)
        try:
            if place is not None:
                return files.deployment(group, target), place
        except BadRequestError:
            continue
    kept = ", ".join(files.targets)
    raise BadRequestError(f"model: batches of {group!r} are answered nowhere; batches are kept at: {kept}", attempts=0)


def _place(asking: Asking, target: Target) -> Place | None:
    """A client's headers go where its own dialect is spoken."""
    same = target.provider.dialects.get("chat") == DIALECT
    return place_of(asking.files.upstream(target), _headers(asking, target) if same else None)


def _headers(asking: Asking, target: Target) -> Headers:
    left_out = {"content-type", "accept", HEADER.decode()}
    return tuple(pair for pair in asking.passing.headers(target) if pair[0] not in left_out)


async def batch(asking: Asking) -> None:
    """One batch, its `/results`, or to be posted to: its `/cancel`."""
    method, below = asking.exchange.method, "/".join(asking.rest[1:])
    verb = _VERBS.get((method, below))
    if verb is None:
        raise NotFoundError(
            f"nothing is at {method} {asking.route}; below a batch there are results and, to be posted to, cancel"
        )
    known, target = asking.read("message_batch", asking.rest[0])
    place = _place(asking, target)
    if place is None:
        raise NotFoundError(f"{known.provider} has no batches that are spoken here", attempts=0)
    await verb(asking, known, place)


async def _retrieve(asking: Asking, known: Known, place: Place) -> None:
    _respond(asking, _batch(asking, await place.find(known.id), place.target, known.group))


async def _cancel(asking: Asking, known: Known, place: Place) -> None:
    _respond(asking, _batch(asking, await place.cancel(known.id), place.target, known.group))


async def _delete(asking: Asking, known: Known, place: Place) -> None:
    """Its results go with it, so its books are closed before."""
    await asking.files.books.closed(known.provider, await place.find(known.id))
    await place.delete(known.id)
    _respond(asking, {"id": asking.rest[0], "type": "message_batch_deleted"})


async def _results(asking: Asking, known: Known, place: Place) -> None:
    found = await place.find(known.id)
    asking.files.books.seen(known.provider, found)
    if not found.results:
        raise BadRequestError("this batch has no results: ask for it until its processing_status is ended", attempts=0)
    exchange, mask = asking.exchange, masking(place.target)
    async for line in place.results(found):
        if not exchange.response_started:
            exchange.start(200, [(b"content-type", b"application/x-jsonl"), (b"x-request-id", asking.passing.identity)])
        exchange.write(_line(mask(line.decode("utf-8", "replace")).encode(), place) + b"\n")
        await exchange.drain()
    exchange.finish()


def _line(line: bytes, place: Place) -> bytes:
    if place.endpoint == anthropic_batches.ENDPOINT:
        return line
    theirs, ours = spoken(place.target), registry.get(DIALECT)
    result = result_for(place.read_result(line), theirs, ours, provider=place.target.provider.name, now=int(time.time()))
    return anthropic_batches.write_result(result)


async def list_batches(asking: Asking) -> None:
    """The newest first. Each is asked for where it is."""
    if "before_id" in asking.query:
        raise BadRequestError("before_id: pages go on behind an id here; use after_id", attempts=0)
    limit = _limit(asking.query.get("limit"))
    behind = asking.query.get("after_id")
    books, before = asking.files.books, inf
    if behind is not None:
        known = asking.read("message_batch", behind)[0]
        last = await books.find(known.provider, known.id)
        before = inf if last is None else last.row.began
    stored = await books.listed(asking.mark, DIALECT, before=before, limit=limit + 1)
    if stored is None:
        raise BadRequestError(
            "lists of batches want a `governance` in the configuration, which knows whose they are", attempts=0
        )
    found = await asyncio.gather(*(_found(asking, each) for each in stored[:limit]))
    items = [item for item in found if item is not None]
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    _respond(asking, {"data": items, "has_more": len(stored) > limit, **ends})


def _limit(asked: str | None) -> int:
    if asked is None:
        return _LIMIT
    if not asked.isdecimal() or not 0 < int(asked) <= 1000:
        raise BadRequestError(f"limit: expected a number from 1 to 1000, found {asked[:20]!r}", attempts=0)
    return min(int(asked), _MOST)


async def _found(asking: Asking, stored: StoredBatch) -> dict[str, Any] | None:
    """None for one that was deleted."""
    target = asking.files.at(stored.provider)
    place = None if target is None else _place(asking, target)
    try:
        return None if place is None else _batch(asking, await place.find(stored.upstream), place.target, stored.row.model)
    except NotFoundError:
        return None


def _batch(asking: Asking, batch: Batch, target: Target, group: str) -> dict[str, Any]:
    """As the client may see it. Where its results are is told as a path: by which name a proxy is asked is not known here."""
    provider = target.provider.name
    asking.files.books.seen(provider, batch)
    id_ = asking.files.ids.written("message_batch", Known(provider, batch.id, group), asking.owner)
    return anthropic_batches.write_batch(replace(batch, id=id_), f"{_PATH}/{id_}/results")


def _respond(asking: Asking, value: dict[str, Any], warnings: tuple[Warning, ...] = ()) -> None:
    headers = [*JSON_HEADERS, (b"x-request-id", asking.passing.identity), *warning_headers(warnings)]
    asking.exchange.respond(200, headers, json.encode(value))


_VERBS = {
    ("GET", ""): _retrieve,
    ("GET", "results"): _results,
    ("POST", "cancel"): _cancel,
    ("DELETE", ""): _delete,
}


# ----------------------------------------------------------------------------------------------------------------- files
async def upload(asking: Asking) -> None:
    target = asking.target(None, DIALECT)
    made = [_named(part, asking.mark) for part in asking.form()]
    boundary = multipart.free_boundary(made)
    body = multipart.encode(made, boundary)
    await asking.answer(target, "/v1/files", lambda value: _file(value, asking.mark), body, multipart.content_type(boundary))


def _named(part: multipart.FormPart, mark: str) -> multipart.FormPart:
    return part if part.filename is None else replace(part, filename=Marked("", None, part.filename).written(mark))


def _file(value: dict[str, Any], mark: str) -> dict[str, Any]:
    return {**value, "filename": Marked.read(value["filename"], mark).name}


async def list_files(asking: Asking) -> None:
    """A page with some of one's own, or the last one."""
    target = asking.target(None, DIALECT)
    goes_on, end = ("before_id", "first_id") if "before_id" in asking.query else ("after_id", "last_id")
    for _ in range(_PAGES):
        value = await _asked(asking, target, f"/v1/files?{urlencode(asking.query)}")
        mine = [item for item in value.get("data", ()) if _is_own(asking, item)]
        if mine or not value.get("has_more"):
            break
        asking.query[goes_on] = value[end]
    ends = {"first_id": mine[0]["id"] if mine else None, "last_id": mine[-1]["id"] if mine else None}
    _respond(asking, {**value, "data": [_file(item, asking.mark) for item in mine], **ends})


async def file(asking: Asking) -> None:
    """One file, or with `/content` what is in it; DELETE ends it."""
    method, id_, below = asking.exchange.method, asking.rest[0], asking.rest[1:]
    if below not in ([], ["content"]) or (below and method != "GET"):
        raise NotFoundError("there is nothing below a file but its content", attempts=0)
    target = asking.target(None, DIALECT)
    path = f"/v1/files/{quote(id_, safe='')}"
    found = await _asked(asking, target, path)
    if not _is_own(asking, found):
        raise NotFoundError(f"no file is called {id_[:120]!r}, or it is not yours", attempts=0)
    if below:
        await asking.content(target, f"{path}/content")
    elif method == "DELETE":
        await asking.answer(target, path, lambda value: value)
    else:
        _respond(asking, _file(found, asking.mark))


def _is_own(asking: Asking, value: dict[str, Any]) -> bool:
    return str(value.get("filename", "")).startswith(f"{asking.mark}~")


async def _asked(asking: Asking, target: Target, path: str) -> dict[str, Any]:
    """Raises BadGatewayError for what is no JSON object."""
    answer = await asking.files.upstream(target).asked("GET", path, _headers(asking, target))
    value: dict[str, Any] = json.decode(edited(answer, dict, target))
    return value


PAGES: tuple[tuple[str, str, Page], ...] = (
    ("POST", "/messages/batches", create_batch),
    ("GET", "/messages/batches", list_batches),
    ("GET", "/messages/batches/*", batch),
    ("POST", "/messages/batches/*", batch),
    ("DELETE", "/messages/batches/*", batch),
    ("POST", "/files", upload),
    ("GET", "/files", list_files),
    ("GET", "/files/*", file),
    ("DELETE", "/files/*", file),
)
