"""JSON lines (NDJSON): bytes in any slicing -> the lines, still as bytes. Incremental and bounded.

Lines may end in LF, CR LF or CR; empty ones and a leading BOM are passed over. It reads no JSON: whether a line is JSON,
and whether a last line without an end is whole, is for the dialect that calls it to judge (Ollama, Cohere v1).
"""

from __future__ import annotations

MAX_LINE_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class LineTooLongError(ValueError):
    """One line is larger than the decoder was told to hold."""


class JSONLinesDecoder:
    """Feed it bytes as they come; it gives back the lines that are complete. `flush` ends the stream."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._held: list[bytes] = []
        self._held_size = 0
        self._first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Raises LineTooLongError; the decoder is of no use after that."""
        lines = chunk.replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        if lines:
            lines[0] = self._release() + lines[0]
        self._held.append(rest)
        self._held_size += len(rest)
        if self._held_size > self._max:
            raise LineTooLongError(f"a line of the stream is over {self._max} bytes")
        return self._filled(lines)

    def flush(self) -> list[bytes]:
        return self._filled([self._release()])

    def _release(self) -> bytes:
        line = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        return line

    def _filled(self, lines: list[bytes]) -> list[bytes]:
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        return [text for line in lines if (text := line.strip())]
