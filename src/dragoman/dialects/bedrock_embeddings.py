"""Vectors through Bedrock's InvokeModel: the bodies of Amazon Titan, Amazon Nova and Cohere Embed. The upstream half.

Each maker has its own body under the same path. Titan and Nova embed one text a request; several are refused here with a
word on what to do, because one call is one request. Token lists are nobody's input on Bedrock. Called through `registry.get`.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import Extra, Usage, Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.bedrock_converse import errors
from dragoman.dialects.bedrock_converse.common import path

NAME = "bedrock_embeddings"
Body = dict[str, Any]

_NATIVE = frozenset({"input_type", "truncate", "embedding_types", "normalize", "embeddingPurpose", "truncationMode"})
"""Fields of these makers that a client of another dialect may have set."""


class BedrockEmbeddings:
    """The verbs of `base.Dialect` that embeddings have upstream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return path(model, "invoke")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for inputs that the model does not take, or a model that is none of these."""
        write = next((write for mark, write in _WRITERS.items() if mark in request.model), None)
        if write is None:
            raise _bad(
                "model", f"{request.model!r} is no model of {', '.join(_WRITERS)}: name one of those, not an alias of it"
            )
        if any(not isinstance(text, str) for text in request.input):
            raise _bad("input", "models on Bedrock take texts, no token lists: send the text itself")
        native, foreign = _extras(request.extra)
        body, warnings = write(request, native)
        if request.user is not None:
            warnings += (Warning(field="user", message="Bedrock's embedding models take no user; it was left out"),)
        return EncodedRequest(body, warnings + foreign)

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError that says what was expected."""
        try:
            value = json.decode(body)
            vectors = msgspec.convert(_vectors(value), list[tuple[float, ...]])
        except (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError) as problem:
            raise ResponseDecodeError(f"the answer holds no vectors: {problem!r}") from None
        count = value.get("inputTextTokenCount")
        return EmbeddingResponse(
            model="",
            embeddings=tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors)),
            usage=Usage(input_tokens=count) if type(count) is int else None,
            id=value.get("id") if isinstance(value.get("id"), str) else None,
        )

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)


DIALECT = BedrockEmbeddings()


# -------------------------------------------------------------------------------------------------------------- request
_Written = tuple[Body, tuple[Warning, ...]]


def _titan(request: EmbeddingRequest, native: Body) -> _Written:
    """The first version has one length, and no field for it."""
    body: Body = {"inputText": _single(request), **native}
    if request.dimensions is None:
        return body, ()
    if "titan-embed-text-v1" in request.model:
        return body, (Warning(field="dimensions", message="this model's vectors have one length; use Titan v2 to choose"),)
    return body | {"dimensions": request.dimensions}, ()


def _nova(request: EmbeddingRequest, native: Body) -> _Written:
    text = {"truncationMode": native.pop("truncationMode", "NONE"), "value": _single(request)}
    params: Body = {"embeddingPurpose": native.pop("embeddingPurpose", "GENERIC_INDEX"), "text": text}
    if request.dimensions is not None:
        params["embeddingDimension"] = request.dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params, **native}, ()


def _cohere(request: EmbeddingRequest, native: Body) -> _Written:
    body: Body = {"texts": list(request.input), "input_type": "search_document", **native}
    warnings: tuple[Warning, ...] = ()
    if "input_type" not in native:
        message = "Cohere wants to know what the vectors are for; search_document was assumed: pass input_type"
        warnings = (Warning(field="input_type", message=message, code="emulated"),)
    if request.dimensions is not None and "embed-v4" in request.model:
        body["output_dimension"] = request.dimensions
    elif request.dimensions is not None:
        warnings += (Warning(field="dimensions", message="this model's vectors have one length; use embed-v4 to choose"),)
    return body, warnings


_WRITERS: dict[str, Callable[[EmbeddingRequest, Body], _Written]] = {
    "titan-embed": _titan,
    "nova-2-multimodal-embeddings": _nova,
    "cohere.embed": _cohere,
}
"""A piece of the model's id -> who writes its body. The id of an inference profile holds it too."""


def _single(request: EmbeddingRequest) -> str:
    if len(request.input) != 1:
        raise _bad("input", f"{request.model} embeds one text a request, found {len(request.input)}: send them one by one")
    return str(request.input[0])


def _extras(extra: Extra) -> tuple[Body, tuple[Warning, ...]]:
    """Fields for the body, and warnings for those of another dialect that are no fields here."""
    native: Body = {}
    lost: list[Warning] = []
    for dialect, fields in extra.items():
        for key, value in fields.items():
            if dialect == NAME or key in _NATIVE:
                native[key] = value
            elif not key.startswith("_"):
                lost.append(Warning(field=key, message=f"only {dialect} knows it; it was left out"))
    return native, tuple(lost)


def _bad(path: str, message: str) -> BadRequestError:
    said = f"{path}: {message}"
    return BadRequestError(said, detail=ErrorDetail(message=said, param=path), attempts=0)


# ------------------------------------------------------------------------------------------------------------- response
def _vectors(value: Body) -> list[Any]:
    """Titan: one vector. Cohere: a list, or lists by type of number. Nova: a list of objects."""
    if "embedding" in value:
        return [value["embedding"]]
    held = value["embeddings"]
    if isinstance(held, dict):
        return list(held["float"])
    return [item["embedding"] if isinstance(item, dict) else item for item in held]
