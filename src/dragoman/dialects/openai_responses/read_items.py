"""Items -> parts and messages. An answer is a list of items; so is a request's input, where items also come from the user.

The first part that an item gives remembers the item's own fields (id, status, phase) in the mark `_item`, which tells the
writer where one item ends and the next begins. What the vocabulary has no word for (searches, code, MCP, compaction and
whatever comes next year) becomes an OpaquePart, kept as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dragoman.core.chat import MediaPart, Message, OpaquePart, Part, RefusalPart, ToolCallPart, ToolResultPart
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_chat.wire import said
from dragoman.dialects.openai_responses.read_parts import read_content
from dragoman.dialects.openai_responses.reasoning import item_fields, read_reasoning
from dragoman.dialects.openai_responses.words import NAME, ROLES, extra

RESULTS = {"function_call_output": "function", "custom_tool_call_output": "custom"}
"""Kind of a result -> kind of its call."""

_ITEM_FIELDS = frozenset({"id", "status", "phase"})
"""Fields of a call that only name it; others (a namespace) say something that is lost elsewhere."""


def read_output(items: Iterable[Any], path: str) -> tuple[Part, ...]:
    """The parts of an answer."""
    return tuple(part for place, item in enumerate(items) for part in read_item(item, f"{path}[{place}]"))


def read_item(value: Any, path: str) -> tuple[Part, ...]:
    """An item that a model wrote. A message gives a part for each of its content items, in order."""
    fields = Fields(value, path)
    reader = _ITEMS.get(fields.text("type") or "message")
    return reader(fields) if reader else (OpaquePart(dialect=NAME, value=value),)


def _message(fields: Fields) -> tuple[Part, ...]:
    parts = read_content(fields.any("content"), fields.at("content"))
    fields.any("role")
    item = item_fields(fields)
    parts = tuple(_wrapped(part) for part in parts)
    return (_marked(parts[0], item), *parts[1:]) if parts else ()


def _wrapped(part: Part) -> Part:
    """A content item that nobody knows is kept as a message of its own: an OpaquePart of an answer is a whole item."""
    if not isinstance(part, OpaquePart):
        return part
    return OpaquePart(dialect=NAME, value={"type": "message", "role": "assistant", "content": [part.value]})


def _marked(part: Part, item: dict[str, Any]) -> Part:
    if isinstance(part, RefusalPart | OpaquePart):
        return part  # no place for the mark: a refusal's message gets a new id when it is written again
    return replace(part, extra=extra({**part.extra.get(NAME, {}), "_item": item}))


def _reasoning(fields: Fields) -> tuple[Part, ...]:
    return (read_reasoning(fields),)


def _call(fields: Fields) -> tuple[Part, ...]:
    call, arguments = _named(fields), fields.text("arguments")
    return (ToolCallPart(**call, arguments=arguments or "", **_of_call(fields)),)


def _custom_call(fields: Fields) -> tuple[Part, ...]:
    call, text = _named(fields), fields.text("input")
    return (ToolCallPart(**call, arguments=text or "", kind="custom", **_of_call(fields)),)


def _named(fields: Fields) -> dict[str, Any]:
    return {"id": fields.need_text("call_id"), "name": fields.need_text("name")}


def _of_call(fields: Fields) -> dict[str, Any]:
    signature = fields.text("signature")
    left = item_fields(fields)
    item = {key: left.pop(key) for key in _ITEM_FIELDS & left.keys()}
    return {"signature": signature, "extra": extra(left | {"_item": item})}


def _image(fields: Fields) -> tuple[Part, ...]:
    """A finished picture. One without its bytes (unfinished, or named by its id alone) is kept as it is."""
    if type(fields.peek("result")) is not str:
        return (OpaquePart(dialect=NAME, value={"type": "image_generation_call", **fields.rest()}),)
    data, form, id_ = fields.text("result"), fields.text("output_format") or "png", fields.text("id")
    item = said(fields.rest()) | {"output_format": form}
    return (MediaPart(kind="image", data=data, media_type=f"image/{form}", id=id_, extra=extra({"_item": item})),)


_ITEMS: dict[str, Callable[[Fields], tuple[Part, ...]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "image_generation_call": _image,
}


# ----------------------------------------------------------------------------------------------------------------- input
def read_input(value: Any) -> tuple[Message, ...]:
    """The conversation. What a model wrote in a row, be it words, thoughts or calls, is one message of the assistant."""
    if value is None:
        return ()
    if type(value) is str:
        return (Message(role="user", parts=read_content(value, "input")),)
    if type(value) is not list:
        mismatch("input", "a string or an array", value)
    messages: list[Message] = []
    for place, item in enumerate(value):
        message = _input_item(item, f"input[{place}]")
        if messages and message.role == messages[-1].role == "assistant":
            messages[-1] = replace(messages[-1], parts=messages[-1].parts + message.parts)
        else:
            messages.append(message)
    return tuple(messages)


def _input_item(value: Any, path: str) -> Message:
    fields = Fields(value, path)
    kind, role = fields.peek("type"), fields.peek("role")
    if kind in RESULTS:
        return _result(fields)
    if (kind == "message" or kind is None) and role is not None:
        return _speaker(fields, value)
    if kind is None and "id" not in value:
        refuse(fields.at("type"), "expected the kind of the item, or a role that makes it a message; found neither")
    if isinstance(kind, str) and kind.endswith(("_output", "_response")):
        return Message(role="tool", parts=(OpaquePart(dialect=NAME, value=value),))
    parts = read_item(value, path) if kind is not None else (OpaquePart(dialect=NAME, value=value),)
    return Message(role="assistant", parts=parts)


def _speaker(fields: Fields, value: Any) -> Message:
    role = fields.word("role", ROLES)
    if role == "assistant":
        return Message(role="assistant", parts=read_item(value, fields.path))
    fields.any("type")
    parts = read_content(fields.any("content"), fields.at("content"))
    item = item_fields(fields)
    return Message(role=role, parts=parts, extra=extra({"_item": item} if item else {}))  # type: ignore[arg-type] # one of ROLES


def _result(fields: Fields) -> Message:
    kind = RESULTS[fields.need_text("type")]
    call = fields.need_text("call_id")
    parts = read_content(fields.any("output"), fields.at("output"))
    item = item_fields(fields)
    held = ({"_item": item} if item else {}) | ({"_kind": kind} if kind == "custom" else {})
    return Message(role="tool", parts=(ToolResultPart(tool_call_id=call, parts=parts, extra=extra(held)),))
