"""ConverseStream's binary event stream -> events. Bytes may be cut anywhere; nonsense ends in a StreamError, no exception.

Only tools are announced: a text or a thought begins with its first delta. What only this dialect knows (a server tool's call
and result) is gathered and comes whole at its end. The usage comes after the stop reason, so the answer ends with it, or,
should it get lost, with the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.aws_eventstream import EventStreamDecoder, Message
from dragoman.core.chat import Part, ReasoningPart, TextPart, ToolCallPart, Warning
from dragoman.dialects.anthropic_messages.common import parse_arguments, raw_arguments
from dragoman.dialects.bedrock_converse.common import JSON_TOOL, NAME, Body, decode_finish
from dragoman.dialects.bedrock_converse.errors import stream_error
from dragoman.dialects.bedrock_converse.response import (
    UNREADABLE,
    decode_block,
    decode_citation,
    decode_usage,
    only_json_answer,
)

_REPORTED = frozenset({"exception", "error"})


class _Block:
    """An open block: the part it builds, or, without one, the `value` that is gathered under `kind`."""

    __slots__ = ("citations", "index", "kind", "length", "part", "pieces", "signature", "value")

    def __init__(self, index: int, part: Part | None = None, kind: str = "", value: Body | None = None) -> None:
        self.index = index
        self.part = part
        self.kind = kind
        self.value: Body = dict(value or {})
        self.length = 0
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.citations: list[Body] = []


class ConverseStreamDecoder:
    def __init__(self) -> None:
        self._frames = EventStreamDecoder()
        self._begun = False
        self._over = False
        self._started = 0
        self._blocks: dict[int, _Block] = {}
        self._called: list[str | None] = []
        self._native: str | None = None
        self._end_extra: Body = {}
        self._unknown: set[str] = set()

    def feed(self, chunk: bytes) -> list[ev.Event]:
        return [] if self._over else self._run(self._frames.feed, chunk)

    def close(self) -> list[ev.Event]:
        """A stop reason means that the answer is whole, even if the usage behind it got lost."""
        if self._over:
            return []
        out: list[ev.Event] = []
        if self._native is None:
            out.append(self._broken("the stream ended before the message was complete"))
        else:
            self._end(out)
        return out

    def _run(self, read: Callable[[bytes], Iterable[Message]], chunk: bytes) -> list[ev.Event]:
        out: list[ev.Event] = []
        try:
            for message in read(chunk):
                if not self._over:
                    self._take(message, out)
        except (*UNREADABLE, ValueError) as error:  # EventStreamError is a ValueError
            out.append(self._broken(f"an event of the stream makes no sense: {error!r}"))
        return out

    def _take(self, message: Message, out: list[ev.Event]) -> None:
        if message.header(":message-type") in _REPORTED:
            self._over = True
            out.append(stream_error(message))
            return
        kind = message.header(":event-type") or ""
        handler = self._EVENTS.get(kind)
        if handler is None:
            self._warn_once(kind, "an event of a kind that is not known here was left out", out)
            return
        handler(self, json.decode(message.payload), out)

    def _broken(self, message: str) -> ev.StreamError:
        self._over = True
        return ev.StreamError(message=message, broken=True)

    def _warn_once(self, field: str, message: str, out: list[ev.Event]) -> None:
        if field not in self._unknown:
            self._unknown.add(field)
            self._begin({}, out)
            out.append(Warning(field=field, message=message))

    def _open(self, place: int, out: list[ev.Event], part: Part | None = None, kind: str = "", value: Any = None) -> _Block:
        self._begin({}, out)
        block = self._blocks[place] = _Block(self._started, part, kind, value)
        self._started += 1
        if part is not None:
            out.append(ev.PartStart(index=block.index, part=part))
        return block

    # ------------------------------------------------------------------------------------------------------------ events
    def _begin(self, _: Body, out: list[ev.Event]) -> None:
        if not self._begun:
            self._begun = True
            out.append(ev.ResponseStart())

    def _block_start(self, event: Body, out: list[ev.Event]) -> None:
        kind, value = next(iter(event["start"].items()))
        part: Part | None = None
        if kind == "toolUse" and value.get("type") != "server_tool_use":
            self._called.append(value["name"])
            ours = value["name"] == JSON_TOOL
            part = TextPart(text="") if ours else ToolCallPart(id=value["toolUseId"], name=value["name"], arguments="")
        self._open(event["contentBlockIndex"], out, part, kind, value)

    def _block_delta(self, event: Body, out: list[ev.Event]) -> None:
        kind, value = next(iter(event["delta"].items()))
        handler = self._DELTAS.get(kind)
        if handler is None:
            self._warn_once(f"delta.{kind}", "a delta of a kind that is not known here was left out", out)
            return
        handler(self, event["contentBlockIndex"], value, out)

    def _block_stop(self, event: Body, out: list[ev.Event]) -> None:
        block = self._blocks.pop(event["contentBlockIndex"], None)
        if block is not None:
            _end_block(block, out)

    def _message_stop(self, event: Body, _: list[ev.Event]) -> None:
        self._native = event["stopReason"]
        if event.get("additionalModelResponseFields") is not None:
            self._end_extra["additionalModelResponseFields"] = event["additionalModelResponseFields"]

    def _metadata(self, event: Body, out: list[ev.Event]) -> None:
        self._begin({}, out)
        self._end_extra |= {key: value for key, value in event.items() if key not in ("usage", "p") and value is not None}
        if event.get("usage"):
            out.append(ev.UsageReport(usage=decode_usage(event["usage"])))
        if self._native is not None:
            self._end(out)

    def _end(self, out: list[ev.Event]) -> None:
        self._begin({}, out)
        self._over = True
        for block in self._blocks.values():
            _end_block(block, out)
        finish = decode_finish(self._native, json_answer=only_json_answer(self._called))
        out.append(ev.ResponseEnd(finishes=(finish,), extra={NAME: self._end_extra} if self._end_extra else {}))

    _EVENTS: ClassVar[dict[str, Callable[[ConverseStreamDecoder, Body, list[ev.Event]], None]]] = {
        "messageStart": _begin,
        "contentBlockStart": _block_start,
        "contentBlockDelta": _block_delta,
        "contentBlockStop": _block_stop,
        "messageStop": _message_stop,
        "metadata": _metadata,
    }

    # ------------------------------------------------------------------------------------------------------------ deltas
    def _text(self, place: int, text: str, out: list[ev.Event]) -> None:
        if not text:
            return
        block = self._blocks.get(place) or self._open(place, out, TextPart(text=""))
        block.length += len(text)
        out.append(ev.TextDelta(index=block.index, text=text))

    def _citation(self, place: int, native: Body, out: list[ev.Event]) -> None:
        block = self._blocks.get(place) or self._open(place, out, TextPart(text=""))
        block.citations.append(native)

    def _reasoning(self, place: int, value: Body, out: list[ev.Event]) -> None:
        block = self._blocks.get(place)
        if "redactedContent" in value:
            block = block or self._open(place, out, kind="reasoningContent")
            block.pieces.append(value["redactedContent"])
            return
        block = block or self._open(place, out, ReasoningPart())
        if value.get("signature"):
            block.signature = value["signature"]
        if value.get("text"):
            out.append(ev.ReasoningDelta(index=block.index, text=value["text"]))

    def _tool_use(self, place: int, value: Body, out: list[ev.Event]) -> None:
        block, piece = self._blocks[place], value.get("input") or ""
        if not piece:
            return
        block.length += len(piece)
        if isinstance(block.part, ToolCallPart):
            out.append(ev.ToolCallDelta(index=block.index, arguments=piece))
        elif isinstance(block.part, TextPart):
            out.append(ev.TextDelta(index=block.index, text=piece))
        else:
            block.pieces.append(piece)

    def _tool_result(self, place: int, items: list[Body], _: list[ev.Event]) -> None:
        """Neighbouring texts are one text in pieces."""
        content = self._blocks[place].value.setdefault("content", [])
        for item in items:
            if "text" in item and content and "text" in content[-1]:
                content[-1] = {"text": content[-1]["text"] + item["text"]}
            else:
                content.append(item)

    def _image(self, place: int, value: Body, _: list[ev.Event]) -> None:
        self._blocks[place].value |= value

    _DELTAS: ClassVar[dict[str, Callable[[ConverseStreamDecoder, int, Any, list[ev.Event]], None]]] = {
        "text": _text,
        "citation": _citation,
        "reasoningContent": _reasoning,
        "toolUse": _tool_use,
        "toolResult": _tool_result,
        "image": _image,
    }


def _end_block(block: _Block, out: list[ev.Event]) -> None:
    """What is only known at the end of a block: arguments that never came, citations, the whole of what was gathered."""
    if block.part is None:
        out.append(ev.PartStart(index=block.index, part=decode_block({block.kind: _gathered(block)})))
    elif block.kind == "toolUse" and not block.length:
        none = "{}"
        is_call = isinstance(block.part, ToolCallPart)
        out.append(
            ev.ToolCallDelta(index=block.index, arguments=none) if is_call else ev.TextDelta(index=block.index, text=none)
        )
    citations = tuple(decode_citation(native, block.length) for native in block.citations)
    out.append(ev.PartEnd(index=block.index, signature=block.signature, citations=citations))


def _gathered(block: _Block) -> Body:
    text = "".join(block.pieces)
    if block.kind == "reasoningContent":
        return {"redactedContent": text}
    if block.kind == "toolUse":
        parsed = parse_arguments(text)
        return block.value | {"input": raw_arguments(text) if parsed is None else parsed}
    return block.value
