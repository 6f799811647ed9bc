"""Vectors from Ollama's own API, POST /api/embed (https://docs.ollama.com/api/embed), the upstream half.

Vectors come as numbers; who wants base64 has them converted (`embeddings.with_encoding`). Token lists are no input here.
Called through `registry.get`.
"""

from __future__ import annotations

import msgspec

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.losses import Losses, taken
from dragoman.dialects.ollama_chat.words import RUNTIME_OPTIONS, WHO, Body

NAME = "ollama_embeddings"
_NATIVE = frozenset({"keep_alive", "options", "truncate"})


class OllamaEmbeddings:
    """The verbs of `base.Dialect` that embeddings have upstream."""

    name = NAME
    decode_error = staticmethod(openai_errors.decode_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; there is no stream
        return "/api/embed"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        """Raises BadRequestError for token lists."""
        if any(not isinstance(text, str) for text in request.input):
            message = "input: Ollama takes texts, no token lists: send the text itself"
            raise BadRequestError(message, detail=ErrorDetail(message=message, param="input"), attempts=0)
        losses = Losses(NAME, WHO)
        losses.foreign(request.extra, "", _NATIVE | RUNTIME_OPTIONS)
        if request.user is not None:
            losses.drop("user", "Ollama takes no user; leave it out")
        body: Body = {"model": request.model, "input": list(request.input)}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        native = taken(request.extra, NAME, _NATIVE | RUNTIME_OPTIONS)
        options = {key: native.pop(key) for key in RUNTIME_OPTIONS & native.keys()} | (native.pop("options", None) or {})
        return EncodedRequest(body | native | ({"options": options} if options else {}), tuple(losses.warnings))

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError that says what was expected."""
        try:
            value = json.decode(body)
            vectors = msgspec.convert(value["embeddings"], list[tuple[float, ...]])
        except (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError) as problem:
            raise ResponseDecodeError(f"the answer holds no vectors: {problem!r}") from None
        count = value.get("prompt_eval_count")
        model = value.get("model")
        return EmbeddingResponse(
            model=model if isinstance(model, str) else "",
            embeddings=tuple(Embedding(index=place, vector=vector) for place, vector in enumerate(vectors)),
            usage=Usage(input_tokens=count) if type(count) is int else None,
        )


DIALECT = OllamaEmbeddings()
