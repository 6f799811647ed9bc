"""Messages and their parts -> the messages of a Cohere request. What cannot be said is left out, and becomes a Warning.

One message may become several: results of tools inside a user's message go first, each as a message of role `tool`. A text
document goes to `documents`, where the model may cite it. Called by `write_request` alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from dragoman.core.chat import (
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.cohere_chat.common import NAME, Body
from dragoman.dialects.losses import Losses, own


class MessageWriter:
    """`documents` are those that were met in the messages."""

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.documents: list[Body] = []

    def write(self, messages: Iterable[Message]) -> list[Body]:
        return [item for place, message in enumerate(messages) for item in self._message(message, f"messages[{place}]")]

    def _message(self, message: Message, path: str) -> list[Body]:
        self.losses.foreign(message.extra, path)
        if message.name is not None and message.role != "tool":
            self.losses.drop(f"{path}.name", "Cohere's messages have no name; say in the text who speaks")
        if message.role == "assistant":
            return [self._assistant(message, path)]
        results = [part for part in message.parts if isinstance(part, ToolResultPart)]
        others = [part for part in message.parts if not isinstance(part, ToolResultPart)]
        written = [self._result(part, f"{path}.content") for part in results]
        if results and not others:
            return written
        role = "system" if message.role in ("system", "developer") else "user"
        return [*written, {"role": role, "content": self._content(others, f"{path}.content"), **own(message.extra, NAME)}]

    def _result(self, part: ToolResultPart, path: str) -> Body:
        self.losses.foreign(part.extra, path)
        if part.is_error:
            self.losses.drop(f"{path}.is_error", "Cohere has no mark for a failed tool call; the result itself was sent")
        blocks = [block for block in (self._result_block(inner, path) for inner in part.parts) if block is not None]
        return {"role": "tool", "tool_call_id": part.tool_call_id, "content": _short(blocks), **own(part.extra, NAME)}

    def _result_block(self, part: Part, path: str) -> Body | None:
        if isinstance(part, MediaPart) and part.kind == "document" and part.text is not None:
            return {"type": "document", "document": {"data": _document_data(part, part.text)}}
        if isinstance(part, MediaPart):
            self.losses.drop(path, f"Cohere takes texts and text documents as results of tools, no {part.kind}")
            return None
        return self._block(part, path)

    def _assistant(self, message: Message, path: str) -> Body:
        """A text beside calls is the plan for them; one alone is the answer."""
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        content: list[Body] = []
        plan: list[str] = []
        for place, part in enumerate(message.parts):
            if calls and isinstance(part, TextPart):
                plan.append(part.text)
            elif not isinstance(part, ToolCallPart) and (block := self._block(part, f"{path}.content[{place}]")) is not None:
                content.append(block)
        written: Body = {"role": "assistant"}
        if content or not calls:
            written["content"] = _short(content)
        if any(plan):
            written["tool_plan"] = "".join(plan)
        if calls:
            written["tool_calls"] = [self._call(call, path) for call in calls]
        if cited := self._citations(message, path):
            written["citations"] = cited
        return written | own(message.extra, NAME)

    def _citations(self, message: Message, path: str) -> list[Body]:
        held = [citation for part in message.parts if isinstance(part, TextPart) for citation in part.citations]
        mine = [citation.extra[NAME] for citation in held if NAME in citation.extra]
        if len(mine) < len(held):
            self.losses.drop(f"{path}.citations", "Cohere takes back its own citations only")
        return mine

    def _call(self, part: ToolCallPart, path: str) -> Body:
        self.losses.foreign(part.extra, f"{path}.tool_calls")
        if part.kind == "custom":
            self.losses.change(f"{path}.tool_calls", "a custom tool's call is sent as one of a function")
        return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments or "{}"}}

    def _content(self, parts: Iterable[Part], path: str) -> str | list[Body]:
        blocks = (self._block(part, f"{path}[{place}]") for place, part in enumerate(parts))
        return _short([block for block in blocks if block is not None])

    def _block(self, part: Part, path: str) -> Body | None:
        """A content block. None for what is said elsewhere or not at all."""
        match part:
            case TextPart() | RefusalPart():
                return self._text(part, path)
            case ReasoningPart():
                return self._reasoning(part, path)
            case MediaPart():
                self.losses.foreign(part.extra, path)
                return self._media(part, path)
            case OpaquePart(dialect=dialect) if dialect == NAME:
                return part.value
            case OpaquePart():
                self.losses.drop(path, f"only {part.dialect} knows this block; Cohere has no word for it")
            case _:
                self.losses.drop(path, "a tool's call or result cannot stand here")
        return None

    def _text(self, part: TextPart | RefusalPart, path: str) -> Body | None:
        if isinstance(part, TextPart):
            self.losses.foreign(part.extra, path)
        return {"type": "text", "text": part.text} if part.text else None

    def _reasoning(self, part: ReasoningPart, path: str) -> Body | None:
        if part.redacted is not None or part.signature is not None:
            self.losses.drop(path, "thinking that another provider signed or hid says nothing to Cohere")
            return None
        return {"type": "thinking", "thinking": part.text} if part.text else None

    def _media(self, part: MediaPart, path: str) -> Body | None:
        if part.kind == "document" and part.text is not None:
            self.documents.append({"data": _document_data(part, part.text)})
            return None
        source = part.url or (f"data:{part.media_type or 'image/png'};base64,{part.data}" if part.data else None)
        if part.kind != "image" or source is None:
            self.losses.drop(path, f"Cohere takes images (embedded or by URL) and documents of text, not this {part.kind}")
            return None
        return {"type": "image_url", "image_url": {"url": source} | ({"detail": part.detail} if part.detail else {})}


def _document_data(part: MediaPart, text: str) -> Body:
    return {"text": text} | ({"title": part.filename} if part.filename else {})


def _short(blocks: list[Body]) -> str | list[Body]:
    """A plain string where one text says it all."""
    if not blocks:
        return ""
    alone = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    return str(blocks[0]["text"]) if alone else blocks
