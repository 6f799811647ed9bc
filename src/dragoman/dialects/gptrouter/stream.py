"""Events -> GPTRouter's stream: `attempt`* `update`* `meta` `generation_source` `end`, then the trailer of the transport.

Clients join the texts of all updates, so these are of the first choice alone; further ones are told as `choice` events, with
an index, which clients that do not know them pass over.

The common event, a piece of text, is one JSON string between two prepared byte strings. A StreamError writes nothing:
`errors.encode_stream_error` ends a stream that broke, and without `end`.
"""

from __future__ import annotations

from collections.abc import Callable
from json import dumps
from typing import Any, ClassVar

from dragoman.core import events as ev
from dragoman.core.chat import MediaPart, ReasoningPart, RefusalPart, TextPart, ToolCallPart, Usage, Warning
from dragoman.dialects.gptrouter.answers import THINKING, Source, finish_word, meta, write_media
from dragoman.dialects.gptrouter.params import Manner
from dragoman.dialects.gptrouter.wire import PREAMBLE, TRAILER, ascii_json, event
from dragoman.dialects.openai_chat.message import is_legacy, write_call
from dragoman.dialects.openai_chat.wire import write_citation, write_tokens

_TEXT_END = b',"finish_reason":null}}\n\n'


class GPTRouterStreamEncoder:
    """See `dialects.base.StreamEncoder`. `source` is asked when the answer has begun; `begun`: the preamble went out before."""

    def __init__(self, source: Callable[[Usage | None], Source], manner: Manner, *, begun: bool = False) -> None:
        self._source = source
        self._manner = manner
        self._begun = begun
        self._start = ev.ResponseStart()
        self._head = b""
        self._text_head = b""
        self._parts: dict[tuple[int, int], Any] = {}
        self._calls: dict[int, list[int]] = {}
        self._whole: list[str] = []
        self._usage: Usage | None = None
        self._warnings: tuple[Warning, ...] = ()

    def encode(self, event: ev.Event) -> bytes:
        if type(event) is ev.TextDelta and not event.choice and event.logprobs is None:
            self._whole.append(event.text)
            return self._text_head + dumps(event.text).encode() + _TEXT_END
        handler = self._HANDLERS.get(type(event))
        return handler(self, event) if handler else b""

    # Updates

    def _update(self, choice: int, data: dict[str, Any]) -> bytes:
        told = {"text": "", "finish_reason": None, **data}
        if choice:
            return event({"id": self._start.id or "", "event": "choice", "data": {**told, "index": choice}})
        return self._head + ascii_json(told) + b"}\n\n"

    def _on_start(self, start: ev.ResponseStart) -> bytes:
        self._start = start
        head = ascii_json({"id": start.id or "", "event": "update"})[:-1]
        self._head = b"data: " + head + b',"data":'
        self._text_head = self._head + b'{"text":'
        failed = [attempt for attempt in self._source(None).attempts if attempt.get("error")]
        events = [event({"event": "attempt", "data": attempt}) for attempt in failed]
        return b"".join([b"" if self._begun else PREAMBLE, *events])

    def _on_part_start(self, start: ev.PartStart) -> bytes:
        part = self._parts[start.choice, start.index] = start.part
        opener = _OPENERS.get(type(part))
        data = opener(self, start.choice, start.index, part) if opener else {}
        return self._update(start.choice, data) if data else b""

    def _on_text(self, delta: ev.TextDelta) -> bytes:
        field = "refusal" if isinstance(self._parts.get((delta.choice, delta.index)), RefusalPart) else "content"
        said = {"text": self._said(delta.text, delta.choice)} | ({"refusal": delta.text} if field == "refusal" else {})
        tokens = {} if delta.logprobs is None else {"logprobs": {field: write_tokens(delta.logprobs)}}
        return self._update(delta.choice, said | tokens)

    def _on_reasoning(self, delta: ev.ReasoningDelta) -> bytes:
        inside = {"text": self._said(delta.text, delta.choice)} if self._manner.thinking_in_text else {}
        return self._update(delta.choice, {**inside, "reasoning": delta.text})

    def _on_arguments(self, delta: ev.ToolCallDelta) -> bytes:
        call: ToolCallPart = self._parts[delta.choice, delta.index]
        if is_legacy(call):
            return self._update(delta.choice, {"function_call": {"arguments": delta.arguments}})
        field, inner = ("custom", "input") if call.kind == "custom" else ("function", "arguments")
        place = self._calls[delta.choice].index(delta.index)
        return self._update(delta.choice, {"tool_calls": [{"index": place, field: {inner: delta.arguments}}]})

    def _on_media(self, delta: ev.MediaDelta) -> bytes:
        told = {key: value for key, value in (("data", delta.data), ("transcript", delta.transcript)) if value}
        return self._update(delta.choice, {"audio": told})

    def _on_part_end(self, end: ev.PartEnd) -> bytes:
        part = self._parts.get((end.choice, end.index))
        if isinstance(part, ReasoningPart) and self._manner.thinking_in_text and part.redacted is None:
            return self._update(end.choice, {"text": self._said(THINKING[1], end.choice)})
        if isinstance(part, TextPart) and (cited := (*part.citations, *end.citations)):
            return self._update(end.choice, {"citations": [write_citation(one)["url_citation"] for one in cited]})
        return b""

    def _said(self, text: str, choice: int) -> str:
        if not choice:
            self._whole.append(text)
        return text

    # The end

    def _on_usage(self, report: ev.UsageReport) -> bytes:
        self._usage = report.usage
        return b""

    def _on_warning(self, warning: Warning) -> bytes:
        self._warnings += (warning,)
        return b""

    def _on_end(self, end: ev.ResponseEnd) -> bytes:
        source = self._source(self._usage)
        model = self._start.model or source.model
        finishes = [self._update(index, {"finish_reason": finish_word(how)}) for index, how in enumerate(end.finishes)]
        told: dict[str, Any] = {"text": "".join(self._whole), "model": model, "provider": source.provider}
        if source.cost is not None:
            told["cost"] = source.cost
        last = (
            event({"event": "meta", "data": {**told, **meta(self._usage, source, self._warnings)}}),
            event({"event": "generation_source", "data": {**source.ids(), "model": source.model, "provider": source.provider}}),
            event({"event": "end", "data": "end"}),
            TRAILER,
        )
        return b"".join((*finishes, *last))

    # How parts begin

    def _open_text(self, choice: int, _: int, part: TextPart) -> dict[str, Any]:
        return {"text": self._said(part.text, choice)} if part.text else {}

    def _open_refusal(self, choice: int, _: int, part: RefusalPart) -> dict[str, Any]:
        return {"text": self._said(part.text, choice), "refusal": part.text} if part.text else {}

    def _open_reasoning(self, choice: int, _: int, part: ReasoningPart) -> dict[str, Any]:
        if part.redacted is not None:
            return {}
        if self._manner.thinking_in_text:
            return {"text": self._said(THINKING[0] + part.text, choice), "reasoning": part.text}
        return {"reasoning": part.text} if part.text else {}

    def _open_call(self, choice: int, index: int, part: ToolCallPart) -> dict[str, Any]:
        if is_legacy(part):
            return {"function_call": {"name": part.name, "arguments": part.arguments}}
        calls = self._calls.setdefault(choice, [])
        calls.append(index)
        return {"tool_calls": [{"index": len(calls) - 1, **write_call(part)}]}

    def _open_media(self, _: int, __: int, part: MediaPart) -> dict[str, Any]:
        return write_media([part])

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        ev.ResponseStart: _on_start,
        ev.PartStart: _on_part_start,
        ev.TextDelta: _on_text,
        ev.ReasoningDelta: _on_reasoning,
        ev.ToolCallDelta: _on_arguments,
        ev.MediaDelta: _on_media,
        ev.PartEnd: _on_part_end,
        ev.UsageReport: _on_usage,
        Warning: _on_warning,
        ev.ResponseEnd: _on_end,
    }
    """A StreamError has no bytes here."""


_OPENERS: dict[type, Callable[[Any, int, int, Any], dict[str, Any]]] = {
    TextPart: GPTRouterStreamEncoder._open_text,  # noqa: SLF001 - a table of its own methods
    RefusalPart: GPTRouterStreamEncoder._open_refusal,  # noqa: SLF001
    ReasoningPart: GPTRouterStreamEncoder._open_reasoning,  # noqa: SLF001
    ToolCallPart: GPTRouterStreamEncoder._open_call,  # noqa: SLF001
    MediaPart: GPTRouterStreamEncoder._open_media,  # noqa: SLF001
}
