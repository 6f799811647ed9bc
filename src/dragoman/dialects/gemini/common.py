"""What both halves of the dialect share: its name, its tables, ids for calls without one, and the list of what got lost.

Tables are the vendor's words beside ours; each is written once. Nothing in this file reads a body.
Sources: https://ai.google.dev/api/generate-content, https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dragoman.core import json
from dragoman.core.chat import Extra, Finish, Reason
from dragoman.dialects import losses

NAME = "gemini"


def method_path(model: str, method: str, folder: str = "/models") -> str:
    """The path of a method of a model. A name with slashes in it (`tunedModels/x`, `endpoints/7`) is a whole resource."""
    name = quote(model, safe="/@:")
    return f"/{name}:{method}" if "/" in model else f"{folder}/{name}:{method}"


# ------------------------------------------------------------------------------------------------------------ finish reasons
REASONS: dict[str, Reason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
    "CONTINUATION": "pause",
}
"""`finishReason` -> ours. A call of a tool also ends with STOP, so whoever saw one says `tool_calls` for it."""

NUMBERED_REASONS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""Servers that were asked for numbers. From 6 on the two APIs of the vendor number differently."""

FINISH_WORDS: dict[Reason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "error": "OTHER",
    "unknown": "OTHER",
}


def decode_finish(native: Any, *, called: bool) -> Finish:
    word = NUMBERED_REASONS.get(native, str(native)) if isinstance(native, int) else str(native)
    reason = REASONS.get(word, "unknown")
    return Finish(reason="tool_calls" if called and reason == "stop" else reason, native=word)


def encode_finish(finish: Finish) -> str:
    """The provider's word is kept where it means the same here."""
    native = finish.native or ""
    same = REASONS.get(native) == finish.reason or (native == "STOP" and finish.reason == "tool_calls")
    return native if same or (native == "OTHER" and finish.reason == "unknown") else FINISH_WORDS[finish.reason]


# -------------------------------------------------------------------------------------------------------------------- tiers
TIERS = {"standard": "default"}
TIERS_BACK = {"default": "standard", "flex": "flex", "priority": "priority"}
"""Service tiers in the words of OpenAI, which the vocabulary uses."""


# ---------------------------------------------------------------------------------------------------------------------- ids
_MADE = "gemini_"
_ID_LENGTH = 24


def made_id(place: str | int, number: int) -> str:
    """An id for a call that came without one: its place (the answer's id, the message's number) and its number there."""
    plain = "".join(letter for letter in str(place) if letter.isalnum() or letter in "-_")
    return f"{_MADE}{plain[:_ID_LENGTH]}_{number}"


def said_id(id_: str) -> dict[str, str]:
    """The field `id`; none for an id that was made here, because the provider never said one."""
    return {} if not id_ or id_.startswith(_MADE) else {"id": id_}


# --------------------------------------------------------------------------------------------------------------------- loss
class Losses(losses.Losses):
    """The warnings of one encoding into this dialect."""

    def __init__(self) -> None:
        super().__init__(NAME, "Gemini models")


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def own(extra: Extra) -> dict[str, Any]:
    """What only this dialect knows, marks left out."""
    return {key: value for key, value in extra.get(NAME, {}).items() if not key.startswith("_")}


def mark(extra: Extra, name: str) -> Any:
    """What a mark of this dialect says, None without it."""
    return extra.get(NAME, {}).get(name)


def extra_of(fields: dict[str, Any]) -> Extra:
    return {NAME: fields} if fields else {}


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def parse_object(text: str) -> dict[str, Any] | None:
    """JSON text as the object that the wire wants; "" is an empty one. None when the text is no JSON object."""
    if not text.strip():
        return {}
    try:
        value = json.decode(text)
    except (json.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
