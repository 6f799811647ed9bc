"""demo's embeddings and images: near texts have near vectors, and the PNG is one."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.http import HttpRequest
from dragoman.providers.demo import plan
from dragoman.providers.demo.embeddings import vector
from dragoman.providers.demo.images import draw


def answer(path: str, body: dict[str, Any]) -> Any:
    request = HttpRequest(method="POST", url=f"http://demo/v1{path}", body=json.dumps(body).encode())
    return json.loads(b"".join(piece.data for piece in plan(request).clean.pieces))


def likeness(first: str, second: str) -> float:
    return sum(a * b for a, b in zip(vector(first), vector(second), strict=True))


@given(st.text(min_size=1), st.integers(1, 1024))
def test_a_vector_has_length_one_and_the_wanted_dimensions(text: str, dimensions: int) -> None:
    made = vector(text, dimensions)
    assert len(made) == dimensions
    assert math.hypot(*made) == pytest.approx(1, abs=1e-5)


def test_similar_texts_are_near() -> None:
    assert likeness("The cat sat on the mat", "the cat  sat on the mat") == pytest.approx(1, abs=1e-5)
    near = likeness("The cat sat on the mat", "A cat sat on a mat")
    assert near > likeness("The cat sat on the mat", "Quarterly revenue grew by eleven percent") + 0.3


def test_the_answer_is_openais() -> None:
    got = answer("/embeddings", {"model": "embed", "input": ["one two", "three"], "dimensions": 8})
    assert [(row["object"], row["index"], len(row["embedding"])) for row in got["data"]] == [
        ("embedding", 0, 8),
        ("embedding", 1, 8),
    ]
    assert got["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


@pytest.mark.parametrize("given_input", ["text", ["text"], [1, 2, 3], [[1, 2], [3]]])
def test_base64_holds_the_same_numbers(given_input: Any) -> None:
    floats = answer("/embeddings", {"model": "embed", "input": given_input})["data"]
    packed = answer("/embeddings", {"model": "embed", "input": given_input, "encoding_format": "base64"})["data"]
    for plain, encoded in zip(floats, packed, strict=True):
        assert list(struct.unpack("<256f", base64.b64decode(encoded["embedding"]))) == pytest.approx(plain["embedding"])


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and the raw rows of a PNG, its checksums verified."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        name, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", png, place + 8 + size) == (zlib.crc32(name + data),)
        chunks[name] = data
        place += 12 + size
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    return width, height, zlib.decompress(chunks[b"IDAT"])


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (64, 200), (256, 256), (300, 40)])
def test_a_png_of_the_wanted_size(width: int, height: int) -> None:
    got_width, got_height, rows = pixels(draw("a castle", width, height))
    assert (got_width, got_height, len(rows)) == (width, height, (width + 1) * height)


def test_the_word_is_on_it() -> None:
    assert pixels(draw("a castle", 256, 256))[2].count(255) > 500


def test_prompts_have_their_own_colours() -> None:
    assert draw("a castle", 16, 16) == draw("a castle", 16, 16) != draw("a cat", 16, 16)


def test_the_image_answer() -> None:
    got = answer("/images/generations", {"model": "image", "prompt": "a castle", "size": "20x10", "n": 2})
    first, second = (pixels(base64.b64decode(row["b64_json"]))[:2] for row in got["data"])
    assert first == second == (20, 10)
    assert got["data"][0] != got["data"][1]
    linked = answer("/images/generations", {"model": "image", "prompt": "a castle", "response_format": "url"})
    assert linked["data"][0]["url"].startswith("data:image/png;base64,")
