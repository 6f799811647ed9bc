"""Content blocks of a LangChain message -> items of an OpenAI-shaped message.

Blocks come as LangChain's standard ones, or in the spelling of OpenAI (left untouched), Anthropic or Gemini. The types are a
table. A block of a type that nobody here knows is a provider's own and goes to it as it stands. Nothing is fetched. Called by
`messages`; what an assistant said (thinking, tool calls) is read there, and has no item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core.errors import BadRequestError

Item = dict[str, Any]


def items(content: str | list[Any] | None) -> str | list[Item]:
    """The content of a message: a string stays one, an empty list becomes one."""
    if isinstance(content, str) or not content:
        return content or ""
    written = [item for block in content for item in _items(block)]
    return written or ""


def is_media(item: Item) -> bool:
    """Whether an item is something else than text: most servers take no such thing in a tool's result."""
    return item.get("type") in ("image_url", "video_url", "input_audio", "file")


def _items(block: Any) -> Iterable[Item]:
    if isinstance(block, str):
        return [{"type": "text", "text": block}] if block else []
    write = _WRITERS.get(block.get("type"))
    if write is None:
        return [block]
    item = write(block)
    if item is None:
        return []
    cached = block.get("cache_control") or (block.get("extras") or {}).get("cache_control")
    return [item | {"cache_control": cached} if cached else item]


# --------------------------------------------------------------------------------------------------------------- writers
def _text(block: Item) -> Item | None:
    """Annotations belong to an answer; what else a text carries stays."""
    left = {key: value for key, value in block.items() if key not in _OURS}
    return left | {"type": "text", "text": block.get("text") or ""} if block.get("text") else None


_OURS = frozenset({"annotations", "id", "index", "extras", "citations"})
"""Fields of a text block that mean something to LangChain and are refused by strict servers."""


def _plain_document(block: Item) -> Item:
    """A text with a title and a context, as one text."""
    told = [block[key] for key in ("title", "context", "text") if block.get(key)]
    return {"type": "text", "text": "\n\n".join(told)}


def _image(block: Item) -> Item:
    source = _source(block, "image/png")
    if "file_id" in source:
        return _uploaded(source)
    detail = (block.get("extras") or {}).get("detail") or block.get("detail")
    return {"type": "image_url", "image_url": {"url": source["url"]} | ({"detail": detail} if detail else {})}


def _video(block: Item) -> Item:
    source = _source(block, "video/mp4")
    return _uploaded(source) if "file_id" in source else {"type": "video_url", "video_url": {"url": source["url"]}}


def _audio(block: Item) -> Item:
    source = _source(block, "audio/wav")
    if "file_id" in source:
        return _uploaded(source)
    if "data" not in source:
        return {"type": "input_audio", "input_audio": source["url"]}
    kind = source["mime_type"].partition("/")[2].removeprefix("x-")
    return {"type": "input_audio", "input_audio": {"data": source["data"], "format": _AUDIO_FORMATS.get(kind, kind)}}


_AUDIO_FORMATS = {"mpeg": "mp3", "wave": "wav"}


def _file(block: Item) -> Item:
    if isinstance(block.get("file"), dict):
        return block  # OpenAI's own
    source = _source(block, "application/pdf")
    if "text" in source:
        return _plain_document({**block, "text": source["text"]})
    if "file_id" in source:
        return _uploaded(source)
    return {"type": "file", "file": {"file_data": source["url"], **_filename(block)}}


def _filename(block: Item) -> Item:
    """The name that whoever made the block gave the file; OpenAI wants one for embedded files."""
    beside = {**(block.get("metadata") or {}), **(block.get("extras") or {}), **block}
    name = beside.get("filename") or beside.get("title") or beside.get("name")
    return {"filename": name} if name else {} if block.get("url") else {"filename": "document.pdf"}


def _media(block: Item) -> Item:
    """Gemini's {"type": "media", "mime_type": ..., "data" or "file_uri": ...}."""
    kind = str(block.get("mime_type") or "").partition("/")[0]
    write = {"image": _image, "audio": _audio, "video": _video}.get(kind, _file)
    return write({**block, "url": block.get("file_uri")})


def _uploaded(source: Item) -> Item:
    return {"type": "file", "file": {"file_id": source["file_id"]}}


def _non_standard(block: Item) -> Item | None:
    """A provider's own block, or one that LangChain has no standard word for."""
    value: Item = block.get("value") or {}
    write = _WRITERS.get(value.get("type"))
    return write(value) if write else value


def _nothing(_: Item) -> None:
    """Said elsewhere in the message, or nothing that a model reads."""


_WRITERS: dict[Any, Callable[[Item], Item | None]] = {
    "text": _text,
    "text-plain": _plain_document,
    "image": _image,
    "video": _video,
    "audio": _audio,
    "file": _file,
    "document": _file,
    "media": _media,
    "non_standard": _non_standard,
    **dict.fromkeys(
        """
        tool_use tool_call tool_call_chunk invalid_tool_call function_call input_json_delta thinking redacted_thinking
        reasoning reasoning_content refusal tool_result server_tool_call server_tool_call_chunk server_tool_result
        """.split(),
        _nothing,
    ),
}


# --------------------------------------------------------------------------------------------------------------- sources
def _source(block: Item, usual_type: str) -> Item:
    """Where the bytes are: {"file_id"}, {"text"}, or {"url"} and for embedded ones {"data", "mime_type"} as well.

    Reads the standard fields, those of LangChain's older blocks (`source_type`), and Anthropic's `source` object.
    """
    held = block["source"] if isinstance(block.get("source"), dict) else block
    older = held.get("source_type") or (held.get("type") if held is not block else None)
    if held.get("file_id") or older == "id":
        return {"file_id": held.get("file_id") or held.get("id")}
    if older == "text":
        return {"text": held.get("text") or held.get("data") or ""}
    data = held.get("base64") or held.get("data")
    if data:
        mime_type = held.get("mime_type") or held.get("media_type") or usual_type
        return {"url": f"data:{mime_type};base64,{data}", "data": data, "mime_type": mime_type}
    if held.get("url"):
        return {"url": held["url"]}
    raise BadRequestError(
        f"a content block of type {block.get('type')!r} needs url, base64 or file_id; it has: {', '.join(block)}"
    )
