"""The usage tap of dialects whose streams are `data:` lines of JSON: lines put together from pieces, and garbage found.

A dialect says what it wants to read (`_take`), and which lines can hold none of it and need only be JSON (`_is_notable`).
See `base.UsageTap`. Subclassed by the relays; `openai_chat` has its own, which looks at whole reads at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail
from dragoman.core.json import UNREADABLE
from dragoman.core.sse import MAX_EVENT_BYTES

_is_json = msgspec.json.Decoder(msgspec.Raw).decode


class LineTap(ABC):
    """See the module."""

    def __init__(self) -> None:
        self.started = False
        self.complete = False
        self.usage: Usage | None = None
        self.error: ErrorDetail | None = None
        self.error_status = 0
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0

    def feed(self, chunk: bytes) -> None:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not end:
            self._hold(chunk)
            return
        lines = b"".join((*self._held, chunk[:end])) if self._held else chunk[:end]
        self._held, self._held_size = [], 0
        self._hold(chunk[end:])
        for line in lines.splitlines():
            if line.startswith(b"data:") and self.error is None:
                self._read(line[5:])

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Read one event. May raise what decoding does."""

    def _is_notable(self, data: bytes) -> bool:  # noqa: ARG002 - for dialects that can tell
        return True

    def _hold(self, piece: bytes) -> None:
        """A line over the limit is let go: what wants to be read is never that long."""
        self._held_size += len(piece)
        if self._held_size > MAX_EVENT_BYTES:
            self._held = []
        elif piece:
            self._held.append(piece)

    def _read(self, data: bytes) -> None:
        """What is relayed as an event must be one, for a client's JSON parser would choke on it. What follows the end is
        nobody's business: some hosts put OpenAI's [DONE] there.
        """
        try:
            if self.started and not self._is_notable(data):
                _is_json(data)
            else:
                self._take(data)
        except msgspec.ValidationError:
            return  # JSON, but of a shape that says nothing to us
        except UNREADABLE:
            if not self.complete:
                self._fail_on(data)

    def _fail_on(self, data: bytes) -> None:
        self.started = True
        shown = data.strip()[:80].decode("utf-8", "replace")
        self.error = ErrorDetail(message=f"the provider sent an event that is not JSON: {shown}")
        self.error_status = 502
