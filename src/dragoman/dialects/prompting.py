"""Messages as one text, for models that are prompted and not spoken to (text completions, many models on Replicate).

A single message of the user is the prompt as it stands. A conversation becomes a transcript that ends where the assistant is
to go on. What is no text is left out with a Warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dragoman.core.chat import MediaPart, Message, Part, RefusalPart, TextPart, ToolResultPart
from dragoman.dialects.losses import Losses

_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


class Prompt(NamedTuple):
    """`system` is what stands before the conversation, "" without it. `flattened`: several turns were made one text."""

    system: str
    text: str
    flattened: bool


def as_prompt(messages: Iterable[Message], losses: Losses) -> Prompt:
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        text = "\n".join(said for part in message.parts if (said := _said(part, f"messages[{place}].content", losses)))
        if message.role in ("system", "developer"):
            system.append(text)
        elif text:
            turns.append((_SPEAKERS[message.role], text))
    if len(turns) == 1 and turns[0][0] == "User":
        return Prompt("\n\n".join(system), turns[0][1], flattened=False)
    lines = [f"{speaker}: {text}" for speaker, text in turns]
    if turns and turns[-1][0] != "Assistant":
        lines.append("Assistant:")
    return Prompt("\n\n".join(system), "\n\n".join(lines), flattened=bool(turns))


def _said(part: Part, path: str, losses: Losses) -> str:
    match part:
        case TextPart() | RefusalPart():
            return part.text
        case MediaPart(kind="document", text=str(text)):
            return text
        case ToolResultPart():
            return "\n".join(said for inner in part.parts if (said := _said(inner, path, losses)))
        case MediaPart():
            losses.drop(path, f"a prompt is text; this {part.kind} was left out")
        case _:
            losses.drop(path, f"a prompt is text; a {type(part).__name__} was left out")
    return ""
