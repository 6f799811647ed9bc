"""Parts -> content items: what users say and tools return, and what an assistant's message holds.

What cannot be said is left out with a warning in `losses`. Foreign citations of pages are said as `url_citation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core.chat import Citation, MediaPart, OpaquePart, Part, RefusalPart, TextPart, TokenLogprob
from dragoman.dialects.openai_chat.wire import AUDIO_FORMATS, data_url, write_tokens
from dragoman.dialects.openai_responses.words import NAME, Losses, mark, own

Item = dict[str, Any]

_DEFAULT_TYPES = {"image": "image/png", "document": "application/pdf"}
_NAMES = {"application/pdf": "document.pdf", "text/plain": "document.txt"}


def write_content(parts: Iterable[Part], path: str, losses: Losses) -> str | list[Item]:
    """For users and tools: a plain string where one text says it all, which every server takes; else a list of items."""
    written = [item for place, part in enumerate(parts) if (item := write_input_part(part, f"{path}[{place}]", losses))]
    if len(written) == 1 and written[0].keys() == {"type", "text"}:
        text: str = written[0]["text"]
        return text
    return written


def write_input_part(part: Part, path: str, losses: Losses) -> Item | None:
    if isinstance(part, OpaquePart):
        return own_value(part, path, losses)
    if isinstance(part, TextPart):
        check(part, path, losses)
        if part.citations:
            losses.drop(f"{path}.citations", "only an assistant's text has citations here; they were left out")
        return {"type": "input_text", "text": part.text} | own(part.extra)
    if isinstance(part, RefusalPart):
        losses.change(path, "a refusal that is no assistant's was sent as plain text")
        return {"type": "input_text", "text": part.text}
    if not isinstance(part, MediaPart):
        losses.drop(path, f"a {type(part).__name__} cannot stand in this message and was left out")
        return None
    check(part, path, losses)
    written = _MEDIA[part.kind](part, path, losses)
    return written and written | own(part.extra)


def own_value(part: OpaquePart, path: str, losses: Losses) -> Item | None:
    if part.dialect == NAME:
        return part.value
    losses.drop(path, f"a {part.value.get('type', 'block')} is known to {part.dialect} only and was left out")
    return None


def check(part: Any, path: str, losses: Losses) -> None:
    """The warnings that any part may need: fields of other dialects, marks for caches, signatures of other providers."""
    losses.foreign(part.extra, path)
    if part.cache_control is not None:
        losses.drop(f"{path}.cache_control", "the Responses API caches by itself; use prompt_cache_key to help it")
    if getattr(part, "signature", None) is not None:
        losses.drop(f"{path}.signature", "the Responses API signs reasoning only; another provider's signature is left out")


# ------------------------------------------------------------------------------------------------------------------ media
def _image(part: MediaPart, path: str, losses: Losses) -> Item | None:
    _unsaid(part, path, losses)
    detail = {"detail": part.detail} if part.detail else {}
    if part.file_id is not None:
        return {"type": "input_image", "file_id": part.file_id} | detail
    return {"type": "input_image", "image_url": _source(part)} | detail


def _document(part: MediaPart, path: str, losses: Losses) -> Item | None:
    if part.text is not None:
        losses.change(path, "the text document was sent as plain text")
        return {"type": "input_text", "text": part.text}
    if part.detail is not None:
        losses.drop(f"{path}.detail", "only images have a resolution hint here")
    named = {"filename": part.filename} if part.filename else {}
    if part.data is None:
        _unsaid(part, path, losses)
        held = {"file_id": part.file_id} if part.file_id is not None else {"file_url": part.url or ""}
        return {"type": "input_file"} | held | named
    if not named:
        named = {"filename": _NAMES.get(part.media_type or _DEFAULT_TYPES["document"], "document")}
        losses.change(f"{path}.filename", f"a file needs a name here; {named['filename']} was sent")
    return {"type": "input_file", "file_data": _source(part)} | named


def _audio(part: MediaPart, path: str, losses: Losses) -> Item | None:
    if part.data is None:
        losses.drop(path, "sound must be sent as its data here; a URL or an id cannot be said")
        return None
    form = AUDIO_FORMATS.get(part.media_type or "audio/wav", (part.media_type or "").removeprefix("audio/"))
    return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}


def _video(_part: MediaPart, path: str, losses: Losses) -> Item | None:
    losses.drop(path, "the Responses API takes no video; send pictures of it")
    return None


_MEDIA: dict[str, Callable[[MediaPart, str, Losses], Item | None]] = {
    "image": _image,
    "document": _document,
    "audio": _audio,
    "video": _video,
}


def _unsaid(part: MediaPart, path: str, losses: Losses) -> None:
    if part.media_type is not None and part.data is None:
        losses.drop(f"{path}.media_type", "who fetches it finds out its type; it was left out")
    if part.filename is not None and part.kind == "image":
        losses.drop(f"{path}.filename", "images have no file name here; it was left out")


def _source(part: MediaPart) -> str:
    """A URL, or a data URL of what is embedded."""
    return part.url or data_url(part.media_type or _DEFAULT_TYPES[part.kind], part.data or "")


# -------------------------------------------------------------------------------------------------------- an assistant's
def output_text(part: TextPart, cited: list[Item], tokens: tuple[TokenLogprob, ...] | None) -> Item:
    """`annotations` and `logprobs` always, since clients iterate over them."""
    logprobs = write_tokens(tokens) if tokens else mark(part.extra, "_logprobs") or []
    return {"type": "output_text", "annotations": cited, "logprobs": logprobs, "text": part.text} | own(part.extra)


def output_audio(part: MediaPart) -> Item:
    """There is no settled form for generated sound; this one is read back by `read_parts`."""
    said = {"id": part.id, "data": part.data, "transcript": part.transcript, "media_type": part.media_type}
    return {"type": "output_audio"} | {key: value for key, value in said.items() if value is not None}


def write_citation(citation: Citation, text: str) -> Item:
    """Native ones as they came. Where others do not say to what they refer, they are about the text as a whole."""
    if NAME in citation.extra:
        return citation.extra[NAME]
    start, end = citation.start_index, citation.end_index
    cited = {} if citation.cited_text is None else {"cited_text": citation.cited_text}
    return {
        "type": "url_citation",
        "url": citation.url or "",
        "title": citation.title or "",
        "start_index": 0 if start is None else start,
        "end_index": len(text) if end is None else end,
        **cited,
    }
