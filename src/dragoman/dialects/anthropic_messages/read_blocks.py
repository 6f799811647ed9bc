"""Content blocks -> parts, the same for requests, answers and the start of a block in a stream.

A block or a source of a kind that the vocabulary has no word for (a server tool's use and result, search results, whatever
comes next year) becomes an OpaquePart. Fields that are left over ride along in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import (
    Citation,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.anthropic_messages.common import NAME, join
from dragoman.dialects.anthropic_messages.fields import Fields, check


def decode_content(value: Any, path: str) -> tuple[Part, ...]:
    """A text, which stands for one text block, or a list of blocks."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (TextPart(text=value),)
    blocks = check(value, "an array", path)
    return tuple(decode_block(block, f"{path}[{place}]") for place, block in enumerate(blocks))


def decode_block(value: Any, path: str) -> Part:
    block = Fields(value, path)
    decoder = _DECODERS.get(block.need("type", "a string"))
    part = decoder(block) if decoder else None
    return OpaquePart(dialect=NAME, value=value) if part is None else part


def decode_citation(value: Any, path: str, length: int) -> Citation:
    """The native citation is kept whole; it is about the text part as a whole, which is `length` characters long."""
    fields = Fields(value, path)
    title = fields.take("title", "a string") or fields.take("document_title", "a string")
    cited = fields.take("cited_text", "a string")
    url = fields.take("url", "a string")
    return Citation(url=url, title=title, cited_text=cited, start_index=0, end_index=length, extra={NAME: value})


def _text(block: Fields) -> Part:
    text = block.need("text", "a string")
    path = join(block.path, "citations")
    cited = block.take("citations", "an array") or []
    return TextPart(
        text=text,
        citations=tuple(decode_citation(value, f"{path}[{place}]", len(text)) for place, value in enumerate(cited)),
        cache_control=block.take("cache_control", "an object"),
        signature=block.take("signature", "a string"),
        extra=block.extra(),
    )


_SOURCES = {"base64": ("data", "data"), "url": ("url", "url"), "file": ("file_id", "file_id"), "text": ("data", "text")}
"""Kind of source -> its field, and the field of MediaPart that holds the same."""


def _media(kind: MediaKind) -> Callable[[Fields], Part | None]:
    def decode(block: Fields) -> Part | None:
        source = Fields(block.need("source", "an object"), join(block.path, "source"))
        fields = _SOURCES.get(source.need("type", "a string"))
        if fields is None:
            return None
        theirs, ours = fields
        content = {ours: source.need(theirs, "a string")}
        media_type = source.take("media_type", "a string")
        if left := source.left():
            block.values["source"] = left
        return MediaPart(
            kind=kind,
            media_type=media_type,
            filename=block.take("title", "a string"),
            cache_control=block.take("cache_control", "an object"),
            extra=block.extra(),
            **content,
        )

    return decode


def _thinking(block: Fields) -> Part:
    """An empty signature is none: our own encoder writes it for thoughts that nobody signed, and clients send it back."""
    return ReasoningPart(
        text=block.need("thinking", "a string"), signature=block.take("signature", "a string") or None, extra=block.extra()
    )


def _redacted(block: Fields) -> Part:
    return ReasoningPart(redacted=block.need("data", "a string"), extra=block.extra())


def _tool_use(block: Fields) -> Part:
    return ToolCallPart(
        id=block.need("id", "a string"),
        name=block.need("name", "a string"),
        arguments=json.encode(block.take("input", "an object") or {}).decode(),
        signature=block.take("signature", "a string"),
        cache_control=block.take("cache_control", "an object"),
        extra=block.extra(),
    )


def _tool_result(block: Fields) -> Part:
    return ToolResultPart(
        tool_call_id=block.need("tool_use_id", "a string"),
        parts=decode_content(block.take("content", "a string or an array"), join(block.path, "content")),
        is_error=block.take("is_error", "a boolean"),
        cache_control=block.take("cache_control", "an object"),
        extra=block.extra(),
    )


_DECODERS: dict[str, Callable[[Fields], Part | None]] = {
    "text": _text,
    "image": _media("image"),
    "document": _media("document"),
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
