"""Stretches of a text that a pattern finds, and a scanner that finds the same ones in a stream cut anywhere. Pure.

What makes that possible is a rule for patterns: whether a match begins at a place is decided by the `reach` characters from
there and the few before it; a match may then go on for as long as it likes. So all but the last `reach` characters that have
come are decided, and only those are held back. A whole text is the stream of one piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

BEFORE = 64
"""Characters that patterns may look back at."""

STEP = 32
"""Characters that are looked at together, so that a stream of single letters costs no search for each."""


class Pattern(NamedTuple):
    """`measure` says how much of a match counts, 0 for none, by its first `reach` characters. `kind` is what is found.

    `needs`: strings of which a match has one in its first `reach` characters; looking for them is much cheaper.
    """

    kind: str
    regex: re.Pattern[str]
    reach: int
    measure: Callable[[str], int] = len
    needs: tuple[str, ...] = ()


class Span(NamedTuple):
    start: int
    end: int
    kind: str


class _Place:
    """How far one pattern has looked."""

    __slots__ = ("at", "pattern")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.at = 0

    def found(self, text: str, horizon: int) -> list[Span]:
        """The matches that begin before `horizon`. One that may still grow is found again, as long as it may."""
        spans, (kind, regex, _, measure, needs) = [], self.pattern
        if needs and all(text.find(need, self.at) < 0 for need in needs):
            self.at = max(self.at, horizon)
        while self.at < horizon and (match := regex.search(text, self.at)) is not None:
            start = match.start()
            if start >= horizon:
                break
            end = start + measure(match.group())
            if end == start:
                self.at = start + 1
                continue
            spans.append(Span(start, end, kind))
            self.at = start if end > horizon else end
            if end > horizon:
                return spans
        self.at = max(self.at, horizon)
        return spans


class Scanner:
    """Reads one text. `feed` gives what may go out: pieces of text, and in place of each span the span itself.

    Spans that overlap are one, of the first one's kind.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._places = [_Place(pattern) for pattern in patterns]
        self._reach = max((place.pattern.reach for place in self._places), default=0)
        self._text = ""
        self._out = 0
        self._covered = 0

    def feed(self, piece: str, *, last: bool = False) -> list[str | Span]:
        text = self._text = self._text + piece
        horizon = len(text) if last else len(text) - self._reach
        if horizon < self._out + STEP and not last:
            return []
        spans = sorted([span for place in self._places for span in place.found(text, horizon)], key=_start)
        ready = self._ready(text, spans, horizon)
        self._forget(min([horizon, *(place.at for place in self._places)]))
        return ready

    def _ready(self, text: str, spans: list[Span], horizon: int) -> list[str | Span]:
        ready: list[str | Span] = []
        for span in spans:
            if span.start >= max(self._covered, self._out):
                if span.start > max(self._covered, self._out):
                    ready.append(text[max(self._covered, self._out) : span.start])
                ready.append(span)
                self._out = span.start
            self._covered = max(self._covered, span.end)
        begin = max(self._covered, self._out)
        if begin < horizon:
            ready.append(text[begin:horizon])
        self._out = max(self._out, horizon)
        return ready

    def _forget(self, decided: int) -> None:
        """What nobody looks at any more."""
        cut = decided - BEFORE
        if cut <= 0:
            return
        self._text = self._text[cut:]
        self._out, self._covered = self._out - cut, max(0, self._covered - cut)
        for place in self._places:
            place.at -= cut


def _start(span: Span) -> int:
    """Of two that begin at one place the one whose pattern stands first is first."""
    return span.start


def masked(pieces: Iterable[str | Span]) -> str:
    """`[EMAIL]` in place of what was found."""
    return "".join(piece if isinstance(piece, str) else f"[{piece.kind.upper()}]" for piece in pieces)
