"""Messages as one text, for models that are prompted and not spoken to (text completions, many models on Replicate).

A single message of the user is the prompt as it stands. A conversation becomes a transcript that ends where the assistant is
to go on. What is no text is left out with a Warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dragoman.core.chat import ChatRequest, MediaPart, Message, Part, RefusalPart, TextPart, ToolResultPart
from dragoman.core.errors import ErrorDetail, UnsupportedParamsError
from dragoman.dialects.losses import Losses

_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


class Prompt(NamedTuple):
    """`system` is what stands before the conversation, "" without it. `flattened`: several turns were made one text."""

    system: str
    text: str
    flattened: bool


def written_prompt(request: ChatRequest, losses: Losses) -> str:
    """The prompt of a text completion. A conversation is written out, with a Warning."""
    for place, message in enumerate(request.messages):
        losses.foreign(message.extra, f"messages[{place}]")
    prompt = as_prompt(request.messages, losses)
    if prompt.flattened or prompt.system:
        losses.change("messages", "a text completion has no messages; they were written out as one prompt")
    return f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text


def one_prompt(request: ChatRequest, losses: Losses, who: str) -> str:
    """`written_prompt`, for an API that takes one text. Raises UnsupportedParamsError for several, and for token ids."""
    if any("prompt" in fields for fields in request.extra.values()):
        message = f"prompt: {who} takes one prompt of text, no several of them and no token ids; ask for each apart"
        raise UnsupportedParamsError(message, detail=ErrorDetail(message=message, param="prompt"), attempts=0)
    return written_prompt(request, losses)


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
