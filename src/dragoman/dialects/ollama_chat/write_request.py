"""ChatRequest -> the body of /api/chat. What the API cannot say is left out, and becomes a Warning.

A picture that is only named by its URL is an error: the server fetches nothing, and an answer that has not seen the picture
would be a wrong one. `stream` is always said, because here it is on unless it is switched off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    NativeTool,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.errors import ErrorDetail, UnsupportedParamsError
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.losses import UNCOMMON, Losses, own, taken
from dragoman.dialects.ollama_chat.words import (
    NAME,
    NATIVE_FIELDS,
    NO_EFFORT,
    OPTIONS,
    RUNTIME_OPTIONS,
    THINK,
    WHO,
    Body,
)

UNSAYABLE = tuple(rule for rule in UNCOMMON if rule[0] not in {*OPTIONS, "logprobs", "top_logprobs"})


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses = Losses(NAME, WHO)
    losses.unsayable(request, UNSAYABLE)
    losses.foreign(request.extra, "", NATIVE_FIELDS | RUNTIME_OPTIONS)
    names = _tool_names(request.messages)
    messages = [
        item
        for place, message in enumerate(request.messages)
        for item in _message(message, f"messages[{place}]", names, losses)
    ]
    body: Body = {"model": request.model, "messages": messages, "stream": request.stream}
    body |= _tools(request, losses)
    said = {"logprobs": request.logprobs or None, "top_logprobs": request.top_logprobs or None}
    body |= {key: value for key, value in said.items() if value is not None}
    if (form := write_format(request.response_format, losses)) is not None:
        body["format"] = form
    if (think := write_think(request.reasoning, losses)) is not None:
        body["think"] = think
    native = taken(request.extra, NAME, NATIVE_FIELDS)
    options = write_options(request) | (native.pop("options", None) or {})
    return EncodedRequest(body | ({"options": options} if options else {}) | native, tuple(losses.warnings))


def write_options(request: ChatRequest) -> Body:
    said = {name: getattr(request, field) for field, name in OPTIONS.items()}
    options = {name: value for name, value in said.items() if value is not None}
    if request.stop:
        options["stop"] = list(request.stop)
    everyones = (fields for dialect, fields in request.extra.items() if dialect != NAME)
    return options | {key: value for fields in everyones for key, value in fields.items() if key in RUNTIME_OPTIONS}


# ------------------------------------------------------------------------------------------------------------- messages
def _tool_names(messages: Iterable[Message]) -> dict[str, str]:
    """Id of a call -> the name of its tool, by which a result is known here."""
    return {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCallPart)}


def _message(message: Message, path: str, names: dict[str, str], losses: Losses) -> list[Body]:
    """Results of tools inside a user's message go first, each as a message of its own."""
    losses.foreign(message.extra, path)
    if message.name is not None and message.role != "tool":
        losses.drop(f"{path}.name", "Ollama's messages have no name; say in the text who speaks")
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    others = [part for part in message.parts if not isinstance(part, ToolResultPart)]
    written = [_result(part, names.get(part.tool_call_id) or message.name, path, losses) for part in results]
    if results and not others:
        return written
    role = {"developer": "system", "tool": "user"}.get(message.role, message.role)
    return [*written, {"role": role, **_content(others, path, losses), **own(message.extra, NAME)}]


def _result(part: ToolResultPart, name: str | None, path: str, losses: Losses) -> Body:
    losses.foreign(part.extra, path)
    if part.is_error:
        losses.drop(f"{path}.is_error", "Ollama has no mark for a failed tool call; the result itself was sent")
    named = {"tool_name": name} if name else {}
    known = {"tool_call_id": part.tool_call_id} if part.tool_call_id else {}
    return {"role": "tool", **_content(part.parts, path, losses), **named, **known}


def _content(parts: Iterable[Part], path: str, losses: Losses) -> Body:
    """`content`, and `thinking`, `images` and `tool_calls` where there are some."""
    found: dict[str, list[Any]] = {"content": [], "thinking": [], "images": [], "tool_calls": []}
    for place, part in enumerate(parts):
        field, value = _said(part, f"{path}.content[{place}]", losses)
        if value:
            found[field].append(value)
    joined = {field: "\n".join(found.pop(field)) for field in ("content", "thinking")}
    return {"content": joined["content"]} | {key: value for key, value in (joined | found).items() if value}


def _said(part: Part, path: str, losses: Losses) -> tuple[str, Any]:
    """Which field a part goes to, and as what; nothing for what cannot be said."""
    match part:
        case TextPart():
            losses.foreign(part.extra, path)
            return "content", part.text
        case RefusalPart():
            return "content", part.text
        case ReasoningPart():
            if part.text and part.redacted is None:
                return "thinking", part.text
            losses.drop(path, "thinking that only its provider can read says nothing to Ollama")
        case ToolCallPart():
            return "tool_calls", _call(part, path, losses)
        case MediaPart():
            return _media(part, path, losses)
        case OpaquePart():
            losses.drop(path, f"only {part.dialect} knows this block; Ollama has no word for it")
        case ToolResultPart():
            losses.drop(path, "a tool's result cannot stand inside another")
    return "content", None


def _call(part: ToolCallPart, path: str, losses: Losses) -> Body:
    losses.foreign(part.extra, path)
    function: Body = {"name": part.name, "arguments": _arguments(part, path, losses)}
    return {"type": "function", **({"id": part.id} if part.id else {}), "function": function}


def _arguments(part: ToolCallPart, path: str, losses: Losses) -> Body:
    """Broken JSON in a history is the model's doing and no reason to lose the conversation."""
    try:
        value = json.decode(part.arguments.strip() or "{}")
    except (json.DecodeError, RecursionError):
        value = None
    if part.kind == "function" and isinstance(value, dict):
        return value
    losses.change(f"{path}.arguments", 'no JSON object, which Ollama wants; sent as {"input": text}')
    return {"input": part.arguments}


def _media(part: MediaPart, path: str, losses: Losses) -> tuple[str, Any]:
    losses.foreign(part.extra, path)
    if part.kind == "document" and part.text is not None:
        losses.change(path, "the text document was sent as plain text")
        return "content", part.text
    if part.kind != "image":
        losses.drop(path, f"Ollama takes texts and images, no {part.kind}; send its text, or use another model")
        return "content", None
    if part.data is None:
        message = f"{path}: Ollama fetches no images: send the picture itself, as base64 data (a data: URL)"
        raise UnsupportedParamsError(message, detail=ErrorDetail(message=message, param=path), attempts=0)
    if part.detail not in (None, "auto"):
        losses.drop(f"{path}.detail", "Ollama has no image resolution hint; scale the image instead")
    return "images", part.data


# ----------------------------------------------------------------------------------------------------------- parameters
def _tools(request: ChatRequest, losses: Losses) -> Body:
    """No call can be forced. One can be forbidden: then no tool is offered."""
    choice = request.tool_choice
    offered = [(tool, f"tools[{place}]") for place, tool in enumerate(request.tools)]
    if choice is not None:
        losses.foreign(choice.extra, "tool_choice")
    if choice is not None and offered:
        if choice.mode == "none":
            losses.emulate("tool_choice", "Ollama cannot forbid tool calls; the tools were left out instead")
            return {}
        if choice.mode == "named":
            offered = [(tool, path) for tool, path in offered if not isinstance(tool, Tool) or tool.name == choice.name]
        if choice.mode != "auto":
            losses.drop("tool_choice", "Ollama cannot be made to call a tool; ask for it in the prompt")
    written = [tool for held, path in offered if (tool := _tool(held, path, losses)) is not None]
    return {"tools": written} if written else {}


def _tool(tool: Tool | NativeTool, path: str, losses: Losses) -> Body | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return tool.value
        losses.drop(path, f"only {tool.dialect} knows this tool; offer Ollama a function")
        return None
    losses.foreign(tool.extra, path)
    described = {"description": tool.description} if tool.description else {}
    parameters = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    function = {"name": tool.name, **described, "parameters": parameters}
    return {"type": "function", "function": function | own(tool.extra, NAME)}


def write_format(wanted: ResponseFormat | None, losses: Losses) -> str | Body | None:
    if wanted is None or wanted.kind == "text":
        return None
    losses.foreign(wanted.extra, "response_format")
    if wanted.description is not None:
        losses.drop("response_format.json_schema.description", "put the description into the schema itself")
    return "json" if wanted.schema is None else wanted.schema


def write_think(asked: Reasoning | None, losses: Losses) -> bool | str | None:
    if asked is None:
        return None
    losses.foreign(asked.extra, "reasoning")
    if asked.budget_tokens is not None:
        losses.drop("reasoning.budget_tokens", "Ollama has no budget for thinking; give an effort of low, medium or high")
    if asked.enabled is False or asked.effort in NO_EFFORT:
        return False
    if asked.effort is None:
        return True if asked.budget_tokens is not None else asked.enabled
    level = THINK.get(asked.effort)
    if level is None:
        losses.drop("reasoning.effort", f"{asked.effort!r} is no effort known here; there are {', '.join(THINK)} and none")
    elif level != asked.effort:
        losses.change("reasoning.effort", f"Ollama knows low, medium and high; {asked.effort} became {level}")
    return level or asked.enabled
