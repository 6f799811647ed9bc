"""What is paid for by the piece: images, characters to be spoken, seconds of speech, pages, queries, as units of a price
list. Pure.

They count where an answer tells no tokens. What the answer says (how many images, how long the speech) goes before what the
request asked for. `price` and the SDK's results ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import DragomanError
from dragoman.engine.call import Call

Units = Mapping[str, int | float]

_LEFT_OPEN = (None, "", "auto")
"""A size or quality that the model chooses."""
_ANNOTATIONS = ("bbox_annotation_format", "document_annotation_format")


def pieces(call: Call, usage: Usage | None) -> Units:
    """Kind -> how many, of a call that has settled. Nothing where tokens are what is paid for, or where nothing came."""
    count = _COUNTS.get(call.operation)
    settlement = call.settlement
    if count is None or settlement is None or settlement.error is not None or (usage is not None and usage.total_tokens):
        return {}
    try:
        return count(call, settlement.response, usage)
    except DragomanError:  # a body that was relayed unread may say anything
        return {}


def image_kind(quality: str | None, size: str | None) -> str:
    """How a price list names an image: "image", "image hd", "image 1024x1792", "image hd 1024x1792"."""
    return " ".join(["image", *(str(word) for word in (quality, size) if word not in _LEFT_OPEN)])


def _images(call: Call, response: Any, _: Usage | None) -> Units:
    images = getattr(response, "images", ())
    return {image_kind(call.request.quality, call.request.size): len(images)} if images else {}


def _characters(call: Call, response: Any, _: Usage | None) -> Units:
    return {} if response is None else {"character": len(call.request.input)}


def _seconds(_: Call, response: Any, usage: Usage | None) -> Units:
    """OpenAI tells them as usage, others with the text."""
    seconds = _told(usage, "seconds") or getattr(response, "duration", None)
    return {"second": seconds} if isinstance(seconds, int | float) else {}


def _pages(call: Call, response: Any, usage: Usage | None) -> Units:
    """Those that are annotated have a price of their own."""
    read = _told(usage, "pages_processed") or len(getattr(response, "pages", ()))
    annotated = any(json.read(call.envelope, name) for name in _ANNOTATIONS)
    return {"annotated_page" if annotated else "page": read} if read and isinstance(read, int) else {}


def _queries(_: Call, response: Any, __: Usage | None) -> Units:
    """As many as the provider says: of many or long documents one request is several."""
    units = getattr(response, "search_units", None)
    return {"query": units} if units else {}


def _told(usage: Usage | None, name: str) -> Any:
    """What a provider counts that is no token."""
    return next((fields[name] for fields in (usage.extra.values() if usage else ()) if fields.get(name)), None)


_COUNTS: dict[str, Callable[[Call, Any, Usage | None], Units]] = {
    "image": _images,
    "image_edit": _images,
    "image_variation": _images,
    "speech": _characters,
    "transcription": _seconds,
    "translation": _seconds,
    "ocr": _pages,
    "rerank": _queries,
}
