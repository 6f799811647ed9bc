"""How far a batch has come, on stderr: tqdm's bar where that is installed, else a line of our own. Made by batch helpers.

A terminal has one line that is written anew; elsewhere, as in a log file, a line is added with each tenth of the whole.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Protocol, TextIO


class Progress(Protocol):
    def update(self, *, failed: bool) -> None:
        """One more has ended."""
        ...

    def close(self) -> None: ...


class NoProgress:
    """Nobody watches."""

    def update(self, *, failed: bool) -> None: ...
    def close(self) -> None: ...


class Bar:
    """tqdm's."""

    def __init__(self, total: int) -> None:
        self._bar = import_module("tqdm").tqdm(total=total, unit="call")
        self._failed = 0

    def update(self, *, failed: bool) -> None:
        if failed:
            self._failed += 1
            self._bar.set_postfix(failed=self._failed, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class Line:
    """Our own."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total = total
        self._out = out
        self._terminal = out.isatty()
        self._ended = self._failed = 0

    def update(self, *, failed: bool) -> None:
        self._ended += 1
        self._failed += failed
        if self._terminal or self._ended == self._total or self._tenth(self._ended) > self._tenth(self._ended - 1):
            text = f"{self._ended}/{self._total} calls" + (f", {self._failed} failed" if self._failed else "")
            self._out.write(f"\r{text}" if self._terminal else f"{text}\n")
            self._out.flush()

    def close(self) -> None:
        if self._terminal and self._ended:
            self._out.write("\n")

    def _tenth(self, ended: int) -> int:
        return 10 * ended // self._total


def progress(total: int, *, shown: bool) -> Progress:
    """Of `total` calls."""
    if not shown or not total:
        return NoProgress()
    try:
        return Bar(total)
    except ImportError:
        return Line(total, sys.stderr)
