"""A provider's stream -> events. Bytes may be cut anywhere; nonsense ends in a StreamError, never in an exception.

Blocks come one after the other. Their parts keep the order of the blocks; a block that only this dialect knows is
gathered and comes whole at its end. Event kinds and delta kinds of a later API version become a Warning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import Finish, OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, Warning
from dragoman.core.sse import ServerSentEvent, SSEDecoder
from dragoman.dialects.anthropic_messages.common import NAME, decode_finish, parse_arguments, raw_arguments
from dragoman.dialects.anthropic_messages.errors import reported
from dragoman.dialects.anthropic_messages.fields import UNREADABLE, FieldError, Fields
from dragoman.dialects.anthropic_messages.read_blocks import decode_block, decode_citation
from dragoman.dialects.anthropic_messages.response import heard, tier_of
from dragoman.dialects.anthropic_messages.usage import decode_usage, merge


class _Delta(Struct):
    """The fields of all frequent deltas; the rest is read from the bytes again when it is needed."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None


class _Frame(Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None


_decode_frame = msgspec.json.Decoder(_Frame).decode


class _Block:
    """An open block: the part it builds, and what is only known at its end."""

    __slots__ = ("citations", "index", "length", "part", "pieces", "signature")

    def __init__(self, index: int, part: Part) -> None:
        self.index = index
        self.part = part
        self.length = 0
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.citations: list[Any] = []


class AnthropicStreamDecoder:
    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._begun = False
        self._over = False
        self._started = 0
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._finish: Finish | None = None
        self._end_extra: dict[str, Any] = {}
        self._unknown: set[str] = set()

    def feed(self, chunk: bytes) -> list[ev.Event]:
        return [] if self._over else self._run(self._sse.feed, chunk)

    def close(self) -> list[ev.Event]:
        """A stop reason means that the answer is whole, even if the mark of the end itself got lost or was cut."""
        unread = self._finish is None and not self._over
        out = self._run(lambda _: self._sse.flush(), b"") if unread else []
        return out + self._last()

    def _last(self) -> list[ev.Event]:
        out: list[ev.Event] = []
        if self._finish is not None and not self._over:
            self._stop(_Frame(), b"", out)
        elif not self._over:
            out.append(self._broken("the stream ended before the message was complete"))
        return out

    def _run(self, read: Callable[[bytes], list[ServerSentEvent]], chunk: bytes) -> list[ev.Event]:
        out: list[ev.Event] = []
        try:
            for event in read(chunk):
                if not self._over:
                    self._take(event, out)
        except (*UNREADABLE, ValueError) as error:  # FieldError and SSETooLargeError are ValueErrors
            out.append(self._broken(f"an event of the stream makes no sense: {error}"))
        return out

    def _take(self, event: ServerSentEvent, out: list[ev.Event]) -> None:
        data = event.data
        if not data or data == b"[DONE]":
            return
        frame = _decode_frame(data)
        handler = self._FRAMES.get(frame.type or event.event)
        if handler is None:
            self._warn_once(frame.type or event.event, "an event of a kind that is not known here was left out", out)
            return
        handler(self, frame, data, out)

    def _broken(self, message: str) -> ev.StreamError:
        self._over = True
        return ev.StreamError(message=message, broken=True)

    def _warn_once(self, field: str, message: str, out: list[ev.Event]) -> None:
        if field not in self._unknown:
            self._unknown.add(field)
            self._begin(out)
            out.append(Warning(field=field, message=message))

    def _begin(self, out: list[ev.Event]) -> None:
        if not self._begun:
            self._begun = True
            out.append(ev.ResponseStart())

    def _report(self, usage: Any, out: list[ev.Event]) -> None:
        if usage is not None:
            merge(self._usage, usage)
            out.append(ev.UsageReport(usage=decode_usage(self._usage)))

    # ------------------------------------------------------------------------------------------------------------ frames
    def _message_start(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        message = Fields(json.decode(data).get("message"), "message")
        usage = message.take("usage", "an object")
        id_, model = message.take("id", "a string"), message.take("model", "a string")
        for known in ("type", "role", "content", "stop_reason", "stop_sequence"):
            message.values.pop(known, None)
        if not self._begun:
            self._begun = True
            out.append(ev.ResponseStart(id=id_ or "", model=model or "", service_tier=tier_of(usage), extra=message.extra()))
        self._report(usage, out)

    def _block_start(self, frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._begin(out)
        part = decode_block(json.decode(data).get("content_block"), f"content[{frame.index}]")
        block = self._blocks[frame.index] = _Block(self._started, part)
        self._started += 1
        index = block.index
        if isinstance(part, TextPart):
            block.citations = [citation.extra[NAME] for citation in part.citations]
            out.append(ev.PartStart(index=index, part=msgspec.structs.replace(part, text="", citations=())))
            if part.text:
                block.length = len(part.text)
                out.append(ev.TextDelta(index=index, text=part.text))
        elif isinstance(part, ToolCallPart):
            out.append(ev.PartStart(index=index, part=msgspec.structs.replace(part, arguments="")))
        elif isinstance(part, ReasoningPart) and part.text:
            out.append(ev.PartStart(index=index, part=msgspec.structs.replace(part, text="")))
            out.append(ev.ReasoningDelta(index=index, text=part.text))
        elif not isinstance(part, OpaquePart):
            out.append(ev.PartStart(index=index, part=part))

    def _block_delta(self, frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        block, delta = self._blocks.get(frame.index), frame.delta
        if block is None or delta is None:
            raise FieldError(
                f"content[{frame.index}]", "an open block and its delta", "neither" if block is None else "no delta"
            )
        if type(block.part) is OpaquePart:
            self._gather(block, json.decode(data)["delta"])
            return
        handler = _DELTAS.get((type(block.part), delta.type))
        if handler is None:
            self._warn_once(
                f"content[{block.index}].{delta.type}", "a delta of a kind that does not fit here was left out", out
            )
            return
        handler(block, delta, data, out)

    def _gather(self, block: _Block, delta: dict[str, Any]) -> None:
        """A delta of an opaque block: JSON text of its input, else fields that are appended to or replaced."""
        if delta.get("type") == "input_json_delta":
            block.pieces.append(delta.get("partial_json") or "")
            return
        value = dict(_value(block))
        for key, added in delta.items():
            if key != "type":
                held = value.get(key)
                value[key] = held + added if isinstance(held, str) and isinstance(added, str) else added
        block.part = OpaquePart(dialect=NAME, value=value)

    def _block_stop(self, frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        block = self._blocks.pop(frame.index, None)
        if block is not None:
            self._end_part(block, out)

    def _end_part(self, block: _Block, out: list[ev.Event]) -> None:
        part, text = block.part, "".join(block.pieces)
        if isinstance(part, OpaquePart):
            if text:
                parsed = parse_arguments(text)
                part = OpaquePart(
                    dialect=NAME, value={**part.value, "input": raw_arguments(text) if parsed is None else parsed}
                )
            out.append(ev.PartStart(index=block.index, part=part))
        elif isinstance(part, ToolCallPart) and not block.length:
            out.append(ev.ToolCallDelta(index=block.index, arguments=part.arguments))
        citations = tuple(
            decode_citation(value, f"content[{block.index}].citations", block.length) for value in block.citations
        )
        out.append(ev.PartEnd(index=block.index, signature=block.signature, citations=citations))

    def _message_delta(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._begin(out)
        fields = Fields(json.decode(data), "")
        fields.take("type", "a string")
        delta = Fields(fields.take("delta", "an object") or {}, "delta")
        usage = fields.take("usage", "an object")
        native, sequence = delta.take("stop_reason", "a string"), delta.take("stop_sequence", "a string")
        if native is not None:
            self._finish = decode_finish(native, sequence)
        out.extend(heard(fields))
        self._end_extra |= delta.left() | fields.left()
        self._report(usage, out)

    def _stop(self, _frame: _Frame, _data: bytes, out: list[ev.Event]) -> None:
        self._begin(out)
        self._over = True
        for block in self._blocks.values():
            self._end_part(block, out)
        finish = self._finish or Finish(reason="unknown")
        out.append(ev.ResponseEnd(finishes=(finish,), extra={NAME: self._end_extra} if self._end_extra else {}))

    def _error(self, _frame: _Frame, data: bytes, out: list[ev.Event]) -> None:
        self._over = True
        status, detail = reported(json.decode(data))
        out.append(ev.StreamError(message=detail.message, status=status, code=detail.code, error_type=detail.type))

    def _ping(self, _frame: _Frame, _data: bytes, _out: list[ev.Event]) -> None:
        """Says only that the connection lives."""

    _FRAMES: ClassVar[dict[str, Callable[[AnthropicStreamDecoder, _Frame, bytes, list[ev.Event]], None]]] = {
        "content_block_delta": _block_delta,
        "content_block_start": _block_start,
        "content_block_stop": _block_stop,
        "message_start": _message_start,
        "message_delta": _message_delta,
        "message_stop": _stop,
        "ping": _ping,
        "error": _error,
    }


def _value(block: _Block) -> dict[str, Any]:
    return block.part.value if isinstance(block.part, OpaquePart) else {}


# ------------------------------------------------------------------------------------------------------------------ deltas
def _text(block: _Block, delta: _Delta, _data: bytes, out: list[ev.Event]) -> None:
    text = delta.text or ""
    block.length += len(text)
    out.append(ev.TextDelta(index=block.index, text=text))


def _thinking(block: _Block, delta: _Delta, _data: bytes, out: list[ev.Event]) -> None:
    out.append(ev.ReasoningDelta(index=block.index, text=delta.thinking or ""))


def _arguments(block: _Block, delta: _Delta, _data: bytes, out: list[ev.Event]) -> None:
    """The first one is empty by habit of the vendor, and says nothing."""
    if delta.partial_json:
        block.length += len(delta.partial_json)
        out.append(ev.ToolCallDelta(index=block.index, arguments=delta.partial_json))


def _signature(block: _Block, delta: _Delta, _data: bytes, _out: list[ev.Event]) -> None:
    block.signature = delta.signature


def _citation(block: _Block, _delta: _Delta, data: bytes, _out: list[ev.Event]) -> None:
    block.citations.append(json.decode(data)["delta"].get("citation"))


_DELTAS: dict[tuple[type, str], Callable[[_Block, _Delta, bytes, list[ev.Event]], None]] = {
    (TextPart, "text_delta"): _text,
    (TextPart, "citations_delta"): _citation,
    (ReasoningPart, "thinking_delta"): _thinking,
    (ReasoningPart, "signature_delta"): _signature,
    (ToolCallPart, "input_json_delta"): _arguments,
    (ToolCallPart, "signature_delta"): _signature,
    (TextPart, "signature_delta"): _signature,
}
