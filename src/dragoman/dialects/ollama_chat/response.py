"""A whole answer: the 200 body of /api/chat -> ChatResponse. The reader of tool calls is shared with streams."""

from __future__ import annotations

from collections.abc import Callable

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, Logprobs, MediaPart, Part, ReasoningPart, TextPart, ToolCallPart
from dragoman.core.errors import ResponseDecodeError, error_for
from dragoman.dialects.ollama_chat.words import (
    NAME,
    Body,
    call_origin,
    decode_created,
    decode_finish,
    decode_logprobs,
    decode_usage,
)
from dragoman.dialects.openai_errors import embedded_status, read_error
from dragoman.dialects.read_values import need_text, text_of, text_or_none

UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError)
"""What reading an answer that makes no sense may raise."""

_SHOWN = 500
_KNOWN = frozenset({"model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count", "logprobs"})


def decode_response(body: bytes, as_chat: Callable[[Body], Body] | None = None) -> ChatResponse:
    """`as_chat` brings what another endpoint answers into the form of this one."""
    try:
        value = json.decode(body)
        if as_chat is not None:
            value = as_chat(value)
        if not value.get("error"):
            return _response(value)
    except UNREADABLE as problem:
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the provider's answer is no answer of Ollama: {problem!r}", body=shown) from None
    status = embedded_status(value)
    raise error_for(status, read_error(status, value))


def _response(value: Body) -> ChatResponse:
    message = value["message"]
    tokens = decode_logprobs(value.get("logprobs"))
    return ChatResponse(
        id="",
        model=text_of(value.get("model")),
        created=decode_created(value.get("created_at")),
        choices=(
            Choice(
                parts=_parts(message, call_origin(value)),
                finish=decode_finish(value.get("done_reason"), called=bool(message.get("tool_calls"))),
                logprobs=Logprobs(content=tokens) if tokens else None,
            ),
        ),
        usage=decode_usage(value),
        extra=rest_of(value),
    )


def rest_of(value: Body) -> dict[str, Body]:
    """What the server told beyond the answer: its times, in nanoseconds."""
    left = {key: held for key, held in value.items() if key not in _KNOWN and held is not None}
    return {NAME: left} if left else {}


def _parts(message: Body, origin: str) -> tuple[Part, ...]:
    thinking, content = text_of(message.get("thinking")), text_of(message.get("content"))
    said: list[Part] = [ReasoningPart(text=thinking)] if thinking else []
    said += [TextPart(text=content)] if content else []
    said += [MediaPart(kind="image", data=need_text(image)) for image in message.get("images") or ()]
    return (*said, *(decode_call(call, f"{origin}_{place}") for place, call in enumerate(message.get("tool_calls") or ())))


def decode_call(call: Body, fallback_id: str) -> ToolCallPart:
    """The arguments are an object here, and JSON text everywhere else."""
    function = call["function"]
    given = function.get("arguments")
    arguments = given if isinstance(given, str) else json.encode({} if given is None else given).decode()
    return ToolCallPart(id=text_or_none(call.get("id")) or fallback_id, name=need_text(function["name"]), arguments=arguments)
