"""Every text in a request, an answer or an event of a stream: to be read, and to be written anew. Pure.

It walks any value of `core` and looks at each string but those that are names, ids, addresses or data, so a field that is
new tomorrow is looked at too. JSON inside a string (the arguments of a tool) is taken apart and put together again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Choice, Message, ToolCallPart

Value = TypeVar("Value")


class Text(NamedTuple):
    """`role` is whose it is: a role of a chat, or "" where there is none."""

    text: str
    role: str = ""


Edit = Callable[[Text], str]

_NO_TEXT = frozenset(
    """
    cache_control code created data detail dialect effort embeddings encoding_format encrypted_content end_index file
    file_id filename finish finishes id image_base64 index kind language logprobs media_type metadata mode model native object
    operation output_format quality redacted response_format_type role service_tier signature size start_index status stop
    system_fingerprint thoughtSignature tool_call_id tool_use_id type url usage user vector voice
    """.split()
)
"""Fields that are no texts, in our vocabulary and in what dialects keep of their own."""


def texts(value: Any) -> list[Text]:
    """All of them, in their order."""
    found: list[Text] = []

    def note(text: Text) -> str:
        found.append(text)
        return text.text

    edited(value, note)
    return found


def edited(value: Value, edit: Edit, role: str = "") -> Value:
    """The value with every text replaced by what `edit` makes of it; the very same object where nothing changed."""
    changed: Value = _walked(value, edit, role)
    return changed


def _walked(value: Any, edit: Edit, role: str) -> Any:
    if isinstance(value, str):
        return edit(Text(value, role)) if value else value
    if isinstance(value, Struct):
        return _struct(value, edit, role)
    if isinstance(value, dict):
        return _mapping(value, edit, role)
    return _sequence(value, edit, role) if isinstance(value, list | tuple) else value


def _struct(value: Struct, edit: Edit, role: str) -> Any:
    if isinstance(value, Message):
        role = value.role
    elif isinstance(value, Choice):
        role = "assistant"
    changes = {}
    for name in value.__struct_fields__:
        held = getattr(value, name)
        if name in _NO_TEXT or not held:
            continue
        inside = name == "arguments" and isinstance(value, ToolCallPart)
        made = in_json(held, edit, role) if inside else _walked(held, edit, role)
        if made is not held:
            changes[name] = made
    if changes and getattr(value, "signature", None):
        changes["signature"] = None  # it proves what is not there any more
    return msgspec.structs.replace(value, **changes) if changes else value


def _mapping(value: dict[str, Any], edit: Edit, role: str) -> Any:
    made = {key: held if key in _NO_TEXT else _walked(held, edit, role) for key, held in value.items()}
    return made if any(made[key] is not held for key, held in value.items()) else value


def _sequence(value: list[Any] | tuple[Any, ...], edit: Edit, role: str) -> Any:
    if not value or isinstance(value[0], int | float):
        return value  # token ids, vectors
    made = [_walked(item, edit, role) for item in value]
    return type(value)(made) if any(new is not old for new, old in zip(made, value, strict=True)) else value


def in_json(text: str, edit: Edit, role: str) -> str:
    """The JSON in a text with its strings and numbers edited; a text that is no JSON is edited as it is."""
    try:
        value = json.decode(text)
    except json.UNREADABLE:
        return edit(Text(text, role))
    made = _json_walked(value, edit, role)
    return text if made is value else json.encode(made).decode()


def _json_walked(value: Any, edit: Edit, role: str) -> Any:
    """All strings, whatever their field is called: the names here are those of somebody's tool."""
    if isinstance(value, dict):
        made: Any = {key: _json_walked(held, edit, role) for key, held in value.items()}
        return made if any(made[key] is not held for key, held in value.items()) else value
    if isinstance(value, list):
        made = [_json_walked(item, edit, role) for item in value]
        return made if any(new is not old for new, old in zip(made, value, strict=True)) else value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    text = str(value)
    written = edit(Text(text, role)) if text else text
    return value if written == text else written
