"""Both sides speak the dialect: model and stream flag leave the body, the bytes go through, and the usage is read on the way.

Every event of a stream reports the usage so far, so the tap makes a `Usage` of the last one in each chunk only.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail
from dragoman.core.json import Envelope
from dragoman.core.sse import MAX_EVENT_BYTES
from dragoman.dialects.gemini.errors import reported
from dragoman.dialects.gemini.fields import UNREADABLE
from dragoman.dialects.gemini.usage import decode_usage

_IN_PATH = ("model", "stream")


class _WithUsage(Struct):
    usageMetadata: dict[str, Any] | None = None  # noqa: N815 - the wire's own name


class _Candidate(Struct):
    index: int = 0
    finishReason: str | int | None = None  # noqa: N815 - as above


class _Event(Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: dict[str, Any] | None = None  # noqa: N815 - as above
    usageMetadata: dict[str, Any] | None = None  # noqa: N815 - as above
    error: Any = None


_read_usage = msgspec.json.Decoder(_WithUsage).decode
_read_event = msgspec.json.Decoder(_Event).decode


def edit_request(envelope: Envelope) -> Envelope:
    return {key: value for key, value in envelope.items() if key not in _IN_PATH}


def read_usage(body: bytes) -> Usage | None:
    try:
        usage = _read_usage(body).usageMetadata
    except UNREADABLE:
        return None
    return None if usage is None else decode_usage(usage)


class GeminiUsageTap:
    def __init__(self) -> None:
        self.started = False
        self.complete = False
        self.usage: Usage | None = None
        self.error: ErrorDetail | None = None
        self.error_status = 0
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0
        self._counts: dict[str, Any] | None = None  # the last usage of a chunk
        self._running: dict[int, bool] = {}  # candidate -> whether it has yet to say why it ended
        self._blocked = False

    def feed(self, chunk: bytes) -> None:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not end:
            self._hold(chunk)
            return
        lines = b"".join((*self._held, chunk[:end]))
        self._held, self._held_size = [], 0
        self._hold(chunk[end:])
        for line in lines.splitlines():
            if line.startswith(b"data:") and self.error is None:
                self._take(line[5:])
        if self._counts is not None:
            self.usage, self._counts = decode_usage(self._counts), None

    def _hold(self, piece: bytes) -> None:
        """A line over the limit is let go: what wants to be read is never that long."""
        self._held_size += len(piece)
        if self._held_size > MAX_EVENT_BYTES:
            self._held = []
        elif piece:
            self._held.append(piece)

    def _take(self, data: bytes) -> None:
        try:
            event = _read_event(data)
        except msgspec.ValidationError:
            return  # JSON, but of a shape that says nothing to us
        except UNREADABLE:
            self._fail_on(data)
            return
        self.started = True
        if event.usageMetadata is not None:
            self._counts = event.usageMetadata
        for candidate in event.candidates or ():
            ended = candidate.finishReason is not None
            self._running[candidate.index] = not ended and self._running.get(candidate.index, True)
        if event.promptFeedback and "blockReason" in event.promptFeedback and not event.candidates:
            self._blocked = True
        self.complete = self._blocked or (bool(self._running) and not any(self._running.values()))
        if event.error is not None:
            self.complete = False
            self.error_status, self.error = reported({"error": event.error})

    def _fail_on(self, data: bytes) -> None:
        """What follows the end is nobody's business: some hosts put OpenAI's [DONE] there."""
        if self.complete:
            return
        self.started = True
        shown = data.strip()[:80].decode("utf-8", "replace")
        self.error = ErrorDetail(message=f"the provider sent an event that is not JSON: {shown}")
        self.error_status = 502
