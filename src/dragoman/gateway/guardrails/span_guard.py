"""The guard that finds stretches of text: regular expressions, personal data, secrets. What it finds may be masked.

In streams text is held back by the reach of its patterns, so that nothing of what it finds goes out, however it was cut. The
arguments of a tool call, which are JSON, are held until they are whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import events as ev
from dragoman.core.chat import Warning
from dragoman.gateway.guardrails.base import Asked, Events, Guard, Stage, Terms, listed
from dragoman.gateway.guardrails.spans import Pattern, Scanner, Span, masked
from dragoman.gateway.guardrails.texts import Text, edited, in_json

_Key = tuple[int, int]
"""Choice and part."""

_FIELDS: dict[type, str] = {ev.TextDelta: "text", ev.ReasoningDelta: "text", ev.MediaDelta: "transcript"}
"""Where the text is that may be passed on piece by piece."""


class SpanGuard(Guard):
    """`patterns`: the first of those that match at one place gives the name."""

    def __init__(self, terms: Terms, patterns: tuple[Pattern, ...]) -> None:
        super().__init__(terms)
        self.patterns = patterns

    async def request(self, request: Any, asked: Asked, stage: Stage) -> Any:  # noqa: ARG002 - the same before and beside
        return self._edited(request, "request", asked)

    async def response(self, response: Any, asked: Asked) -> Any:
        made = self._edited(response, "answer", asked)
        return made if made is response else without_tokens(made)

    async def stream(self, events: Events, asked: Asked) -> Events:
        window = Window(self, asked)
        async for batch in events:
            yield [event for given in batch for event in window.feed(given)]

    def masked(self, text: Text, kinds: list[str]) -> str:
        """The text without what is found in it; `kinds` collects what that was."""
        pieces = Scanner(self.patterns).feed(text.text, last=True)
        found = [piece.kind for piece in pieces if isinstance(piece, Span)]
        kinds += found
        return masked(pieces) if found else text.text

    def _edited(self, value: Any, where: str, asked: Asked) -> Any:
        kinds: list[str] = []
        made = edited(value, lambda text: self.masked(text, kinds))
        if kinds and self.terms.action == "mask":
            asked.changed(self.terms, where, listed(kinds))
            return made
        if kinds:
            self.found(f"it holds {listed(kinds)}", where, asked)
        return value


class Window:
    """Events of one stream on their way through a guard."""

    def __init__(self, guard: SpanGuard, asked: Asked) -> None:
        self._guard = guard
        self._asked = asked
        self._open: dict[_Key, _OpenText] = {}
        self._arguments: dict[_Key, list[ev.ToolCallDelta]] = {}
        self._changed: set[_Key] = set()

    def feed(self, event: ev.Event) -> list[ev.Event]:
        """What may go out by now."""
        field = _FIELDS.get(type(event))
        if field is not None:
            return self._delta(event, field)
        if isinstance(event, ev.ToolCallDelta):
            self._arguments.setdefault((event.choice, event.index), []).append(event)
            return []
        before = self._rest(event) if isinstance(event, ev.PartEnd) else []
        kinds: list[str] = []
        made = edited(event, lambda text: self._guard.masked(text, kinds))
        if isinstance(made, ev.PartEnd) and (made.choice, made.index) in self._changed:
            made = msgspec.structs.replace(made, signature=None)  # it proves what was not said
        self._report(kinds)
        return [*before, made if self._masks else event]

    @property
    def _masks(self) -> bool:
        return self._guard.terms.action == "mask"

    def _delta(self, event: Any, field: str) -> list[ev.Event]:
        key = (event.choice, event.index)
        held = self._open.get(key)
        if held is None:
            held = self._open[key] = _OpenText(Scanner(self._guard.patterns), event, field)
        out = self._scanned(key, held.scanner.feed(getattr(event, field)))
        if self._guard.terms.action == "flag":
            return [event]
        events: list[ev.Event] = []
        if getattr(event, "logprobs", None) is not None:
            event = msgspec.structs.replace(event, logprobs=None)
            if not held.told:
                events.append(Warning(field="logprobs", message=f"left out: the guardrail {self._guard.terms.name} reads them"))
                held.told = True
        if out or getattr(event, "data", ""):
            events.append(msgspec.structs.replace(event, **{field: out}))
        return events

    def _rest(self, end: ev.PartEnd) -> list[ev.Event]:
        """What was held back of a part."""
        key, events = (end.choice, end.index), list[ev.Event]()
        held = self._open.pop(key, None)
        if (
            held is not None
            and (out := self._scanned(key, held.scanner.feed("", last=True)))
            and self._guard.terms.action != "flag"
        ):
            kind = type(held.first)
            events.append(kind(index=end.index, choice=end.choice, **{held.field: out}))
        deltas = self._arguments.pop(key, None)
        if deltas is not None:
            events += self._whole_arguments(deltas)
        return events

    def _whole_arguments(self, deltas: list[ev.ToolCallDelta]) -> list[ev.Event]:
        kinds: list[str] = []
        made = in_json(
            "".join([delta.arguments for delta in deltas]), lambda text: self._guard.masked(text, kinds), "assistant"
        )
        self._report(kinds)
        if not (kinds and self._masks):
            return list(deltas)
        self._changed.add((deltas[0].choice, deltas[0].index))
        return [msgspec.structs.replace(deltas[0], arguments=made, logprobs=None)]

    def _scanned(self, key: _Key, pieces: list[str | Span]) -> str:
        kinds = [piece.kind for piece in pieces if isinstance(piece, Span)]
        if kinds:
            self._changed.add(key)
        self._report(kinds)
        return masked(pieces)

    def _report(self, kinds: list[str]) -> None:
        if kinds and self._masks:
            self._asked.changed(self._guard.terms, "answer", listed(kinds))
        elif kinds:
            self._guard.found(f"it holds {listed(kinds)}", "answer", self._asked)


class _OpenText:
    """A part that is being streamed; `told`: that its log probabilities are left out."""

    __slots__ = ("field", "first", "scanner", "told")

    def __init__(self, scanner: Scanner, first: Any, field: str) -> None:
        self.scanner = scanner
        self.first = first
        self.field = field
        self.told = False


def without_tokens(response: Any) -> Any:
    """An answer whose log probabilities would tell what was masked, without them."""
    choices = getattr(response, "choices", ())
    if not any(choice.logprobs for choice in choices):
        return response
    bare = tuple(msgspec.structs.replace(choice, logprobs=None) for choice in choices)
    return msgspec.structs.replace(response, choices=bare)
