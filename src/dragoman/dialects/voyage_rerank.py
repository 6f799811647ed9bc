"""Reranking by Voyage (POST /rerank), the upstream half: `top_k` for top_n, texts alone, no identifier in the answer.

Source: https://docs.voyageai.com/reference/reranker-api
"""

from __future__ import annotations

from dragoman.core.operations import RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.operation_wire import Body, WholeAnswers, taken
from dragoman.dialects.rerank_wire import query_text, read_response, texts, uncut

NAME = "voyage_rerank"


class VoyageRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/rerank"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        documents, changed = texts(request)
        own, lost = taken(request.extra, (NAME,), ("truncation",))
        body: Body = {"model": request.model, "query": query_text(request), "documents": documents}
        if request.top_n is not None:
            body["top_k"] = request.top_n
        return EncodedRequest(body | own, changed + uncut(request, "Voyage") + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)


DIALECT = VoyageRerank()
