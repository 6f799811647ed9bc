"""What was said in a call, as the GenAI conventions write messages: JSON text, for who asked for content to be captured. Pure.

Files and pictures are told of, not shown. Of an answer whose bytes were relayed unread nothing is known.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.errors import DragomanError
from dragoman.engine.call import Call

MAX_CHARACTERS = 100_000
"""Of one text; the rest is left out."""


def asked(call: Call) -> str | None:
    """The request's messages; of other operations its input. None where there is nothing to show."""
    if not call.in_json:
        return None
    try:
        request = call.request
    except (DragomanError, *json.UNREADABLE):
        return None
    if isinstance(request, ChatRequest):
        return _text([{"role": message.role, "parts": _parts(message.parts)} for message in request.messages])
    said = getattr(request, "input", None) or getattr(request, "prompt", None) or getattr(request, "query", None)
    return None if said is None else _cut(_text(said))


def answered(call: Call) -> str | None:
    """The answer's messages; None where it is no chat, or nothing is known of it."""
    response = None if call.settlement is None else call.settlement.response
    if not isinstance(response, ChatResponse):
        return None
    return _text([_message(choice) for choice in response.choices])


def _message(choice: Choice) -> dict[str, Any]:
    reason = choice.finish.reason if choice.finish else "error"
    return {"role": "assistant", "parts": _parts(choice.parts), "finish_reason": reason}


def _parts(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "content": _cut(part.text)}
        case ReasoningPart():
            return {"type": "reasoning", "content": _cut(part.text)}
        case ToolCallPart():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": _cut(part.arguments)}
        case ToolResultPart():
            return {"type": "tool_call_response", "id": part.tool_call_id, "response": _parts(part.parts)}
        case MediaPart():
            return {"type": "blob", "modality": part.kind, "mime_type": part.media_type, "size": len(part.data or "")}
    return {"type": "opaque", "dialect": part.dialect}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}... ({len(text)} characters)"


def _text(value: Any) -> str:
    return json.encode(value).decode()
