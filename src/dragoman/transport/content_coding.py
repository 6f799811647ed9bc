"""Bodies that come compressed although nobody asked: gzip and deflate are undone piece by piece, others are refused.

Used by every HTTP transport; we ask for `identity`, and some servers answer gzip all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from dragoman.core.http import Headers, TransportFailure, header

_PIECE = 64 * 1024
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_OF_THE_CODED_FORM = frozenset({"content-encoding", "content-length"})


class Inflater:
    """Undoes one coding. Pieces are at most 64 KB, so that a small bomb does not become one huge piece.

    `raw_allowed`: the data may lack the zlib header that "deflate" should have, as some servers write it.
    """

    def __init__(self, *, raw_allowed: bool) -> None:
        self._stream = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._raw_allowed = raw_allowed
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces this data yields. Raises TransportFailure(protocol)."""
        while True:
            piece = self._inflate(data)
            if piece:
                yield piece
            data = self._stream.unconsumed_tail
            if self._stream.eof and self._stream.unused_data:  # gzip allows another member behind the first
                data = self._stream.unused_data
                self._stream = zlib.decompressobj(_ZLIB_OR_GZIP)
            elif not data and len(piece) < _PIECE:
                return

    def finish(self) -> None:
        """The body has ended. Raises TransportFailure(protocol) when the compressed data has not."""
        if self._started and not self._stream.eof:
            raise TransportFailure("protocol", "the compressed body is cut short")

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(data, _PIECE)
        except zlib.error as problem:
            if self._started or not self._raw_allowed:
                raise TransportFailure("protocol", f"the compressed body is damaged: {problem}") from None
            self._started = True
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflate(data)
        self._started = True
        return piece


def inflater_for(headers: Headers) -> Inflater | None:
    """What undoes the body's coding, None when there is nothing to undo. Raises TransportFailure for codings unknown here."""
    coding = (header(headers, "content-encoding") or "identity").strip().lower()
    if coding in ("identity", ""):
        return None
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TransportFailure("protocol", f"the body is encoded as {coding!r}, which was not asked for")
    return Inflater(raw_allowed=coding == "deflate")


def without_coding(headers: Headers) -> Headers:
    """The headers of the body as it is handed on: those that told of the compressed form are gone."""
    return tuple(pair for pair in headers if pair[0] not in _OF_THE_CODED_FORM)
