"""The rest of an answer put behind its beginning: the events of another stream, as the client's stream goes on. Pure.

A text that is still open is written on, without what the new stream repeats of it; other parts get the next free places. What a
leg says of its head is dropped, and usage counts all legs. Made by `continuation`, used by `streams`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any, ClassVar

from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.chat import TextPart, Usage, Warning
from dragoman.engine.usage import added

LEAST_OVERLAP = 12
"""Characters that must be the same to count as repeated: fewer are an accident, or meant."""

MOST_HELD = 240
"""Characters that are held back to find out, unless it is the answer from its beginning."""


class Seam:
    """Text behind `before`, in pieces. What it repeats of the end of `before` is left out, and so are the `blanks` at that end
    which the prompt for the rest could not have. With `repeats` all of it is expected once more. A piece is held
    for as long as it may still be a repetition. Where `before` says the same more than once by itself, as tables and refrains
    do, saying it again is no repetition.
    """

    def __init__(self, before: str, blanks: str, *, repeats: bool = False) -> None:
        self._before = before
        self._asked = before.removesuffix(blanks) if repeats else ""
        self._blanks = blanks
        self._held = ""
        self._open = True

    def feed(self, text: str) -> str:
        if not self._open:
            return text
        self._held += text
        return "" if self._undecided() else self.close()

    def close(self) -> str:
        """What is held, less what is repeated."""
        held, self._held, self._open = self._held, "", False
        if self._asked and held.startswith(self._asked):
            return self._without_blanks(held.removeprefix(self._asked))
        repeated = self._repeated(held)
        if repeated:
            return held[repeated:]
        return self._without_blanks(held)

    def _without_blanks(self, held: str) -> str:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(held, self._blanks, strict=False))
        return held[sum(1 for _ in same) :]

    def _undecided(self) -> bool:
        """Whether what is held may still become a repetition that counts, or blanks."""
        before, held = self._before, self._held
        if self._asked.startswith(held) or self._blanks.startswith(held.removeprefix(self._asked)):
            return True
        place = before.find(held)
        return place >= 0 and len(before) - place >= LEAST_OVERLAP and (place == 0 or len(held) < MOST_HELD)

    def _repeated(self, held: str) -> int:
        """How many of its characters are the end of what was there before."""
        before = self._before
        sizes = range(min(len(held), len(before)), LEAST_OVERLAP - 1, -1)
        return next((size for size in sizes if before.find(held[:size]) == len(before) - size), 0)


class Splice:
    """`opened` is the index of the text that is still open, None when there is none; `following` the next free one. `spent`:
    the usage of the legs before. `usage` is this leg's own.
    """

    def __init__(self, seam: Seam, *, opened: int | None, following: int, spent: Usage | None) -> None:
        self.usage: Usage | None = None
        self._seam = seam
        self._opened = opened
        self._following = following
        self._spent = spent
        self._merged: int | None = None
        self._places: dict[int, int] = {}

    def of(self, events: list[ev.Event]) -> list[ev.Event]:
        """These events of the new stream, as ones of the client's."""
        found: list[ev.Event] = []
        for event in events:
            handler = self._HANDLERS.get(type(event))
            if handler is None:
                found.append(event)
            else:
                found += handler(self, event)
        return found

    def _start(self, _: ev.ResponseStart) -> list[ev.Event]:
        return []

    def _part(self, event: ev.PartStart) -> list[ev.Event]:
        if isinstance(event.part, TextPart) and self._opened is not None and self._merged is None:
            self._merged = event.index
            self._places[event.index] = self._opened
            return self._text(ev.TextDelta(index=event.index, text=event.part.text)) if event.part.text else []
        place = self._places[event.index] = self._following
        self._following += 1
        return [replace(event, index=place)]

    def _text(self, event: ev.TextDelta) -> list[ev.Event]:
        text = self._seam.feed(event.text) if event.index == self._merged else event.text
        return [replace(event, index=self._places[event.index], text=text)] if text else []

    def _other(self, event: Any) -> list[ev.Event]:
        return [replace(event, index=self._places[event.index])]

    def _end_of_part(self, event: ev.PartEnd) -> list[ev.Event]:
        return [*(self._rest() if event.index == self._merged else ()), *self._other(event)]

    def _rest(self) -> list[ev.Event]:
        """What the seam holds, at the end of the text."""
        opened, self._opened = self._opened, None
        text = self._seam.close()
        return [ev.TextDelta(index=opened, text=text)] if text and opened is not None else []

    def _usage(self, event: ev.UsageReport) -> list[ev.Event]:
        self.usage = event.usage
        return [ev.UsageReport(usage=added(self._spent, event.usage) or event.usage)]

    def _end(self, event: ev.ResponseEnd) -> list[ev.Event]:
        """A rest without any text leaves open what was."""
        opened = self._opened
        return [event] if opened is None else [*self._rest(), ev.PartEnd(index=opened), event]

    _HANDLERS: ClassVar[dict[type, Callable[[Splice, Any], list[ev.Event]]]] = {
        ev.ResponseStart: _start,
        ev.PartStart: _part,
        ev.TextDelta: _text,
        ev.ReasoningDelta: _other,
        ev.ToolCallDelta: _other,
        ev.MediaDelta: _other,
        ev.PartEnd: _end_of_part,
        ev.UsageReport: _usage,
        ev.ResponseEnd: _end,
    }


def mark(deployment: str, characters: int, how: str) -> Warning:
    """What tells of a seam. `how` the stream ended there: "broke off"."""
    message = f"the stream {how} after {characters} characters; {deployment} wrote the rest"
    return Warning(field="stream", message=message, code="changed")
