"""Where batches are answered, in the words of `core`: one class for a kind of API, the same verbs in each.

    place = place_of(upstream, headers)
    batch = await place.create(requests, name, metadata)
    batch = await place.find(batch.id)
    async for line in place.results(batch): result = place.read_result(line)

Everything raises the errors of calls. Whose a batch is, what it may cost and in which words a client hears of it is decided
elsewhere: by the pages of the faces, and by `batch_books`, which reads results to the end for what they took.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol
from urllib.parse import quote

from dragoman.core import json, multipart
from dragoman.core.batches import Batch, BatchRequest, BatchResult
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError
from dragoman.core.http import Headers
from dragoman.dialects import anthropic_batches, openai_batches, openai_files, registry
from dragoman.gateway.raw.batch_lines import read_usage
from dragoman.gateway.raw.upstream import Upstream
from dragoman.providers import answers
from dragoman.providers.base import Target, credential_headers

_JSON = "application/json"


class Place(Protocol):
    """`endpoint`: where its requests go, and so in which dialect they and their answers are."""

    endpoint: str
    target: Target

    async def create(self, requests: Iterable[BatchRequest], name: str, metadata: dict[str, str]) -> Batch:
        """`name` and `metadata` stand there with the batch, where the API has a place for them."""
        ...

    async def find(self, id_: str) -> Batch: ...
    async def cancel(self, id_: str) -> Batch: ...
    async def delete(self, id_: str) -> None: ...
    def results(self, batch: Batch) -> AsyncIterator[bytes]:
        """The lines, once there are any."""
        ...

    def read_result(self, line: bytes) -> BatchResult: ...
    def usage(self, answer: bytes) -> Usage | None: ...


class AnthropicPlace:
    endpoint = anthropic_batches.ENDPOINT
    read_result = staticmethod(anthropic_batches.read_result)
    path = "/v1/messages/batches"

    def __init__(self, upstream: Upstream, headers: Headers) -> None:
        self.target = upstream.target
        self._upstream = upstream
        self._headers = headers

    async def create(self, requests: Iterable[BatchRequest], name: str, metadata: dict[str, str]) -> Batch:  # noqa: ARG002 - there is no place for them
        return await self._batch("POST", self.path, json.encode(anthropic_batches.write_requests(requests)))

    async def find(self, id_: str) -> Batch:
        return await self._batch("GET", self._path(id_))

    async def cancel(self, id_: str) -> Batch:
        return await self._batch("POST", f"{self._path(id_)}/cancel", b"{}")

    async def delete(self, id_: str) -> None:
        await self._upstream.asked("DELETE", self._path(id_), self._headers)

    async def results(self, batch: Batch) -> AsyncIterator[bytes]:
        async for line in _lines(self._upstream, f"{self._path(batch.id)}/results", self._headers):
            yield line

    def usage(self, answer: bytes) -> Usage | None:
        used: Usage | None = registry.get("anthropic_messages").read_usage(answer)
        return used

    def _path(self, id_: str) -> str:
        return f"{self.path}/{quote(id_, safe='')}"

    async def _batch(self, method: str, path: str, body: bytes = b"") -> Batch:
        answer = await self._upstream.asked(method, path, self._headers, body, _JSON if body else "")
        return anthropic_batches.DIALECT.decode_response(answer).batches[0]


class OpenAIPlace:
    endpoint = "/v1/chat/completions"
    read_result = staticmethod(openai_batches.read_result)
    usage = staticmethod(read_usage)

    def __init__(self, upstream: Upstream, headers: Headers) -> None:
        self.target = upstream.target
        self._upstream = upstream
        self._headers = headers

    async def create(self, requests: Iterable[BatchRequest], name: str, metadata: dict[str, str]) -> Batch:
        data = openai_batches.write_requests(requests)
        parts = (
            multipart.FormPart(name="purpose", data=b"batch"),
            multipart.FormPart(name="file", data=data, filename=name, media_type="application/jsonl"),
        )
        boundary = multipart.free_boundary(parts)
        form, kind = multipart.encode(parts, boundary), multipart.content_type(boundary)
        kept = openai_files.DIALECT.decode_response(await self._upstream.asked("POST", "/files", self._headers, form, kind))
        said = {"input_file_id": kept.files[0].id, "endpoint": self.endpoint, "completion_window": "24h", "metadata": metadata}
        return await self._batch("POST", "/batches", json.encode(said))

    async def find(self, id_: str) -> Batch:
        return await self._batch("GET", f"/batches/{quote(id_, safe='')}")

    async def cancel(self, id_: str) -> Batch:
        return await self._batch("POST", f"/batches/{quote(id_, safe='')}/cancel", b"{}")

    async def delete(self, id_: str) -> None:  # noqa: ARG002 - whichever it is
        name = self.target.provider.name
        raise BadRequestError(f"{name} keeps its batches: they cannot be deleted there", llm_provider=name, attempts=0)

    async def results(self, batch: Batch) -> AsyncIterator[bytes]:
        for file in filter(None, (batch.output_file, batch.error_file)):
            async for line in _lines(self._upstream, f"/files/{quote(file, safe='')}/content", self._headers):
                yield line

    async def _batch(self, method: str, path: str, body: bytes = b"") -> Batch:
        answer = await self._upstream.asked(method, path, self._headers, body, _JSON if body else "")
        return openai_batches.DIALECT.decode_response(answer).batches[0]


PLACES: dict[str, type[AnthropicPlace | OpenAIPlace]] = {"anthropic_messages": AnthropicPlace, "openai_chat": OpenAIPlace}
"""The dialect that a provider chats in -> how it takes batches, where it takes any."""


def place_of(upstream: Upstream, headers: Headers | None = None) -> Place | None:
    """`headers`: those of a client, as the provider gets them; else our own. None where its batches are not spoken."""
    kind = PLACES.get(upstream.target.provider.dialects.get("chat", ""))
    return None if kind is None else kind(upstream, own_headers(upstream.target) if headers is None else headers)


def own_headers(target: Target) -> Headers:
    dialect = registry.get(target.provider.dialects["chat"])
    return (*dialect.headers(), *target.provider.headers, *target.headers, *credential_headers(target))


def spoken(target: Target) -> Any:
    """The dialect of its answers."""
    return answers.as_meant(registry.get(target.provider.dialects["chat"]), target.provider.quirks)


async def _lines(upstream: Upstream, path: str, headers: Headers) -> AsyncIterator[bytes]:
    answer = await upstream.answered("GET", path, headers)
    try:
        async for line in answer.lines():
            yield line
    finally:
        await answer.aclose()
