"""The bytes of a stream as they came, kept small in case of trouble: what skips a malformed event, and what continues an answer
that broke off, decode them anew.

Events of one stream are much alike, so packed by the block they take a fifteenth. Used by `streams` and by the gateway's relay.
"""

from __future__ import annotations

import zlib

BLOCK = 8 * 1024
MOST = 1024 * 1024
"""Bytes of a stream that are kept. Of a longer one nothing is."""


class Tape:
    """`whole`: all that was added is still there. `size`: how many bytes have been added."""

    __slots__ = ("_blocks", "_loose", "_loose_size", "size")

    def __init__(self, data: bytes = b"") -> None:
        self._blocks: list[bytes] = []
        self._loose = [data]
        self._loose_size = self.size = len(data)

    @property
    def whole(self) -> bool:
        return self.size <= MOST

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._loose_size += len(piece)
        self._loose.append(piece)
        if self._loose_size >= BLOCK:
            if self.whole:
                self._blocks.append(zlib.compress(b"".join(self._loose), 1))
            else:
                self._blocks.clear()
            self._loose.clear()
            self._loose_size = 0

    def read(self) -> bytes:
        """All of it. Only of a `whole` one."""
        return b"".join([*map(zlib.decompress, self._blocks), *self._loose])
