"""What came of a stream can be had again, however it was cut, and takes little room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.engine.tape import MOST, PIECES, Tape

EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n'


def recorded(pieces: list[bytes], first: bytes = b"") -> Tape:
    made = Tape(first)
    for piece in pieces:
        made.pieces.append(piece)
        if len(made.pieces) >= PIECES:
            made.pack()
    return made


@given(st.binary(max_size=100), st.lists(st.binary(max_size=40), max_size=3 * PIECES))
def test_it_gives_back_what_was_added(first: bytes, pieces: list[bytes]) -> None:
    made = recorded(pieces, first)
    assert made.read() == first + b"".join(pieces)
    assert made.size == len(made.read())


def test_events_take_a_fraction_of_their_bytes() -> None:
    pieces = [EVENT % number for number in range(2000)]
    made = recorded(pieces)
    assert sum(map(len, made._blocks)) < made.size / 8


def test_a_stream_that_is_too_long_is_not_kept_at_all() -> None:
    made = recorded([b"x" * (MOST // PIECES)] * PIECES)
    assert made.whole
    made.pieces.append(b"y")
    assert not made.whole
    made.pack()
    assert not made._blocks
