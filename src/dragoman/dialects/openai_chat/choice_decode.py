"""The deltas of one choice of a stream -> events. Called by `stream_decode`, which owns the stream as a whole.

A *flow* is a part that grows (text, refusal, one kind of reasoning): one is open at a time, the next closes it. Tool calls
lie beside it and stay open. The common chunk, one piece of text, takes the first branch of `add` and makes one event.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Citation, Extra, Finish, MediaPart, Part, ReasoningPart, RefusalPart, TextPart, TokenLogprob
from dragoman.core.events import Event, MediaDelta, PartEnd, PartStart, ReasoningDelta, TextDelta
from dragoman.dialects.openai_chat.call_decode import CallsDecoder
from dragoman.dialects.openai_chat.chunk import Choice, Delta
from dragoman.dialects.openai_chat.message import google_signature, read_image, take_opaque
from dragoman.dialects.openai_chat.reasoning import plain, read_block, read_detail
from dragoman.dialects.openai_chat.response_decode import content_parts
from dragoman.dialects.openai_chat.wire import extra, finish, is_special_token, own, read_citations, read_tokens

_TEXT, _REFUSAL, _REASONING = "text", "refusal", "reasoning"


class ChoiceDecoder:
    """State of one choice. `finished`: a finish reason was seen."""

    def __init__(self, index: int, origin: str) -> None:
        self.finished = False
        self._choice = index
        self._next = 0
        self._flow: Any = None
        self._flow_index = 0
        self._flow_text: list[str] = []
        self._flow_end: dict[str, Any] = {}
        self._calls = CallsDecoder(index, origin)
        self._audio: int | None = None
        self._audio_extra: dict[str, Any] = {}
        self._native: Any = None
        self._stop_reason: Any = None
        self._citations: list[Citation] = []
        self._extra: dict[str, Any] = {}
        self._message: dict[str, Any] = {}

    def add(self, choice: Choice, events: list[Event]) -> None:
        delta = choice.delta
        if delta is not None:
            tokens = choice.logprobs
            if delta.reasoning_content or delta.reasoning or delta.reasoning_details or delta.thinking_blocks:
                self._reasoning(delta, events, _tokens(tokens, "reasoning_content"))
            content = delta.content
            if content:
                if type(content) is not str:
                    self._list(content, events)
                elif choice.finish_reason != "eos_token" or not is_special_token(content):
                    if self._flow != _TEXT:
                        self._open(_TEXT, TextPart(text=""), events)
                    found = None if tokens is None else _tokens(tokens, "content")
                    events.append(TextDelta(index=self._flow_index, text=content, choice=self._choice, logprobs=found))
            elif tokens is not None and self._flow == _TEXT and (found := _tokens(tokens, "content")):
                events.append(TextDelta(index=self._flow_index, text="", choice=self._choice, logprobs=found))
            if delta.tool_calls or delta.function_call is not None:
                self._tools(delta, events, _tokens(tokens, "content"))
            if delta.refusal or delta.annotations or delta.images or delta.audio or delta.provider_specific_fields:
                self._rare(delta, events, _tokens(tokens, "refusal"))
            if delta.extra_content is not None:
                self._signed(delta.extra_content)
        if choice.finish_reason:
            self.finished = True
            self._native = self._native or choice.finish_reason
            self._stop_reason = choice.stop_reason

    # ------------------------------------------------------------------------------------------------------------- flows
    def _open(self, flow: Any, part: Part, events: list[Event]) -> None:
        self._shut(events)
        self._flow, self._flow_index = flow, self._place()
        events.append(PartStart(index=self._flow_index, part=part, choice=self._choice))

    def _place(self) -> int:
        self._next += 1
        return self._next - 1

    def _shut(self, events: list[Event]) -> None:
        if self._flow is not None:
            events.append(PartEnd(index=self._flow_index, choice=self._choice, **self._flow_end))
            self._flow, self._flow_text, self._flow_end = None, [], {}

    def _whole(self, part: Part, events: list[Event]) -> None:
        """A part that came at once."""
        self._shut(events)
        index = self._place()
        events.append(PartStart(index=index, part=part, choice=self._choice))
        events.append(PartEnd(index=index, choice=self._choice))

    # --------------------------------------------------------------------------------------------------------- reasoning
    def _reasoning(self, delta: Delta, events: list[Event], tokens: tuple[TokenLogprob, ...] | None) -> None:
        """The same thoughts in several spellings are one thing; see `reasoning.take_reasoning`."""
        told = False
        for item in _dicts(delta.reasoning_details):
            told = self._detail(read_detail(item), events, tokens) or told
        if not told:
            field = "reasoning_content" if delta.reasoning_content else "reasoning"
            text = getattr(delta, field)
            if type(text) is str and text:
                told = True
                self._think(_REASONING, plain("", field), text, events, tokens)
        for item in _dicts(delta.thinking_blocks):
            self._block(read_block(item), events, told=told)

    def _think(
        self, flow: Any, part: ReasoningPart, text: str, events: list[Event], tokens: tuple[TokenLogprob, ...] | None
    ) -> None:
        if self._flow != flow:
            self._open(flow, part, events)
        self._flow_text.append(text)
        events.append(ReasoningDelta(index=self._flow_index, text=text, choice=self._choice, logprobs=tokens))

    def _detail(self, piece: ReasoningPart, events: list[Event], tokens: tuple[TokenLogprob, ...] | None) -> bool:
        """One item of `reasoning_details`; items of one type and index are pieces of one part. True if it held text.

        An item that repeats all of the open reasoning (our own encoder's) adds what it knows and ends it.
        """
        detail = own(piece.extra)["detail"]
        if piece.redacted:
            self._whole(piece, events)
            return False
        flow = (detail.get("type"), detail.get("index"))
        again = self._flow == _REASONING and piece.text != "" and "".join(self._flow_text) == piece.text
        if again:
            self._flow_end = {"extra": piece.extra, "signature": piece.signature}
            self._shut(events)
            return True
        if self._flow != flow:
            self._open(flow, ReasoningPart(extra=piece.extra), events)
        known = own(self._flow_end.get("extra", {})).get("detail", {})
        self._flow_end["extra"] = extra({"detail": known | detail})
        if piece.signature:
            self._flow_end["signature"] = piece.signature
        if piece.text:
            self._think(flow, piece, piece.text, events, tokens)
        return bool(piece.text)

    def _block(self, block: ReasoningPart, events: list[Event], *, told: bool) -> None:
        """A thinking block: pieces beside `reasoning_content` (LiteLLM), or the whole again with its signature (ours)."""
        if block.redacted:
            self._whole(block, events)
            return
        open_here = self._flow == _REASONING
        if block.text and not told and not (open_here and "".join(self._flow_text) == block.text):
            self._think(_REASONING, ReasoningPart(), block.text, events, None)
        elif not open_here and block.signature:
            self._open(_REASONING, ReasoningPart(), events)
        if block.signature:
            self._flow_end["signature"] = block.signature
            self._shut(events)

    def _list(self, content: Any, events: list[Event]) -> None:
        """Mistral's items, or a JSON value where text belongs."""
        for part in content_parts(content):
            if isinstance(part, ReasoningPart):
                self._think((_REASONING, "content"), ReasoningPart(extra=extra({"_field": "content"})), part.text, events, None)
                self._flow_end["extra"] = part.extra
                if part.signature:
                    self._flow_end["signature"] = part.signature
            elif isinstance(part, TextPart):
                if self._flow != _TEXT:
                    self._open(_TEXT, TextPart(text=""), events)
                events.append(TextDelta(index=self._flow_index, text=part.text, choice=self._choice))
            else:
                self._whole(part, events)

    # -------------------------------------------------------------------------------------------------------- the others
    def _tools(self, delta: Delta, events: list[Event], tokens: tuple[TokenLogprob, ...] | None) -> None:
        if delta.tool_calls:
            for call in delta.tool_calls:
                if self._calls.begins(call):
                    self._shut(events)
                self._next = self._calls.add(call, self._next, events, tokens)
        if delta.function_call is not None:
            if delta.function_call.name:
                self._shut(events)
            self._next = self._calls.add_legacy(delta.function_call, self._next, events)

    def _rare(self, delta: Delta, events: list[Event], tokens: tuple[TokenLogprob, ...] | None) -> None:
        if type(delta.refusal) is str and delta.refusal:
            if self._flow != _REFUSAL:
                self._open(_REFUSAL, RefusalPart(text=""), events)
            events.append(TextDelta(index=self._flow_index, text=delta.refusal, choice=self._choice, logprobs=tokens))
        citations, others = read_citations(delta.annotations)
        self._cite(citations, events)
        if others:
            self._message.setdefault("annotations", []).extend(others)
        for image in _dicts(delta.images):
            self._whole(read_image(image), events)
        if type(delta.audio) is dict:
            self._hear(delta.audio, events)
        if type(delta.provider_specific_fields) is dict:
            held = {"provider_specific_fields": delta.provider_specific_fields}
            for part in take_opaque(held):
                self._whole(part, events)
            self._message |= held

    def _cite(self, citations: tuple[Citation, ...], events: list[Event]) -> None:
        """Citations end up on the text that is open; behind calls or reasoning they get a text of their own."""
        if not citations:
            return
        if self._flow != _TEXT:
            self._open(_TEXT, TextPart(text=""), events)
        self._flow_end["citations"] = (*self._flow_end.get("citations", ()), *citations)

    def _hear(self, audio: dict[str, Any], events: list[Event]) -> None:
        held = {key: value for key, value in audio.items() if value}
        if not held:
            return
        call_id, data, transcript = held.pop("id", None), held.pop("data", ""), held.pop("transcript", "")
        if self._audio is None:
            self._shut(events)
            self._audio = self._place()
            events.append(PartStart(index=self._audio, part=MediaPart(kind="audio", id=call_id), choice=self._choice))
        self._audio_extra |= held
        if data or transcript:
            events.append(MediaDelta(index=self._audio, data=data, transcript=transcript, choice=self._choice))

    def _signed(self, extra_content: Any) -> None:
        signature = google_signature({"extra_content": extra_content})
        if signature and self._flow == _TEXT:
            self._flow_end["signature"] = signature
        self._message["extra_content"] = extra_content

    # ------------------------------------------------------------------------------------------------------------ ending
    def keep(self, choice: dict[str, Any], message: dict[str, Any]) -> None:
        """Unknown fields of the choice and of its delta. A stop reason that is text is the stop sequence, and not unknown."""
        if type(choice.get("stop_reason")) is str:
            del choice["stop_reason"]
        self._extra |= choice
        self._message |= message

    def close(self, events: list[Event]) -> None:
        self._shut(events)
        self._calls.close(events)
        if self._audio is not None:
            events.append(PartEnd(index=self._audio, choice=self._choice, extra=extra(self._audio_extra)))

    def finish(self) -> Finish:
        return finish(self._native, has_tool_calls=self._calls.present, stop_reason=self._stop_reason)

    def extra(self) -> Extra:
        return extra(self._extra | ({"message": self._message} if self._message else {}))


def _tokens(logprobs: Any, key: str) -> tuple[TokenLogprob, ...] | None:
    return read_tokens(logprobs.get(key)) if type(logprobs) is dict else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if type(item) is dict] if type(value) is list else []
