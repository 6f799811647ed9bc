"""ChatRequest -> the body of a chat completion request (upstream half).

Writes only what was said. What the dialect has no word for (an opaque block or tool of another dialect, a failed tool
result, their `extra`) is left out with a Warning that names it. Knows no provider: deviations are quirks of a row.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, Message, NativeTool, Reasoning, ResponseFormat, Tool, ToolChoice, Warning
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_chat.parts_encode import encode_message, foreign
from dragoman.dialects.openai_chat.wire import NAME, mark, own

_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "n",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "parallel_tool_calls",
    "user",
    "service_tier",
    "metadata",
)
"""Parameters that are written as they are, when they are not None."""


def encode_request(request: ChatRequest) -> EncodedRequest:
    warnings: list[Warning] = [*foreign(request.extra, "extra")]
    beyond = dict(own(request.extra))
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request.messages, warnings)}
    body |= {name: value for name in _PLAIN if (value := getattr(request, name)) is not None}
    body |= _tools(request.tools, warnings)
    if request.tool_choice is not None:
        body |= _tool_choice(request.tool_choice, warnings)
    if request.max_tokens is not None:
        body[mark(request.extra, "_max_tokens_field") or "max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, warnings)
    if request.reasoning is not None:
        body |= _reasoning(request.reasoning, warnings)
    body |= _stream(request, beyond)
    return EncodedRequest(body | beyond, tuple(warnings))


def _messages(messages: tuple[Message, ...], warnings: list[Warning]) -> list[dict[str, Any]]:
    return [item for index, message in enumerate(messages) for item in encode_message(message, f"messages[{index}]", warnings)]


def _stream(request: ChatRequest, beyond: dict[str, Any]) -> dict[str, Any]:
    options = dict(beyond.pop("stream_options", None) or {})
    if request.include_usage is not None:
        options["include_usage"] = request.include_usage
    return ({"stream": True} if request.stream else {}) | ({"stream_options": options} if options else {})


def _reasoning(reasoning: Reasoning, warnings: list[Warning]) -> dict[str, Any]:
    warnings += foreign(reasoning.extra, "reasoning")
    fields: dict[str, Any] = {} if reasoning.effort is None else {"reasoning_effort": reasoning.effort}
    thinking: dict[str, Any] = {}
    if reasoning.enabled is not None or reasoning.budget_tokens is not None:
        thinking["type"] = "disabled" if reasoning.enabled is False else "enabled"
    if reasoning.budget_tokens is not None:
        thinking["budget_tokens"] = reasoning.budget_tokens
    thinking |= own(reasoning.extra).get("thinking", {})
    return fields | ({"thinking": thinking} if thinking else {})


def _response_format(form: ResponseFormat, warnings: list[Warning]) -> dict[str, Any]:
    warnings += foreign(form.extra, "response_format")
    beyond = dict(own(form.extra))
    written: dict[str, Any] = {"type": form.kind}
    if form.kind == "json_schema":
        described = {"description": form.description, "strict": form.strict, "schema": form.schema}
        schema = {"name": form.name or "response"} | {key: value for key, value in described.items() if value is not None}
        written["json_schema"] = schema | beyond.pop("json_schema", {})
    return written | beyond


# ----------------------------------------------------------------------------------------------------------------- tools
def _tools(tools: tuple[Tool | NativeTool, ...], warnings: list[Warning]) -> dict[str, Any]:
    written: dict[str, list[Any]] = {"tools": [], "functions": []}
    for index, tool in enumerate(tools):
        if isinstance(tool, Tool):
            legacy = bool(mark(tool.extra, "_legacy"))
            written["functions" if legacy else "tools"].append(_tool(tool, f"tools[{index}]", warnings, legacy=legacy))
        elif tool.dialect == NAME:
            written["tools"].append(tool.value)
        else:
            kind = tool.value.get("type", "unknown")
            message = f"a tool of type {kind} is known to {tool.dialect} only and was left out; offer it as a function"
            warnings.append(Warning(field=f"tools[{index}]", message=message))
    return {key: items for key, items in written.items() if items}


def _tool(tool: Tool, path: str, warnings: list[Warning], *, legacy: bool) -> dict[str, Any]:
    warnings += foreign(tool.extra, path)
    beyond = {key: value for key, value in own(tool.extra).items() if key != "tool"}
    described = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    function: dict[str, Any] = (
        {"name": tool.name} | {key: value for key, value in described.items() if value is not None} | beyond
    )
    if legacy:
        return function
    written: dict[str, Any] = {"type": "function", "function": function}
    if tool.cache_control is not None:
        written["cache_control"] = tool.cache_control
    return written | dict(own(tool.extra).get("tool", {}))


def _tool_choice(choice: ToolChoice, warnings: list[Warning]) -> dict[str, Any]:
    warnings += foreign(choice.extra, "tool_choice")
    beyond = own(choice.extra)
    if mark(choice.extra, "_legacy"):
        return {"function_call": {"name": choice.name} if choice.mode == "named" else choice.mode}
    if "native" in beyond:
        return {"tool_choice": beyond["native"]}
    named = {"type": "function", "function": {"name": choice.name}}
    return {"tool_choice": named if choice.mode == "named" else choice.mode}
