"""A program's chat completion request -> ChatRequest (downstream half).

Checks kinds and names strictly and answers with the path of what is wrong; judges no value that a provider should judge
(a temperature of 9 passes). Parameters without a word of ours are kept in `extra["openai_chat"]`. Called by the gateway's
chat route and, for keyword arguments, by the SDK.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    NativeTool,
    Part,
    Reasoning,
    RefusalPart,
    ResponseFormat,
    Role,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.dialects.openai_chat.message import is_legacy, take_call_signature, take_marks, take_media, take_opaque
from dragoman.dialects.openai_chat.parts_decode import decode_content
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_chat.reasoning import take_reasoning
from dragoman.dialects.openai_chat.wire import NAME, UNREADABLE, extra, said

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def decode_request(body: bytes) -> ChatRequest:
    try:
        value = json.decode(body)
    except UNREADABLE as error:
        refuse("", f"the request body is no JSON: {error}")
    if type(value) is not dict:
        refuse("", f"the request body: expected an object, found {json.kind(value)}")
    fields = Fields(value, "")
    model = fields.need_text("model")
    messages = fields.items("messages")
    if messages is None:
        mismatch("messages", "an array of messages", None)
    known: dict[str, Any] = {
        "messages": _messages(messages),
        "tools": _tools(fields),
        "tool_choice": _tool_choice(fields),
        "stop": _stop(fields),
        "response_format": _response_format(fields),
        "reasoning": _reasoning(fields),
        "logit_bias": _logit_bias(fields),
    }
    return ChatRequest(model=model, **known, **_plain(fields), **_stream(fields), **_max_tokens(fields), extra=_extra(fields))


def _plain(fields: Fields) -> dict[str, Any]:
    """The parameters that mean here what they mean there."""
    return {
        "parallel_tool_calls": fields.flag("parallel_tool_calls"),
        "temperature": fields.number("temperature"),
        "top_p": fields.number("top_p"),
        "top_k": fields.integer("top_k"),
        "n": fields.integer("n"),
        "seed": fields.integer("seed"),
        "frequency_penalty": fields.number("frequency_penalty"),
        "presence_penalty": fields.number("presence_penalty"),
        "logprobs": fields.flag("logprobs"),
        "top_logprobs": fields.integer("top_logprobs"),
        "user": fields.text("user"),
        "service_tier": fields.text("service_tier"),
        "metadata": fields.mapping("metadata"),
    }


def _extra(fields: Fields) -> dict[str, dict[str, Any]]:
    return extra(said(fields.rest()))


def _stream(fields: Fields) -> dict[str, Any]:
    """`stream`, and `include_usage` of `stream_options`; its other options stay under that name in `extra`."""
    found: dict[str, Any] = {"stream": fields.flag("stream") or False}
    if fields.peek("stream_options") is not None:
        options = fields.inner("stream_options")
        found["include_usage"] = options.flag("include_usage")
        if options.rest():
            fields.rest()["stream_options"] = options.rest()
    return found


def _max_tokens(fields: Fields) -> dict[str, Any]:
    """Two names of one thing; which one it was is kept in `extra`, to be written back."""
    old, new = fields.integer("max_tokens"), fields.integer("max_completion_tokens")
    if new is None:
        return {"max_tokens": old}
    if old is not None and old != new:
        refuse("max_tokens", f"{old} contradicts max_completion_tokens {new}; send one of them")
    fields.rest()["_max_tokens_field"] = "max_completion_tokens"
    return {"max_tokens": new}


def _stop(fields: Fields) -> tuple[str, ...]:
    if type(fields.peek("stop")) is str:
        return (fields.need_text("stop"),)
    items = fields.items("stop") or []
    for index, item in enumerate(items):
        if type(item) is not str:
            mismatch(f"stop[{index}]", "a string", item)
    return tuple(items)


def _logit_bias(fields: Fields) -> dict[str, float] | None:
    bias = fields.mapping("logit_bias")
    for token, value in (bias or {}).items():
        if type(value) not in (int, float):
            mismatch(f"logit_bias.{token}", "a number", value)
    return bias


def _reasoning(fields: Fields) -> Reasoning | None:
    """OpenAI's `reasoning_effort` and the `thinking` object of Anthropic, z.ai and DeepSeek, both at once if given."""
    effort = fields.text("reasoning_effort")
    if fields.peek("thinking") is None:
        return Reasoning(effort=effort) if effort is not None else None
    thinking = fields.inner("thinking")
    kind, budget = thinking.text("type"), thinking.integer("budget_tokens")
    left = thinking.rest() | ({"type": kind} if kind not in (None, "enabled", "disabled") else {})
    enabled = None if kind is None else kind != "disabled"
    return Reasoning(effort=effort, budget_tokens=budget, enabled=enabled, extra=extra({"thinking": left} if left else {}))


def _response_format(fields: Fields) -> ResponseFormat | None:
    if fields.peek("response_format") is None:
        return None
    given = fields.peek("response_format")
    form = Fields(given, "response_format")
    kind = form.need_text("type")
    if kind not in ("text", "json_object", "json_schema"):
        return None  # a provider's own kind (grammar, regex): it stays in `extra` under its own name
    fields.any("response_format")
    if kind != "json_schema":
        return ResponseFormat(kind="text" if kind == "text" else "json_object", extra=extra(form.rest()))
    schema = form.inner("json_schema")
    return ResponseFormat(
        kind="json_schema",
        schema=schema.mapping("schema"),
        name=schema.text("name"),
        description=schema.text("description"),
        strict=schema.flag("strict"),
        extra=extra(form.rest() | ({"json_schema": schema.rest()} if schema.rest() else {})),
    )


# ----------------------------------------------------------------------------------------------------------------- tools
def _tools(fields: Fields) -> tuple[Tool | NativeTool, ...]:
    tools = [_tool(item, f"tools[{index}]") for index, item in enumerate(fields.items("tools") or [])]
    legacy = enumerate(fields.items("functions") or [])
    return (*tools, *(_function(Fields(item, f"functions[{index}]"), {"_legacy": True}) for index, item in legacy))


def _tool(value: Any, path: str) -> Tool | NativeTool:
    fields = Fields(value, path)
    kind = fields.text("type")
    if kind is not None and kind != "function":
        return NativeTool(dialect=NAME, value=value)
    function, cache_control = fields.inner("function"), fields.mapping("cache_control")
    return _function(function, {"tool": fields.rest()} if fields.rest() else {}, cache_control)


def _function(fields: Fields, more: dict[str, Any], cache_control: dict[str, Any] | None = None) -> Tool:
    return Tool(
        name=fields.need_text("name"),
        description=fields.text("description"),
        parameters=fields.mapping("parameters"),
        strict=fields.flag("strict"),
        cache_control=cache_control,
        extra=extra(more | fields.rest()),
    )


_Mode = Literal["auto", "none", "required"]
_MODES: dict[str, _Mode] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def _tool_choice(fields: Fields) -> ToolChoice | None:
    """`tool_choice`, or the legacy `function_call`."""
    legacy = fields.peek("tool_choice") is None
    key = "function_call" if legacy else "tool_choice"
    value, marks = fields.any(key), {"_legacy": True} if legacy else {}
    if value is None:
        return None
    if type(value) is str:
        mode = _MODES.get(value) or refuse(key, f"expected one of {', '.join(_MODES)} or an object, found {value[:60]!r}")
        return ToolChoice(mode=mode, extra=extra(marks))
    choice = Fields(value, key)
    if legacy:
        return ToolChoice(mode="named", name=choice.need_text("name"), extra=extra(marks))
    kind = choice.text("type") or "function"
    if kind == "function":
        return ToolChoice(mode="named", name=choice.inner("function").need_text("name"))
    if kind == "custom":
        return ToolChoice(mode="named", name=choice.inner("custom").need_text("name"), extra=extra({"native": value}))
    if kind == "allowed_tools":
        strict = choice.inner("allowed_tools").word("mode", ("auto", "required")) == "required"
        return ToolChoice(mode="required" if strict else "auto", extra=extra({"native": value}))
    return refuse("tool_choice.type", f"expected function, custom or allowed_tools, found {kind[:60]!r}")


# -------------------------------------------------------------------------------------------------------------- messages
def _messages(items: list[Any]) -> tuple[Message, ...]:
    """An old `function` message has no call id: it is given the one of the `function_call` before it."""
    messages: list[Message] = []
    call_id = "call_0"
    for index, item in enumerate(items):
        message = _message(Fields(item, f"messages[{index}]"), index, call_id)
        messages.append(message)
        call_id = next((part.id for part in message.parts if isinstance(part, ToolCallPart) and is_legacy(part)), call_id)
    return tuple(messages)


def _message(fields: Fields, index: int, legacy_id: str) -> Message:
    role = fields.word("role", ROLES)
    if role in ("tool", "function"):
        return _tool_message(fields, legacy_id if role == "function" else None)
    parts = decode_content(fields.any("content"), fields.at("content"))
    name, cache_control = fields.text("name"), fields.mapping("cache_control")
    if role == "assistant":
        parts = _assistant_parts(fields, parts, index)
    if cache_control is not None:
        parts = _cached(parts, cache_control)
    return Message(role=cast("Role", role), parts=tuple(parts), name=name, extra=extra(said(fields.rest())))


def _cached(parts: list[Part], cache_control: dict[str, Any]) -> list[Part]:
    """A message's `cache_control` is a mark behind its last part."""
    last = parts[-1] if parts else None
    if isinstance(last, TextPart | MediaPart | ToolCallPart):
        return [*parts[:-1], replace(last, cache_control=cache_control)]
    return parts


def _tool_message(fields: Fields, legacy_id: str | None) -> Message:
    content = tuple(decode_content(fields.any("content"), fields.at("content")))
    call_id = fields.need_text("tool_call_id") if legacy_id is None else legacy_id
    cache_control, failed = fields.mapping("cache_control"), _failed(fields)
    result = ToolResultPart(tool_call_id=call_id, parts=content, is_error=failed, cache_control=cache_control)
    name, mark = fields.text("name"), {} if legacy_id is None else {"role": "function"}
    return Message(role="tool", parts=(result,), name=name, extra=extra(said(fields.rest()) | mark))


def _failed(fields: Fields) -> bool | None:
    """OpenAI has no mark for a tool that failed; Anthropic's `is_error` and LangChain's `status` are understood."""
    status = fields.any("status") if fields.peek("status") in ("success", "error") else None
    return True if status == "error" else fields.flag("is_error")


def _assistant_parts(fields: Fields, content: list[Part], index: int) -> list[Part]:
    """The order in which a model makes them: reasoning, text, refusal, media, tool calls."""
    calls = [_call(Fields(item, f"{fields.at('tool_calls')}[{i}]")) for i, item in enumerate(fields.items("tool_calls") or [])]
    legacy = fields.mapping("function_call")
    if legacy:
        calls.append(_legacy_call(Fields(legacy, fields.at("function_call")), index))
    refusal = fields.text("refusal")
    refusals = [RefusalPart(text=refusal)] if refusal else []
    message = fields.rest()
    reasoning = take_reasoning(message)
    return [*reasoning, *take_opaque(message), *take_marks(content, message), *refusals, *take_media(message), *calls]


def _legacy_call(fields: Fields, index: int) -> ToolCallPart:
    name, arguments = fields.need_text("name"), fields.text("arguments")
    return ToolCallPart(id=f"call_{index}", name=name, arguments=arguments or "", extra=extra({"_legacy": True}))


def _call(fields: Fields) -> ToolCallPart:
    kind, call_id, cache_control = fields.text("type"), fields.text("id"), fields.mapping("cache_control")
    custom = kind == "custom"
    function = fields.inner("custom" if custom else "function")
    name, arguments = function.need_text("name"), function.text("input" if custom else "arguments")
    left = said(fields.rest())
    left.pop("index", None)
    return ToolCallPart(
        id=call_id or "",
        name=name,
        arguments=arguments or "",
        kind="custom" if custom else "function",
        signature=take_call_signature(left),
        cache_control=cache_control,
        extra=extra(left),
    )
