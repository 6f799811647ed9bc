"""Parts -> content blocks. Two writers share it: requests for the provider, and answers for a client of this dialect.

A writer notes in its `Losses` what the wire has no word for. An answer may say more than a request: thinking without
a signature, citations of another provider, and signatures of other providers' tool calls, which a client sends back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core.chat import (
    Citation,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.anthropic_messages.common import NAME, own, parse_arguments, raw_arguments
from dragoman.dialects.losses import Losses

Block = dict[str, Any]


class BlockWriter:
    """`reply` tells an answer for a client from a request for the provider."""

    def __init__(self, losses: Losses, *, reply: bool) -> None:
        self.losses = losses
        self.reply = reply

    def blocks(self, parts: Iterable[Part], path: str) -> list[Block]:
        """The blocks of some parts; `path` is where they stand. A request leaves out empty texts: the API refuses them."""
        written = (self.block(part, f"{path}[{place}]") for place, part in enumerate(parts))
        return [block for block in written if block is not None]

    def block(self, part: Part, path: str) -> Block | None:
        if not isinstance(part, RefusalPart | OpaquePart):
            self.losses.foreign(part.extra, path)
        return _WRITERS[type(part)](self, part, path)

    def _finish(self, block: Block, part: TextPart | MediaPart | ToolCallPart | ToolResultPart, path: str) -> Block:
        """Common ends: cache_control, this dialect's own fields, and a foreign signature."""
        if part.cache_control is not None:
            block["cache_control"] = part.cache_control
        signature = getattr(part, "signature", None)
        if signature is not None:
            if self.reply:
                block["signature"] = signature
            else:
                self.losses.drop(f"{path}.signature", "Anthropic signs thinking only; another provider's signature is left out")
        return {**own(part.extra), **block}

    def text(self, part: TextPart, path: str) -> Block | None:
        if not part.text and not self.reply:
            return None
        block: Block = {"type": "text", "text": part.text}
        if cited := self.citations(part.citations, part.text, path):
            block["citations"] = cited
        return self._finish(block, part, path)

    def citations(self, citations: Iterable[Citation], text: str, path: str) -> list[Block]:
        written = (self._citation(cited, text, f"{path}.citations[{place}]") for place, cited in enumerate(citations))
        return [block for block in written if block is not None]

    def _citation(self, citation: Citation, text: str, path: str) -> Block | None:
        """Native ones as they came. Others can be shown to a client, but the API would refuse them as made up."""
        if NAME in citation.extra:
            return citation.extra[NAME]
        if not self.reply:
            self.losses.drop(path, "Anthropic takes back its own citations only")
            return None
        return {
            "type": "web_search_result_location",
            "url": citation.url or "",
            "title": citation.title,
            "cited_text": citation.cited_text or text[citation.start_index or 0 : citation.end_index],
            "encrypted_index": "",
        }

    def refusal(self, part: RefusalPart, path: str) -> Block | None:
        if not part.text and not self.reply:
            return None
        if not self.reply:
            self.losses.change(path, "a refusal is sent back as plain text")
        return {"type": "text", "text": part.text}

    def reasoning(self, part: ReasoningPart, path: str) -> Block | None:
        if part.redacted is not None:
            if part.text:
                self.losses.drop(f"{path}.text", "redacted thinking goes back without the text beside it")
            return {**own(part.extra), "type": "redacted_thinking", "data": part.redacted}
        if part.signature is None and not self.reply:
            self.losses.drop(path, "Anthropic takes thinking back only with its signature; this has none")
            return None
        return {**own(part.extra), "type": "thinking", "thinking": part.text, "signature": part.signature or ""}

    def tool_call(self, part: ToolCallPart, path: str) -> Block:
        arguments = tool_input(part, path, self.losses, "Anthropic")
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
        return self._finish(block, part, path)

    def tool_result(self, part: ToolResultPart, path: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": part.tool_call_id}
        if content := self.blocks(part.parts, f"{path}.content"):
            block["content"] = content
        if part.is_error is not None:
            block["is_error"] = part.is_error
        return self._finish(block, part, path)

    def opaque(self, part: OpaquePart, path: str) -> Block | None:
        if part.dialect == NAME:
            return part.value
        self.losses.drop(path, f"only {part.dialect} knows this block; Anthropic has no word for it")
        return None

    def media(self, part: MediaPart, path: str) -> Block | None:
        if part.kind not in ("image", "document"):
            self.losses.drop(path, f"Anthropic takes images and documents, no {part.kind}; send a transcript or another model")
            return {"type": "text", "text": part.transcript} if part.transcript else None
        source = self._source(part, path)
        if source is None:
            self.losses.drop(path, f"the {part.kind} has neither data, url, file_id nor (documents) text")
            return None
        block: Block = {"type": part.kind, "source": {**own(part.extra).get("source", {}), **source}}
        if part.filename is not None and part.kind == "document":
            block["title"] = part.filename
        elif part.filename is not None:
            self.losses.drop(f"{path}.filename", "an image has no file name here")
        if part.detail not in (None, "auto"):
            self.losses.drop(f"{path}.detail", "Anthropic has no image resolution hint; scale the image instead")
        if part.id is not None or part.transcript:
            self.losses.drop(path, "the id and the transcript of generated media are left out")
        return self._finish(block, part, path)

    def _source(self, part: MediaPart, path: str) -> Block | None:
        if part.text is not None and part.kind == "document":
            return {"type": "text", "media_type": part.media_type or "text/plain", "data": part.text}
        if part.data is not None:
            return {"type": "base64", "media_type": self._media_type(part, path), "data": part.data}
        if part.media_type is not None:
            self.losses.drop(f"{path}.media_type", "Anthropic finds out the type of what it fetches itself")
        if part.url is not None:
            return {"type": "url", "url": part.url}
        return None if part.file_id is None else {"type": "file", "file_id": part.file_id}

    def _media_type(self, part: MediaPart, path: str) -> str:
        if part.media_type is not None:
            return part.media_type
        assumed = "image/png" if part.kind == "image" else "application/pdf"
        self.losses.change(f"{path}.media_type", f"none was given where Anthropic wants one; {assumed} is assumed")
        return assumed


_WRITERS: dict[type, Callable[[BlockWriter, Any, str], Block | None]] = {
    TextPart: BlockWriter.text,
    RefusalPart: BlockWriter.refusal,
    ReasoningPart: BlockWriter.reasoning,
    ToolCallPart: BlockWriter.tool_call,
    ToolResultPart: BlockWriter.tool_result,
    OpaquePart: BlockWriter.opaque,
    MediaPart: BlockWriter.media,
}


def tool_input(part: ToolCallPart, path: str, losses: Losses, who: str) -> dict[str, Any]:
    """The arguments as an object. Broken JSON in a history is the model's doing and no reason to lose the conversation."""
    if part.kind == "custom":
        losses.change(f"{path}.arguments", f'a custom tool\'s text is sent as {{"input": text}}; {who} takes objects only')
        return {"input": part.arguments}
    parsed = parse_arguments(part.arguments)
    if parsed is None:
        losses.change(f"{path}.arguments", 'no JSON object; sent as {"_raw": text} so that the model sees what it wrote')
        return raw_arguments(part.arguments)
    return parsed
