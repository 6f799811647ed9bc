"""The calls of `files` in Anthropic's words, with OpenAI's arguments and results.

Anthropic takes the requests of a batch with the batch itself and gives no uploaded file back, so a file of purpose "batch" is
kept here, in this process, until its batch is made. A batch's results are read under the batch's own id, as OpenAI's lines,
failures among them. Named by `Asked.elsewhere`; loaded by `file_run` at the first call that goes to who speaks so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from dragoman.client.file_run import (
    Asked,
    Batch,
    BatchList,
    FileContent,
    FileDeleted,
    FileList,
    FileObject,
    Place,
)
from dragoman.core import batches as core
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, NotFoundError
from dragoman.core.http import HttpResponse
from dragoman.core.multipart import FormPart
from dragoman.dialects import anthropic_batches, anthropic_files, openai_batches, openai_files, registry
from dragoman.engine.batched import result_for, translated

_FILES, _BATCHES = "/v1/files", "/v1/messages/batches"
_CHAT = "/v1/chat/completions"
_KEPT, _BATCH = "file-kept-", "msgbatch_"
MAX_KEPT = 512 * 1024 * 1024
"""Bytes of lines that wait for their batches; beyond it the oldest are forgotten."""

_lines: dict[str, tuple[FileObject, bytes]] = {}


# ------------------------------------------------------------------------------------------------------------------ files
def upload(_: Place, file: FormPart, purpose: str) -> Asked[Any]:
    if purpose == "batch":
        return _here(partial(_keep, file.data, file.filename or "lines.jsonl"))
    return _files("POST", _FILES, _file, form=(file,))


def _keep(data: bytes, name: str) -> FileObject:
    openai_batches.read_requests(data)  # what is wrong is told now
    file = core.StoredFile(
        id=_KEPT + sha256(data).hexdigest()[:32], name=name, size=len(data), purpose="batch", created=int(time.time())
    )
    _lines[file.id] = FileObject.of(openai_files.write_file(file)), data
    while len(_lines) > 1 and sum(len(kept) for _, kept in _lines.values()) > MAX_KEPT:
        del _lines[next(iter(_lines))]
    return _lines[file.id][0]


def _kept(file_id: str) -> tuple[FileObject, bytes]:
    if file_id not in _lines:
        raise NotFoundError(
            f"{file_id[:80]}: lines for Anthropic's batches are kept by the process that uploaded them, until it ends; "
            "upload them again with purpose='batch'",
            attempts=0,
        )
    return _lines[file_id]


def retrieval(_: Place, file_id: str) -> Asked[Any]:
    if file_id.startswith(_KEPT):
        return _here(lambda: _kept(file_id)[0])
    return _files("GET", f"{_FILES}/{quote(file_id, safe='')}", _file)


def deletion(_: Place, file_id: str) -> Asked[Any]:
    if file_id.startswith(_KEPT):
        return _here(lambda: _forgotten(file_id))
    path = f"{_FILES}/{quote(file_id, safe='')}"
    return _files("DELETE", path, lambda body: FileDeleted.of(openai_files.write_deleted(_read_files(body).files[0].id)))


def _forgotten(file_id: str) -> FileDeleted:
    _kept(file_id)
    del _lines[file_id]
    made: FileDeleted = FileDeleted.of(openai_files.write_deleted(file_id))
    return made


def listing(_: Place, purpose: str | None, after: str | None, limit: int | None) -> Asked[Any]:
    """Anthropic's files have no purposes, so all are listed."""
    lost = () if purpose is None else (Warning(field="purpose", message="Anthropic's files have none: all are listed"),)
    asked = _files("GET", _FILES, _file_list, query={"after_id": after, "limit": limit})
    return asked._replace(warnings=lost)


def content(place: Place, file_id: str) -> Asked[Any]:
    if file_id.startswith(_KEPT):
        return _here(lambda: FileContent(HttpResponse(status=200, headers=(), body=_kept(file_id)[1])))
    if file_id.startswith(_BATCH):
        return Asked(
            "GET", f"{_BATCHES}/{quote(file_id, safe='')}/results", partial(_results, place.deployment.target.provider.name)
        )
    return Asked("GET", f"{_FILES}/{quote(file_id, safe='')}/content", FileContent, headers=(anthropic_files.BETA,))


def _results(provider: str, response: HttpResponse) -> FileContent:
    """Anthropic's results as the lines of an output file of OpenAI's."""
    spoken, asked, now = registry.get("anthropic_messages"), registry.get("openai_chat"), int(time.time())
    found = [anthropic_batches.read_result(line) for line in response.body.splitlines() if line.strip()]
    made = [result_for(result, spoken, asked, provider=provider, now=now) for result in found]
    return FileContent(replace(response, body=b"".join(openai_batches.write_result(result) + b"\n" for result in made)))


# ---------------------------------------------------------------------------------------------------------------- batches
def batch(place: Place, window: str, endpoint: str, input_file_id: str, metadata: dict[str, str] | None) -> Asked[Any]:
    """`window` is a day there as well. Raises BadRequestError for lines that are for another endpoint than they say."""
    requests = openai_batches.read_requests(_kept(input_file_id)[1])
    wrong = next((request for request in requests if request.endpoint != endpoint or endpoint != _CHAT), None)
    if wrong is not None or window != "24h":
        raise BadRequestError(
            f"endpoint, completion_window: Anthropic's batches answer {_CHAT} within 24h, and each line has to say the same "
            f"url; found {endpoint!r}, {window!r}" + (f" and {wrong.endpoint!r}" if wrong else ""),
            attempts=0,
        )
    made = translated(requests, place.of, anthropic_batches.ENDPOINT, place.options)
    lost = () if not metadata else (Warning(field="metadata", message="Anthropic's batches have none; it was left out"),)
    asked = _batches("POST", _BATCHES, partial(_batch, input_file=input_file_id))
    return asked._replace(fields=anthropic_batches.write_requests(made.requests), warnings=lost + made.warnings)


def batch_retrieval(_: Place, batch_id: str) -> Asked[Any]:
    return _batches("GET", f"{_BATCHES}/{quote(batch_id, safe='')}", _batch)


def batch_listing(_: Place, after: str | None, limit: int | None) -> Asked[Any]:
    return _batches("GET", _BATCHES, _batch_list)._replace(query={"after_id": after, "limit": limit})


def cancellation(_: Place, batch_id: str) -> Asked[Any]:
    return _batches("POST", f"{_BATCHES}/{quote(batch_id, safe='')}/cancel", _batch)._replace(fields={})


# ------------------------------------------------------------------------------------------------------------------ parts
def _here(local: Callable[[], Any]) -> Asked[Any]:
    return Asked("", "", FileContent, local=local)


def _files(method: str, path: str, make: Callable[[bytes], Any], **more: Any) -> Asked[Any]:
    return Asked(method, path, _made(make), headers=(anthropic_files.BETA,), **more)


def _batches(method: str, path: str, make: Callable[[bytes], Any]) -> Asked[Any]:
    return Asked(method, path, _made(make))


def _made(make: Callable[[bytes], Any]) -> Callable[[HttpResponse], Any]:
    return lambda response: make(response.body).beside({}, dict(response.headers))


def _file(body: bytes) -> FileObject:
    made: FileObject = FileObject.of(openai_files.write_file(_read_files(body).files[0]))
    return made


def _file_list(body: bytes) -> FileList:
    found = _read_files(body)
    made: FileList = _page(FileList, [openai_files.write_file(file) for file in found.files], more=found.more)
    return made


def _batch(body: bytes, input_file: str | None = None) -> Batch:
    made: Batch = Batch.of(_as_openais(_read_batches(body).batches[0], input_file))
    return made


def _batch_list(body: bytes) -> BatchList:
    found = _read_batches(body)
    made: BatchList = _page(BatchList, [_as_openais(each) for each in found.batches], more=found.more)
    return made


def _page(kind: Any, items: list[dict[str, Any]], *, more: bool) -> Any:
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return kind.of({"object": "list", "data": items, **ends, "has_more": more})


def _as_openais(found: core.Batch, input_file: str | None = None) -> dict[str, Any]:
    """Its results can be read as the file that is called as the batch is."""
    output = found.id if found.results else None
    return openai_batches.write_batch(replace(found, endpoint=_CHAT, input_file=input_file, output_file=output))


_read_files = anthropic_files.DIALECT.decode_response
_read_batches = anthropic_batches.DIALECT.decode_response
