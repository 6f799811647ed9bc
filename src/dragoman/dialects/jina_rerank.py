"""Reranking as Jina has it (POST /rerank), the upstream half; Together, OpenRouter, vLLM, llama.cpp and Infinity copied it.

Documents may be objects, which Jina ranks by their text or image. It repeats documents unless told not to, so it is always
told. A `top_n` is sent and kept: llama.cpp takes one that is too large. https://api.jina.ai/redoc
"""

from __future__ import annotations

from dragoman.core.operations import RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.operation_wire import Body, WholeAnswers, taken
from dragoman.dialects.rerank_wire import read_response, texts, uncut

NAME = "jina_rerank"
_NATIVE = frozenset({"truncation", "truncate", "max_query_length", "max_doc_length"})


class JinaRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/rerank"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        """Objects that are more than a text or an image are written out as texts."""
        ranked = all(isinstance(item, str) or item.keys() <= {"text", "image"} for item in request.documents)
        documents, changed = (list(request.documents), ()) if ranked else texts(request)
        own, lost = taken(request.extra, (NAME,), _NATIVE)
        body: Body = {"model": request.model, "query": request.query, "documents": documents}
        if request.top_n is not None:
            body["top_n"] = request.top_n
        return EncodedRequest(body | {"return_documents": False} | own, changed + uncut(request, "Jina") + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)


DIALECT = JinaRerank()
