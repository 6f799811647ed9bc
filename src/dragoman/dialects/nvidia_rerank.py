"""Reranking by NVIDIA's NIM containers (POST /ranking), the upstream half: `passages` in, logits out, all of them.

Query and passages are objects with a text. Logits are no probabilities and stay as they are: only their order means something.
Source: https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/using-reranking.html
"""

from __future__ import annotations

from dragoman.core.operations import RerankRequest, RerankResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.operation_wire import Body, WholeAnswers, taken
from dragoman.dialects.rerank_wire import query_text, read_response, texts, uncut

NAME = "nvidia_rerank"


class NvidiaRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/ranking"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        documents, changed = texts(request)
        own, lost = taken(request.extra, (NAME,), ("truncate",))
        body: Body = {"model": request.model, "query": {"text": query_text(request)}}
        body["passages"] = [{"text": text} for text in documents]
        return EncodedRequest(body | own, changed + uncut(request, "NIM") + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        return read_response(body, NAME)


DIALECT = NvidiaRerank()
