"""Both sides speak the dialect: model and stream flag leave the body, the bytes go through, and the usage is read on the way.

Every event of a stream reports the usage so far, so the tap makes a `Usage` of the last one in each chunk only.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core.chat import Usage
from dragoman.core.json import Envelope
from dragoman.dialects.gemini.errors import reported
from dragoman.dialects.gemini.fields import UNREADABLE
from dragoman.dialects.gemini.usage import decode_usage
from dragoman.dialects.line_tap import LineTap

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


class GeminiUsageTap(LineTap):
    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] | None = None  # the last usage of a chunk
        self._running: dict[int, bool] = {}  # candidate -> whether it has yet to say why it ended
        self._blocked = False

    def feed(self, chunk: bytes) -> None:
        super().feed(chunk)
        if self._counts is not None:
            self.usage, self._counts = decode_usage(self._counts), None

    def _take(self, data: bytes) -> None:
        event = _read_event(data)
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
