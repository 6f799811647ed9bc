"""A provider's stream of chunks -> events (upstream half), whichever compatible provider sends it.

One text, reasoning or refusal is open at a time in a choice and ends where another part begins; tool calls stay open until
the answer ends, because their fragments may interleave. The answer is complete at [DONE], or at the end of the bytes if
every choice had a finish reason. Unknown fields are kept from the first chunk and from those that carry a finish reason,
usage or no choice; the chunks between are decoded for their known fields only. `choice_decode` reads the deltas.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Finish, Usage
from dragoman.core.events import Event, ResponseEnd, ResponseStart, StreamError, UsageReport
from dragoman.core.sse import ServerSentEvent, SSEDecoder, SSETooLargeError
from dragoman.dialects.openai_chat.choice_decode import ChoiceDecoder
from dragoman.dialects.openai_chat.chunk import KNOWN_CHOICE, KNOWN_CHUNK, KNOWN_DELTA, Chunk, decode_chunk
from dragoman.dialects.openai_chat.response_decode import call_origin, created_of
from dragoman.dialects.openai_chat.usage import decode_usage
from dragoman.dialects.openai_chat.wire import NAME, UNREADABLE, extra, said
from dragoman.dialects.openai_errors import stream_error

_MOST_CHOICES = 1024
_SHOWN = 200
_PLAIN_LIMIT = 64 * 1024


class ChatStreamDecoder:
    """See `dialects.base.StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._choices: dict[int, ChoiceDecoder] = {}
        self._start: ResponseStart | None = None
        self._over = False
        self._usage: Usage | None = None
        self._extra: dict[str, Any] = {}
        self._one_choice = False
        self._origin = ""
        self._framed = False
        self._plain = b""

    def feed(self, chunk: bytes) -> list[Event]:
        if self._over:
            return []
        events: list[Event] = []
        try:
            frames = self._frames.feed(chunk)
        except SSETooLargeError as error:
            return self._broken(events, str(error))
        if not self._framed:
            self._framed = bool(frames)
            self._plain = b"" if frames else (self._plain + chunk)[:_PLAIN_LIMIT]
        for frame in frames:
            if self._frame(frame, events):
                break
        return events

    def close(self) -> list[Event]:
        if self._over:
            return []
        events: list[Event] = []
        if any(self._frame(frame, events) for frame in self._frames.flush()):
            return events
        if self._choices and all(choice.finished for choice in self._choices.values()):
            return self._end(events)
        if self._plain.lstrip()[:1] == b"{":
            return self._unframed(events)
        return self._broken(events, "the stream ended before the answer was complete")

    def _unframed(self, events: list[Event]) -> list[Event]:
        """Not an event stream but one JSON object: an error that came with status 200."""
        try:
            value = json.decode(self._plain)
        except UNREADABLE:
            value = None
        if type(value) is dict and value.get("error"):
            self._over = True
            return [*events, stream_error(value)]
        return self._broken(events, f"expected an event stream, found {_shown(self._plain)}")

    def _frame(self, frame: ServerSentEvent, events: list[Event]) -> bool:
        """True when the stream is over."""
        data = frame.data
        if data[:1] != b"{":
            data = data.strip()
            if data[:1] != b"{":
                self._mark(data, events)
                return self._over
        try:
            chunk = decode_chunk(data)
        except UNREADABLE as error:
            self._broken(events, f"an event of the stream is no chunk ({error}): {_shown(data)}")
            return True
        if chunk.error or frame.event == "error":
            self._over = True
            if self._start is not None:
                self._count(chunk, events)
            events.append(stream_error(json.decode(data)))
            return True
        self._chunk(chunk, data, events)
        return self._over

    def _mark(self, data: bytes, events: list[Event]) -> None:
        if data == b"[DONE]":
            if self._choices:
                self._end(events)
            else:
                self._broken(events, "the stream ended without an answer")
        elif data:
            self._broken(events, f"an event of the stream is no chunk: {_shown(data)}")

    def _chunk(self, chunk: Chunk, data: bytes, events: list[Event]) -> None:
        choices = chunk.choices
        notable = not choices or bool(chunk.usage)
        if self._start is None and (choices or chunk.id):
            self._begin(chunk, data, events)
            notable = True
        for choice in choices or ():
            index = self._index(choice.index)
            decoder = self._choices.get(index)
            if decoder is None:
                if not 0 <= index < _MOST_CHOICES:
                    self._broken(events, f"an event of the stream has a choice {index}: {_shown(data)}")
                    return
                decoder = self._choices[index] = ChoiceDecoder(index, f"{self._origin}_{index}")
            decoder.add(choice, events)
            if choice.finish_reason:
                notable = True
        if notable:
            self._keep(said(json.decode(data)))
        if chunk.usage or chunk.x_groq is not None:
            self._count(chunk, events)

    def _index(self, index: Any) -> int:
        return 0 if self._one_choice or type(index) is not int else index

    def _begin(self, chunk: Chunk, data: bytes, events: list[Event]) -> None:
        self._one_choice = chunk.object == "text_completion"  # old TGI: its choice index counts the tokens
        self._origin = call_origin(_text(chunk.id), chunk.created)
        self._start = ResponseStart(
            id=_text(chunk.id),
            model=_text(chunk.model),
            created=created_of(chunk.created),
            service_tier=_text(chunk.service_tier) or None,
            system_fingerprint=_text(chunk.system_fingerprint) or None,
            extra=extra(self._extra | _unknown(said(json.decode(data)), KNOWN_CHUNK)),
        )
        self._extra = {}
        events.append(self._start)

    def _count(self, chunk: Chunk, events: list[Event]) -> None:
        usage = decode_usage(chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None))
        if usage is not None and usage != self._usage:
            self._usage = usage
            events.append(UsageReport(usage=usage))

    def _keep(self, value: dict[str, Any]) -> None:
        """Notes the unknown fields of a chunk, and what the first chunk did not yet know of the answer's head."""
        held = self._start
        known = held.extra.get(NAME, {}) if held else {}
        self._extra |= {key: new for key, new in _unknown(value, KNOWN_CHUNK).items() if known.get(key) != new}
        for key in ("service_tier", "system_fingerprint"):
            if held is not None and value.get(key) and value[key] != getattr(held, key):
                self._extra[key] = value[key]
        for choice in value.get("choices") or ():
            delta = said(choice.get("delta") or {})
            decoder = self._choices[self._index(choice.get("index"))]
            decoder.keep(_unknown(said(choice), KNOWN_CHOICE), _unknown(delta, KNOWN_DELTA))

    def _end(self, events: list[Event]) -> list[Event]:
        self._over = True
        count = max(self._choices) + 1
        for choice in self._choices.values():
            choice.close(events)
        missing = Finish(reason="unknown")
        ordered = [self._choices.get(index) for index in range(count)]
        events.append(
            ResponseEnd(
                finishes=tuple(choice.finish() if choice else missing for choice in ordered),
                choice_extra=tuple(choice.extra() if choice else {} for choice in ordered),
                extra=extra(self._extra),
            )
        )
        return events

    def _broken(self, events: list[Event], problem: str) -> list[Event]:
        self._over = True
        events.append(StreamError(message=problem, broken=True))
        return events


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _unknown(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {key: held for key, held in fields.items() if key not in known}


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode("utf-8", "replace"))
