"""Texts ranked by a single model of Hugging Face's Inference API, the task sentence-similarity. The upstream half.

The query is the source sentence; the answer is a bare score for each document, in their order.
https://huggingface.co/tasks/sentence-similarity
"""

from __future__ import annotations

import msgspec

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import RerankRequest, RerankResponse, RerankResult
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import in_path
from dragoman.dialects.operation_wire import Body, WholeAnswers, taken
from dragoman.dialects.rerank_wire import query_text, texts, uncut

NAME = "huggingface_rerank"


class HuggingFaceRerank(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return f"/models/{in_path(model)}/pipeline/sentence-similarity"

    def encode_request(self, request: RerankRequest) -> EncodedRequest:
        documents, changed = texts(request)
        own, lost = taken(request.extra, (NAME,))
        body: Body = {"inputs": {"source_sentence": query_text(request), "sentences": documents}}
        return EncodedRequest(body | own, changed + uncut(request, "Hugging Face") + lost)

    def decode_response(self, body: bytes) -> RerankResponse:
        """Raises ResponseDecodeError for anything but a list of numbers."""
        try:
            scores = msgspec.convert(json.decode(body), list[float])
        except (*json.UNREADABLE, msgspec.ValidationError) as problem:
            raise ResponseDecodeError(f"the answer is no score for each document: {problem}") from None
        results = [RerankResult(index=place, relevance_score=score) for place, score in enumerate(scores)]
        return RerankResponse(model="", results=tuple(sorted(results, key=lambda result: -result.relevance_score)))


DIALECT = HuggingFaceRerank()
