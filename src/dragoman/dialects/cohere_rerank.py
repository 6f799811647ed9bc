"""Reranking by Cohere (POST /v2/rerank), the upstream half: texts in, indexes and scores out, billed by search units.

Version 2 ranks texts alone and repeats none; what clients ask beyond that is done before and after (`rerank_wire`).
Source: https://docs.cohere.com/reference/rerank
"""

from __future__ import annotations

from dragoman.core.operations import RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.operation_wire import Body, WholeAnswers, said, taken
from dragoman.dialects.rerank_wire import query_text, read_response, texts

NAME = "cohere_rerank"
_NATIVE = frozenset({"priority"})


class CohereRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/v2/rerank"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        """Raises BadRequestError for pictures."""
        documents, changed = texts(request)
        own, lost = taken(request.extra, (NAME,), _NATIVE)
        body: Body = {"model": request.model, "query": query_text(request), "documents": documents}
        body |= said({"top_n": request.top_n, "max_tokens_per_doc": request.max_tokens_per_doc})
        return EncodedRequest(body | own, changed + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)


DIALECT = CohereRerank()
