"""A provider's stream -> events. Bytes may be cut anywhere; nonsense ends in a StreamError, never in an exception.

Every event is a whole answer object. There is no mark of the end: a stream whose candidates have all said why they ended is
complete when its bytes end. Without `alt=sse` the same objects come as one JSON array, which is read when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.sse import MAX_EVENT_BYTES, SSEDecoder
from dragoman.dialects.gemini.answer import AnswerReader, Events
from dragoman.dialects.gemini.fields import UNREADABLE


class GeminiStreamDecoder:
    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._reader = AnswerReader()
        self._json: list[bytes] | None = None
        self._size = 0
        self._known = False

    def feed(self, chunk: bytes) -> list[ev.Event]:
        if not self._known and (first := chunk.lstrip()[:1]):
            self._known = True
            self._json = [] if first in (b"[", b"{") else None
        if self._json is None:
            return self._run(lambda: [event.data for event in self._sse.feed(chunk)])
        return self._run(lambda: self._hold(chunk))

    def close(self) -> list[ev.Event]:
        held = self._json
        out = self._run(lambda: [b"".join(held)] if held is not None else [event.data for event in self._sse.flush()])
        if self._reader.over:
            return out
        if self._reader.complete:
            self._reader.end(out)
        else:
            out.append(self._broken("the stream ended before the answer was complete"))
        return out

    def _hold(self, chunk: bytes) -> list[bytes]:
        self._size += len(chunk)
        if self._size > MAX_EVENT_BYTES:
            raise ValueError(f"an answer of over {MAX_EVENT_BYTES} bytes came in one piece")
        if self._json is not None:
            self._json.append(chunk)
        return []

    def _run(self, read: Callable[[], list[bytes]]) -> Events:
        out: Events = []
        try:
            for data in [] if self._reader.over else read():
                if data and data != b"[DONE]" and not self._reader.over:
                    self._take(json.decode(data), out)
        except (*UNREADABLE, ValueError) as error:  # FieldError and SSETooLargeError are ValueErrors
            out.append(self._broken(f"an event of the stream makes no sense: {error}"))
        return out

    def _take(self, value: Any, out: Events) -> None:
        for piece in value if isinstance(value, list) else [value]:
            if not self._reader.over:
                self._reader.take(piece, out)

    def _broken(self, message: str) -> ev.StreamError:
        self._reader.over = True
        return ev.StreamError(message=message, broken=True)
