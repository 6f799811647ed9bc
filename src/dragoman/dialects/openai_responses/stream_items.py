"""One item of a stream that is being written: its start, its deltas, its end. A class for each way an item can grow.

What the API has no pieces for (tools of the server, pictures, blocks of other dialects) is held and written whole. An item
folds its own events, so that its last state is written by the same hand as that of a whole answer. Used by the encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import events as ev
from dragoman.core.assemble import Assembly
from dragoman.core.chat import MediaPart, Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from dragoman.dialects.openai_chat.wire import write_tokens
from dragoman.dialects.openai_responses.reasoning import is_raw
from dragoman.dialects.openai_responses.response import outside
from dragoman.dialects.openai_responses.words import item_mark, make_id
from dragoman.dialects.openai_responses.write_items import ItemWriter, is_content

Delta = ev.TextDelta | ev.ReasoningDelta | ev.ToolCallDelta | ev.MediaDelta
Send = Callable[..., bytes]
"""Makes the bytes of one event: its type, then its fields by name."""


class Item:
    """`place` is the item's number in the output, `value` its last state once it has ended (None: it cannot be said here)."""

    prefix = ""

    def __init__(self, place: int, part: Part, writer: ItemWriter, send: Send) -> None:
        self.place = place
        self.id = (item_mark(part) or {}).get("id") or make_id(self.prefix, writer.response_id or "", place)
        self.value: dict[str, Any] | None = None
        self._writer = writer
        self._send = send
        self._made = Assembly()

    def start(self, event: ev.PartStart) -> bytes:
        """A part begins: the item's own, or one more of a message."""
        self._made.add(event)
        return b""

    def delta(self, event: Delta) -> bytes:  # noqa: ARG002 - for items that come in pieces
        raise TypeError(f"a {type(self).__name__} comes whole, and a piece of it came")

    def end(self, event: ev.PartEnd) -> bytes:
        """A part ends."""
        self._made.add(event)
        return b""

    def finish(self) -> bytes:
        """The item ends."""
        self.value = (self._final() or {}) | {"id": self.id}
        return self._send("response.output_item.done", output_index=self.place, item=self.value)

    def _final(self) -> dict[str, Any] | None:
        path = f"output[{self.place}]"
        return self._writer.item([(part, path) for part in self._parts()], self.place, self._tokens())

    def _parts(self) -> tuple[Part, ...]:
        return self._made.response().choices[0].parts

    def _tokens(self) -> Any:
        return None

    def _added(self, **item: Any) -> bytes:
        return self._send("response.output_item.added", output_index=self.place, item={"id": self.id, **item})

    def _at(self, **more: int) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.place, **more}


class MessageItem(Item):
    """Texts, refusals and sound. It stays open until the encoder knows that no further part joins it."""

    prefix = "msg"

    def __init__(self, place: int, part: Part, writer: ItemWriter, send: Send) -> None:
        super().__init__(place, part, writer, send)
        self._contents: dict[int, int] = {}
        self._open: dict[int, Part] = {}
        self.closing = False

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def start(self, event: ev.PartStart) -> bytes:
        first = b"" if self._contents else self._added(**self._head(event.part))
        super().start(event)
        content = self._contents[event.index] = len(self._contents)
        self._open[event.index] = event.part
        if isinstance(event.part, MediaPart):
            return first
        text = event.part.text if isinstance(event.part, TextPart | RefusalPart) else ""
        begun = first + self._send("response.content_part.added", **self._at(content_index=content), part=_empty(event.part))
        return begun + (self._piece(event.index, text, None) if text else b"")

    def _head(self, part: Part) -> dict[str, Any]:
        phase = (item_mark(part) or {}).get("phase")
        head = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return head | ({"phase": phase} if phase else {})

    def delta(self, event: Delta) -> bytes:
        self._made.add(event)
        if not isinstance(event, ev.TextDelta):
            return b""
        return self._piece(event.index, event.text, event.logprobs)

    def _piece(self, index: int, text: str, tokens: Any) -> bytes:
        at = self._at(content_index=self._contents[index])
        if isinstance(self._open[index], RefusalPart):
            return self._send("response.refusal.delta", **at, delta=text)
        return self._send("response.output_text.delta", **at, delta=text, logprobs=write_tokens(tokens) or [])

    def end(self, event: ev.PartEnd) -> bytes:
        super().end(event)
        self._open.pop(event.index)
        content = self._contents[event.index]
        written = self._content()[content]
        at = self._at(content_index=content)
        frames = [
            self._send("response.output_text.annotation.added", **at, annotation_index=number, annotation=annotation)
            for number, annotation in enumerate(written.get("annotations", ()))
        ]
        if written["type"] == "output_text":
            frames.append(self._send("response.output_text.done", **at, text=written["text"], logprobs=written["logprobs"]))
        elif written["type"] == "refusal":
            frames.append(self._send("response.refusal.done", **at, refusal=written["refusal"]))
        else:
            frames.append(self._send("response.content_part.added", **at, part=written))
        return b"".join(frames) + self._send("response.content_part.done", **at, part=written)

    def _content(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (self._final() or {"content": []})["content"]
        return items

    def _tokens(self) -> Any:
        choice = self._made.response().choices[0]
        return outside(choice.parts, choice.logprobs)


def _empty(part: Part) -> dict[str, Any]:
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


class ReasoningItem(Item):
    """Thoughts are written as a summary, which is what clients show, unless a provider of this dialect said they are raw."""

    prefix = "rs"

    def start(self, event: ev.PartStart) -> bytes:
        super().start(event)
        part = event.part
        raw = isinstance(part, ReasoningPart) and is_raw(part)
        self._names = _RAW if raw else _SUMMARY
        self._begun = False
        text = part.text if isinstance(part, ReasoningPart) else ""
        added = self._added(type="reasoning", summary=[], **({"content": []} if raw else {}))
        return added + (self._piece(text) if text else b"")

    def delta(self, event: Delta) -> bytes:
        self._made.add(event)
        return self._piece(event.text) if isinstance(event, ev.ReasoningDelta) else b""

    def _piece(self, text: str) -> bytes:
        names, at = self._names, self._at(**{self._names.index: 0})
        begun = b"" if self._begun else self._send(names.added, **at, part={"type": names.kind, "text": ""})
        self._begun = True
        return begun + self._send(names.delta, **at, delta=text)

    def end(self, event: ev.PartEnd) -> bytes:
        """The mark of several pieces goes: what was streamed is one."""
        held = {
            name: {key: value for key, value in fields.items() if key != "_lengths"} for name, fields in event.extra.items()
        }
        super().end(ev.PartEnd(index=event.index, signature=event.signature, extra=held))
        if not self._begun:
            return b""
        names, at = self._names, self._at(**{self._names.index: 0})
        (part,) = self._parts()
        text = part.text if isinstance(part, ReasoningPart) else ""
        done = self._send(names.text_done, **at, text=text)
        return done + self._send(names.done, **at, part={"type": names.kind, "text": text})


class _Names:
    """The events and the field by which pieces of reasoning go."""

    def __init__(self, kind: str, index: str, piece: str, part: str) -> None:
        self.kind = kind
        self.index = index
        self.delta, self.text_done = f"{piece}.delta", f"{piece}.done"
        self.added, self.done = f"{part}.added", f"{part}.done"


_SUMMARY = _Names("summary_text", "summary_index", "response.reasoning_summary_text", "response.reasoning_summary_part")
_RAW = _Names("reasoning_text", "content_index", "response.reasoning_text", "response.content_part")


class CallItem(Item):
    prefix = "fc"
    item, event, field = "function_call", "response.function_call_arguments", "arguments"

    def start(self, event: ev.PartStart) -> bytes:
        super().start(event)
        part: Any = event.part
        added = self._added(type=self.item, status="in_progress", call_id=part.id, name=part.name, **{self.field: ""})
        return added + (self._piece(part.arguments) if part.arguments else b"")

    def delta(self, event: Delta) -> bytes:
        self._made.add(event)
        return self._piece(event.arguments) if isinstance(event, ev.ToolCallDelta) else b""

    def _piece(self, text: str) -> bytes:
        return self._send(f"{self.event}.delta", **self._at(), delta=text)

    def end(self, event: ev.PartEnd) -> bytes:
        super().end(event)
        part: Any = self._parts()[0]
        named = {"name": part.name} if self.field == "arguments" else {}
        return self._send(f"{self.event}.done", **self._at(), **{self.field: part.arguments}, **named)


class CustomCallItem(CallItem):
    prefix = "ctc"
    item, event, field = "custom_tool_call", "response.custom_tool_call_input", "input"


class WholeItem(Item):
    """Written at its end, if it can be said here at all; until then it has no place in the output."""

    prefix = "ig"

    def delta(self, event: Delta) -> bytes:
        self._made.add(event)
        return b""

    def finish(self) -> bytes:
        self.value = self._final()
        if self.value is None:
            return b""
        begun = self.value | ({"status": "in_progress"} if "status" in self.value else {})
        added = self._send("response.output_item.added", output_index=self.place, item=begun)
        return added + self._send("response.output_item.done", output_index=self.place, item=self.value)


def open_item(place: int, part: Part, writer: ItemWriter, send: Send) -> Item:
    if is_content(part):
        return MessageItem(place, part, writer, send)
    if isinstance(part, ReasoningPart):
        return ReasoningItem(place, part, writer, send)
    if isinstance(part, ToolCallPart):
        return (CustomCallItem if part.kind == "custom" else CallItem)(place, part, writer, send)
    return WholeItem(place, part, writer, send)
