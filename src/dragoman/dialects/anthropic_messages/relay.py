"""Both sides speak the dialect: the model is replaced in the envelope, the bytes go through, and the usage is read on the way.

The tap reads only lines that can hold something it wants; the others it checks to be JSON, and no more.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail
from dragoman.core.json import Envelope
from dragoman.core.sse import MAX_EVENT_BYTES
from dragoman.dialects.anthropic_messages.errors import reported
from dragoman.dialects.anthropic_messages.fields import UNREADABLE
from dragoman.dialects.anthropic_messages.usage import decode_usage, merge


class _WithUsage(Struct):
    usage: dict[str, Any] | None = None


class _Frame(Struct):
    type: str = ""
    message: _WithUsage | None = None
    usage: dict[str, Any] | None = None


_read_body = msgspec.json.Decoder(_WithUsage).decode
_read_frame = msgspec.json.Decoder(_Frame).decode
_is_json = msgspec.json.Decoder(msgspec.Raw).decode


def edit_request(envelope: Envelope, *, model: str) -> Envelope:
    return envelope | {"model": json.raw_text(model)}


def read_usage(body: bytes) -> Usage | None:
    try:
        usage = _read_body(body).usage
    except UNREADABLE:
        return None
    return None if usage is None else decode_usage(usage)


class AnthropicUsageTap:
    def __init__(self) -> None:
        self.started = False
        self.complete = False
        self.usage: Usage | None = None
        self.error: ErrorDetail | None = None
        self.error_status = 0
        self._held: list[bytes] = []  # pieces of a line whose end has not come
        self._held_size = 0
        self._counts: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> None:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not end:
            self._hold(chunk)
            return
        lines = b"".join((*self._held, chunk[:end])) if self._held else chunk[:end]
        self._held, self._held_size = [], 0
        self._hold(chunk[end:])
        notable = not self.started or b'"message_' in lines or b'"error"' in lines
        take = self._take if notable else self._check
        for line in lines.splitlines():
            if line.startswith(b"data:") and self.error is None:
                take(line[5:])

    def _hold(self, piece: bytes) -> None:
        """A line over the limit is let go: what wants to be read is never that long."""
        self._held_size += len(piece)
        if self._held_size > MAX_EVENT_BYTES:
            self._held = []
        elif piece:
            self._held.append(piece)

    def _take(self, data: bytes) -> None:
        try:
            frame = _read_frame(data)
        except msgspec.ValidationError:
            return  # JSON, but of a shape that says nothing to us
        except UNREADABLE:
            self._fail_on(data)
            return
        if frame.type == "ping":
            return
        self.started = True
        if frame.type == "message_start" and frame.message is not None:
            self._count(frame.message.usage)
        elif frame.type == "message_delta":
            self._count(frame.usage)
        elif frame.type == "message_stop":
            self.complete = True
        elif frame.type == "error":
            self.error_status, self.error = reported(json.decode(data))

    def _check(self, data: bytes) -> None:
        """Nothing to learn here, but what is relayed as an event must be one: a client's JSON parser would choke on it."""
        try:
            _is_json(data)
        except UNREADABLE:
            self._fail_on(data)

    def _fail_on(self, data: bytes) -> None:
        """What follows the end is nobody's business: some hosts put OpenAI's [DONE] there."""
        if self.complete:
            return
        self.started = True
        shown = data[:80].decode("utf-8", "replace")
        self.error = ErrorDetail(message=f"the provider sent an event that is not JSON: {shown}")
        self.error_status = 502

    def _count(self, usage: dict[str, Any] | None) -> None:
        if usage is not None:
            merge(self._counts, usage)
            self.usage = decode_usage(self._counts)
