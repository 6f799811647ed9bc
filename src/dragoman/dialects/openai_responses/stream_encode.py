"""Events -> the stream that a client of this dialect reads: created, items with their parts and pieces, completed.

Every event carries its number, and is keyed by the item's place in the output, so parts that interleave (parallel calls
elsewhere) are written as they come. A message waits for the next part before it ends, which may join it. Warnings and what
cannot be said (a second choice) stand in the last event's `response.dragoman.warnings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.assemble import Assembly
from dragoman.core.chat import ChatResponse, Warning
from dragoman.core.sse import encode_event
from dragoman.dialects.openai_responses import errors
from dragoman.dialects.openai_responses.response import made_up, response_object
from dragoman.dialects.openai_responses.stream_items import Delta, Item, MessageItem, WholeItem, open_item
from dragoman.dialects.openai_responses.words import End, Losses, encode_finish
from dragoman.dialects.openai_responses.write_items import ItemWriter, begins_item, is_content

_IN_PROGRESS = End("in_progress")
_EVENT_OF = {"incomplete": "response.incomplete", "failed": "response.failed"}
"""Status -> the event that ends the stream; any other is completed."""


class ResponsesStreamEncoder:
    def __init__(self, model: str, now: int) -> None:
        self._model = model
        self._now = now
        self._number = 0
        self._head = Assembly()
        self._begun = False
        self._losses = Losses()
        self._writer = ItemWriter(self._losses, made_up(now))
        self._places = 0
        self._items: list[Item] = []
        self._open: dict[int, Item] = {}
        self._message: MessageItem | None = None

    def encode(self, event: ev.Event) -> bytes:
        return self._HANDLERS[type(event)](self, event)

    def _send(self, kind: str, **fields: Any) -> bytes:
        frame = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return encode_event(json.encode(frame), kind)

    # ------------------------------------------------------------------------------------------------------ head and tail
    def _start(self, event: ev.ResponseStart) -> bytes:
        head = replace(event, id=event.id or made_up(self._now), model=event.model or self._model)
        self._head.add(head)
        self._writer = ItemWriter(self._losses, head.id)
        self._begun = True
        response = response_object(self._response(), now=self._now, end=_IN_PROGRESS, output=[])
        return self._send("response.created", response=response) + self._send("response.in_progress", response=response)

    def _response(self) -> ChatResponse:
        return self._head.response()

    def _begin(self) -> bytes:
        return b"" if self._begun else self._start(ev.ResponseStart())

    def _note(self, event: ev.UsageReport) -> bytes:
        self._head.add(event)
        return b""

    def _warning(self, event: Warning) -> bytes:
        self._losses.warnings.append(event)
        return b""

    def _end(self, event: ev.ResponseEnd) -> bytes:
        frames = [self._begin()]
        frames += [self._part_end(ev.PartEnd(index=index)) for index in list(self._open)]
        frames.append(self._end_message())
        for other in range(1, len(event.finishes)):
            self._lose(other)
        self._head.add(event)
        end = encode_finish(event.finishes[0] if event.finishes else None)
        frames.append(self._send(_EVENT_OF.get(end.status, "response.completed"), response=self._last(end)))
        return b"".join(frames)

    def _last(self, end: End, error: dict[str, Any] | None = None) -> dict[str, Any]:
        values = [item.value for item in sorted(self._items, key=lambda item: item.place)]
        output = [value for value in values if value is not None]
        warnings = self._losses.warnings
        return response_object(self._response(), now=self._now, end=end, output=output, warnings=warnings, error=error)

    def _failed(self, event: ev.StreamError) -> bytes:
        """As the vendor: the error, which clients raise on, then the response that failed by it."""
        begun, told = self._begin(), errors.told(event)
        first = errors.error_event(told, self._number)
        self._number += 1
        error = {"code": told["code"], "message": told["message"]}
        return begun + first + self._send("response.failed", response=self._last(End("failed"), error))

    def _lose(self, choice: int) -> None:
        field = f"choices[{choice}]"
        if all(warning.field != field for warning in self._losses.warnings):
            self._losses.drop(field, "a response object holds one answer")

    # -------------------------------------------------------------------------------------------------------------- parts
    def _part_start(self, event: ev.PartStart) -> bytes:
        if event.choice:
            self._lose(event.choice)
            return b""
        before = self._begin()
        joins = self._message is not None and is_content(event.part) and not begins_item(event.part)
        if not joins:
            before += self._end_message()
        item = self._message if joins and self._message is not None else self._new_item(event)
        self._open[event.index] = item
        return before + item.start(event)

    def _new_item(self, event: ev.PartStart) -> Item:
        item = open_item(self._places, event.part, self._writer, self._send)
        self._message = item if isinstance(item, MessageItem) else None
        if not isinstance(item, WholeItem):
            self._places += 1
            self._items.append(item)
        return item

    def _delta(self, event: Delta) -> bytes:
        if event.choice:
            return b""
        item = self._open.get(event.index)
        if item is None:
            raise ValueError(f"part {event.index} has a {type(event).__name__} but no PartStart")
        return item.delta(event)

    def _part_end(self, event: ev.PartEnd) -> bytes:
        item = None if event.choice else self._open.pop(event.index, None)
        if item is None:
            return b""
        ended = item.end(event)
        if isinstance(item, MessageItem):
            return ended + (item.finish() if item.closing and not item.busy else b"")
        if not isinstance(item, WholeItem):
            return ended + item.finish()
        item.place = self._places
        ended += item.finish()
        if item.value is not None:
            self._places += 1
            self._items.append(item)
        return ended

    def _end_message(self) -> bytes:
        """No further part joins the last message; it ends now, or with the last of its parts."""
        message, self._message = self._message, None
        if message is None:
            return b""
        message.closing = True
        return b"" if message.busy else message.finish()

    _HANDLERS: ClassVar[dict[type, Callable[[ResponsesStreamEncoder, Any], bytes]]] = {
        ev.ResponseStart: _start,
        ev.PartStart: _part_start,
        ev.TextDelta: _delta,
        ev.ReasoningDelta: _delta,
        ev.ToolCallDelta: _delta,
        ev.MediaDelta: _delta,
        ev.PartEnd: _part_end,
        ev.UsageReport: _note,
        Warning: _warning,
        ev.ResponseEnd: _end,
        ev.StreamError: _failed,
    }
