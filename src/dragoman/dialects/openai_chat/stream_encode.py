"""Events -> a stream of chunks (downstream half), for OpenAI clients and those of LiteLLM.

The common event, a piece of text, is one JSON string between two prepared byte strings. A choice's finish chunk comes with
ResponseEnd, then the usage chunk if the client asked for it, then [DONE]. A StreamError writes nothing: `encode_stream_error`
ends a stream that broke, and without [DONE].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    Extra,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Usage,
)
from dragoman.core.sse import DONE
from dragoman.dialects.openai_chat.message import (
    is_legacy,
    shifted,
    write_audio,
    write_call,
    write_image,
    write_opaque,
    write_signature,
)
from dragoman.dialects.openai_chat.reasoning import write_block, write_detail
from dragoman.dialects.openai_chat.usage import encode_usage
from dragoman.dialects.openai_chat.wire import extra, finish_word, own, said, write_citation, write_tokens

_encode = json.encode


class _Choice:
    """What is known of a choice that is being written. `before` is how many characters of text were written in it."""

    __slots__ = ("before", "calls", "images", "legacy", "parts", "prefix", "reasoning", "starts", "text_prefix")

    def __init__(self, head: bytes, index: int) -> None:
        self.prefix = b'%b"choices":[{"index":%d,"delta":' % (head, index)
        self.text_prefix = self.prefix + b'{"content":'
        self.parts: dict[int, Any] = {}
        self.reasoning: dict[int, list[str]] = {}
        self.starts: dict[int, int] = {}
        self.calls: dict[int, int] = {}
        self.legacy = False
        self.images = 0
        self.before = 0


_SUFFIX = b',"logprobs":null,"finish_reason":null}]}\n\n'
_TEXT_SUFFIX = b"}" + _SUFFIX


class ChatStreamEncoder:
    """See `dialects.base.StreamEncoder`."""

    def __init__(self, request: ChatRequest, *, now: int) -> None:
        self._count = request.n or 1
        self._include_usage = bool(request.include_usage)
        self._now = now
        self._head = b""
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}

    def encode(self, event: ev.Event) -> bytes:
        if type(event) is ev.TextDelta and event.logprobs is None:
            choice = self._choices.get(event.choice)
            if choice is not None and type(choice.parts[event.index]) is TextPart:
                choice.before += len(event.text)
                return choice.text_prefix + _encode(event.text) + _TEXT_SUFFIX
        handler = self._HANDLERS.get(type(event))
        return handler(self, event) if handler else b""

    # ---------------------------------------------------------------------------------------------------------- chunks
    def _on_start(self, event: ev.ResponseStart) -> bytes:
        beyond = own(event.extra)
        head: dict[str, Any] = {
            "id": event.id,
            "object": "chat.completion.chunk",
            "created": self._now if event.created is None else event.created,
            "model": event.model,
            "system_fingerprint": event.system_fingerprint,
        }
        if event.service_tier is not None:
            head["service_tier"] = event.service_tier
        self._head = b"data: " + _encode(head)[:-1] + b","
        for index in range(self._count):
            self._choices[index] = _Choice(self._head, index)
        roles = [self._role(index, beyond if index == 0 else {}) for index in range(self._count)]
        return b"".join(roles)

    def _role(self, index: int, beyond: dict[str, Any]) -> bytes:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return self._head + _encode({"choices": [choice]} | beyond)[1:] + b"\n\n"

    def _choice(self, index: int) -> tuple[_Choice, bytes]:
        """The choice, and its role chunk if it was not expected."""
        choice = self._choices.get(index)
        if choice is not None:
            return choice, b""
        choice = self._choices[index] = _Choice(self._head, index)
        return choice, self._role(index, {})

    def _delta(self, choice: _Choice, delta: dict[str, Any], logprobs: dict[str, Any] | None = None) -> bytes:
        if logprobs is None:
            return choice.prefix + _encode(delta) + _SUFFIX
        return b'%b%b,"logprobs":%b,"finish_reason":null}]}\n\n' % (choice.prefix, _encode(delta), _encode(logprobs))

    # ----------------------------------------------------------------------------------------------------------- parts
    def _on_part_start(self, event: ev.PartStart) -> bytes:
        choice, before = self._choice(event.choice)
        choice.parts[event.index] = event.part
        opened = _OPENERS[type(event.part)](choice, event.index, event.part)
        return before + (self._delta(choice, opened) if opened else b"")

    def _on_text(self, event: ev.TextDelta) -> bytes:
        choice, _ = self._choice(event.choice)
        refusal = isinstance(choice.parts[event.index], RefusalPart)
        if not refusal:
            choice.before += len(event.text)
        field = "refusal" if refusal else "content"
        return self._delta(choice, {field: event.text}, _logprobs(field, event.logprobs))

    def _on_reasoning(self, event: ev.ReasoningDelta) -> bytes:
        choice, _ = self._choice(event.choice)
        choice.reasoning[event.index].append(event.text)
        return self._delta(choice, {"reasoning_content": event.text}, _logprobs("reasoning_content", event.logprobs))

    def _on_arguments(self, event: ev.ToolCallDelta) -> bytes:
        choice, _ = self._choice(event.choice)
        call: ToolCallPart = choice.parts[event.index]
        logprobs = _logprobs("content", event.logprobs)
        if is_legacy(call):
            return self._delta(choice, {"function_call": {"arguments": event.arguments}}, logprobs)
        field, inner = ("custom", "input") if call.kind == "custom" else ("function", "arguments")
        piece = {"index": choice.calls[event.index], field: {inner: event.arguments}}
        return self._delta(choice, {"tool_calls": [piece]}, logprobs)

    def _on_media(self, event: ev.MediaDelta) -> bytes:
        choice, _ = self._choice(event.choice)
        held = {"data": event.data or None, "transcript": event.transcript or None}
        return self._delta(choice, {"audio": said(held)})

    def _on_part_end(self, event: ev.PartEnd) -> bytes:
        choice, _ = self._choice(event.choice)
        delta = _CLOSERS.get(type(choice.parts[event.index]), _close_nothing)(choice, event)
        return self._delta(choice, delta) if delta else b""

    # ---------------------------------------------------------------------------------------------------------- the end
    def _on_usage(self, event: ev.UsageReport) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: ev.ResponseEnd) -> bytes:
        beyond = own(event.extra)
        chunks: list[bytes] = []
        for index, end in enumerate(event.finishes):
            choice, before = self._choice(index)
            held: Extra = event.choice_extra[index] if index < len(event.choice_extra) else {}
            fields = dict(own(held))
            last: dict[str, Any] = {"index": index, "delta": fields.pop("message", {}), "logprobs": None}
            last["finish_reason"] = finish_word(end, legacy=choice.legacy) or "stop"
            if end.stop_sequence is not None:
                last["stop_reason"] = end.stop_sequence
            chunk = {"choices": [last | fields]} | (beyond if index == 0 else {})
            chunks += (before, self._whole(chunk))
        if self._include_usage and self._usage is not None:
            chunks.append(self._whole({"choices": [], "usage": encode_usage(self._usage)}))
        return b"".join([*chunks, DONE])

    def _whole(self, fields: dict[str, Any]) -> bytes:
        return self._head + _encode(fields)[1:] + b"\n\n"

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        ev.ResponseStart: _on_start,
        ev.PartStart: _on_part_start,
        ev.TextDelta: _on_text,
        ev.ReasoningDelta: _on_reasoning,
        ev.ToolCallDelta: _on_arguments,
        ev.MediaDelta: _on_media,
        ev.PartEnd: _on_part_end,
        ev.UsageReport: _on_usage,
        ev.ResponseEnd: _on_end,
    }
    """Warning and StreamError have no bytes here."""


def _logprobs(field: str, tokens: tuple[TokenLogprob, ...] | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {"content": None, "refusal": None} | {field: write_tokens(tokens)}


# ------------------------------------------------------------------------------------------------------ how parts begin
def _open_text(choice: _Choice, index: int, part: TextPart) -> dict[str, Any]:
    choice.starts[index] = choice.before
    choice.before += len(part.text)
    return {"content": part.text} if part.text else {}


def _open_refusal(_: _Choice, __: int, part: RefusalPart) -> dict[str, Any]:
    return {"refusal": part.text} if part.text else {}


def _open_reasoning(choice: _Choice, index: int, part: ReasoningPart) -> dict[str, Any]:
    choice.reasoning[index] = [part.text] if part.text else []
    if part.redacted is None:
        return {"reasoning_content": part.text} if part.text else {}
    if "detail" in own(part.extra):
        return {"reasoning_details": [write_detail(part)]}
    return {"thinking_blocks": [write_block(part)]}


def _open_call(choice: _Choice, index: int, part: ToolCallPart) -> dict[str, Any]:
    if is_legacy(part):
        choice.legacy = True
        return {"function_call": {"name": part.name, "arguments": part.arguments}}
    choice.calls[index] = len(choice.calls)
    return {"tool_calls": [{"index": choice.calls[index]} | write_call(part)]}


def _open_media(choice: _Choice, _: int, part: MediaPart) -> dict[str, Any]:
    if part.kind == "audio":
        return {"audio": write_audio(part)}
    choice.images += 1
    return {"images": [write_image(part, choice.images - 1)]}


def _open_opaque(_: _Choice, __: int, part: OpaquePart) -> dict[str, Any]:
    return {"provider_specific_fields": {"opaque_parts": [write_opaque(part)]}}


_OPENERS: dict[type, Callable[[_Choice, int, Any], dict[str, Any]]] = {
    TextPart: _open_text,
    RefusalPart: _open_refusal,
    ReasoningPart: _open_reasoning,
    ToolCallPart: _open_call,
    MediaPart: _open_media,
    OpaquePart: _open_opaque,
}


# -------------------------------------------------------------------------------------------------------- how parts end
def _close_nothing(_: _Choice, __: ev.PartEnd) -> dict[str, Any]:
    return {}


def _close_text(choice: _Choice, end: ev.PartEnd) -> dict[str, Any]:
    part: TextPart = choice.parts[end.index]
    offset = choice.starts[end.index]
    citations = [shifted(citation, offset) for citation in (*part.citations, *end.citations)]
    signature = end.signature or part.signature
    fields: dict[str, Any] = {"annotations": [write_citation(citation) for citation in citations]} if citations else {}
    return fields | ({"extra_content": write_signature(signature)} if signature else {})


def _close_reasoning(choice: _Choice, end: ev.PartEnd) -> dict[str, Any]:
    """The whole block again, with what proves it: pieces of a signed block are of no use to who must send it back."""
    begun: ReasoningPart = choice.parts[end.index]
    if begun.redacted is not None:
        return {}
    known, late = own(begun.extra), own(end.extra)
    signature = end.signature or begun.signature
    text = "".join(choice.reasoning[end.index])
    part = ReasoningPart(text=text, signature=signature, extra=extra({**known, **late}))
    if "detail" in known or "detail" in late:
        return {"reasoning_details": [write_detail(part)]}
    return {"thinking_blocks": [write_block(part)]} if signature else {}


def _close_call(choice: _Choice, end: ev.PartEnd) -> dict[str, Any]:
    if not end.signature or end.index not in choice.calls:
        return {}
    return {"tool_calls": [{"index": choice.calls[end.index], "extra_content": write_signature(end.signature)}]}


def _close_media(_: _Choice, end: ev.PartEnd) -> dict[str, Any]:
    late = own(end.extra)
    return {"audio": late} if late else {}


_CLOSERS: dict[type, Callable[[_Choice, ev.PartEnd], dict[str, Any]]] = {
    TextPart: _close_text,
    ReasoningPart: _close_reasoning,
    ToolCallPart: _close_call,
    MediaPart: _close_media,
}
