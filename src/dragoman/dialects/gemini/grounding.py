"""`groundingMetadata` <-> citations of text parts.

The vendor counts bytes of UTF-8 within a part and cites chunks by number; our citations count characters and say where they
lead. The metadata is kept whole in the choice's `extra` as well, and goes to clients of this dialect as it came.
https://ai.google.dev/gemini-api/docs/google-search#attributing_sources_with_inline_citations
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragoman.core.chat import Citation, Part, TextPart

Metadata = dict[str, Any]


def citations_of(metadata: Any, text: str) -> tuple[Citation, ...]:
    """The citations whose stretch of text stands in `text`. What has not the vendor's shape is no citation."""
    held = metadata if isinstance(metadata, dict) else {}
    chunks = [_source(chunk) for chunk in _dicts(held.get("groundingChunks"))]
    found: list[Citation] = []
    encoded = text.encode()
    for support in _dicts(held.get("groundingSupports")):
        place = _place(support.get("segment"), text, encoded)
        numbers = support.get("groundingChunkIndices")
        if place is not None and isinstance(numbers, list):
            start, end, cited = place
            known = (chunks[number] for number in numbers if type(number) is int and 0 <= number < len(chunks))
            found += [Citation(start_index=start, end_index=end, cited_text=cited, **source) for source in known]
    return tuple(found)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def _source(chunk: dict[str, Any]) -> dict[str, Any]:
    """Where a chunk leads: the web, a map, or a document of the user's own."""
    held = next((value for value in chunk.values() if isinstance(value, dict)), {})
    url, title = held.get("uri"), held.get("title")
    return {"url": url if isinstance(url, str) else None, "title": title if isinstance(title, str) else None}


def _place(segment: Any, text: str, encoded: bytes) -> tuple[int, int, str] | None:
    """First and last character of a segment in a text, where it says so or where its words stand; None if it is elsewhere."""
    held = segment if isinstance(segment, dict) else {}
    start, end, words = held.get("startIndex", 0), held.get("endIndex"), held.get("text")
    if type(start) is int and type(end) is int and 0 <= start <= end <= len(encoded):
        cited = encoded[start:end].decode("utf-8", "replace")
        if words in (None, cited):
            first = len(encoded[:start].decode("utf-8", "replace"))
            return first, first + len(cited), cited
    found = text.find(words) if isinstance(words, str) and words else -1
    return (found, found + len(words), words) if isinstance(words, str) and found >= 0 else None


def metadata_of(parts: Iterable[Part]) -> Metadata:
    """The metadata for citations of other providers; empty without any."""
    chunks: list[Metadata] = []
    supports: list[Metadata] = []
    for place, part in enumerate(parts):
        if not isinstance(part, TextPart):
            continue
        for citation in part.citations:
            chunk = {"web": {"uri": citation.url or "", "title": citation.title or ""}}
            if chunk not in chunks:
                chunks.append(chunk)
            supports.append({"segment": _segment(citation, part.text, place), "groundingChunkIndices": [chunks.index(chunk)]})
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else {}


def _segment(citation: Citation, text: str, place: int) -> Metadata:
    start = citation.start_index or 0
    end = len(text) if citation.end_index is None else citation.end_index
    segment: Metadata = {
        "startIndex": len(text[:start].encode()),
        "endIndex": len(text[:end].encode()),
        "text": text[start:end],
    }
    return segment | ({"partIndex": place} if place else {})
