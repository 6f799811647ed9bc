"""Messages and their parts -> the dialect's messages, for a provider (upstream half of the request).

One message may become several: the tool results inside a user's message (Anthropic's way) go first, each as a message of
role `tool`. Called by `request_encode` alone; what cannot be said is appended to `warnings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core.chat import Extra, MediaPart, Message, OpaquePart, Part, ReasoningPart, TextPart, ToolResultPart, Warning
from dragoman.dialects.openai_chat.message import own_opaque, write_assistant
from dragoman.dialects.openai_chat.reasoning import in_content, write_thinking_item
from dragoman.dialects.openai_chat.wire import AUDIO_FORMATS, NAME, data_url, own

_Item = dict[str, Any]


def foreign(held: Extra, path: str) -> tuple[Warning, ...]:
    """A warning for each field that only another dialect could say."""
    return tuple(
        Warning(field=f"{path}.{key}", message=f"{key} is known to {dialect} only and was left out")
        for dialect, fields in held.items()
        if dialect != NAME
        for key in fields
        if not key.startswith("_")
    )


def encode_message(message: Message, path: str, warnings: list[Warning]) -> list[_Item]:
    warnings += foreign(message.extra, path)
    if message.role == "assistant":
        return [_assistant(message, path, warnings)]
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    others = tuple(part for part in message.parts if not isinstance(part, ToolResultPart))
    written = [_tool_message(part, message, path, warnings) for part in results]
    if results and not others:
        return written
    role = "user" if message.role == "tool" else message.role
    return [*written, _named({"role": role, "content": _content(others, path, warnings)}, message)]


def _named(written: _Item, message: Message) -> _Item:
    return written | ({"name": message.name} if message.name else {}) | own(message.extra)


def _tool_message(result: ToolResultPart, message: Message, path: str, warnings: list[Warning]) -> _Item:
    if result.is_error:
        problem = "the dialect has no mark for a failed tool result; the result itself was sent"
        warnings.append(Warning(field=f"{path}.is_error", message=problem))
    warnings += foreign(result.extra, path)
    content = _content(result.parts, path, warnings)
    cached = {} if result.cache_control is None else {"cache_control": result.cache_control}
    beyond = dict(own(message.extra)) if message.role == "tool" else {}
    role = beyond.pop("role", "tool")
    named = {"name": message.name} if message.name and message.role == "tool" else {}
    call = {"tool_call_id": result.tool_call_id} if role == "tool" else {}
    return {"role": role, **call, "content": content} | named | cached | own(result.extra) | beyond


def _assistant(message: Message, path: str, warnings: list[Warning]) -> _Item:
    """Content is null, not absent, beside calls alone: the form that every server takes."""
    warnings += (Warning(field=path, message=_lost(part)) for part in message.parts if _cannot_say(part))
    said = tuple(part for part in message.parts if _is_content(part))
    content = _content(said, path, warnings) if said else None
    return _named({"role": "assistant", "content": content} | write_assistant(message.parts, replay=True), message)


def _is_content(part: Part) -> bool:
    return isinstance(part, TextPart) or own_opaque(part) or (isinstance(part, ReasoningPart) and in_content(part))


def _cannot_say(part: Part) -> bool:
    if isinstance(part, MediaPart):
        return part.kind in ("document", "video")
    return isinstance(part, ToolResultPart) or (isinstance(part, OpaquePart) and part.dialect != NAME)


def _lost(part: Part) -> str:
    if isinstance(part, OpaquePart):
        return f"a {part.value.get('type', 'block')} block is known to {part.dialect} only and was left out"
    what = f"a {part.kind}" if isinstance(part, MediaPart) else "a tool result"
    return f"{what} cannot stand in an assistant's message and was left out"


# --------------------------------------------------------------------------------------------------------------- content
def _content(parts: tuple[Part, ...], path: str, warnings: list[Warning]) -> str | list[_Item]:
    """A plain string where one text says it all, which is what every server takes; else a list of items."""
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not parts[0].cache_control and not own(parts[0].extra):
        warnings += foreign(parts[0].extra, path)
        return parts[0].text
    items = (_item(part, f"{path}.content[{index}]", warnings) for index, part in enumerate(parts))
    return [item for item in items if item is not None]


def _item(part: Part, path: str, warnings: list[Warning]) -> _Item | None:
    if isinstance(part, TextPart | MediaPart):
        warnings += foreign(part.extra, path)
        written = _text(part) if isinstance(part, TextPart) else _media(part, path, warnings)
        return written if part.cache_control is None else written | {"cache_control": part.cache_control}
    if isinstance(part, OpaquePart) and part.dialect == NAME:
        return part.value
    if isinstance(part, ReasoningPart) and in_content(part):
        return write_thinking_item(part)
    kind = type(part).__name__
    message = _lost(part) if isinstance(part, OpaquePart) else f"a {kind} cannot stand in this message and was left out"
    warnings.append(Warning(field=path, message=message))
    return None


def _text(part: TextPart) -> _Item:
    return {"type": "text", "text": part.text} | own(part.extra)


def _media(part: MediaPart, path: str, warnings: list[Warning]) -> _Item:
    if part.text is not None:
        warnings.append(Warning(field=path, message="the text document was sent as plain text", code="changed"))
        return {"type": "text", "text": part.text}
    if part.media_type is not None and part.data is None:
        warnings.append(Warning(field=f"{path}.media_type", message="who fetches it finds out its type; it was left out"))
    if part.filename is not None and part.kind != "document":
        warnings.append(Warning(field=f"{path}.filename", message=f"{part.kind}s have no file name here; it was left out"))
    beyond = dict(own(part.extra))
    form = beyond.pop("type", None)
    if part.file_id is not None and part.kind != "document":
        warnings.append(Warning(field=path, message=f"an uploaded {part.kind} was sent as a file", code="changed"))
    written = (_URL_FORMS.get(form) or _MEDIA["document" if part.file_id is not None else part.kind])(part)
    nested = written[written["type"]]
    inner = beyond.pop(written["type"], None)
    if inner and isinstance(nested, dict):
        written[written["type"]] = nested | inner
    return written | beyond


def _source(part: MediaPart, fallback_type: str) -> str:
    """A URL, or a data URL of what is embedded."""
    return part.url or data_url(part.media_type or fallback_type, part.data or "")


def _image(part: MediaPart) -> _Item:
    detail = {"detail": part.detail} if part.detail else {}
    return {"type": "image_url", "image_url": {"url": _source(part, "image/png")} | detail}


def _video(part: MediaPart) -> _Item:
    return {"type": "video_url", "video_url": {"url": _source(part, "video/mp4")}}


def _audio(part: MediaPart) -> _Item:
    """A URL, or data of no known type, has only Mistral's short form."""
    if part.data is None or part.media_type is None:
        return {"type": "input_audio", "input_audio": part.url or part.data or ""}
    form = AUDIO_FORMATS.get(part.media_type, part.media_type.removeprefix("audio/"))
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}


def _document(part: MediaPart) -> _Item:
    if part.file_id is not None:
        held = {"file_id": part.file_id}
    elif part.data is not None and part.media_type is None:
        held = {"file_data": part.data}
    else:
        held = {"file_data": _source(part, "application/pdf")}
    return {"type": "file", "file": held | ({"filename": part.filename} if part.filename else {})}


def _document_url(part: MediaPart) -> _Item:
    name = {"document_name": part.filename} if part.filename else {}
    return {"type": "document_url", "document_url": _source(part, "application/pdf")} | name


def _file_url(part: MediaPart) -> _Item:
    name = {"file_name": part.filename} if part.filename else {}
    return {"type": "file_url", "file_url": {"url": _source(part, "application/pdf")} | name}


_MEDIA: dict[str, Callable[[MediaPart], _Item]] = {
    "image": _image,
    "video": _video,
    "audio": _audio,
    "document": _document,
}
_URL_FORMS: dict[str | None, Callable[[MediaPart], _Item]] = {"document_url": _document_url, "file_url": _file_url}
"""A provider's own form of a document, remembered by the decoder."""
