"""Reasoning items <-> ReasoningParts, and the seals that keep a model's thoughts with who issued them.

`encrypted_content` becomes a signature that begins with the dialect's name, so that it is known again after a way through
clients of any dialect; other signatures are dropped from requests, because only their issuer can read them. To clients of
this dialect they travel inside `encrypted_content`, the only place such clients send back.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ReasoningPart
from dragoman.dialects.openai_chat.reader import Fields, mismatch
from dragoman.dialects.openai_chat.wire import said
from dragoman.dialects.openai_responses.words import NAME, extra, is_made_here, item_mark, mark, own

GAP = "\n\n"
"""Between the pieces of a summary, which are paragraphs."""

_OWN = f"{NAME}:"
_SIGNATURE, _REDACTED = "signature:", "redacted:"


def read_reasoning(fields: Fields) -> ReasoningPart:
    """The raw thoughts where the provider shows them, else their summary; both at once only this dialect can say."""
    summary, content = _texts(fields, "summary"), _texts(fields, "content")
    sealed = open_seal(fields.text("encrypted_content"))
    texts = content or summary
    fields.any("type")
    item = item_fields(fields)
    held: dict[str, Any] = {"_item": item} | ({"_field": "content"} if content else {})
    if len(texts) > 1:
        held["_lengths"] = [len(text) for text in texts]
    if content and summary:
        held["summary"] = summary
    return ReasoningPart(text=GAP.join(texts), **sealed, extra=extra(held))


def item_fields(fields: Fields) -> dict[str, Any]:
    """What is left of an item, without an id of ours."""
    return {key: value for key, value in said(fields.rest()).items() if not (key == "id" and is_made_here(value))}


def _texts(fields: Fields, key: str) -> list[str]:
    items = fields.items(key) or []
    found: list[Any] = [item.get("text") if isinstance(item, dict) else None for item in items]
    for place, text in enumerate(found):
        if type(text) is not str:
            mismatch(f"{fields.at(key)}[{place}].text", "a string", text)
    return found


def open_seal(sealed: str | None) -> dict[str, str]:
    """`encrypted_content` -> the fields of ReasoningPart."""
    if not sealed:
        return {}
    if sealed.startswith(_SIGNATURE):
        return {"signature": sealed.removeprefix(_SIGNATURE)}
    if sealed.startswith(_REDACTED):
        return {"redacted": sealed.removeprefix(_REDACTED)}
    return {"signature": _OWN + sealed}


def seal(part: ReasoningPart) -> str | None:
    if part.redacted is not None:
        return _REDACTED + part.redacted
    if part.signature is None:
        return None
    return part.signature.removeprefix(_OWN) if part.signature.startswith(_OWN) else _SIGNATURE + part.signature


def is_ours(part: ReasoningPart) -> bool:
    """Whether a provider of this dialect issued the thoughts and can take them back."""
    if part.redacted is not None:
        return False
    if part.signature is not None:
        return part.signature.startswith(_OWN)
    item = item_mark(part)
    return item is not None and ("id" in item or mark(part.extra, "_field") == "content")


def write_reasoning(part: ReasoningPart) -> dict[str, Any]:
    """The item without its id. `summary` always, since clients iterate over it."""
    texts, beyond = pieces(part), own(part.extra)
    written: dict[str, Any] = {"type": "reasoning", "summary": _typed("summary_text", beyond.pop("summary", []))}
    if is_raw(part):
        written["content"] = _typed("reasoning_text", texts)
    else:
        written["summary"] = _typed("summary_text", texts)
    sealed = seal(part)
    return written | ({} if sealed is None else {"encrypted_content": sealed}) | beyond


def is_raw(part: ReasoningPart) -> bool:
    """Raw thoughts, not a summary of them."""
    return bool(mark(part.extra, "_field") == "content")


def pieces(part: ReasoningPart) -> list[str]:
    """The text as the pieces it came in, one piece where that is not known."""
    lengths: list[int] = mark(part.extra, "_lengths") or []
    if not lengths or sum(lengths) + len(GAP) * (len(lengths) - 1) != len(part.text):
        return [part.text] if part.text else []
    found, start = [], 0
    for length in lengths:
        found.append(part.text[start : start + length])
        start += length + len(GAP)
    return found


def _typed(kind: str, texts: list[str]) -> list[dict[str, str]]:
    return [{"type": kind, "text": text} for text in texts]
