"""Both sides speak the dialect: the model is replaced in the envelope, the bytes go through, and the usage is read on the way.

The tap reads only lines that can hold something it wants; the others it checks to be JSON, and no more.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.json import Envelope
from dragoman.dialects.line_tap import LineTap
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


class ResponsesUsageTap(LineTap):
    """See `dialects.base.UsageTap`."""

    def _is_notable(self, data: bytes) -> bool:
        """The ends and the failures. Every event of the response itself names an error, be it null."""
        return b'"response.completed"' in data or b'"response.incomplete"' in data or b'"error"' in data

    def _take(self, data: bytes) -> None:
        if self.complete:
            return
        frame = _read_frame(data)
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
