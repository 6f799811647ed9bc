"""Server-sent events: bytes in any slicing -> events, and back (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Incremental and bounded: LF, CR LF and CR line ends, a leading BOM, comments, several data lines, a cut inside a UTF-8
character or between CR and LF. Data stays bytes: who reads JSON needs no text. Called by the dialects' stream decoders.
"""

from __future__ import annotations

from msgspec import Struct

MAX_EVENT_BYTES = 16 * 1024 * 1024


class ServerSentEvent(Struct, frozen=True, gc=False):
    """`event` is "" when the stream did not name it; `data` lines are joined by a newline."""

    data: bytes
    event: str = ""
    id: str = ""


class SSETooLargeError(ValueError):
    """One event is larger than the decoder was told to hold."""


class SSEDecoder:
    """Feed it bytes as they come; it gives back the events that are complete. `flush` ends the stream.

    By the standard an event without its final blank line is dropped; providers that close right after their last data line
    exist, so `flush` gives that one back instead: whether it is whole is for the dialect to judge.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0
        self._edge: bytes | None = b""  # the first bytes while they may be a BOM; then None
        self._skip_newline = False
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Raises SSETooLargeError; the decoder is of no use after that."""
        if self._edge is not None or self._skip_newline:
            chunk = self._settled(chunk)
        if _CR in chunk:
            self._skip_newline = chunk[-1] == _CR
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._held:
            lines[0] = self._release() + lines[0]
        if rest:
            self._hold(rest)
        events: list[ServerSentEvent] = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append(self._take())
            else:
                self._event = ""
        return events

    def flush(self) -> list[ServerSentEvent]:
        line = (self._edge or b"") + self._release()
        if line:
            self._field(line)
        return [self._take()] if self._data else []

    def _settled(self, chunk: bytes) -> bytes:
        """The chunk without the half of a CR LF that came before it, and without a BOM at the start of the stream."""
        if not chunk:
            return chunk
        if self._edge is not None:
            chunk = self._edge + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._edge = chunk
                return b""
            self._edge = None
            return chunk.removeprefix(_BOM)
        self._skip_newline = False
        return chunk.removeprefix(b"\n")

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_size += len(piece)
        if self._held_size > self._max:
            raise SSETooLargeError(f"a line of the event stream is over {self._max} bytes")

    def _release(self) -> bytes:
        line = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        return line

    def _field(self, line: bytes) -> None:
        if line.startswith(b"data: "):  # nearly every line there is
            self._add(line[6:])
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            self._id = value.decode("utf-8", "replace")

    def _add(self, value: bytes) -> None:
        self._size += len(value) + 1
        if self._size > self._max:
            raise SSETooLargeError(f"an event of the stream is over {self._max} bytes")
        self._data.append(value)

    def _take(self) -> ServerSentEvent:
        event = ServerSentEvent(b"\n".join(self._data), self._event, self._id)
        self._data.clear()
        self._event, self._size = "", 0
        return event


_BOM = b"\xef\xbb\xbf"
_CR = 0x0D


def encode_event(data: bytes, event: str = "") -> bytes:
    """One event as bytes. `data` is JSON, so it holds no line end."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


DONE = b"data: [DONE]\n\n"
