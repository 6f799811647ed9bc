"""What an answer says, in a small form of the tests' own, and how it travels: JSON, events, texts in pieces."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

Json = dict[str, Any]


class Call(NamedTuple):
    name: str
    arguments: Json


class Said(NamedTuple):
    """What an answer says. `finish` is our word; `counts` are input, output, cached input and reasoning tokens, if any."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    refusal: str = ""
    finish: str = "stop"
    counts: tuple[int, int, int, int] | None = (20, 7, 0, 0)


def encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def events(*values: Any, named: bool = False) -> bytes:
    """An SSE stream; `named` puts the type of each event before it."""
    return "".join((f"event: {value['type']}\n" if named else "") + f"data: {encoded(value)}\n\n" for value in values).encode()


def halves(text: str) -> list[str]:
    """A text in two pieces."""
    middle = (len(text) + 1) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]
