"""A stream of the Chat API (server-sent events, each JSON with a `type`) -> events.

Citations come while a text is being written, or behind it, so a text part ends when the next part begins and not with its
own end mark. The answer is complete at `message-end`; a `[DONE]` behind it, which not every stream has, says nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dragoman.core import json
from dragoman.core.chat import Part, TextPart, Warning
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
from dragoman.core.sse import SSEDecoder, SSETooLargeError
from dragoman.dialects.cohere_chat.common import UNREADABLE, Body, decode_finish
from dragoman.dialects.cohere_chat.response import (
    citations_extra,
    decode_block,
    decode_call,
    decode_citation,
    decode_logprobs,
    decode_usage,
    failure_of,
)
from dragoman.dialects.read_values import text_of, text_or_none

_PLAN = ("plan", 0)
_SHOWN = 200


class _Open:
    """A part that is being written, and the citations that came for it."""

    __slots__ = ("cited", "index", "part")

    def __init__(self, index: int, part: Part) -> None:
        self.index = index
        self.part = part
        self.cited: list[Body] = []


class CohereStreamDecoder:
    """See `dialects.base.StreamDecoder`. Parts are keyed as on the wire: blocks and calls are counted apart."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._over = False
        self._count = 0
        self._open: dict[tuple[str, int], _Open] = {}
        self._called = False

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
            self._break(events, "the stream ended before the answer was complete")
        return events

    def _frame(self, data: bytes, events: list[Event]) -> None:
        if self._over or not data.strip():
            return
        try:
            value = json.decode(data)
            handler = self._HANDLERS.get(value.get("type"))
            if handler:
                handler(self, value, events)
            elif "message" in value and "type" not in value:
                self._fail(StreamError(message=str(value["message"]), status=500), events)
        except UNREADABLE as problem:
            shown = data[:_SHOWN].decode("utf-8", "replace")
            self._break(events, f"an event of the stream makes no sense ({problem!r}): {shown}")

    def _fail(self, error: StreamError, events: list[Event]) -> None:
        self._over = True
        events.append(error)

    def _break(self, events: list[Event], message: str) -> None:
        self._fail(StreamError(message=message, broken=True), events)

    # -------------------------------------------------------------------------------------------------------------- parts
    def _begin(self, key: tuple[str, int], part: Part, events: list[Event]) -> None:
        """What is still open is over: the API writes one part after the other."""
        for held in [*self._open]:
            self._shut(held, events)
        self._open[key] = _Open(self._count, part)
        self._count += 1
        events.append(PartStart(index=self._open[key].index, part=part))

    def _shut(self, key: tuple[str, int], events: list[Event]) -> None:
        held = self._open.pop(key, None)
        if held is None:
            return
        if isinstance(held.part, TextPart):
            events.append(PartEnd(index=held.index, citations=tuple(decode_citation(native) for native in held.cited)))
        else:
            events.append(PartEnd(index=held.index, extra=citations_extra(held.cited)))

    def _on_start(self, value: Body, events: list[Event]) -> None:
        events.append(ResponseStart(id=text_or_none(value.get("id")) or ""))

    def _on_content_start(self, value: Body, events: list[Event]) -> None:
        self._begin(("content", value["index"]), decode_block(value["delta"]["message"]["content"]), events)

    def _on_content(self, value: Body, events: list[Event]) -> None:
        held = self._open[("content", value["index"])]
        piece = value["delta"]["message"]["content"]
        tokens = decode_logprobs(value.get("logprobs"))
        if "thinking" in piece:
            events.append(ReasoningDelta(index=held.index, text=text_of(piece["thinking"]), logprobs=tokens))
        else:
            events.append(TextDelta(index=held.index, text=text_of(piece["text"]), logprobs=tokens))

    def _on_content_end(self, value: Body, events: list[Event]) -> None:
        key = ("content", value["index"])
        if not isinstance(self._open[key].part, TextPart):
            self._shut(key, events)

    def _on_plan(self, value: Body, events: list[Event]) -> None:
        if _PLAN not in self._open:
            self._begin(_PLAN, TextPart(text=""), events)
        events.append(TextDelta(index=self._open[_PLAN].index, text=text_of(value["delta"]["message"]["tool_plan"])))

    def _on_call_start(self, value: Body, events: list[Event]) -> None:
        self._called = True
        self._begin(("call", value["index"]), decode_call(value["delta"]["message"]["tool_calls"]), events)

    def _on_call(self, value: Body, events: list[Event]) -> None:
        piece = value["delta"]["message"]["tool_calls"]["function"]["arguments"]
        events.append(ToolCallDelta(index=self._open[("call", value["index"])].index, arguments=text_of(piece)))

    def _on_call_end(self, value: Body, events: list[Event]) -> None:
        self._shut(("call", value["index"]), events)

    def _on_citation(self, value: Body, events: list[Event]) -> None:
        native = value["delta"]["message"]["citations"]
        held = self._cited_part(native)
        if held is None:
            events.append(Warning(field="citations", message="a citation came when its text was over; it was left out"))
        else:
            held.cited.append(native)

    def _cited_part(self, native: Body) -> _Open | None:
        if native.get("type") == "PLAN":
            return self._open.get(_PLAN)
        if (index := native.get("content_index")) is not None:
            return self._open.get(("content", index))
        return next((held for held in self._open.values() if isinstance(held.part, TextPart)), None)

    # ------------------------------------------------------------------------------------------------------------ the end
    def _on_end(self, value: Body, events: list[Event]) -> None:
        delta = value["delta"]
        usage = decode_usage(delta.get("usage"))
        if usage is not None:
            events.append(UsageReport(usage=usage))
        if failure := failure_of(delta):
            status, detail = failure
            self._fail(StreamError(message=detail.message, status=status, error_type=detail.type), events)
            return
        for key in [*self._open]:
            self._shut(key, events)
        self._over = True
        events.append(ResponseEnd(finishes=(decode_finish(delta["finish_reason"], called=self._called),)))

    _HANDLERS: ClassVar[dict[Any, Callable[[Any, Body, list[Event]], None]]] = {
        "message-start": _on_start,
        "content-start": _on_content_start,
        "content-delta": _on_content,
        "content-end": _on_content_end,
        "tool-plan-delta": _on_plan,
        "tool-call-start": _on_call_start,
        "tool-call-delta": _on_call,
        "tool-call-end": _on_call_end,
        "citation-start": _on_citation,
        "message-end": _on_end,
    }
    """Types that are not here (`citation-end`, `debug`, whatever comes) say nothing that an answer is made of."""
