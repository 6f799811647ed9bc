"""The bytes of a stream as they came, kept small in case of trouble: what skips a malformed event, and what continues an answer
that broke off, decode them anew.

Events of one stream are much alike, so packed by the block they take a fifteenth; most answers are over before it comes to
that. Used by `streams` and by the gateway's relay, for each piece of each stream.
"""

from __future__ import annotations

import zlib

PIECES = 64
MOST = 1024 * 1024
"""Bytes of a stream that are kept. Of a longer one nothing is."""


class Tape:
    """`pieces` are those that came last: append to it, and `pack` when there are PIECES."""

    __slots__ = ("_blocks", "_packed", "pieces")

    def __init__(self, data: bytes = b"") -> None:
        self._blocks: list[bytes] = []
        self._packed = 0
        self.pieces = [data]

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self._packed + sum(map(len, self.pieces))

    @property
    def whole(self) -> bool:
        """Whether all that came is still there."""
        return self.size <= MOST

    def pack(self) -> None:
        data = b"".join(self.pieces)
        self.pieces.clear()
        self._packed += len(data)
        if self._packed <= MOST:
            self._blocks.append(zlib.compress(data, 1))
        else:
            self._blocks.clear()

    def read(self) -> bytes:
        """All of it. Only of a `whole` one."""
        return b"".join([*map(zlib.decompress, self._blocks), *self.pieces])
