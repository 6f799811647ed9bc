"""Parts of a message -> content blocks of a request. What the wire has no word for is noted in `Losses`.

Media go as bytes or from S3; Bedrock fetches nothing from the web. A prompt-cache mark is a block of its own after the block it
marks. Thinking goes back only with its signature, and only to a model that signs. Called by `write_request`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

from dragoman.core.chat import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.anthropic_messages.write_blocks import tool_input
from dragoman.dialects.bedrock_converse.common import FORMATS, NAME, Body, Losses, own, taken

Block = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_\s()\[\]-]+")
_DOCUMENT_FIELDS = ("citations", "context")
"""What Anthropic's own API calls the same."""

_DEFAULT_FORMATS = {"image": "png", "document": "pdf", "video": "mp4", "audio": "wav"}


def cache_point(control: Body) -> Block:
    return {"cachePoint": {"type": "default"} | ({"ttl": control["ttl"]} if control.get("ttl") else {})}


def tool_id(text: str) -> str:
    """The id of a call as Bedrock takes it. Calls and results that agreed still do, and others still differ."""
    if _ID.fullmatch(text):
        return text
    return f"{_NOT_IN_ID.sub('_', text)[:55]}_{crc32(text.encode()):08x}"


class BlockWriter:
    """One for a request: documents are numbered through it. `replays` as in `models.Family`."""

    def __init__(self, losses: Losses, *, replays: bool) -> None:
        self.losses = losses
        self.replays = replays
        self._documents = 0

    def blocks(self, parts: Iterable[Part], path: str, *, cached: bool = True) -> list[Block]:
        """The blocks of some parts; `path` is where they stand. `cached`: cache marks may stand among them."""
        written: list[Block] = []
        for place, part in enumerate(parts):
            block = _WRITERS[type(part)](self, part, f"{path}[{place}]")
            if block is not None:
                written.append(block)
                if cached and (control := _cache_control(part)):
                    written.append(cache_point(control))
        return written

    def text(self, part: TextPart, path: str) -> Block | None:
        """An empty text says nothing, and the API refuses it."""
        self.losses.foreign(part.extra, path)
        if part.signature is not None:
            self.losses.drop(f"{path}.signature", "Bedrock knows signatures of thinking only; this one is left out")
        if not part.text:
            return None
        cited = [citation.extra[NAME] for citation in part.citations if NAME in citation.extra]
        if len(cited) < len(part.citations):
            self.losses.drop(f"{path}.citations", "Bedrock takes back its own citations only")
        if cited:
            return {"citationsContent": {"content": [{"text": part.text}], "citations": cited}}
        return {"text": part.text}

    def refusal(self, part: RefusalPart, path: str) -> Block | None:
        if not part.text:
            return None
        self.losses.change(path, "a refusal is sent back as plain text")
        return {"text": part.text}

    def reasoning(self, part: ReasoningPart, path: str) -> Block | None:
        self.losses.foreign(part.extra, path)
        if not self.replays or (part.signature is None and part.redacted is None):
            self.losses.drop(path, "only thinking that Claude signed can be given back on Bedrock; this is left out")
            return None
        if part.redacted is not None:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}

    def tool_call(self, part: ToolCallPart, path: str) -> Block:
        self.losses.foreign(part.extra, path)
        if part.signature is not None:
            self.losses.drop(f"{path}.signature", "Bedrock signs no tool calls; another provider's signature is left out")
        arguments = tool_input(part, path, self.losses, "Bedrock")
        return {"toolUse": {"toolUseId": tool_id(part.id), "name": part.name, "input": arguments}}

    def tool_result(self, part: ToolResultPart, path: str) -> Block:
        self.losses.foreign(part.extra, path)
        content = self.blocks(part.parts, f"{path}.content", cached=False)
        block: Block = {**own(part.extra), "toolUseId": tool_id(part.tool_call_id), "content": content}
        if part.is_error is not None:
            block["status"] = "error" if part.is_error else "success"
        return {"toolResult": block}

    def opaque(self, part: OpaquePart, path: str) -> Block | None:
        if part.dialect == NAME:
            return part.value
        self.losses.drop(path, f"only {part.dialect} knows this block; Bedrock has no word for it")
        return None

    def media(self, part: MediaPart, path: str) -> Block | None:
        source = self._source(part, path)
        if source is None:
            return {"text": part.transcript} if part.transcript else None
        if part.detail not in (None, "auto"):
            self.losses.drop(f"{path}.detail", "Bedrock has no image resolution hint; scale the image instead")
        if part.id is not None or part.transcript:
            self.losses.drop(path, "the id and the transcript of generated media are left out")
        if part.kind == "document":
            self.losses.foreign(part.extra, path, _DOCUMENT_FIELDS)
            block = taken(part.extra, _DOCUMENT_FIELDS) | {"name": self._document_name(part.filename)}
        else:
            self.losses.foreign(part.extra, path)
            block = dict(own(part.extra))
        return {part.kind: block | {"format": self._format(part, path), "source": source}}

    def _source(self, part: MediaPart, path: str) -> Body | None:
        if part.data is not None:
            return {"bytes": part.data}
        if part.text is not None and part.kind == "document":
            return {"text": part.text}
        if part.url is not None and part.url.startswith("s3://"):
            return {"s3Location": {"uri": part.url}}
        self.losses.drop(path, f"Bedrock fetches no {part.kind} from the web; send its bytes (base64) or an s3:// URL")
        return None

    def _format(self, part: MediaPart, path: str) -> str:
        known = FORMATS[part.kind]
        if part.media_type is None:
            word = (part.filename or part.url or "").rpartition(".")[2].lower()
            if word in known.values():
                return word
            assumed = "txt" if part.text is not None else _DEFAULT_FORMATS[part.kind]
            self.losses.change(f"{path}.media_type", f"none was given where Bedrock wants one; {assumed} is assumed")
            return assumed
        media_type = part.media_type.partition(";")[0].strip().lower()
        return known.get(media_type) or media_type.rpartition("/")[2]

    def _document_name(self, filename: str | None) -> str:
        """Bedrock wants a name, of few characters. The file's own, without its ending; else a number."""
        self._documents += 1
        stem = (filename or "").rpartition(".")[0] or filename or ""
        return " ".join(_NOT_IN_NAME.sub(" ", stem).split())[:200] or f"document-{self._documents}"


def _cache_control(part: Part) -> Body | None:
    """A mark inside of a result marks the result: nothing smaller can be cached here."""
    inner = part.parts if isinstance(part, ToolResultPart) else ()
    marks = [getattr(held, "cache_control", None) for held in (part, *reversed(inner))]
    return next((mark for mark in marks if mark), None)


_WRITERS: dict[type, Callable[[BlockWriter, Any, str], Block | None]] = {
    TextPart: BlockWriter.text,
    RefusalPart: BlockWriter.refusal,
    ReasoningPart: BlockWriter.reasoning,
    ToolCallPart: BlockWriter.tool_call,
    ToolResultPart: BlockWriter.tool_result,
    OpaquePart: BlockWriter.opaque,
    MediaPart: BlockWriter.media,
}
