"""A provider's stream -> events. Bytes may be cut anywhere; nonsense ends in a StreamError, never in an exception.

Parts are found by output index and content index. A part ends with its item, whose last state says what is only known late
(citations, seals, statuses) and fills in what a provider did not stream; items that only this dialect knows are gathered and
come whole at their end. Everything that repeats what the end says (text.done, part.done, progress of tools) is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import (
    Citation,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.core.errors import BadRequestError
from dragoman.core.sse import ServerSentEvent, SSEDecoder
from dragoman.dialects.openai_chat.reader import Fields, refuse
from dragoman.dialects.openai_chat.wire import UNREADABLE, read_tokens
from dragoman.dialects.openai_responses import errors
from dragoman.dialects.openai_responses.read_items import read_item
from dragoman.dialects.openai_responses.read_parts import read_citation, read_part
from dragoman.dialects.openai_responses.reasoning import GAP
from dragoman.dialects.openai_responses.response import head
from dragoman.dialects.openai_responses.usage import decode_usage
from dragoman.dialects.openai_responses.words import NAME, decode_finish, extra, is_made_here, mark


class _Frame(Struct):
    """The fields of all frequent events; the rest is read from the bytes again when it is needed."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Any = None
    logprobs: Any = None


_decode_frame = msgspec.json.Decoder(_Frame).decode


class _Open:
    """A part under way. `length` counts the characters that were streamed of it, `piece` is its last summary's number."""

    __slots__ = ("citations", "index", "length", "part", "piece")

    def __init__(self, index: int) -> None:
        self.index = index
        self.part: Part | None = None
        self.length = 0
        self.piece = 0
        self.citations: list[Citation] = []


class _Item:
    """An item under way: its first state, and its parts by content index (0 where it is a part itself)."""

    __slots__ = ("done", "parts", "value")

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.parts: dict[int, _Open] = {}
        self.done = False

    @property
    def kind(self) -> str:
        return self.value.get("type") or "message"


_GROWING = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
"""Items that come piece by piece; the others are whole at their end."""


class ResponsesStreamDecoder:
    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._begun = False
        self._over = False
        self._count = 0
        self._items: dict[int, _Item] = {}
        self._called = False
        self._start = ev.ResponseStart()
        self._unknown: set[str] = set()

    def feed(self, chunk: bytes) -> list[ev.Event]:
        return [] if self._over else self._run(self._sse.feed, chunk)

    def close(self) -> list[ev.Event]:
        out = [] if self._over else self._run(lambda _: self._sse.flush(), b"")
        if not self._over:
            out.append(self._broken("the stream ended before the response was complete"))
        return out

    def _run(self, read: Callable[[bytes], list[ServerSentEvent]], chunk: bytes) -> list[ev.Event]:
        out: list[ev.Event] = []
        try:
            for event in read(chunk):
                if not self._over:
                    self._take(event, out)
        except (*UNREADABLE, ValueError, BadRequestError) as problem:  # SSETooLargeError is a ValueError
            out.append(self._broken(f"an event of the stream makes no sense: {problem}"))
        return out

    def _take(self, event: ServerSentEvent, out: list[ev.Event]) -> None:
        if not event.data or event.data == b"[DONE]":
            return
        frame = _decode_frame(event.data)
        kind = frame.type or event.event
        handler = self._FRAMES.get(kind)
        if handler is not None:
            handler(self, frame, event.data, out)
        elif not self._says_nothing_new(kind, frame):
            self._warn_once(kind, out)

    def _says_nothing_new(self, kind: str, frame: _Frame) -> bool:
        item = self._items.get(frame.output_index)
        return kind in _PASSED_OVER or (item is not None and item.kind not in _GROWING)

    def _broken(self, message: str) -> ev.StreamError:
        self._over = True
        return ev.StreamError(message=message, broken=True)

    def _warn_once(self, kind: str, out: list[ev.Event]) -> None:
        if kind not in self._unknown:
            self._unknown.add(kind)
            self._begin({}, out)
            out.append(Warning(field=kind, message="an event of a kind that is not known here was left out"))

    # ----------------------------------------------------------------------------------------------------- the response
    def _begin(self, response: dict[str, Any], out: list[ev.Event]) -> None:
        """The tier is known at the end only, if the request left it open."""
        if self._begun:
            return
        self._begun = True
        found = head(Fields(response, "response"))
        found.pop("warnings", None)
        tier = found.pop("service_tier")
        self._start = ev.ResponseStart(**found, service_tier=None if tier == "auto" else tier)
        out.append(self._start)

    def _created(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._begin(_response(data), out)

    def _complete(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        response = _response(data)
        self._begin(response, out)
        if not self._items:
            for index, item in enumerate(response.get("output") or ()):
                self._finish(index, item, out)
        for item in self._items.values():
            if not item.done:
                self._abandon(item, out)
        found = head(Fields(response, "response"))
        out.extend(found.pop("warnings", ()))
        if (usage := _usage(response)) is not None:
            out.append(ev.UsageReport(usage=usage))
        self._over = True
        finish = decode_finish(response.get("status"), response.get("incomplete_details"), called=self._called)
        out.append(ev.ResponseEnd(finishes=(finish,), extra=self._late(found)))

    def _late(self, found: dict[str, Any]) -> dict[str, Any]:
        """What the end says otherwise than the start did."""
        first, last = self._start.extra.get(NAME, {}), found["extra"].get(NAME, {})
        late = {key: value for key, value in last.items() if first.get(key) != value}
        if found["service_tier"] not in (None, self._start.service_tier):
            late["service_tier"] = found["service_tier"]
        return extra(late)

    def _failed(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        value = json.decode(data)
        response = value.get("response")
        self._over = True
        if isinstance(response, dict) and (usage := _usage(response)) is not None:
            out.append(ev.UsageReport(usage=usage))
        out.append(errors.stream_error(response or value))

    # ---------------------------------------------------------------------------------------------------------- items
    def _item_added(self, frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._begin({}, out)
        item = self._items[frame.output_index] = _Item(_object(json.decode(data), "item"))
        if item.kind == "message":
            return
        opened = self._open(item, 0)
        if item.kind in ("function_call", "custom_tool_call"):
            (part,) = read_item(item.value, f"output[{frame.output_index}]")
            self._begin_part(opened, part, out)

    def _item_done(self, frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._begin({}, out)
        self._finish(frame.output_index, _object(json.decode(data), "item"), out)

    def _finish(self, place: int, value: dict[str, Any], out: list[ev.Event]) -> None:
        """The item's last state ends its parts, those included that nobody announced.

        They are matched by their order: some hosts count the content of a whole answer through.
        """
        item = self._items.setdefault(place, _Item(value))
        item.done = True
        begun = list(item.parts.values())
        for number, part in enumerate(read_item(value, f"output[{place}]")):
            self._end_part(begun[number] if number < len(begun) else self._open(item, number), part, out)

    def _abandon(self, item: _Item, out: list[ev.Event]) -> None:
        """The response ended before the item did: its parts end with what has come of them."""
        for opened in item.parts.values():
            if opened.part is None:
                out.append(ev.PartStart(index=opened.index, part=OpaquePart(dialect=NAME, value=item.value)))
            out.append(ev.PartEnd(index=opened.index, citations=tuple(opened.citations)))

    def _open(self, item: _Item, content: int) -> _Open:
        opened = item.parts[content] = _Open(self._count)
        self._count += 1
        return opened

    def _begin_part(self, opened: _Open, part: Part, out: list[ev.Event]) -> None:
        opened.part = _blank(part)
        self._called = self._called or isinstance(part, ToolCallPart)
        out.append(ev.PartStart(index=opened.index, part=opened.part))

    def _end_part(self, opened: _Open, part: Part, out: list[ev.Event]) -> None:
        if opened.part is None:
            self._begin_part(opened, part, out)
        if not opened.length and (delta := _whole(opened.index, part)) is not None:
            out.append(delta)
        late: dict[str, Any] = {}
        if isinstance(part, TextPart):
            late["citations"] = part.citations or tuple(opened.citations)
        if isinstance(part, TextPart | ReasoningPart | ToolCallPart):
            late |= {"signature": part.signature, "extra": part.extra}
        out.append(ev.PartEnd(index=opened.index, **late))

    # --------------------------------------------------------------------------------------------------------- deltas
    def _grown(self, frame: _Frame, part: Part, out: list[ev.Event]) -> _Open:
        """The open part that a delta belongs to; begun now if it is the first."""
        if type(frame.delta) is not str:
            refuse(f"output[{frame.output_index}]", f"{frame.type} has no text")
        self._begin({}, out)
        item = self._items.get(frame.output_index)
        if item is None:  # nobody announced it; its end will say the rest
            kind = "reasoning" if isinstance(part, ReasoningPart) else "message"
            item = self._items[frame.output_index] = _Item({"type": kind})
        content = frame.content_index if item.kind == "message" else 0
        opened = item.parts.get(content) or self._open(item, content)
        if opened.part is None:
            if opened is next(iter(item.parts.values())) and isinstance(part, TextPart | ReasoningPart):
                part = replace(part, extra=extra({**part.extra.get(NAME, {}), "_item": _named(item.value)}))
            self._begin_part(opened, part, out)
        return opened

    def _part_added(self, frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        """Only a message's: raw reasoning announces its pieces so too, and needs no announcement."""
        item = self._items.get(frame.output_index)
        if item is None or item.kind != "message":
            return
        part = read_part(_object(json.decode(data), "part"), f"output[{frame.output_index}].content[{frame.content_index}]")
        if isinstance(part, TextPart | RefusalPart):
            self._grown(_Frame(output_index=frame.output_index, content_index=frame.content_index, delta=""), part, out)

    def _text(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        opened = self._grown(frame, _NO_TEXT, out)
        opened.length += len(frame.delta)
        tokens = read_tokens(frame.logprobs) if frame.logprobs else None
        out.append(ev.TextDelta(index=opened.index, text=frame.delta, logprobs=tokens))

    def _refusal(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        opened = self._grown(frame, _NO_REFUSAL, out)
        opened.length += len(frame.delta)
        out.append(ev.TextDelta(index=opened.index, text=frame.delta))

    def _summary(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        self._thought(self._grown(frame, _NO_SUMMARY, out), frame, frame.summary_index, out)

    def _thoughts(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        self._thought(self._grown(frame, _NO_THOUGHT, out), frame, frame.content_index, out)

    def _thought(self, opened: _Open, frame: _Frame, piece: int, out: list[ev.Event]) -> None:
        text = frame.delta
        if piece != opened.piece:
            text = GAP * (piece - opened.piece) + text
            opened.piece = piece
        opened.length += len(text)
        out.append(ev.ReasoningDelta(index=opened.index, text=text))

    def _arguments(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        item = self._items.get(frame.output_index)
        if item is None:
            refuse(f"output[{frame.output_index}]", "arguments of a call that did not begin")
        if item.kind not in _GROWING:
            return  # of a tool of the server, which comes whole
        opened = self._grown(frame, _NO_TEXT, out)
        if not isinstance(opened.part, ToolCallPart):
            refuse(f"output[{frame.output_index}]", "arguments for an item that is no call")
        opened.length += len(frame.delta)
        out.append(ev.ToolCallDelta(index=opened.index, arguments=frame.delta))

    def _annotation(self, frame: _Frame, data: bytes, _out: list[ev.Event]) -> None:
        """Kept for a provider that does not repeat them at the end of the item."""
        item = self._items.get(frame.output_index)
        opened = item.parts.get(frame.content_index) if item else None
        value = json.decode(data).get("annotation")
        if opened is not None and isinstance(value, dict):
            opened.citations.append(read_citation(value, "annotation"))

    _FRAMES: ClassVar[dict[str, Callable[[ResponsesStreamDecoder, _Frame, bytes, list[ev.Event]], None]]] = {
        "response.output_text.delta": _text,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _thoughts,
        "response.function_call_arguments.delta": _arguments,
        "response.custom_tool_call_input.delta": _arguments,
        "response.refusal.delta": _refusal,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.content_part.added": _part_added,
        "response.output_text.annotation.added": _annotation,
        "response.created": _created,
        "response.in_progress": _created,
        "response.queued": _created,
        "response.completed": _complete,
        "response.incomplete": _complete,
        "response.failed": _failed,
        "error": _failed,
    }


_NO_TEXT, _NO_REFUSAL, _NO_SUMMARY = TextPart(text=""), RefusalPart(text=""), ReasoningPart()
_NO_THOUGHT = ReasoningPart(extra=extra({"_field": "content"}))

_PASSED_OVER = frozenset(
    {
        "response.output_text.done",
        "response.refusal.done",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.done",
        "response.reasoning_part.added",
        "response.reasoning_part.done",
        "response.reasoning_text.done",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.done",
        "keepalive",
        "ping",
    }
)
"""Events that the end of the item repeats, and signs of life."""


def _usage(response: dict[str, Any]) -> Usage | None:
    return decode_usage(response.get("usage"), response.get("tool_usage"))


def _response(data: bytes) -> dict[str, Any]:
    return _object(json.decode(data), "response")


def _object(frame: Any, key: str) -> dict[str, Any]:
    value = frame.get(key)
    if not isinstance(value, dict):
        refuse(key, f"expected an object, found {json.kind(value)}")
    return value


def _named(item: dict[str, Any]) -> dict[str, Any]:
    """The fields of an item that hold from its start; its status does not."""
    return {key: item[key] for key in ("id", "phase") if item.get(key) is not None and not is_made_here(item[key])}


def _blank(part: Part) -> Part:
    """A part's first state, for parts that grow."""
    if isinstance(part, TextPart | ReasoningPart | ToolCallPart):
        held = dict(part.extra.get(NAME, {}))
        held.pop("_lengths", None)
        held.pop("_logprobs", None)
        if "_item" in held:
            held["_item"] = _named(held["_item"])
        cleared: dict[str, Any] = {"arguments": ""} if isinstance(part, ToolCallPart) else {"text": ""}
        if isinstance(part, TextPart):
            cleared["citations"] = ()
        return replace(part, **cleared, signature=None, extra=extra(held))
    return RefusalPart(text="") if isinstance(part, RefusalPart) else part


def _whole(index: int, part: Part) -> ev.Event | None:
    """All of a part as one delta, for providers that did not stream it."""
    if isinstance(part, TextPart | RefusalPart) and part.text:
        tokens = read_tokens(mark(getattr(part, "extra", {}), "_logprobs"))
        return ev.TextDelta(index=index, text=part.text, logprobs=tokens)
    if isinstance(part, ReasoningPart) and part.text:
        return ev.ReasoningDelta(index=index, text=part.text)
    if isinstance(part, ToolCallPart) and part.arguments:
        return ev.ToolCallDelta(index=index, arguments=part.arguments)
    return None
