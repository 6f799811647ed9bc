"""A stream of /api/chat (JSON lines, each a piece of the message) -> events.

Thinking and text are one open part each, the next closes the last; a tool call comes whole. The answer is complete with the
line that says `done`; a line with `error` is a failure, whatever came before it.
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.core.chat import Part, ReasoningPart, TextPart, TokenLogprob
from dragoman.core.events import (
    Event,
    PartEnd,
    PartStart,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    StreamError,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from dragoman.core.jsonl import JSONLinesDecoder, LineTooLongError
from dragoman.dialects.ollama_chat.response import UNREADABLE, decode_call, rest_of
from dragoman.dialects.ollama_chat.words import (
    Body,
    call_origin,
    decode_created,
    decode_finish,
    decode_logprobs,
    decode_usage,
)
from dragoman.dialects.openai_errors import stream_error
from dragoman.dialects.read_values import text_of

_SHOWN = 200


class OllamaStreamDecoder:
    """See `dialects.base.StreamDecoder`."""

    def __init__(self) -> None:
        self._lines = JSONLinesDecoder()
        self._over = False
        self._origin = ""
        self._count = 0
        self._calls = 0
        self._open: type[Part] | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            for line in self._lines.feed(chunk):
                self._line(line, events)
        except LineTooLongError as problem:
            self._break(events, str(problem))
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        for line in self._lines.flush():
            self._line(line, events)
        if not self._over:
            self._break(events, "the stream ended before the answer was complete")
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if self._over:
            return
        try:
            self._piece(json.decode(line), events)
        except UNREADABLE as problem:
            shown = line[:_SHOWN].decode("utf-8", "replace")
            self._break(events, f"a line of the stream makes no sense ({problem!r}): {shown}")

    def _break(self, events: list[Event], message: str) -> None:
        self._over = True
        events.append(StreamError(message=message, broken=True))

    def _piece(self, value: Body, events: list[Event]) -> None:
        if value.get("error"):
            self._over = True
            events.append(stream_error(value))
            return
        if not self._origin:
            self._origin = call_origin(value)
            events.append(ResponseStart(model=text_of(value.get("model")), created=decode_created(value.get("created_at"))))
        self._message(value["message"], decode_logprobs(value.get("logprobs")), events)
        if value.get("done"):
            self._end(value, events)

    def _message(self, message: Body, tokens: tuple[TokenLogprob, ...] | None, events: list[Event]) -> None:
        content = text_of(message.get("content"))
        if thinking := text_of(message.get("thinking")):
            self._flow(ReasoningPart(), events)
            events.append(ReasoningDelta(index=self._count - 1, text=thinking, logprobs=None if content else tokens))
        if content:
            self._flow(TextPart(text=""), events)
            events.append(TextDelta(index=self._count - 1, text=content, logprobs=tokens))
        for call in message.get("tool_calls") or ():
            self._shut(events)
            part = decode_call(call, f"{self._origin}_{self._calls}")
            first = type(part)(id=part.id, name=part.name, arguments="")
            events.append(PartStart(index=self._count, part=first))
            events.append(ToolCallDelta(index=self._count, arguments=part.arguments))
            events.append(PartEnd(index=self._count))
            self._count += 1
            self._calls += 1

    def _flow(self, part: Part, events: list[Event]) -> None:
        if self._open is type(part):
            return
        self._shut(events)
        self._open = type(part)
        events.append(PartStart(index=self._count, part=part))
        self._count += 1

    def _shut(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(PartEnd(index=self._count - 1))
            self._open = None

    def _end(self, value: Body, events: list[Event]) -> None:
        self._shut(events)
        if (usage := decode_usage(value)) is not None:
            events.append(UsageReport(usage=usage))
        self._over = True
        finish = decode_finish(value.get("done_reason"), called=self._calls > 0)
        events.append(ResponseEnd(finishes=(finish,), extra=rest_of(value)))
