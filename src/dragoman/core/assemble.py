"""Events -> ChatResponse: the only accumulator in the house. Pure; used by the SDK, the gateway's cache and the tests.

`Assembly.add` takes events in the order of `core.events`; `response()` may be asked at any time and gives what is known so
far, which is how a partial answer is kept when a stream breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Extra,
    Finish,
    Logprobs,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Usage,
    Warning,
)


class _OpenPart:
    """A part under construction: pieces are collected in lists and joined once."""

    __slots__ = ("data", "end", "part", "text")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.text: list[str] = []
        self.data: list[str] = []
        self.end: ev.PartEnd | None = None

    def finished(self) -> Part:
        part, text = self.part, "".join(self.text)
        changes: dict[str, Any] = {}
        if isinstance(part, TextPart | RefusalPart | ReasoningPart):
            changes["text"] = part.text + text
        elif isinstance(part, ToolCallPart):
            changes["arguments"] = part.arguments + text
        elif isinstance(part, MediaPart):
            if self.data:
                changes["data"] = (part.data or "") + "".join(self.data)
            if text:
                changes["transcript"] = (part.transcript or "") + text
        if self.end is not None:
            if self.end.signature is not None:
                changes["signature"] = self.end.signature
            if self.end.citations and isinstance(part, TextPart):
                changes["citations"] = (*part.citations, *self.end.citations)
            if self.end.extra:
                changes["extra"] = _merged(getattr(part, "extra", {}), self.end.extra)
        return msgspec.structs.replace(part, **changes) if changes else part


class _OpenChoice:
    __slots__ = ("parts", "tokens")

    def __init__(self) -> None:
        self.parts: dict[int, _OpenPart] = {}
        self.tokens: dict[str, list[TokenLogprob]] = {}

    def note(self, logprobs: tuple[TokenLogprob, ...], part: Part) -> None:
        """Tokens are listed by what they belong to: the fields of `Logprobs`."""
        self.tokens.setdefault(_TOKENS_OF.get(type(part), "content"), []).extend(logprobs)

    def logprobs(self) -> Logprobs | None:
        found = {name: tuple(tokens) for name, tokens in self.tokens.items()}
        content, refusal, reasoning = (found.get(name) for name in ("content", "refusal", "reasoning"))
        return Logprobs(content=content, refusal=refusal, reasoning=reasoning) if found else None


_TOKENS_OF: dict[type, str] = {RefusalPart: "refusal", ReasoningPart: "reasoning"}


class Assembly:
    """Folds one stream. `error` is the StreamError it ended in, if it did; `ended` tells a complete answer; `usage` so far."""

    def __init__(self) -> None:
        self.error: ev.StreamError | None = None
        self.ended = False
        self._start = ev.ResponseStart()
        self._choices: dict[int, _OpenChoice] = {}
        self.usage: Usage | None = None
        self._warnings: list[Warning] = []
        self._end = ev.ResponseEnd(finishes=())

    @property
    def open_part(self) -> int | None:
        """The index of the part of choice 0 that was begun last, if it has not ended."""
        parts = self._choices[0].parts if 0 in self._choices else {}
        last = max(parts, default=None)
        return last if last is not None and parts[last].end is None else None

    def add(self, event: ev.Event) -> None:
        handler = self._HANDLERS.get(type(event))
        if handler is None:
            raise TypeError(f"not a stream event: {event!r}")
        handler(self, event)

    def response(self) -> ChatResponse:
        start, end = self._start, self._end
        count = max([*self._choices, len(end.finishes) - 1], default=-1) + 1
        return ChatResponse(
            id=start.id,
            model=start.model,
            created=start.created,
            service_tier=start.service_tier,
            system_fingerprint=start.system_fingerprint,
            choices=tuple(self._choice(index) for index in range(count)),
            usage=self.usage,
            warnings=tuple(self._warnings),
            extra=_merged(start.extra, end.extra),
        )

    def _choice(self, index: int) -> Choice:
        built = self._choices.get(index) or _OpenChoice()
        finishes, extras = self._end.finishes, self._end.choice_extra
        finish: Finish | None = finishes[index] if index < len(finishes) else None
        return Choice(
            index=index,
            parts=tuple(built.parts[key].finished() for key in sorted(built.parts)),
            finish=finish,
            logprobs=built.logprobs(),
            extra=extras[index] if index < len(extras) else {},
        )

    def _part(self, choice: int, index: int) -> tuple[_OpenChoice, _OpenPart]:
        built = self._choices.setdefault(choice, _OpenChoice())
        try:
            return built, built.parts[index]
        except KeyError:
            raise ValueError(f"part {index} of choice {choice} has a delta but no PartStart") from None

    def _on_start(self, event: ev.ResponseStart) -> None:
        self._start = event

    def _on_part_start(self, event: ev.PartStart) -> None:
        self._choices.setdefault(event.choice, _OpenChoice()).parts[event.index] = _OpenPart(event.part)

    def _on_text(self, event: ev.TextDelta | ev.ReasoningDelta) -> None:
        choice, part = self._part(event.choice, event.index)
        part.text.append(event.text)
        if event.logprobs is not None:
            choice.note(event.logprobs, part.part)

    def _on_arguments(self, event: ev.ToolCallDelta) -> None:
        choice, part = self._part(event.choice, event.index)
        part.text.append(event.arguments)
        if event.logprobs is not None:
            choice.note(event.logprobs, part.part)

    def _on_media(self, event: ev.MediaDelta) -> None:
        _, part = self._part(event.choice, event.index)
        if event.data:
            part.data.append(event.data)
        part.text.append(event.transcript)

    def _on_part_end(self, event: ev.PartEnd) -> None:
        self._part(event.choice, event.index)[1].end = event

    def _on_usage(self, event: ev.UsageReport) -> None:
        self.usage = event.usage

    def _on_warning(self, event: Warning) -> None:
        self._warnings.append(event)

    def _on_end(self, event: ev.ResponseEnd) -> None:
        self._end = event
        self.ended = True

    def _on_error(self, event: ev.StreamError) -> None:
        self.error = event

    _HANDLERS: ClassVar[dict[type, Callable[[Assembly, Any], None]]] = {
        ev.ResponseStart: _on_start,
        ev.PartStart: _on_part_start,
        ev.TextDelta: _on_text,
        ev.ReasoningDelta: _on_text,
        ev.ToolCallDelta: _on_arguments,
        ev.MediaDelta: _on_media,
        ev.PartEnd: _on_part_end,
        ev.UsageReport: _on_usage,
        Warning: _on_warning,
        ev.ResponseEnd: _on_end,
        ev.StreamError: _on_error,
    }


def assemble(events: Iterable[ev.Event]) -> ChatResponse:
    """The answer that a whole stream of events amounts to."""
    assembly = Assembly()
    for event in events:
        assembly.add(event)
    return assembly.response()


def _merged(first: Extra, second: Extra) -> Extra:
    if not second:
        return first
    merged = {name: dict(fields) for name, fields in first.items()}
    for name, fields in second.items():
        merged.setdefault(name, {}).update(fields)
    return merged
