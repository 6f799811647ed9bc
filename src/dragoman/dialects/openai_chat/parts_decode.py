"""The content of a program's message -> parts: a string, or a list of typed items.

Item types are a table; one that is not in it is kept whole as an OpaquePart of this dialect, so a new type of a provider
passes through. Called by `request_decode` for messages and tool results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core.chat import MediaKind, MediaPart, OpaquePart, Part, RefusalPart, TextPart
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_chat.reasoning import read_thinking_item
from dragoman.dialects.openai_chat.wire import AUDIO_TYPES, NAME, extra, split_data_url


def decode_content(content: Any, path: str) -> list[Part]:
    """Nothing -> no parts; a string -> one TextPart, even when empty; a list -> its items in order."""
    if content is None:
        return []
    if type(content) is str:
        return [TextPart(text=content)]
    if type(content) is not list:
        mismatch(path, "a string or an array of content parts", content)
    return [_item(item, f"{path}[{index}]") for index, item in enumerate(content)]


def _item(value: Any, path: str) -> Part:
    if type(value) is str:
        return TextPart(text=value)
    fields = Fields(value, path)
    name = fields.need_text("type")
    read = _ITEMS.get(name)
    return read(fields, value) if read else OpaquePart(dialect=NAME, value=value)


def _text(fields: Fields, _: dict[str, Any]) -> Part:
    text, cache_control = fields.need_text("text"), fields.mapping("cache_control")
    return TextPart(text=text, cache_control=cache_control, extra=extra(_without_nulls(fields.rest())))


def _refusal(fields: Fields, _: dict[str, Any]) -> Part:
    return RefusalPart(text=fields.need_text("refusal"))


def _thinking(_: Fields, value: dict[str, Any]) -> Part:
    return read_thinking_item(value)


def _image(fields: Fields, _: dict[str, Any]) -> Part:
    return _linked(fields, "image_url", "image")


def _video(fields: Fields, _: dict[str, Any]) -> Part:
    return _linked(fields, "video_url", "video")


def _linked(fields: Fields, key: str, kind: MediaKind) -> MediaPart:
    """`{key: {url, ...}}`, or Mistral's `{key: url}`."""
    if type(fields.peek(key)) is str:
        url, detail, left = fields.need_text(key), None, {}
    else:
        held = fields.inner(key)
        url, detail, left = held.need_text("url"), held.text("detail"), _without_nulls(held.rest())
    cache_control, beside = fields.mapping("cache_control"), _without_nulls(fields.rest())
    embedded = split_data_url(url)
    source: dict[str, Any] = {"media_type": embedded[0], "data": embedded[1]} if embedded else {"url": url}
    more = beside | ({key: left} if left else {})
    return MediaPart(kind=kind, detail=detail, cache_control=cache_control, extra=extra(more), **source)


def _audio(fields: Fields, _: dict[str, Any]) -> Part:
    """`{input_audio: {data, format}}`, or Mistral's `{input_audio: base64 or URL}`."""
    if type(fields.peek("input_audio")) is str:
        held = fields.need_text("input_audio")
        source = {"url": held} if held.startswith(("http://", "https://")) else {"data": held}
        return MediaPart(kind="audio", cache_control=fields.mapping("cache_control"), extra=extra(fields.rest()), **source)
    audio = fields.inner("input_audio")
    data, form = audio.need_text("data"), audio.need_text("format")
    media_type = AUDIO_TYPES.get(form, f"audio/{form}")
    return MediaPart(
        kind="audio",
        data=data,
        media_type=media_type,
        cache_control=fields.mapping("cache_control"),
        extra=extra(fields.rest()),
    )


def _file(fields: Fields, _: dict[str, Any]) -> Part:
    """`{file: {file_data, filename}}` with a data URL, bare base64 or a URL; or `{file: {file_id}}`."""
    held = fields.inner("file")
    data, file_id, filename = held.text("file_data"), held.text("file_id"), held.text("filename")
    if data is None and file_id is None:
        refuse(held.path, "expected file_data or file_id, found neither")
    source: dict[str, Any] = {"file_id": file_id} if data is None else _file_data(data)
    more = _without_nulls(fields.rest() | ({"file": held.rest()} if held.rest() else {}))
    cache_control = more.pop("cache_control", None)
    return MediaPart(kind="document", filename=filename, cache_control=cache_control, extra=extra(more), **source)


def _file_data(data: str) -> dict[str, Any]:
    if data.startswith(("http://", "https://")):
        return {"url": data}
    embedded = split_data_url(data)
    return {"media_type": embedded[0], "data": embedded[1]} if embedded else {"data": data}


def _document_url(fields: Fields, _: dict[str, Any]) -> Part:
    """Mistral's `{document_url, document_name}`."""
    url, name = fields.need_text("document_url"), fields.text("document_name")
    cache_control = fields.mapping("cache_control")
    more = {"type": "document_url"} | _without_nulls(fields.rest())
    return _document(url, name, cache_control, more)


def _file_url(fields: Fields, _: dict[str, Any]) -> Part:
    """Perplexity's `{file_url: {url}}`."""
    held = fields.inner("file_url")
    cache_control = fields.mapping("cache_control")
    more = {"type": "file_url"} | _without_nulls(fields.rest())
    return _document(held.need_text("url"), held.text("file_name"), cache_control, more)


def _document(url: str, name: str | None, cache_control: dict[str, Any] | None, more: dict[str, Any]) -> MediaPart:
    embedded = split_data_url(url)
    source: dict[str, Any] = {"media_type": embedded[0], "data": embedded[1]} if embedded else {"url": url}
    return MediaPart(kind="document", filename=name, cache_control=cache_control, extra=extra(more), **source)


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("type", None)
    return {key: value for key, value in fields.items() if value is not None}


_ITEMS: dict[str, Callable[[Fields, dict[str, Any]], Part]] = {
    "text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
    "document_url": _document_url,
    "file_url": _file_url,
}
