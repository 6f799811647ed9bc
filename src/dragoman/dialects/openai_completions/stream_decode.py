"""A provider's stream of text completion chunks -> events: one text part a choice, which may interleave.

The answer is complete at [DONE], or at the end of the bytes if every choice had a finish reason. Writer's pieces are bare
(`{"value": text}`), and the end of the bytes is the only one they have.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Finish, TextPart, Usage
from dragoman.core.events import (
    Event,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamError,
    TextDelta,
    UsageReport,
)
from dragoman.core.sse import SSEDecoder, SSETooLargeError
from dragoman.dialects.openai_chat.response_decode import created_of
from dragoman.dialects.openai_chat.usage import decode_usage
from dragoman.dialects.openai_chat.wire import UNREADABLE, finish, is_special_token, said
from dragoman.dialects.openai_completions.response import KNOWN_CHOICE, piece_of, rest_of
from dragoman.dialects.openai_completions.words import Body, extra, read_pieces, text_of
from dragoman.dialects.openai_errors import stream_error

_MOST_CHOICES = 4096
_SHOWN = 200


class _Choice:
    __slots__ = ("extra", "finish", "open")

    def __init__(self) -> None:
        self.open = False
        self.finish: Finish | None = None
        self.extra: Body = {}


class CompletionStreamDecoder:
    """See `dialects.base.StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._over = False
        self._bare = False
        self._usage: Usage | None = None
        self._extra: Body = {}

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            for frame in self._frames.feed(chunk):
                self._frame(frame.data, events)
        except SSETooLargeError as problem:
            self._break(events, str(problem))
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        for frame in self._frames.flush():
            self._frame(frame.data, events)
        if not self._over:
            self._finish(events)
        return events

    def _finish(self, events: list[Event]) -> None:
        if self._choices and (self._bare or all(choice.finish for choice in self._choices.values())):
            self._end(events)
        else:
            self._break(events, "the stream ended before the answer was complete")

    def _frame(self, data: bytes, events: list[Event]) -> None:
        data = data.strip()
        if self._over or not data:
            return
        if data == b"[DONE]":
            if self._choices:
                self._end(events)
            else:
                self._break(events, "the stream ended without an answer")
            return
        try:
            self._chunk(json.decode(data), events)
        except (*UNREADABLE, AttributeError, TypeError, ValueError) as problem:
            shown = data[:_SHOWN].decode("utf-8", "replace")
            self._break(events, f"an event of the stream is no chunk ({problem}): {shown}")

    def _break(self, events: list[Event], message: str) -> None:
        self._over = True
        events.append(StreamError(message=message, broken=True))

    def _chunk(self, value: Body, events: list[Event]) -> None:
        if value.get("error"):
            self._over = True
            events.append(stream_error(value))
            return
        choices = value.get("choices") or []
        if "value" in value:
            self._bare, choices = True, [{"text": value["value"]}]
        if not self._started and (choices or value.get("id")):
            self._begin(value, events)
        else:
            self._extra |= rest_of(value)
        for choice in choices:
            self._choice(said(choice), events)
        usage = decode_usage(value.get("usage"))
        if usage is not None and usage != self._usage:
            self._usage = usage
            events.append(UsageReport(usage=usage))

    def _begin(self, value: Body, events: list[Event]) -> None:
        self._started = True
        events.append(
            ResponseStart(
                id=text_of(value.get("id")),
                model=text_of(value.get("model")),
                created=created_of(value.get("created")),
                system_fingerprint=text_of(value.get("system_fingerprint")) or None,
                extra=extra(rest_of(value)),
            )
        )

    def _choice(self, value: Body, events: list[Event]) -> None:
        index = value.get("index", 0)
        if type(index) is not int or not 0 <= index < _MOST_CHOICES:
            raise ValueError(f"choice {index!r}")
        held = self._choices.setdefault(index, _Choice())
        text, native = piece_of(value), value.get("finish_reason")
        if native == "eos_token" and is_special_token(text):
            text = ""
        tokens = read_pieces(value.get("logprobs"))
        if text or tokens:
            if not held.open:
                held.open = True
                events.append(PartStart(index=0, part=TextPart(text=""), choice=index))
            events.append(TextDelta(index=0, text=text, choice=index, logprobs=tokens))
        if native:
            stop: Any = value.get("stop_reason")
            held.finish = held.finish or finish(native, has_tool_calls=False, stop_reason=stop)
            beyond = {key: left for key, left in value.items() if key not in KNOWN_CHOICE}
            if type(stop) is str:
                del beyond["stop_reason"]
            held.extra |= beyond

    def _end(self, events: list[Event]) -> None:
        self._over = True
        events += [PartEnd(index=0, choice=index) for index, choice in sorted(self._choices.items()) if choice.open]
        ordered = [self._choices.get(index) or _Choice() for index in range(max(self._choices) + 1)]
        events.append(
            ResponseEnd(
                finishes=tuple(choice.finish or Finish(reason="unknown") for choice in ordered),
                choice_extra=tuple(extra(choice.extra) for choice in ordered),
                extra=extra(self._extra),
            )
        )
