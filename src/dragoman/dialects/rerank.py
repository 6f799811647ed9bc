"""Reranking as gateways serve it (POST /rerank), both halves: what clients of Cohere, Jina and LiteLLM send and read.

A request may hold objects, `rank_fields` and `return_documents`; an answer has Cohere's shape and says `model` and `usage`
besides, which Jina's clients look for. It is no provider's own dialect, so what a provider cannot do is done for it.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import Document, RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.operation_wire import Body, WholeAnswers, extra_of, read_fields, said, taken, write_usage
from dragoman.dialects.rerank_wire import fitted, read_response, write_results

NAME = "rerank"


class Rerank(WholeAnswers):
    """See `dialects.base.Dialect`; there is no stream. It is relayed to another gateway only."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/rerank"

    # upstream, for other gateways
    def read_usage(self, body: bytes) -> Usage | None:
        try:
            return read_response(body, NAME).usage
        except ResponseDecodeError:
            return None

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        own, lost = taken(request.extra, (NAME,))
        body: Body = {name: getattr(request, name) for name in ("model", "query", "documents", *_OPTIONAL)}
        body["rank_fields"] = request.rank_fields or None
        return EncodedRequest(said(body) | own, lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)

    # downstream
    def decode_request(self, body: bytes) -> RerankRequest:
        """Raises BadRequestError that names the path, what was found and what is expected there."""
        fields = read_fields(body)
        return RerankRequest(
            model=fields.need_text("model"),
            query=_document(fields.any("query"), "query"),
            documents=_documents(fields),
            top_n=_positive(fields, "top_n"),
            return_documents=fields.flag("return_documents"),
            rank_fields=_names(fields),
            max_tokens_per_doc=_positive(fields, "max_tokens_per_doc"),
            extra=extra_of(NAME, fields.rest()),
        )

    def encode_response(self, response: RerankResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        """For who has no request at hand; `encode_answer` gives what was asked for."""
        billed = {} if response.search_units is None else {"search_units": _whole(response.search_units)}
        meta: Body = {"api_version": {"version": "2"}, "billed_units": billed}
        body: Body = {"id": response.id or "", "results": write_results(response), "meta": meta}
        if response.model:
            body["model"] = response.model
        if response.usage is not None:
            meta["tokens"] = {"input_tokens": response.usage.input_tokens, "output_tokens": response.usage.output_tokens}
            body["usage"] = write_usage(response.usage, NAME)
        return json.encode(body | response.extra.get(NAME, {}))

    def encode_answer(self, response: RerankResponse, request: RerankRequest, *, now: int) -> tuple[bytes, str]:
        """The body and its media type: no more results than wanted, with documents where they were wanted."""
        return self.encode_response(fitted(response, request), now=now), "application/json"


DIALECT = Rerank()
_OPTIONAL = ("top_n", "return_documents", "max_tokens_per_doc")


def _documents(fields: Fields) -> tuple[Document, ...]:
    given = fields.items("documents")
    if not given:
        refuse("documents", "expected an array of texts or objects that is not empty")
    return tuple(_document(item, f"documents[{place}]") for place, item in enumerate(given))


def _document(value: Any, path: str) -> Document:
    if isinstance(value, str) or (isinstance(value, dict) and value):
        return value
    return mismatch(path, "a text, or an object with fields", value)


def _names(fields: Fields) -> tuple[str, ...]:
    names = fields.items("rank_fields") or []
    for place, name in enumerate(names):
        if not isinstance(name, str):
            mismatch(f"rank_fields[{place}]", "a string", name)
    return tuple(names)


def _positive(fields: Fields, key: str) -> int | None:
    value = fields.integer(key)
    if value is not None and value < 1:
        refuse(key, f"expected an integer from 1, found {value}")
    return value


def _whole(units: float) -> float:
    return int(units) if units == int(units) else units
