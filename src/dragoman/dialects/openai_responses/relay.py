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
from dragoman.dialects.openai_chat.wire import UNREADABLE
from dragoman.dialects.openai_responses.errors import reported
from dragoman.dialects.openai_responses.usage import decode_usage


class _Response(Struct):
    usage: dict[str, Any] | None = None
    tool_usage: dict[str, Any] | None = None


class _Frame(Struct):
    type: str = ""
    response: _Response | None = None


_read_body = msgspec.json.Decoder(_Response).decode
_read_frame = msgspec.json.Decoder(_Frame).decode
_is_json = msgspec.json.Decoder(msgspec.Raw).decode

_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "error"})
_SILENT = frozenset({"keepalive", "ping"})


def edit_request(envelope: Envelope, *, model: str) -> Envelope:
    return envelope | {"model": json.raw_text(model)}


def read_usage(body: bytes) -> Usage | None:
    try:
        return _usage(_read_body(body))
    except UNREADABLE:
        return None


def _usage(response: _Response) -> Usage | None:
    return decode_usage(response.usage, response.tool_usage)


class ResponsesUsageTap:
    """See `dialects.base.UsageTap`."""

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
                self._data(line[5:])

    def _hold(self, piece: bytes) -> None:
        """A line over the limit is let go: what wants to be read is never that long."""
        self._held_size += len(piece)
        if self._held_size > MAX_EVENT_BYTES:
            self._held = []
        elif piece:
            self._held.append(piece)

    def _data(self, data: bytes) -> None:
        """What follows the end is nobody's business: some hosts put OpenAI's [DONE] there."""
        if self.complete:
            return
        try:
            if self.started and not _is_notable(data):
                _is_json(data)  # what is relayed as an event must be one: a client's JSON parser would choke on it
            else:
                self._take(_read_frame(data), data)
        except msgspec.ValidationError:
            self.started = True  # JSON, but of a shape that says nothing to us
        except UNREADABLE:
            self._fail_on(data)

    def _take(self, frame: _Frame, data: bytes) -> None:
        if frame.type in _SILENT:
            return
        self.started = True
        if frame.response is not None:
            self.usage = _usage(frame.response) or self.usage
        if frame.type in _ENDS:
            self.complete = True
        elif frame.type in _FAILURES:
            value = json.decode(data)
            self.error_status, self.error = reported(value.get("response") or value)

    def _fail_on(self, data: bytes) -> None:
        self.started = True
        shown = data[:80].decode("utf-8", "replace")
        self.error = ErrorDetail(message=f"the provider sent an event that is not JSON: {shown}")
        self.error_status = 502


def _is_notable(data: bytes) -> bool:
    """The ends and the failures. Every event of the response itself names an error, be it null."""
    return b'"response.completed"' in data or b'"response.incomplete"' in data or b'"error"' in data
