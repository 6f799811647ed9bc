"""Reranking by Hugging Face's text-embeddings-inference (POST /rerank), the upstream half.

It calls documents `texts`, serves one model, which a request does not name, and answers with a bare list of all scores; who
wants the best few gets them from `rerank_wire.fitted`. https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

from dragoman.core.operations import RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.operation_wire import Body, WholeAnswers, taken
from dragoman.dialects.rerank_wire import query_text, read_response, texts, uncut

NAME = "tei_rerank"
_NATIVE = frozenset({"raw_scores", "truncate", "truncation_direction"})


class TeiRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/rerank"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        documents, changed = texts(request)
        own, lost = taken(request.extra, (NAME,), _NATIVE)
        body: Body = {"query": query_text(request), "texts": documents}
        return EncodedRequest(body | own, changed + uncut(request, "TEI") + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)


DIALECT = TeiRerank()
