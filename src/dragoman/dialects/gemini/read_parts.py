"""A part of the wire -> a part of ours, the same for requests and answers.

A part of a kind that the vocabulary has no word for (code that the server ran, its tools, whatever comes next year) becomes an
OpaquePart. Fields that are left over ride along in `extra`. A call without an id gets one from whoever reads (`name_call`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import (
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.gemini import signatures
from dragoman.dialects.gemini.common import NAME, extra_of
from dragoman.dialects.gemini.fields import Fields

NameCall = Callable[[str], str]
"""The name of a function -> the id for a call of it, or for the result of one, that came without an id."""


def decode_part(value: Any, path: str, *, name_call: NameCall, name_result: NameCall) -> Part:
    part = Fields(value, path)
    kinds = [kind for kind in _READERS if kind in part.values]
    if len(kinds) > 1 or part.values.keys() & _OPAQUE:
        return OpaquePart(dialect=NAME, value=value)
    if not kinds and not part.values.keys() & {"thought", "thoughtSignature"}:
        return OpaquePart(dialect=NAME, value=value)
    kind = kinds[0] if kinds else "text"
    if kind == "functionCall":
        return _call(part, name_call)
    if kind == "functionResponse":
        return _result(part, name_result)
    return _text(part) if kind == "text" else _media(part, kind)


_OPAQUE = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})
_READERS = ("text", "inlineData", "fileData", "functionCall", "functionResponse")


def _text(part: Fields) -> Part:
    text = part.take("text", "a string") or ""
    thinks, signature = part.take("thought", "a boolean"), part.take("thoughtSignature", "a string")
    if thinks:
        return signatures.thought(text, signature, part.left())
    return TextPart(text=text, signature=signature, extra=part.extra())


def _call(part: Fields, name_call: NameCall) -> Part:
    call = part.part("functionCall")
    name = call.need("name", "a string")
    id_ = call.take("id", "a string") or name_call(name)
    arguments = json.encode(call.take("args", "an object") or {}).decode()
    if left := call.left():
        part.values["functionCall"] = left
    _forget_thought(part)
    return ToolCallPart(
        id=id_,
        name=name,
        arguments=arguments,
        signature=part.take("thoughtSignature", "a string"),
        extra=part.extra(),
    )


def _forget_thought(part: Fields) -> None:
    """`thought: false` says nothing."""
    if part.values.get("thought") is False:
        del part.values["thought"]


# ------------------------------------------------------------------------------------------------------------ tool results
KEYS = ("output", "error")
"""The key of a `response` under which a result that is mere text stands, or a failure: the vendor reads them so."""


def _result(part: Fields, name_result: NameCall) -> Part:
    result = part.part("functionResponse")
    name = result.need("name", "a string")
    id_ = result.take("id", "a string") or name_result(name)
    response = result.take("response", "an object") or {}
    key = next((key for key in KEYS if response.keys() == {key} and isinstance(response[key], str)), None)
    failed = response.keys() == {"error"}
    media = tuple(_result_media(item, path) for path, item in result.items("parts"))
    marks = {"_name": name} | ({"_key": key} if key else {})
    left = {"functionResponse": result.left()} if result.left() else {}
    _forget_thought(part)
    return ToolResultPart(
        tool_call_id=id_,
        parts=(*_result_text(response["error"] if failed else response, key), *media),
        is_error=True if failed else None,
        extra=extra_of(part.left() | left | marks),
    )


def _result_text(held: Any, key: str | None) -> tuple[TextPart, ...]:
    """The result as one text: what stood alone under a key, else the JSON. An empty one has none."""
    if key and isinstance(held, dict):
        held = held[key]
    if held in ({}, ""):
        return ()
    return (TextPart(text=held if isinstance(held, str) else json.encode(held).decode()),)


def _result_media(value: Any, path: str) -> Part:
    part = Fields(value, path)
    kind = next((kind for kind in ("inlineData", "fileData") if kind in part.values), None)
    return _media(part, kind) if kind else OpaquePart(dialect=NAME, value=value)


# ------------------------------------------------------------------------------------------------------------------- media
_DATA = {"inlineData": ("data", "data"), "fileData": ("fileUri", "url")}
"""Kind of part -> its field, and the field of MediaPart that holds the same."""


def _media(part: Fields, kind: str) -> Part:
    held = part.part(kind)
    theirs, ours = _DATA[kind]
    content = {ours: held.need(theirs, "a string")}
    media_type = held.take("mimeType", "a string")
    filename = held.take("displayName", "a string")
    if left := held.left():
        part.values[kind] = left
    _forget_thought(part)
    marks = {} if filename is None else {"_named": True}
    return MediaPart(
        kind=media_kind(media_type, content.get("url") or ""),
        media_type=media_type,
        filename=filename,
        extra=extra_of(part.left() | marks),
        **content,
    )


def media_kind(media_type: str | None, url: str) -> MediaKind:
    if media_type is None:
        media_type = type_of(url) or ("video/*" if "youtu" in url else "")
    family = media_type.partition("/")[0]
    kinds: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
    return kinds.get(family, "document")


_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "md": "text/md",
}


def type_of(url: str) -> str | None:
    """The media type that the end of a URL's path tells."""
    path = url.partition("?")[0].partition("#")[0]
    return _TYPES.get(path.rpartition(".")[2].lower())
