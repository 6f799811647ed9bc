"""OpenAI's images from `image`: a PNG drawn here, a gradient in two colours made of the prompt, with the word DEMO on it."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from dragoman.core import json
from dragoman.providers.demo import tokens
from dragoman.providers.demo.reply import CREATED, Reply, identity
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import Settings

MAX_SIDE = 2048
_INK = 255
_LETTERS = (
    "####. ##### #...# .###.",
    "#...# #.... ##.## #...#",
    "#...# ####. #.#.# #...#",
    "#...# #.... #...# #...#",
    "####. ##### #...# .###.",
)


class Body(Struct):
    prompt: Annotated[str, Meta(min_length=1)]
    size: str | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    response_format: Literal["b64_json", "url"] | None = None


_decode = msgspec.json.Decoder(Body).decode


def reply(raw: bytes, _name: str, _bare: str, _settings: Settings) -> Reply:
    body = _decode(raw)
    width, height = _sides(body.size)
    seeds = [f"{body.prompt}#{index}" if index else body.prompt for index in range(body.n or 1)]
    encoded = [base64.b64encode(draw(seed, width, height)).decode() for seed in seeds]
    field, prefix = ("url", "data:image/png;base64,") if body.response_format == "url" else ("b64_json", "")
    used = tokens.count(body.prompt)
    usage = {"input_tokens": used, "output_tokens": 0, "total_tokens": used}
    usage["input_tokens_details"] = {"text_tokens": used, "image_tokens": 0}  # type: ignore[assignment]  # OpenAI nests it
    answer = {"created": CREATED, "data": [{field: prefix + text} for text in encoded], "usage": usage}
    return Reply(chunks=((json.encode(answer), 0),), headers=(("x-request-id", f"req_{identity(raw)}"),))


def draw(prompt: str, width: int, height: int) -> bytes:
    """A PNG with a palette: 255 steps between two colours, and white for the letters."""
    digest = hashlib.blake2b(prompt.encode(), digest_size=6).digest()
    low, high = digest[:3], digest[3:]
    shades = (bytes(a + (b - a) * step // 254 for a, b in zip(low, high, strict=True)) for step in range(255))
    span = max(1, width + height - 2)
    diagonal = bytes(step * 254 // span for step in range(width + height - 1))
    scale = max(1, min(width // 30, height // 10))
    rows = b"".join(b"\0" + _row(diagonal[y : y + width], y, height, scale) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", b"".join(shades) + b"\xff\xff\xff"), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _row(gradient: bytes, y: int, height: int, scale: int) -> bytes:
    """One line of pixels: the gradient, with the ink of the letters where they cross it."""
    line = (y - (height - len(_LETTERS) * scale) // 2) // scale
    if not 0 <= line < len(_LETTERS):
        return gradient
    row = bytearray(gradient)
    left = (len(row) - len(_LETTERS[line]) * scale) // 2
    for place, mark in enumerate(_LETTERS[line]):
        start = left + place * scale
        if mark == "#" and start >= 0:
            row[start : start + scale] = bytes([_INK]) * len(row[start : start + scale])
    return bytes(row)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _sides(size: str | None) -> tuple[int, int]:
    if size in (None, "auto"):
        return 256, 256
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(size))
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise Refusal(400, f"'size' must be WIDTHxHEIGHT with sides of 1 to {MAX_SIDE}, not {size!r}.", param="size")
    return sides
