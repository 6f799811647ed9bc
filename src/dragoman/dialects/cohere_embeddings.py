"""Vectors by Cohere (POST /v2/embed), the upstream half; answers of version 1, which is still served, are read as well.

Its models want to know what a text is for: `input_type` is search_document unless the caller says otherwise. Other kinds of
vector than floats (int8, ubinary...) are asked for by `embedding_types`. https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import left_over, read_answer, text_or_none
from dragoman.dialects.operation_wire import Body, WholeAnswers, read_usage, taken

NAME = "cohere_embeddings"
DEFAULT_INPUT_TYPE = "search_document"
_NATIVE = frozenset({"input_type", "embedding_types", "truncate", "max_tokens", "priority"})
_KNOWN = frozenset({"id", "embeddings", "texts", "images", "meta", "response_type", "model"})


class CohereEmbeddings(WholeAnswers):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/v2/embed"

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for token lists."""
        if any(not isinstance(text, str) for text in request.input):
            message = "input: Cohere takes texts, no token lists: send the text itself"
            raise BadRequestError(message, detail=ErrorDetail(message=message, param="input"), attempts=0)
        own, lost = taken(request.extra, (NAME,), _NATIVE)
        body: Body = {
            "model": request.model,
            "texts": list(request.input),
            "input_type": DEFAULT_INPUT_TYPE,
            "embedding_types": [request.encoding_format or "float"],
        }
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
        if request.user is not None:
            lost += (Warning(field="user", message="Cohere takes no user; it was left out"),)
        return EncodedRequest(body | own, lost)

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError that says what was expected. Of several kinds of vector the first one is the answer."""
        value = read_answer(body)
        vectors, others = _vectors(value.get("embeddings"))
        extra = left_over(value, _KNOWN, NAME)
        if others:
            extra = {NAME: {**extra.get(NAME, {}), "embeddings": others}}
        return EmbeddingResponse(
            model=text_or_none(value.get("model")) or "",
            embeddings=tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors)),
            usage=read_usage(_billed(value.get("meta")), NAME),
            id=text_or_none(value.get("id")),
            extra=extra,
        )


DIALECT = CohereEmbeddings()


def _vectors(held: Any) -> tuple[list[Any], Body]:
    """Floats where there are some, else base64, else what there is; and the other kinds."""
    kinds = held if isinstance(held, dict) else {"float": held}
    given = {kind: vectors for kind, vectors in kinds.items() if vectors is not None}
    chosen = next((kind for kind in ("float", "base64", *given) if kind in given), "float")
    try:
        vectors = msgspec.convert(given.pop(chosen, None), list[tuple[float, ...] | str])
    except msgspec.ValidationError as problem:
        raise ResponseDecodeError(f"the answer holds no vectors: {problem}") from None
    return vectors, given


def _billed(meta: Any) -> Any:
    return meta.get("billed_units") if isinstance(meta, dict) else None
