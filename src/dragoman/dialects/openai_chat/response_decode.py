"""A provider's 200 body -> ChatResponse (upstream half), whichever compatible provider wrote it.

Lenient: what is absent, null or an empty stand-in is nothing; what is unknown is kept in `extra["openai_chat"]`, fields of
the message under `message`. Refuses only what holds no answer: an `error` object, no `choices`, no JSON.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, OpaquePart, Part, RefusalPart, TextPart, ToolCallPart
from dragoman.core.errors import ResponseDecodeError, error_for
from dragoman.dialects.openai_chat.message import take_call_signature, take_marks, take_media, take_opaque
from dragoman.dialects.openai_chat.reasoning import read_thinking_item, take_reasoning
from dragoman.dialects.openai_chat.usage import decode_usage
from dragoman.dialects.openai_chat.wire import NAME, UNREADABLE, extra, finish, read_logprobs, said
from dragoman.dialects.openai_errors import embedded_status, read_error

_HEAD = 500


def decode_response(body: bytes) -> ChatResponse:
    try:
        value = json.decode(body)
    except UNREADABLE as error:
        raise _nonsense(f"the answer is no JSON: {error}", body) from None
    if type(value) is not dict:
        raise _nonsense(f"the answer is {json.kind(value)}, expected an object", body)
    left = said(value)
    choices = left.pop("choices", None)
    if left.get("error") and not choices:
        status = embedded_status(left)
        raise error_for(status, read_error(status, left), body=body.decode("utf-8", "replace"))
    if type(choices) is not list or not choices or not all(type(choice) is dict for choice in choices):
        raise _nonsense("the answer holds no choices", body)
    return _response(left, choices)


def _nonsense(problem: str, body: bytes) -> ResponseDecodeError:
    return ResponseDecodeError(problem, body=body[:_HEAD].decode("utf-8", "replace"))


def _response(left: dict[str, Any], choices: list[dict[str, Any]]) -> ChatResponse:
    created, call_id = left.pop("created", None), text_of(left, "id")
    left.pop("object", None)
    usage = decode_usage(left.pop("usage", None))
    origin = call_origin(call_id, created)
    return ChatResponse(
        id=call_id,
        model=text_of(left, "model"),
        created=created_of(created),
        service_tier=text_of(left, "service_tier") or None,
        system_fingerprint=text_of(left, "system_fingerprint") or None,
        choices=tuple(_choice(choice, index, origin) for index, choice in enumerate(choices)),
        usage=usage,
        extra=extra(left),
    )


def text_of(fields: dict[str, Any], key: str) -> str:
    value = fields.pop(key, None)
    return value if type(value) is str else ""


def created_of(value: Any) -> int | None:
    """Seconds; some send a fraction, some 0 for "not known"."""
    return int(value) if type(value) in (int, float) and value > 0 else None


def call_origin(call_id: str, created: Any) -> str:
    """What makes the id of a tool call unique that came without one."""
    return f"call_{call_id or created_of(created) or 0}"


def _choice(value: dict[str, Any], position: int, origin: str) -> Choice:
    left = said(value)
    index = left.pop("index", position)
    message = said(left.pop("message", None) or left.pop("delta", None) or {})
    left.pop("delta", None)
    parts = _message_parts(message, f"{origin}_{position}")
    native, stop_reason = left.pop("finish_reason", None) or _old_finish(left), left.get("stop_reason")
    if type(stop_reason) is str:
        del left["stop_reason"]
    return Choice(
        index=index if type(index) is int else position,
        parts=tuple(parts),
        finish=finish(native, has_tool_calls=any(isinstance(part, ToolCallPart) for part in parts), stop_reason=stop_reason),
        logprobs=read_logprobs(left.pop("logprobs", None)),
        extra=extra(left | ({"message": message} if message else {})),
    )


def _old_finish(left: dict[str, Any]) -> Any:
    """OpenAI's early vision models said `finish_details: {type}`."""
    details = left.get("finish_details")
    return details.get("type") if type(details) is dict else None


def _message_parts(message: dict[str, Any], origin: str) -> list[Part]:
    """Takes what it knows out of the message, in the order in which a model makes it; the rest stays for `extra`."""
    message.pop("role", None)
    reasoning = take_reasoning(message)
    content = take_marks(content_parts(message.pop("content", None)), message)
    refusal = message.pop("refusal", None)
    refusals = [RefusalPart(text=refusal)] if type(refusal) is str and refusal else []
    return [*reasoning, *take_opaque(message), *content, *refusals, *take_media(message), *_calls(message, origin)]


def content_parts(content: Any) -> list[Part]:
    """Text, Mistral's list of items, or (Cloudflare) the JSON value itself where JSON was asked for."""
    if type(content) is str:
        return [TextPart(text=content)] if content else []
    if type(content) is list:
        return [part for item in content for part in content_item(item)]
    return [] if content is None else [TextPart(text=json.encode(content).decode())]


def content_item(item: Any) -> list[Part]:
    if type(item) is not dict:
        return [TextPart(text=item)] if type(item) is str and item else []
    if item.get("type") == "text":
        return [TextPart(text=item["text"])] if item.get("text") else []
    if item.get("type") == "thinking":
        return [read_thinking_item(item)]
    return [OpaquePart(dialect=NAME, value=item)]


def _calls(message: dict[str, Any], origin: str) -> list[Part]:
    calls = message.pop("tool_calls", None)
    found = [read_call(call, f"{origin}_{i}") for i, call in enumerate(calls) if type(call) is dict] if calls else []
    legacy = message.pop("function_call", None)
    if type(legacy) is dict and legacy.get("name"):
        found.append(
            ToolCallPart(
                id=f"{origin}_{len(found)}",
                name=legacy["name"],
                arguments=arguments_text(legacy.get("arguments")),
                extra=extra({"_legacy": True}),
            )
        )
    return [*found]


def read_call(value: dict[str, Any], fallback_id: str) -> ToolCallPart:
    left = said(value)
    left.pop("index", None)
    custom = left.pop("type", None) == "custom"
    held = left.pop("custom" if custom else "function", None) or {}
    return ToolCallPart(
        id=left.pop("id", None) or fallback_id,
        name=held.get("name") or "",
        arguments=arguments_text(held.get("input" if custom else "arguments")),
        kind="custom" if custom else "function",
        signature=take_call_signature(left),
        extra=extra(left),
    )


def arguments_text(value: Any) -> str:
    """JSON text as the model wrote it; a provider that parsed it gets it written again."""
    if type(value) is str:
        return value
    return "" if value is None else json.encode(value).decode()
