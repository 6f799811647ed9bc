"""Events -> the stream that a client of this dialect reads: server-sent events, each a whole answer object with a piece in it.

Texts and thoughts go out as they come; a call, a picture or a part of the vendor's own waits until it is complete, because the
wire knows it whole only. The last event says how each candidate ended, the usage, and what got lost (`dragoman.warnings`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import (
    Extra,
    Logprobs,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.core.sse import encode_event
from dragoman.dialects.gemini.common import NAME, Losses, extra_of, own
from dragoman.dialects.gemini.errors import encode_failure
from dragoman.dialects.gemini.grounding import metadata_of
from dragoman.dialects.gemini.logprobs import write_logprobs
from dragoman.dialects.gemini.response import answer_head, ended_candidate, noted
from dragoman.dialects.gemini.usage import encode_usage
from dragoman.dialects.gemini.write_parts import PartWriter

Body = dict[str, Any]


class _Open:
    """A part that has begun: its first state, and the pieces of it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.pieces: list[str] = []
        self.transcript: list[str] = []

    @property
    def flows(self) -> bool:
        """Whether its pieces go out as they come."""
        part = self.part
        return isinstance(part, TextPart | RefusalPart) or (isinstance(part, ReasoningPart) and part.redacted is None)

    def whole(self, end: ev.PartEnd) -> Part:
        part, said = self.part, "".join(self.pieces)
        if isinstance(part, ToolCallPart):
            extra = extra_of(part.extra.get(NAME, {}) | end.extra.get(NAME, {}))
            signature = end.signature or part.signature
            return replace(part, arguments=part.arguments + said, signature=signature, extra=extra)
        if isinstance(part, MediaPart):
            transcript = (part.transcript or "") + "".join(self.transcript)
            return replace(part, data=((part.data or "") + said) or None, transcript=transcript or None)
        return part


class GeminiStreamEncoder:
    def __init__(self, model: str) -> None:
        self._head = answer_head("", model, {})
        self._model = model
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._losses = Losses()
        self._writer = PartWriter(self._losses, reply=True)
        self._open: dict[tuple[int, int], _Open] = {}
        self._cited: dict[int, list[Part]] = {}

    def encode(self, event: ev.Event) -> bytes:
        return self._HANDLERS[type(event)](self, event)

    # ------------------------------------------------------------------------------------------------------- head and tail
    def _start(self, event: ev.ResponseStart) -> bytes:
        self._head = answer_head(event.id, event.model or self._model, event.extra)
        self._tier = event.service_tier
        return b""

    def _report(self, event: ev.UsageReport) -> bytes:
        self._usage = event.usage
        return b""

    def _warning(self, event: Warning) -> bytes:
        self._losses.warnings.append(event)
        return b""

    def _end(self, event: ev.ResponseEnd) -> bytes:
        extras: tuple[Extra, ...] = event.choice_extra or ({},) * len(event.finishes)
        candidates = [
            self._grounding(index) | ended_candidate(index, finish, extras[index])
            for index, finish in enumerate(event.finishes)
        ]
        usage = encode_usage(self._usage or Usage(), self._tier)
        last = own(event.extra) | {"candidates": candidates, "usageMetadata": usage} | self._head
        return encode_event(json.encode(last | noted(self._losses)))

    def _grounding(self, choice: int) -> Body:
        metadata = metadata_of(self._cited.get(choice, ()))
        return {"groundingMetadata": metadata} if metadata else {}

    def _failed(self, event: ev.StreamError) -> bytes:
        return encode_failure(event)

    # --------------------------------------------------------------------------------------------------------------- parts
    def _piece(self, choice: int, part: Body, **beside: Any) -> bytes:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": choice, **beside}
        return encode_event(json.encode({"candidates": [candidate], **self._head}))

    def _part_start(self, event: ev.PartStart) -> bytes:
        part = event.part
        held = self._open[event.choice, event.index] = _Open(part)
        if not held.flows:
            return b""
        written = self._writer.part(part, f"candidates[{event.choice}].content.parts[{event.index}]") or {}
        return self._piece(event.choice, written) if getattr(part, "text", "") or written.keys() - {"text", "thought"} else b""

    def _delta(self, event: ev.TextDelta | ev.ReasoningDelta) -> bytes:
        held = self._held(event)
        held.pieces.append(event.text)
        thought = {"thought": True} if isinstance(held.part, ReasoningPart) else {}
        tokens = write_logprobs(Logprobs(content=event.logprobs)) if event.logprobs else {}
        return self._piece(event.choice, {"text": event.text, **thought}, **tokens)

    def _gather(self, event: ev.ToolCallDelta) -> bytes:
        self._held(event).pieces.append(event.arguments)
        return b""

    def _media(self, event: ev.MediaDelta) -> bytes:
        held = self._held(event)
        held.pieces.append(event.data)
        held.transcript.append(event.transcript)
        return b""

    def _part_end(self, event: ev.PartEnd) -> bytes:
        held = self._held(event)
        del self._open[event.choice, event.index]
        if held.flows:
            return self._flow_end(held, event)
        written = self._writer.part(held.whole(event), f"candidates[{event.choice}].content.parts[{event.index}]")
        return self._piece(event.choice, written) if written is not None else b""

    def _flow_end(self, held: _Open, event: ev.PartEnd) -> bytes:
        """A signature that came late stands on an empty text, as the vendor's own streams have it."""
        part = held.part
        if isinstance(part, TextPart) and event.citations:
            text = part.text + "".join(held.pieces)
            self._cited.setdefault(event.choice, []).append(TextPart(text=text, citations=event.citations))
        if isinstance(part, RefusalPart) or not (event.signature or event.extra):
            return b""
        late = replace(part, text="", signature=event.signature, extra=event.extra)
        written = self._writer.part(late, f"candidates[{event.choice}].content.parts[{event.index}]") or {}
        return self._piece(event.choice, written) if written.keys() - {"text", "thought"} else b""

    def _held(self, event: Any) -> _Open:
        try:
            return self._open[event.choice, event.index]
        except KeyError:
            raise ValueError(f"part {event.index} has a {type(event).__name__} but no PartStart") from None

    _HANDLERS: ClassVar[dict[type, Callable[[GeminiStreamEncoder, Any], bytes]]] = {
        ev.ResponseStart: _start,
        ev.PartStart: _part_start,
        ev.TextDelta: _delta,
        ev.ReasoningDelta: _delta,
        ev.ToolCallDelta: _gather,
        ev.MediaDelta: _media,
        ev.PartEnd: _part_end,
        ev.UsageReport: _report,
        Warning: _warning,
        ev.ResponseEnd: _end,
        ev.StreamError: _failed,
    }
