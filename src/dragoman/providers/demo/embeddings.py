"""OpenAI's embeddings from `embed`: hashed character n-grams, so that equal texts get equal vectors, similar ones near ones."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from array import array
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from dragoman.core import json
from dragoman.providers.demo import tokens
from dragoman.providers.demo.reply import Reply, identity
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import Settings

DIMENSIONS = 256
_GRAMS = (3, 4)


class Body(Struct):
    input: str | list[str | int | list[int]]
    dimensions: Annotated[int, Meta(ge=1, le=4096)] | None = None
    encoding_format: Literal["float", "base64"] | None = None


_decode = msgspec.json.Decoder(Body).decode


def reply(raw: bytes, name: str, _bare: str, _settings: Settings) -> Reply:
    body = _decode(raw)
    inputs = _texts(body.input)
    write = _as_base64 if body.encoding_format == "base64" else list
    data = [
        {"object": "embedding", "index": index, "embedding": write(vector(text, body.dimensions or DIMENSIONS))}
        for index, text in enumerate(inputs)
    ]
    used = sum(map(_size, _items(body.input)))
    usage = {"prompt_tokens": used, "total_tokens": used}
    encoded = json.encode({"object": "list", "data": data, "model": name, "usage": usage})
    return Reply(chunks=((encoded, 0),), headers=(("x-request-id", f"req_{identity(raw)}"),))


def vector(text: str, dimensions: int = DIMENSIONS) -> array[float]:
    """A float32 vector of length 1. Case and white space do not count."""
    sums = [0.0] * dimensions
    padded = f" {' '.join(text.lower().split())} "
    for size in _GRAMS:
        for start in range(max(1, len(padded) - size + 1)):
            code = zlib.crc32(padded[start : start + size].encode())
            sums[code % dimensions] += 1.0 if code & 0x8000_0000 else -1.0
    norm = math.hypot(*sums)
    if norm == 0.0:  # the n-grams of an odd text may cancel out
        sums[0] = norm = 1.0
    return array("f", (value / norm for value in sums))


def _as_base64(values: array[float]) -> str:
    """Little-endian float32, as OpenAI sends it."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _texts(given: Any) -> list[str]:
    found = [" ".join(map(str, item)) if isinstance(item, list) else item for item in _items(given)]
    if not found or not all(isinstance(text, str) and text for text in found):
        raise Refusal(400, "'input' must be a text or token list that is not empty, or a list of such.", param="input")
    return found


def _items(given: Any) -> list[Any]:
    """The inputs one by one: texts, or token lists."""
    alone = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    return [given] if alone else given


def _size(item: Any) -> int:
    return len(item) if isinstance(item, list) else tokens.count(item)
