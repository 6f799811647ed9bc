"""Vectors by Perplexity (POST /v1/embeddings): OpenAI's request, and vectors as base64 of signed bytes, which nobody else has.

They are read as the numbers they are, -128 to 127: cosine similarity, which the models were trained for, is that of the bytes.
Who has packed bits sent (`base64_binary`) reads them eight to a number. https://docs.perplexity.ai/api-reference/embeddings-post
"""

from __future__ import annotations

import base64
import binascii
import struct

import msgspec

from dragoman.core.chat import Warning
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.embeddings import FORMATS, OpenAIEmbeddings

NAME = "perplexity_embeddings"


class PerplexityEmbeddings(OpenAIEmbeddings):
    """Not relayed: the client's `encoding_format` is about the numbers, and is kept by `embeddings.with_encoding`."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/v1/embeddings"

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        lost: tuple[Warning, ...] = ()
        if request.user is not None:
            lost = (Warning(field="user", message="Perplexity takes no user; it was left out"),)
        ours = request.encoding_format if request.encoding_format not in FORMATS else None
        encoded = super().encode_request(msgspec.structs.replace(request, encoding_format=ours, user=None))
        return encoded._replace(warnings=encoded.warnings + lost)

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError for what is no base64."""
        response = super().decode_response(body)
        return msgspec.structs.replace(response, embeddings=tuple(map(_numbers, response.embeddings)))


DIALECT = PerplexityEmbeddings()


def _numbers(embedding: Embedding) -> Embedding:
    if not isinstance(embedding.vector, str):
        return embedding
    try:
        packed = base64.b64decode(embedding.vector, validate=True)
    except binascii.Error:
        raise ResponseDecodeError(f"data[{embedding.index}].embedding is no base64 of signed bytes") from None
    return Embedding(index=embedding.index, vector=tuple(map(float, struct.unpack(f"{len(packed)}b", packed))))
