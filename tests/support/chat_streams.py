"""One stream of bytes, cut in many ways: every decoder must give the same events for all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any


def cuts(data: bytes, source: random.Random, *, bytewise: bool, rounds: int = 2) -> Iterator[list[bytes]]:
    """With CRLF line ends, byte by byte if wanted, and at random places."""
    yield [crlf(data)]
    if bytewise:
        yield [data[index : index + 1] for index in range(len(data))]
        yield [crlf(data)[index : index + 1] for index in range(len(crlf(data)))]
    for _ in range(rounds):
        places = sorted(source.randrange(len(data) + 1) for _ in range(8))
        yield [data[start:end] for start, end in pairwise([0, *places, len(data)])]


def crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def decode_stream(dialect: Any, *pieces: bytes) -> list[Any]:
    decoder = dialect.stream_decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
