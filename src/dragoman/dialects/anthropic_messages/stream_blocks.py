"""One block of a stream that is being written: its start, its deltas, its end. A class for each way a block can grow.

What Anthropic sends piece by piece is sent so; what it has no pieces for (server tools, redacted thinking, media of other
providers, free-text arguments) is held and written whole. Used by the stream encoder, which sees to order and numbers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import MediaPart, Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from dragoman.core.sse import encode_event
from dragoman.dialects.anthropic_messages.common import own
from dragoman.dialects.anthropic_messages.write_blocks import BlockWriter, tool_input

Delta = ev.TextDelta | ev.ReasoningDelta | ev.ToolCallDelta | ev.MediaDelta


def frame(kind: str, **fields: Any) -> bytes:
    return encode_event(json.encode({"type": kind, **fields}), kind)


def piece(index: int, kind: str, field: str, text: str) -> bytes:
    """A content_block_delta with one text in it: the most frequent event, so it is put together by hand."""
    return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":%b}}\n\n' % (
        index,
        kind.encode(),
        field.encode(),
        json.encode(text),
    )


class Block:
    """`index` is the block's number in the message; `written` tells at the end whether it came to be."""

    written = True

    def __init__(self, index: int, part: Any, writer: BlockWriter) -> None:
        self.index = index
        self.part = part
        self.writer = writer

    def start(self) -> bytes:
        return b""

    def delta(self, event: Delta) -> bytes:
        raise ValueError(f"a {type(self.part).__name__} does not grow by {type(event).__name__}")

    def end(self, end: ev.PartEnd) -> bytes:
        return self._signature(end) + frame("content_block_stop", index=self.index)

    def _begin(self, block: dict[str, Any]) -> bytes:
        return frame("content_block_start", index=self.index, content_block=own(getattr(self.part, "extra", {})) | block)

    def _signature(self, end: ev.PartEnd) -> bytes:
        return piece(self.index, "signature_delta", "signature", end.signature) if end.signature is not None else b""


class TextBlock(Block):
    """A text or a refusal. The text is kept, because citations of other providers say only from where to where."""

    def __init__(self, index: int, part: TextPart | RefusalPart, writer: BlockWriter) -> None:
        super().__init__(index, part, writer)
        self.text = [part.text]

    def start(self) -> bytes:
        first = piece(self.index, "text_delta", "text", self.part.text) if self.part.text else b""
        return self._begin({"type": "text", "text": ""}) + first

    def delta(self, event: Delta) -> bytes:
        if not isinstance(event, ev.TextDelta):
            return super().delta(event)
        self.text.append(event.text)
        return piece(self.index, "text_delta", "text", event.text)

    def end(self, end: ev.PartEnd) -> bytes:
        citations = (*getattr(self.part, "citations", ()), *end.citations)
        written = self.writer.citations(citations, "".join(self.text), f"content[{self.index}]") if citations else ()
        frames = [
            frame("content_block_delta", index=self.index, delta={"type": "citations_delta", "citation": cited})
            for cited in written
        ]
        return b"".join(frames) + super().end(end)


class ThinkingBlock(Block):
    def start(self) -> bytes:
        first = piece(self.index, "thinking_delta", "thinking", self.part.text) if self.part.text else b""
        return self._begin({"type": "thinking", "thinking": "", "signature": self.part.signature or ""}) + first

    def delta(self, event: Delta) -> bytes:
        if not isinstance(event, ev.ReasoningDelta):
            return super().delta(event)
        return piece(self.index, "thinking_delta", "thinking", event.text)


class ToolBlock(Block):
    def start(self) -> bytes:
        block = {"type": "tool_use", "id": self.part.id, "name": self.part.name, "input": {}}
        signature = {"signature": self.part.signature} if self.part.signature is not None else {}
        first = self._arguments(self.part.arguments) if self.part.arguments else b""
        return self._begin(block | signature) + first

    def delta(self, event: Delta) -> bytes:
        return self._arguments(event.arguments) if isinstance(event, ev.ToolCallDelta) else super().delta(event)

    def _arguments(self, text: str) -> bytes:
        return piece(self.index, "input_json_delta", "partial_json", text)


class FreeTextToolBlock(ToolBlock):
    """A custom tool's text becomes one JSON object, so it is held until it is complete."""

    def __init__(self, index: int, part: ToolCallPart, writer: BlockWriter) -> None:
        super().__init__(index, msgspec.structs.replace(part, arguments=""), writer)
        self.text = [part.arguments]

    def delta(self, event: Delta) -> bytes:
        if not isinstance(event, ev.ToolCallDelta):
            return super().delta(event)
        self.text.append(event.arguments)
        return b""

    def end(self, end: ev.PartEnd) -> bytes:
        whole = msgspec.structs.replace(self.part, arguments="".join(self.text))
        value = tool_input(whole, f"content[{self.index}]", self.writer.losses, "Anthropic")
        return self._arguments(json.encode(value).decode()) + super().end(end)


class WholeBlock(Block):
    """What comes whole. A server tool's input goes out as a delta, where clients look for it."""

    def __init__(self, index: int, part: Part, writer: BlockWriter) -> None:
        super().__init__(index, part, writer)
        self.data: list[str] = []
        self.transcript: list[str] = []

    def delta(self, event: Delta) -> bytes:
        if not isinstance(event, ev.MediaDelta):
            return super().delta(event)
        self.data.append(event.data)
        self.transcript.append(event.transcript)
        return b""

    def end(self, end: ev.PartEnd) -> bytes:
        block = self.writer.block(self._grown(), f"content[{self.index}]")
        if block is None:
            self.written = False
            return b""
        if block["type"] == "text":
            text, stop = block["text"], super().end(end)
            begin = frame("content_block_start", index=self.index, content_block={"type": "text", "text": ""})
            return begin + piece(self.index, "text_delta", "text", text) + stop
        given = block.get("input")
        if not given:
            return self._begin(block) + super().end(end)
        arguments = piece(self.index, "input_json_delta", "partial_json", json.encode(given).decode())
        return self._begin(block | {"input": {}}) + arguments + super().end(end)

    def _grown(self) -> Part:
        part: Part = self.part
        if not isinstance(part, MediaPart):
            return part
        data, transcript = (part.data or "") + "".join(self.data), (part.transcript or "") + "".join(self.transcript)
        return msgspec.structs.replace(part, data=data or None, transcript=transcript or None)


_CLASSES: dict[type, type[Block]] = {
    TextPart: TextBlock,
    RefusalPart: TextBlock,
    ReasoningPart: ThinkingBlock,
    ToolCallPart: ToolBlock,
}


def open_block(index: int, part: Part, writer: BlockWriter) -> Block:
    if isinstance(part, ReasoningPart) and part.redacted is not None:
        return WholeBlock(index, part, writer)
    if isinstance(part, ToolCallPart) and part.kind == "custom":
        return FreeTextToolBlock(index, part, writer)
    return _CLASSES.get(type(part), WholeBlock)(index, part, writer)
