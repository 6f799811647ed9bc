"""A program's request -> ChatRequest. Wrong kinds raise BadRequestError with path, finding and expectation.

Fields without a word in the vocabulary (container, context_management, mcp_servers, ...) are kept in `extra` and written
back by this dialect. `max_tokens` may be missing: the encoder has a default for it. Called by the gateway's /v1/messages.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    Extra,
    Message,
    NativeTool,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolResultPart,
)
from dragoman.core.errors import BadRequestError
from dragoman.dialects.anthropic_messages.common import NAME, REQUEST_TIERS
from dragoman.dialects.anthropic_messages.fields import UNREADABLE, FieldError, Fields, check, one_of
from dragoman.dialects.anthropic_messages.read_blocks import decode_content

_MODES: dict[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "tool": "named",
}


def decode_request(body: bytes) -> ChatRequest:
    try:
        return _request(Fields(json.decode(body), ""))
    except UNREADABLE as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    except FieldError as error:
        raise BadRequestError(str(error)) from None


def _request(body: Fields) -> ChatRequest:
    messages = body.need("messages", "an array")
    tool_choice, parallel = _tool_choice(body.take("tool_choice", "an object"))
    metadata = Fields(body.take("metadata", "an object") or {}, "metadata")
    output = Fields(body.take("output_config", "an object") or {}, "output_config")
    tier = body.take("service_tier", "a string")
    return ChatRequest(
        model=body.need("model", "a string"),
        messages=(
            *_system(body.take("system", "a string or an array")),
            *(_message(Fields(value, f"messages[{place}]")) for place, value in enumerate(messages)),
        ),
        tools=tuple(_tool(value, f"tools[{place}]") for place, value in enumerate(body.take("tools", "an array") or ())),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        max_tokens=body.take("max_tokens", "an integer"),
        temperature=body.take("temperature", "a number"),
        top_p=body.take("top_p", "a number"),
        top_k=body.take("top_k", "an integer"),
        stop=_stop(body.take("stop_sequences", "an array") or ()),
        response_format=_format(output.take("format", "an object") or body.take("output_format", "an object")),
        reasoning=_reasoning(body.take("thinking", "an object"), output.take("effort", "a string")),
        user=metadata.take("user_id", "a string"),
        service_tier=REQUEST_TIERS.get(tier, tier),
        stream=body.take("stream", "a boolean") or False,
        extra=_extra(body, metadata=metadata, output_config=output),
    )


def _extra(body: Fields, **partly: Fields) -> Extra:
    """What is left of the body, and of the objects in it that were read in part."""
    left = body.left() | {key: fields.left() for key, fields in partly.items() if fields.left()}
    return {NAME: left} if left else {}


def _system(value: Any) -> tuple[Message, ...]:
    parts = decode_content(value, "system")
    return (Message(role="system", parts=parts),) if parts else ()


def _message(fields: Fields) -> Message:
    """A system message among the others keeps its native role in `extra`, which tells the encoder to leave it in its place."""
    role = fields.need("role", "a string")
    one_of(role, ("user", "assistant", "system"), f"{fields.path}.role")
    parts = decode_content(fields.need("content", "a string or an array"), f"{fields.path}.content")
    if role == "system":
        fields.values["_role"] = role
    elif role == "user" and parts and all(isinstance(part, ToolResultPart) for part in parts):
        role = "tool"
    return Message(role=role, parts=parts, extra=fields.extra())


def _tool(value: Any, path: str) -> Tool | NativeTool:
    fields = Fields(value, path)
    if (fields.take("type", "a string") or "custom") != "custom":
        return NativeTool(dialect=NAME, value=value)
    return Tool(
        name=fields.need("name", "a string"),
        description=fields.take("description", "a string"),
        parameters=fields.take("input_schema", "an object"),
        strict=fields.take("strict", "a boolean"),
        cache_control=fields.take("cache_control", "an object"),
        extra=fields.extra(),
    )


def _tool_choice(value: Any) -> tuple[ToolChoice | None, bool | None]:
    if value is None:
        return None, None
    fields = Fields(value, "tool_choice")
    kind = fields.need("type", "a string")
    one_of(kind, tuple(_MODES), "tool_choice.type")
    name = fields.need("name", "a string") if kind == "tool" else None
    single = fields.take("disable_parallel_tool_use", "a boolean")
    choice = ToolChoice(mode=_MODES[kind], name=name, extra=fields.extra())
    return choice, None if single is None else not single


def _stop(values: Any) -> tuple[str, ...]:
    return tuple(check(value, "a string", f"stop_sequences[{place}]") for place, value in enumerate(values))


def _format(value: Any) -> ResponseFormat | None:
    """`output_config.format`, or `output_format` as it was called in its beta."""
    if value is None:
        return None
    fields = Fields(value, "output_config.format")
    one_of(fields.need("type", "a string"), ("json_schema",), "output_config.format.type")
    return ResponseFormat(kind="json_schema", schema=fields.need("schema", "an object"), extra=fields.extra())


def _reasoning(thinking: Any, effort: str | None) -> Reasoning | None:
    """What makes the two native fields again is kept in `extra`: an unusual type, `display`, and that effort was said here."""
    if thinking is None and effort is None:
        return None
    native: dict[str, Any] = {} if effort is None else {"_effort": effort}
    if thinking is None:
        return Reasoning(effort=effort, extra={NAME: native})
    fields = Fields(thinking, "thinking")
    kind = fields.need("type", "a string")
    budget = fields.take("budget_tokens", "an integer")
    if kind not in ("enabled", "disabled"):
        fields.values["type"] = kind
    if left := fields.left():
        native["_thinking"] = left
    return Reasoning(
        effort=effort,
        budget_tokens=budget,
        enabled=kind != "disabled",
        extra={NAME: native} if native else {},
    )
