"""A program's request -> ChatRequest. Wrong kinds raise BadRequestError with path, finding and expectation.

The model and whether to stream stand in the path: where the body says them too they are read, else `model` is "" and the
gateway sets it. Fields without a word in the vocabulary (safetySettings, cachedContent, labels, ...) are kept in `extra`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    Extra,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.errors import BadRequestError
from dragoman.dialects.gemini.common import TIERS, extra_of, made_id
from dragoman.dialects.gemini.fields import UNREADABLE, FieldError, Fields, normal
from dragoman.dialects.gemini.read_config import SAID_HERE, read_sampling, read_tool_choice, read_tools
from dragoman.dialects.gemini.read_parts import decode_part

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "tool", "system": "system"}


def decode_request(body: bytes) -> ChatRequest:
    try:
        return _request(Fields(normal(json.decode(body)), ""))
    except UNREADABLE as error:
        raise BadRequestError(f"the body is not JSON: {error}", attempts=0) from None
    except FieldError as error:
        raise BadRequestError(str(error), attempts=0) from None


def _request(body: Fields) -> ChatRequest:
    config, tool_config = body.part("generationConfig"), body.part("toolConfig")
    tier = body.take("serviceTier", "a string")
    history = _History()
    system = _system(body)
    return ChatRequest(
        model=(body.take("model", "a string") or "").removeprefix("models/"),
        messages=(*system, *_joined([history.message(path, value) for path, value in body.items("contents")])),
        tools=read_tools(body),
        tool_choice=read_tool_choice(tool_config),
        service_tier=TIERS.get(tier.lower(), tier.lower()) if tier else None,
        stream=body.take("stream", "a boolean") or False,
        **read_sampling(config),
        extra=_extra(body, generationConfig=config, toolConfig=tool_config),
    )


def _extra(body: Fields, **partly: Fields) -> Extra:
    """What is left of the body, and of the objects in it that were read in part."""
    left = body.left() | {key: fields.left() for key, fields in partly.items() if fields.left()}
    return extra_of(left | {SAID_HERE: True})


def _system(body: Fields) -> tuple[Message, ...]:
    """Its role means nothing to the vendor."""
    if "systemInstruction" not in body.values:
        return ()
    value = body.values.pop("systemInstruction")
    content = Fields({"parts": [{"text": value}]} if isinstance(value, str) else value, "systemInstruction")
    found = content.items("parts")
    parts = tuple(decode_part(item, path, name_call=_no_call, name_result=_no_call) for path, item in found)
    return (Message(role="system", parts=parts),) if parts else ()


def _joined(messages: list[Message]) -> list[Message]:
    """Clients keep each event of a stream as a content of its own: the model's neighbouring ones are one message again."""
    found: list[Message] = []
    for message in messages:
        last = found[-1] if found else None
        if last is not None and message.role == last.role == "assistant" and not (last.extra or message.extra):
            found[-1] = Message(role="assistant", parts=_grown(last.parts, message.parts))
        else:
            found.append(message)
    return found


def _grown(parts: tuple[Part, ...], more: tuple[Part, ...]) -> tuple[Part, ...]:
    """A text or a thought that goes on in the next event, and what signs it at its end, are one part."""
    if not parts or not more:
        return parts + more
    last, first = parts[-1], more[0]
    if isinstance(last, TextPart) and isinstance(first, TextPart) and not (last.signature or last.extra):
        return (*parts[:-1], replace(first, text=last.text + first.text), *more[1:])
    if isinstance(last, ReasoningPart) and isinstance(first, ReasoningPart) and not (_sealed(last) or first.redacted):
        return (*parts[:-1], replace(first, text=last.text + first.text), *more[1:])
    return parts + more


def _sealed(part: ReasoningPart) -> bool:
    return bool(part.signature or part.redacted or part.extra)


def _no_call(name: str) -> str:
    return made_id("system", 0) + name


class _History:
    """Gives ids to calls without one; a result without an id answers the first open call of its name."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # name and id of calls that have no result yet
        self._made = 0

    def message(self, path: str, value: Any) -> Message:
        content = Fields({"parts": [{"text": value}]} if isinstance(value, str) else value, path)
        said = content.take("role", "a string") or "user"
        role = _ROLES.get(said)
        if role is None:
            raise FieldError(f"{path}.role", "user or model", json.encode(said).decode())
        found = content.items("parts")
        parts = tuple(decode_part(item, place, name_call=self._new_id, name_result=self._open_id) for place, item in found)
        self._note(parts)
        if role == "user" and parts and all(isinstance(part, ToolResultPart) for part in parts):
            role = "tool"
        return Message(role=role, parts=parts, extra=content.extra())

    def _note(self, parts: tuple[Any, ...]) -> None:
        for part in parts:
            if isinstance(part, ToolCallPart):
                self._open.append((part.name, part.id))

    def _new_id(self, _name: str) -> str:
        self._made += 1
        return made_id("history", self._made)

    def _open_id(self, name: str) -> str:
        place = next((place for place, (called, _) in enumerate(self._open) if called == name), None)
        return self._new_id(name) if place is None else self._open.pop(place)[1]
