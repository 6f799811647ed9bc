"""The same bytes in other slices: an incremental decoder must give the same for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

cut_places = st.lists(st.integers(0, 200), max_size=8)
"""Where to cut; a place behind the end cuts nothing."""


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in slices, cut before each of the places, which may come in any order and repeat."""
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def drain(decoder: Any, pieces: Iterable[bytes]) -> list[Any]:
    """Everything that a decoder gives for these slices, its end included."""
    return [item for piece in pieces for item in decoder.feed(piece)] + decoder.flush()
