"""Content items -> parts, the same for requests, results of tools, answers and streams. An item of a kind that nobody knows
becomes an OpaquePart; fields that are left over ride along in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core.chat import Citation, MediaPart, OpaquePart, Part, RefusalPart, TextPart
from dragoman.dialects.openai_chat.reader import Fields, mismatch
from dragoman.dialects.openai_chat.wire import AUDIO_TYPES, said, split_data_url
from dragoman.dialects.openai_responses.words import NAME, extra


def read_content(value: Any, path: str) -> tuple[Part, ...]:
    """A text, which stands for one text item, or a list of items."""
    if value is None:
        return ()
    if type(value) is str:
        return (TextPart(text=value),)
    if type(value) is not list:
        mismatch(path, "a string or an array", value)
    return tuple(read_part(item, f"{path}[{place}]") for place, item in enumerate(value))


def read_part(value: Any, path: str) -> Part:
    fields = Fields(value, path)
    reader = _READERS.get(fields.need_text("type"))
    return OpaquePart(dialect=NAME, value=value) if reader is None else reader(fields)


def read_citation(value: Any, path: str) -> Citation:
    """A citation of a page is all in our words; the others are kept whole. A title or URL that is empty says nothing."""
    fields = Fields(value, path)
    kind = fields.need_text("type")
    citation: dict[str, Any] = {
        "url": fields.text("url") or None,
        "title": fields.text("title") or fields.text("filename") or None,
        "cited_text": fields.text("cited_text"),
        "start_index": fields.integer("start_index"),
        "end_index": fields.integer("end_index"),
    }
    ours = kind == "url_citation" and not said(fields.rest())
    return Citation(**citation, extra={} if ours else {NAME: value})


def _text(fields: Fields) -> Part:
    """The logprobs of its tokens stay a mark: parts have no word for them, answers have."""
    text, annotations, logprobs = fields.need_text("text"), fields.items("annotations"), fields.items("logprobs")
    path = fields.at("annotations")
    signature = fields.text("signature")
    left = said(fields.rest()) | ({"_logprobs": logprobs} if logprobs else {})
    cited = tuple(read_citation(item, f"{path}[{place}]") for place, item in enumerate(annotations or ()))
    return TextPart(text=text, citations=cited, signature=signature, extra=extra(left))


def _refusal(fields: Fields) -> Part:
    return RefusalPart(text=fields.need_text("refusal"))


def _image(fields: Fields) -> Part:
    source, detail = _source(fields.text("image_url")), fields.text("detail")
    return MediaPart(kind="image", file_id=fields.text("file_id"), detail=detail, **source, extra=extra(said(fields.rest())))


def _file(fields: Fields) -> Part:
    """`file_data` is a data URL; bare base64 is taken too."""
    data, url = fields.text("file_data"), fields.text("file_url")
    found = split_data_url(data) if data else None
    embedded = {"media_type": found[0], "data": found[1]} if found else {"data": data}
    file_id, filename = fields.text("file_id"), fields.text("filename")
    left = extra(said(fields.rest()))
    return MediaPart(kind="document", url=url, file_id=file_id, filename=filename, **embedded, extra=left)


def _source(url: str | None) -> dict[str, Any]:
    found = split_data_url(url) if url else None
    if found:
        return {"media_type": found[0], "data": found[1]}
    return {"url": url} if url else {}


def _audio(fields: Fields) -> Part:
    inner = fields.inner("input_audio")
    data, form = inner.need_text("data"), inner.text("format")
    media_type = AUDIO_TYPES.get(form, f"audio/{form}") if form else None
    return MediaPart(kind="audio", data=data, media_type=media_type, extra=extra(said(fields.rest())))


def _spoken(fields: Fields) -> Part:
    """Generated sound, as we write it for clients."""
    data, transcript, media_type = fields.text("data"), fields.text("transcript"), fields.text("media_type")
    id_ = fields.text("id")
    left = extra(said(fields.rest()))
    return MediaPart(kind="audio", data=data, transcript=transcript, id=id_, media_type=media_type, extra=left)


_READERS: dict[str, Callable[[Fields], Part]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "output_audio": _spoken,
}
