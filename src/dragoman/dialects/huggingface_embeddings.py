"""Vectors by a single model of Hugging Face's Inference API, the task feature-extraction. The upstream half.

A vector for a text comes bare, vectors for several as a list of them; no usage is told. Who wants base64 has the numbers
converted (`embeddings.with_encoding`). https://huggingface.co/docs/inference-providers/tasks/feature-extraction
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.losses import Losses, taken
from dragoman.dialects.media_wire import in_path
from dragoman.dialects.operation_wire import WholeAnswers

NAME = "huggingface_embeddings"
WHO = "Hugging Face's feature extraction"
_NATIVE = frozenset({"normalize", "prompt_name", "truncate", "truncation_direction"})

_Vector = tuple[float, ...]


class HuggingFaceEmbeddings(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return f"/models/{in_path(model)}/pipeline/feature-extraction"

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for token lists."""
        if any(not isinstance(text, str) for text in request.input):
            message = f"input: {WHO} takes texts, no token lists: send the text itself"
            raise BadRequestError(message, detail=ErrorDetail(message=message, param="input"), attempts=0)
        losses = Losses(NAME, WHO)
        losses.foreign(request.extra, "", _NATIVE)
        for field in ("dimensions", "user"):
            if getattr(request, field) is not None:
                losses.drop(field, f"{WHO} has no such parameter; leave it out")
        body: dict[str, Any] = {"inputs": list(request.input)}
        return EncodedRequest(body | taken(request.extra, NAME, _NATIVE), tuple(losses.warnings))

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError for what is no vector; so is a vector for each token, of a model that pools nothing."""
        try:
            value = json.decode(body)
            bare = isinstance(value, list) and bool(value) and not isinstance(value[0], list)
            vectors = msgspec.convert([value] if bare else value, list[_Vector])
        except (*json.UNREADABLE, msgspec.ValidationError) as problem:
            raise ResponseDecodeError(f"the answer is no vector for each text: {problem}") from None
        embeddings = tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors))
        return EmbeddingResponse(model="", embeddings=embeddings)


DIALECT = HuggingFaceEmbeddings()
