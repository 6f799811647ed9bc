"""The `openai_embeddings` dialect: POST /embeddings as OpenAI has it, both halves and the relay.

Vectors pass through as they came, numbers or base64; `with_encoding` converts when a client asked for the other form.
No limits are checked that only a provider can know (how many inputs, how long). Called through `registry.get`.
Source: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Extra, Usage, Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.json import Envelope
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest

NAME = "openai_embeddings"
FORMATS = ("float", "base64")


class OpenAIEmbeddings:
    """The verbs of `base.Dialect` that embeddings have: there is no stream."""

    name = NAME
    decode_error = staticmethod(openai_errors.decode_error)
    encode_error = staticmethod(openai_errors.encode_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/embeddings"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: EmbeddingRequest) -> EncodedRequest:
        body: dict[str, Any] = {"model": request.model, "input": request.input}
        body |= {key: value for key in _OPTIONAL if (value := getattr(request, key)) is not None}
        body |= request.extra.get(NAME, {})
        return EncodedRequest(body, _foreign(request.extra))

    def decode_response(self, body: bytes) -> EmbeddingResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        try:
            value = json.decode(body)
        except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise ResponseDecodeError(f"the answer is no JSON: {problem}") from None
        if isinstance(value, dict) and isinstance(value.get("data"), list):
            return _read_response(value)
        if isinstance(value, dict) and value.get("error"):
            status = openai_errors.embedded_status(value)
            raise error_for(status, openai_errors.read_error(status, value))
        raise ResponseDecodeError("the answer is no object with an array `data`")

    def decode_request(self, body: bytes) -> EmbeddingRequest:
        """A program's request. Raises BadRequestError that names the path, what was found and what is expected there."""
        try:
            given = json.decode(body)
        except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise BadRequestError(f"the body is no JSON: {problem}", attempts=0) from None
        if not isinstance(given, dict):
            raise _bad("the body", given, "an object with `model` and `input`")
        said = {key: value for key, value in given.items() if value is not None}
        known = {key: read(key, said.pop(key, None)) for key, read in _READERS.items()}
        return EmbeddingRequest(**known, extra={NAME: said} if said else {})

    def encode_response(self, response: EmbeddingResponse, *, now: int) -> bytes:  # noqa: ARG002 - the verb's signature
        body: dict[str, Any] = {"object": "list", "data": [_item(embedding) for embedding in response.embeddings]}
        body["model"] = response.model
        if response.id is not None:
            body["id"] = response.id
        body["usage"] = _write_usage(response.usage or Usage())
        return json.encode(body | response.extra.get(NAME, {}))

    def encode_answer(self, response: EmbeddingResponse, request: EmbeddingRequest, *, now: int) -> tuple[bytes, str]:
        """The body and its media type, with vectors of the form that was asked for."""
        return self.encode_response(with_encoding(response, request.encoding_format), now=now), "application/json"

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - it always comes
        return {**envelope, "model": json.raw_text(model)}

    def read_usage(self, body: bytes) -> Usage | None:
        """Skips the vectors without making objects of them."""
        try:
            return _read_usage(_usage_decoder.decode(body).usage)
        except (json.DecodeError, UnicodeDecodeError):
            return None


DIALECT = OpenAIEmbeddings()


def with_encoding(response: EmbeddingResponse, encoding_format: str | None) -> EmbeddingResponse:
    """The same response with vectors of the form a client asked for; None is float, OpenAI's default.

    base64 holds little-endian float32. Raises ResponseDecodeError where a vector cannot be said in the other form.
    """
    wanted, convert = (str, _pack) if encoding_format == "base64" else (tuple, _unpack)
    if all(isinstance(embedding.vector, wanted) for embedding in response.embeddings):
        return response
    embeddings = tuple(
        embedding if isinstance(embedding.vector, wanted) else Embedding(index=embedding.index, vector=convert(embedding))
        for embedding in response.embeddings
    )
    return msgspec.structs.replace(response, embeddings=embeddings)


def _pack(embedding: Embedding) -> str:
    try:
        packed = struct.pack(f"<{len(embedding.vector)}f", *embedding.vector)
    except (struct.error, OverflowError):
        raise ResponseDecodeError(f"data[{embedding.index}].embedding holds a number beyond float32") from None
    return base64.b64encode(packed).decode()


def _unpack(embedding: Embedding) -> tuple[float, ...]:
    try:
        packed = base64.b64decode(str(embedding.vector), validate=True)
        vector = struct.unpack(f"<{len(packed) // 4}f", packed)
    except (binascii.Error, struct.error):
        raise ResponseDecodeError(f"data[{embedding.index}].embedding is no base64 of float32 values") from None
    if not math.isfinite(sum(vector)):
        raise ResponseDecodeError(f"data[{embedding.index}].embedding holds values that JSON has no word for (NaN, infinity)")
    return vector


# -------------------------------------------------------------------------------------------------------------- request
_OPTIONAL = ("dimensions", "encoding_format", "user")
_INPUT = "a text, an array of texts, an array of token ids or an array of such arrays, none of them an empty array"


def _read_text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(key, value, "a string that is not empty")
    return value


def _read_user(key: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _bad(key, value, "a string")


def _read_dimensions(key: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise _bad(key, value, "an integer from 1")
    return value


def _read_format(key: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value in FORMATS):
        return value
    raise _bad(key, value, "float or base64")


def _read_input(key: str, value: Any) -> Any:
    """Always several: one text becomes a tuple of one, one array of token ids a tuple of one tuple."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        raise _bad(key, value, _INPUT)
    read = _INPUTS.get(type(value[0]))
    if read is None:
        raise _bad(f"{key}[0]", value[0], "a string, an integer or an array of integers")
    return read(key, value)


def _read_texts(key: str, value: list[Any]) -> tuple[str, ...]:
    return tuple(_all(key, value, str, "a string, as the first item is"))


def _read_tokens(key: str, value: list[Any]) -> tuple[int, ...]:
    return tuple(_all(key, value, int, "an integer, as the first item is"))


def _read_token_lists(key: str, value: list[Any]) -> tuple[tuple[int, ...], ...]:
    lists = _all(key, value, list, "an array of integers, as the first item is")
    empty = next((index for index, tokens in enumerate(lists) if not tokens), None)
    if empty is not None:
        raise _bad(f"{key}[{empty}]", [], "an array of integers that is not empty")
    return tuple(tuple(_all(f"{key}[{index}]", tokens, int, "an integer")) for index, tokens in enumerate(lists))


def _all(key: str, value: list[Any], wanted: type, expected: str) -> list[Any]:
    if set(map(type, value)) != {wanted}:
        index = next(index for index, item in enumerate(value) if type(item) is not wanted)
        raise _bad(f"{key}[{index}]", value[index], expected)
    return value


_INPUTS: dict[type, Callable[[str, list[Any]], Any]] = {
    str: _read_texts,
    int: lambda key, value: (_read_tokens(key, value),),
    list: _read_token_lists,
}

_READERS: dict[str, Callable[[str, Any], Any]] = {
    "model": _read_text,
    "input": _read_input,
    "dimensions": _read_dimensions,
    "encoding_format": _read_format,
    "user": _read_user,
}


def _bad(path: str, found: Any, expected: str) -> BadRequestError:
    shown = json.encode(found).decode()
    shown = f"{json.kind(found)} {shown if len(shown) <= 60 else shown[:60] + '...'}" if found is not None else "nothing"
    message = f"{path}: expected {expected}, found {shown}"
    return BadRequestError(message, detail=ErrorDetail(message=message, param=path), attempts=0)


def _foreign(extra: Extra) -> tuple[Warning, ...]:
    return tuple(
        Warning(field=f"extra.{dialect}.{key}", message=f"only {dialect} knows it; it was left out")
        for dialect, fields in extra.items()
        if dialect != NAME
        for key in fields
    )


# ------------------------------------------------------------------------------------------------------------- response
_ITEM_KEYS = {"object", "index", "embedding"}
_RESPONSE_KEYS = {"object", "data", "model", "id", "usage"}
_USAGE_KEYS = {"prompt_tokens", "completion_tokens", "total_tokens"}


class _UsageOnly(Struct):
    usage: dict[str, Any] | None = None


_usage_decoder = msgspec.json.Decoder(_UsageOnly)


def _read_response(value: dict[str, Any]) -> EmbeddingResponse:
    embeddings = [_read_item(index, item) for index, item in enumerate(value["data"])]
    left = {key: held for key, held in value.items() if key not in _RESPONSE_KEYS}
    model, answer_id = value.get("model"), value.get("id")
    return EmbeddingResponse(
        model=model if isinstance(model, str) else "",
        embeddings=tuple(sorted(embeddings, key=lambda embedding: embedding.index)),
        usage=_read_usage(value.get("usage")),
        id=answer_id if isinstance(answer_id, str) else None,
        warnings=_unread(value["data"]),
        extra={NAME: left} if left else {},
    )


def _read_item(place: int, item: Any) -> Embedding:
    if not isinstance(item, dict):
        raise ResponseDecodeError(f"data[{place}] is no object but {json.kind(item)}")
    try:
        vector = msgspec.convert(item.get("embedding"), tuple[float, ...] | str)
    except msgspec.ValidationError as problem:
        raise ResponseDecodeError(f"data[{place}].embedding is no vector: {problem}") from None
    index = item.get("index", place)
    return Embedding(index=index if type(index) is int else place, vector=vector)


def _unread(items: list[dict[str, Any]]) -> tuple[Warning, ...]:
    """Fields of single vectors that the vocabulary has no place for."""
    unknown = {key: place for place, item in enumerate(items) for key in item.keys() - _ITEM_KEYS}
    return tuple(
        Warning(field=f"data[{place}].{key}", message="the provider sent it with a vector; it was left out")
        for key, place in sorted(unknown.items())
    )


def _read_usage(given: Any) -> Usage | None:
    """Voyage reports a total only: there is no output, so it is the input."""
    if not isinstance(given, dict):
        return None
    output = _count(given, "completion_tokens")
    left = {key: held for key, held in given.items() if key not in _USAGE_KEYS and held is not None}
    return Usage(
        input_tokens=_count(given, "prompt_tokens") or max(0, _count(given, "total_tokens") - output),
        output_tokens=output,
        extra={NAME: left} if left else {},
    )


def _count(given: dict[str, Any], key: str) -> int:
    value = given.get(key)
    return value if type(value) is int and value > 0 else 0


def _write_usage(usage: Usage) -> dict[str, Any]:
    counts = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.total_tokens}
    if usage.output_tokens:
        counts["completion_tokens"] = usage.output_tokens
    return counts | usage.extra.get(NAME, {})


def _item(embedding: Embedding) -> dict[str, Any]:
    return {"object": "embedding", "index": embedding.index, "embedding": embedding.vector}
