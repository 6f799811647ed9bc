"""OpenAI's files and batches: the provider's own answers, with ids of ours in place of its own.

Who uploads chooses the provider with `custom_llm_provider` (a field, a query or the header x-dragoman-provider); the first one
is meant without. Everything after that goes by the ids. What the lines of a batch may cost is worked out when they are
uploaded, stands in the file's id, and is held when the batch is made. Called by `files`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from dragoman.core import json, multipart
from dragoman.core.batches import ENDED
from dragoman.core.errors import BadRequestError, DragomanError, NotFoundError, error_for
from dragoman.dialects import openai_batches, openai_errors
from dragoman.engine.interpret import without_key
from dragoman.gateway.governance.batches import estimate
from dragoman.gateway.raw.asking import PROVIDER, Asking, Page, edited
from dragoman.gateway.raw.batch_lines import translated
from dragoman.gateway.raw.file_ids import Known

if TYPE_CHECKING:
    from dragoman.providers.base import Target

DIALECT = "openai_chat"
OWNER, MODEL, NANO = "dragoman_owner", "dragoman_model", "dragoman_nano"
"""What stands in the metadata of a batch at the provider."""
_JSON = "application/json"


class Marked(NamedTuple):
    """What a file's name at the provider says."""

    group: str
    nano: int | None
    name: str

    def written(self, mark: str) -> str:
        group = quote(self.group, safe="").replace("~", "%7E")
        return f"{mark}~{group}~{'' if self.nano is None else self.nano}~{self.name}"

    @classmethod
    def read(cls, filename: str, mark: str) -> Marked:
        if not filename.startswith(f"{mark}~"):
            return cls("", None, filename)
        group, nano, name = (*filename.removeprefix(f"{mark}~").split("~", 2), "", "")[:3]  # a provider may have cut it short
        return cls(unquote(group), int(nano) if nano.isdecimal() else None, name)


# ----------------------------------------------------------------------------------------------------------------- files
async def upload(asking: Asking) -> None:
    parts = asking.form()
    fields = {part.name: part.data.decode("utf-8", "replace") for part in parts if part.filename is None}
    target = asking.target(fields.get(PROVIDER), DIALECT)
    made = [_uploaded(part, fields, asking, target) for part in parts if part.name != PROVIDER]
    boundary = multipart.free_boundary(made)
    body = multipart.encode(made, boundary)
    await asking.answer(target, "/files", lambda value: _file(asking, value, target), body, multipart.content_type(boundary))


def _uploaded(part: multipart.FormPart, fields: dict[str, str], asking: Asking, target: Target) -> multipart.FormPart:
    """A file is given a name that tells whose it is; the lines of a batch get the provider's name of their model."""
    if part.filename is None:
        return part
    data, group, nano = part.data, "", None
    if fields.get("purpose") == "batch":
        lines = translated(data, lambda model: asking.files.deployment(model, target).target.model)
        data, group = lines.data, lines.group
        asking.allowed(group)
        nano = estimate(lines.calls, asking.files.deployment(group, target))
    name = Marked(group, nano, part.filename).written(asking.mark)
    return multipart.FormPart(name=part.name, data=data, filename=name, media_type=part.media_type)


def _file(asking: Asking, value: dict[str, Any], target: Target, known: Known | None = None) -> dict[str, Any]:
    """As the client may see it. `known`: what its id has said of it; else its name does."""
    group, nano, name = Marked.read(value.get("filename", ""), asking.mark)
    same = known or Known(target.provider.name, value["id"], group, nano)
    return {**value, "id": asking.files.ids.written("file", same, asking.owner), **({"filename": name} if name else {})}


async def list_files(asking: Asking) -> None:
    target = asking.target(None, DIALECT)
    _after(asking, "file")

    def edit(value: dict[str, Any]) -> dict[str, Any]:
        mine = [item for item in value.get("data", ()) if item.get("filename", "").startswith(f"{asking.mark}~")]
        return _listed(value, [_file(asking, item, target) for item in mine])

    await asking.answer(target, "/files", edit)


async def file(asking: Asking) -> None:
    """One file, or with `/content` what is in it."""
    known, target = asking.read("file", asking.rest[0])
    path = f"/files/{quote(known.id, safe='')}"
    if asking.rest[1:] == ["content"]:
        await asking.content(target, f"{path}/content")
    elif asking.rest[1:]:
        raise NotFoundError("there is nothing below a file but its content", attempts=0)
    else:
        await asking.answer(target, path, lambda value: _file(asking, value, target, known))


async def delete_file(asking: Asking) -> None:
    known, target = asking.read("file", asking.rest[0])
    await asking.answer(target, f"/files/{quote(known.id, safe='')}", lambda value: {**value, "id": asking.rest[0]})


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
    asking.allowed(known.group)
    kept = {name: value for name, value in body.items() if name != PROVIDER}
    own = {name: text for name, text in said.items() if name not in {OWNER, MODEL, NANO}}
    metadata = {**own, **marks(asking, known.group, known.nano)}
    data = json.encode({**kept, "input_file_id": known.id, "metadata": metadata})
    await _create(asking, target, known, data)


def marks(asking: Asking, group: str, nano: int | None) -> dict[str, str]:
    """What the metadata of a batch says of it at the provider."""
    return {OWNER: asking.mark, MODEL: group, **({} if nano is None else {NANO: str(nano)})}


async def _create(asking: Asking, target: Target, known: Known, data: bytes) -> None:
    """Nothing is sent before what it may cost is held, and nothing is answered before it is known as whose."""
    books = asking.files.books
    facts = asking.facts(known.group, known.nano, DIALECT)
    held = await books.hold(asking.who, facts, asking.mark, target.provider.name)
    taken = False
    try:
        stream = await asking.open(target, "/batches", data, _JSON)
        try:
            status = stream.head.status
            taken = status < 300
            answer = await stream.whole()
            if taken:
                await books.made(held, json.decode(edited(answer, itemgetter("id"), target)))
                answer = edited(answer, lambda value: _batch(asking, value, target, known.group), target)
            else:
                told = without_key(answer.decode("utf-8", "replace"), target).encode()
                await books.refused(held, error_for(status, openai_errors.decode_error(status, told)))
            asking.passing.respond(stream, answer)
        finally:
            await stream.aclose()
    except DragomanError as problem:
        if not taken:
            await books.failed(held, problem)
        raise


def _batch(asking: Asking, value: dict[str, Any], target: Target, group: str) -> dict[str, Any]:
    """As the client may see it."""
    provider, ids = target.provider.name, asking.files.ids
    if value.get("status") in ENDED:
        asking.files.books.seen(provider, openai_batches.read_batch(value))
    made = {**value, "id": ids.written("batch", Known(provider, value["id"], group), asking.owner)}
    said = value.get("metadata") or {}
    nano = said.get(NANO)
    for field, held in (
        ("input_file_id", _amount(nano)),
        ("output_file_id", None),
        ("error_file_id", None),
    ):
        if value.get(field):
            made[field] = ids.written("file", Known(provider, value[field], group, held), asking.owner)
    metadata = {name: text for name, text in said.items() if name not in {OWNER, MODEL, NANO}}
    return {**made, "metadata": metadata or None}


def _amount(nano: Any) -> int | None:
    """Whoever has the provider's key may have written anything there."""
    return int(nano) if isinstance(nano, str) and nano.isascii() and nano.isdigit() and len(nano) < 20 else None


async def list_batches(asking: Asking) -> None:
    target = asking.target(None, DIALECT)
    _after(asking, "batch")

    def edit(value: dict[str, Any]) -> dict[str, Any]:
        held = [(item, item.get("metadata") or {}) for item in value.get("data", ())]
        mine = [(item, metadata.get(MODEL, "")) for item, metadata in held if metadata.get(OWNER) == asking.mark]
        return _listed(value, [_batch(asking, item, target, group) for item, group in mine])

    await asking.answer(target, "/batches", edit)


async def batch(asking: Asking) -> None:
    """One batch; a POST to its `/cancel` ends it."""
    known, target = asking.read("batch", asking.rest[0])
    cancelling = asking.exchange.method == "POST"
    if asking.rest[1:] != (["cancel"] if cancelling else []):
        raise NotFoundError("there is nothing below a batch but, to be posted to, cancel", attempts=0)
    path = f"/batches/{quote(known.id, safe='')}" + ("/cancel" if cancelling else "")
    await asking.answer(
        target, path, lambda value: _batch(asking, value, target, known.group), b"", _JSON if cancelling else ""
    )


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
