"""The event streams of OpenAI's images, speech and transcriptions: a tap for relayed ones, whole ones read and written.

Each is server-sent events whose JSON has a `type`; the last one's ends in `.completed` or `.done` and holds the usage. Nothing
here turns pieces into a stream of our own: where an answer came whole, a client that wanted a stream gets it in two events.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.sse import SSEDecoder, SSETooLargeError, encode_event
from dragoman.dialects import openai_errors
from dragoman.dialects.media_wire import Body, read_usage

EVENT_STREAM = "text/event-stream"
MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one event: an image of the largest size, as base64."""

_ENDS = (".completed", ".done")
_DONE = b"[DONE]"


class _Frame(Struct):
    """What is read of an event; the sound and pictures in it are skipped."""

    type: str = ""
    usage: dict[str, Any] | None = None
    error: Any = None


_read_frame = msgspec.json.Decoder(_Frame).decode


class MediaTap:
    """See `dialects.base.UsageTap`."""

    def __init__(self, dialect: str) -> None:
        self.started = False
        self.complete = False
        self.usage: Usage | None = None
        self.error: ErrorDetail | None = None
        self.error_status = 0
        self._dialect = dialect
        self._frames: SSEDecoder | None = SSEDecoder(MAX_EVENT)

    def feed(self, chunk: bytes) -> None:
        if self._frames is None:
            return
        try:
            events = self._frames.feed(chunk)
        except SSETooLargeError as problem:
            self._fail({"message": str(problem)})
            return
        for event in events:
            if event.data and event.data != _DONE and self.error is None:
                self._take(event.data)

    def _take(self, data: bytes) -> None:
        try:
            frame = _read_frame(data)
        except (json.DecodeError, UnicodeDecodeError):
            self._fail({"message": "the stream holds an event that is no JSON object"})
            return
        self.started = True
        if frame.error or frame.type == "error":
            self._fail(json.decode(data))
        elif frame.type.endswith(_ENDS):
            self.complete = True
            self.usage = read_usage(frame.usage, self._dialect) or self.usage

    def _fail(self, reported: Any) -> None:
        self.started, self._frames = True, None
        self.error_status = openai_errors.embedded_status(reported)
        self.error = openai_errors.read_error(self.error_status, reported)


def is_stream(body: bytes) -> bool:
    """Whether an answer is a stream that came whole."""
    return body.lstrip()[:6] in {b"data: ", b"event:"} or body.lstrip()[:5] == b"data:"


def read_events(body: bytes) -> list[Body]:
    """The events of a whole stream. Raises ResponseDecodeError where it is cut, or what an error in it stands for."""
    frames = SSEDecoder(MAX_EVENT)
    found = [event.data for event in (*frames.feed(body), *frames.flush()) if event.data and event.data != _DONE]
    try:
        events = [json.decode(data) for data in found]
    except (json.DecodeError, UnicodeDecodeError) as problem:
        raise ResponseDecodeError(f"an event of the stream is no JSON: {problem}") from None
    for event in events:
        if not isinstance(event, dict):
            raise ResponseDecodeError(f"an event of the stream is no object but {json.kind(event)}")
        if event.get("error") or event.get("type") == "error":
            status = openai_errors.embedded_status(event)
            raise error_for(status, openai_errors.read_error(status, event))
    if not any(is_end(event) for event in events):
        raise ResponseDecodeError("the stream ended before the answer was complete")
    return events


def is_end(event: Body) -> bool:
    return str(event.get("type", "")).endswith(_ENDS)


def write_events(events: list[Body]) -> bytes:
    """With the names that OpenAI gives its events beside their data."""
    return b"".join(encode_event(json.encode(event), event["type"]) for event in events)
