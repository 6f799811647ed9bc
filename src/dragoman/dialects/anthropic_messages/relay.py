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
from dragoman.dialects.anthropic_messages.errors import reported
from dragoman.dialects.anthropic_messages.fields import UNREADABLE
from dragoman.dialects.anthropic_messages.usage import decode_usage, merge
from dragoman.dialects.line_tap import LineTap


class _WithUsage(Struct):
    usage: dict[str, Any] | None = None


class _Frame(Struct):
    type: str = ""
    message: _WithUsage | None = None
    usage: dict[str, Any] | None = None


_read_body = msgspec.json.Decoder(_WithUsage).decode
_read_frame = msgspec.json.Decoder(_Frame).decode


def edit_request(envelope: Envelope, *, model: str) -> Envelope:
    return envelope | {"model": json.raw_text(model)}


def read_usage(body: bytes) -> Usage | None:
    try:
        usage = _read_body(body).usage
    except UNREADABLE:
        return None
    return None if usage is None else decode_usage(usage)


class AnthropicUsageTap(LineTap):
    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}

    def _is_notable(self, data: bytes) -> bool:
        return b'"message_' in data or b'"error"' in data

    def _take(self, data: bytes) -> None:
        frame = _read_frame(data)
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

    def _count(self, usage: dict[str, Any] | None) -> None:
        if usage is not None:
            merge(self._counts, usage)
            self.usage = decode_usage(self._counts)
