"""Vectors through Vertex AI's `predict`: instances in, predictions out. The upstream half.

Which models take more than one text a request is the vendor's to say. Called through `registry.get`.
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini import errors
from dragoman.dialects.gemini.common import method_path
from dragoman.dialects.gemini_embeddings import UNREADABLE, native_fields, texts
from dragoman.dialects.gemini_vertex import PUBLISHER

Body = dict[str, Any]

_OF_INSTANCE = {"taskType": "task_type", "title": "title"}
_OF_REQUEST = ("autoTruncate", "outputDimensionality")


class VertexEmbeddings:
    """The verbs of `base.Dialect` that embeddings have upstream."""

    name = "vertex_embeddings"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return method_path(model, "predict", PUBLISHER)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for token lists."""
        native, warnings = native_fields(request)
        if request.dimensions is not None:
            native["outputDimensionality"] = request.dimensions
        shared = {theirs: native.pop(key) for key, theirs in _OF_INSTANCE.items() if key in native}
        parameters = {key: native.pop(key) for key in _OF_REQUEST if key in native}
        body: Body = {"instances": [{"content": text, **shared} for text in texts(request)], **native}
        return EncodedRequest(body | ({"parameters": parameters} if parameters else {}), warnings)

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError that says what was expected."""
        try:
            found = [item["embeddings"] for item in json.decode(body)["predictions"]]
            vectors = msgspec.convert([item["values"] for item in found], list[tuple[float, ...]])
            counts = [count for item in found if type(count := item.get("statistics", {}).get("token_count")) in (int, float)]
        except (*UNREADABLE, AttributeError) as problem:
            raise ResponseDecodeError(f"the answer holds no vectors: {problem!r}") from None
        return EmbeddingResponse(
            model="",
            embeddings=tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors)),
            usage=Usage(input_tokens=int(sum(counts))) if counts else None,
        )

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)


DIALECT = VertexEmbeddings()
