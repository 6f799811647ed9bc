"""Vectors of the Gemini API: batchEmbedContents, which takes one text as well as many. The upstream half.

Token lists are nobody's input there and are refused with a word on what to do. `taskType` and `title` hold for all texts of a
request. Called through `registry.get`. https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import Usage, Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini import errors
from dragoman.dialects.gemini.common import method_path
from dragoman.dialects.gemini.fields import camel

NAME = "gemini_embeddings"
Body = dict[str, Any]

UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError)

NATIVE = frozenset({"taskType", "title", "autoTruncate"})
"""Fields of this vendor that a client of another dialect may have set, in either spelling."""


class GeminiEmbeddings:
    """The verbs of `base.Dialect` that embeddings have upstream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return method_path(model, "batchEmbedContents")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for token lists."""
        native, warnings = native_fields(request)
        model = request.model if "/" in request.model else f"models/{request.model}"
        shared: Body = {"model": model, **native}
        if request.dimensions is not None:
            shared["outputDimensionality"] = request.dimensions
        requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in texts(request)]
        return EncodedRequest({"requests": requests}, warnings)

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError that says what was expected."""
        try:
            value = json.decode(body)
            held = [value["embedding"]] if "embedding" in value else value["embeddings"]
            vectors = msgspec.convert([item["values"] for item in held], list[tuple[float, ...]])
        except UNREADABLE as problem:
            raise ResponseDecodeError(f"the answer holds no vectors: {problem!r}") from None
        usage = value.get("usageMetadata")
        count = usage.get("promptTokenCount") if isinstance(usage, dict) else None
        return EmbeddingResponse(
            model="",
            embeddings=tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors)),
            usage=Usage(input_tokens=count) if type(count) is int else None,
        )

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)


DIALECT = GeminiEmbeddings()


def texts(request: EmbeddingRequest) -> list[str]:
    found = [text for text in request.input if isinstance(text, str)]
    if len(found) == len(request.input):
        return found
    message = "input: Google's embedding models take texts, no token lists: send the text itself"
    raise BadRequestError(message, detail=ErrorDetail(message=message, param="input"), attempts=0)


def native_fields(request: EmbeddingRequest) -> tuple[Body, tuple[Warning, ...]]:
    """Fields for the body, and warnings for what is no field here."""
    native: Body = {}
    lost = [Warning(field="user", message="Google's embedding models take no user; it was left out")] if request.user else []
    for dialect, fields in request.extra.items():
        for key, value in fields.items():
            if camel(key) in NATIVE or dialect in (NAME, "vertex_embeddings"):
                native[camel(key)] = value
            elif not key.startswith("_"):
                lost.append(Warning(field=key, message=f"only {dialect} knows it; it was left out"))
    return native, tuple(lost)
