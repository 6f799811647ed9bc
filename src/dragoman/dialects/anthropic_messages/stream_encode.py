"""Events -> the stream that a client of this dialect reads.

The order is the vendor's: message_start, then block after block (start, deltas, stop), message_delta, message_stop. Parts
that interleave (parallel tool calls elsewhere) wait until the block before them has ended. The head waits for the next
event, because it carries the usage if that is known by then. Warnings and what cannot be said (a second choice) ride in
`message_delta.dragoman.warnings`; clients of this API are told to ignore fields they do not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dragoman.core import events as ev
from dragoman.core.chat import RefusalPart, Usage, Warning
from dragoman.dialects.anthropic_messages.common import Losses, encode_finish, own
from dragoman.dialects.anthropic_messages.errors import encode_failure
from dragoman.dialects.anthropic_messages.response import message_head, noted
from dragoman.dialects.anthropic_messages.stream_blocks import Block, Delta, frame, open_block
from dragoman.dialects.anthropic_messages.usage import encode_usage
from dragoman.dialects.anthropic_messages.write_blocks import BlockWriter

PartEvent = ev.PartStart | Delta | ev.PartEnd

_EVENT_LEVEL = frozenset({"context_management", "diagnostics"})
"""Late fields that stand beside `delta` in message_delta; the others stand in it."""


class AnthropicStreamEncoder:
    def __init__(self, model: str, now: int) -> None:
        self._model = model
        self._now = now
        self._head = ev.ResponseStart()
        self._headed = False
        self._usage: Usage | None = None
        self._refused = False
        self._losses = Losses()
        self._writer = BlockWriter(self._losses, reply=True)
        self._written = 0
        self._part = -1
        self._block: Block | None = None
        self._waiting: dict[int, list[PartEvent]] = {}

    def encode(self, event: ev.Event) -> bytes:
        return self._HANDLERS[type(event)](self, event)

    # ------------------------------------------------------------------------------------------------------- head and tail
    def _start(self, event: ev.ResponseStart) -> bytes:
        self._head = event
        return b""

    def _report(self, event: ev.UsageReport) -> bytes:
        self._usage = event.usage
        return b""

    def _warning(self, event: Warning) -> bytes:
        self._losses.warnings.append(event)
        return b""

    def _begin(self) -> bytes:
        if self._headed:
            return b""
        self._headed = True
        message = own(self._head.extra) | message_head(self._head.id, self._head.model or self._model, self._now)
        usage = encode_usage(self._usage, self._head.service_tier)
        return frame("message_start", message=message | {"content": [], **encode_finish(None, refused=False), "usage": usage})

    def _end(self, event: ev.ResponseEnd) -> bytes:
        blocks = [self._begin(), self._close(ev.PartEnd(index=self._part)), self._drain(last=True)]
        for other in range(1, len(event.finishes)):
            self._lose(other)
        finish = event.finishes[0] if event.finishes else None
        delta, beside = encode_finish(finish, refused=self._refused), noted(self._losses.warnings)
        for key, value in own(event.extra).items():
            (beside if key in _EVENT_LEVEL else delta)[key] = value
        tail = frame("message_delta", delta=delta, usage=encode_usage(self._usage), **beside)
        return b"".join((*blocks, tail, frame("message_stop")))

    def _failed(self, event: ev.StreamError) -> bytes:
        return encode_failure(event)

    def _lose(self, choice: int) -> None:
        field = f"choices[{choice}]"
        if all(warning.field != field for warning in self._losses.warnings):
            self._losses.drop(field, "an Anthropic message holds one answer")

    # --------------------------------------------------------------------------------------------------------------- parts
    def _part_event(self, event: PartEvent) -> bytes:
        if event.choice:
            self._lose(event.choice)
            return b""
        if self._block is not None and event.index != self._part:
            self._waiting.setdefault(event.index, []).append(event)
            return b""
        written = self._begin() + self._write(event)
        return written if self._block is not None else written + self._drain()

    def _write(self, event: PartEvent) -> bytes:
        if isinstance(event, ev.PartStart):
            self._part = event.index
            self._refused = self._refused or isinstance(event.part, RefusalPart)
            self._block = open_block(self._written, event.part, self._writer)
            return self._block.start()
        if isinstance(event, ev.PartEnd):
            return self._close(event)
        if self._block is None:
            raise ValueError(f"part {event.index} has a {type(event).__name__} but no PartStart")
        return self._block.delta(event)

    def _close(self, event: ev.PartEnd) -> bytes:
        block, self._block = self._block, None
        if block is None:
            return b""
        written = block.end(event)
        self._written += block.written
        return written

    def _drain(self, *, last: bool = False) -> bytes:
        """Write the parts that waited, each as far as it has come; at the end of the stream they end with it."""
        out: list[bytes] = []
        while self._waiting and self._block is None:
            part = next(iter(self._waiting))
            out.extend(self._write(event) for event in self._waiting.pop(part))
            if last:
                out.append(self._close(ev.PartEnd(index=part)))
        return b"".join(out)

    _HANDLERS: ClassVar[dict[type, Callable[[AnthropicStreamEncoder, Any], bytes]]] = {
        ev.ResponseStart: _start,
        ev.PartStart: _part_event,
        ev.TextDelta: _part_event,
        ev.ReasoningDelta: _part_event,
        ev.ToolCallDelta: _part_event,
        ev.MediaDelta: _part_event,
        ev.PartEnd: _part_event,
        ev.UsageReport: _report,
        Warning: _warning,
        ev.ResponseEnd: _end,
        ev.StreamError: _failed,
    }
