"""ChatRequest -> the body for a provider. What the API cannot say is left out, and becomes a Warning.

A request that was made in this dialect is written as it was; one of another dialect keeps its own meaning: nothing is stored
(`store: false`, and thoughts come sealed instead), functions are not strict unless they are said to be.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import (
    ChatRequest,
    Extra,
    Message,
    NativeTool,
    Part,
    Reasoning,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_responses.read_items import RESULTS
from dragoman.dialects.openai_responses.words import ENCRYPTED, LOGPROBS, NAME, Losses, mark, own
from dragoman.dialects.openai_responses.write_items import ItemWriter
from dragoman.dialects.openai_responses.write_parts import Item, own_value, write_content

Body = dict[str, Any]

_PLAIN = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_logprobs": "top_logprobs",
    "parallel_tool_calls": "parallel_tool_calls",
    "user": "user",
    "service_tier": "service_tier",
    "metadata": "metadata",
}
"""Our parameter -> theirs; written when it is not None."""

_UNSAYABLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("n", (None, 1)),
    ("stop", ((),)),
    ("seed", (None,)),
    ("top_k", (None,)),
    ("frequency_penalty", (None, 0)),
    ("presence_penalty", (None, 0)),
    ("logit_bias", (None, {})),
)
"""Fields without a counterpart, with the values that ask for nothing."""

_CHAT = "openai_chat"
_SAME_IN_CHAT = frozenset({"store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stream_options"})
"""What the vendor's two dialects say alike, so that a chat call can be carried over this one without loss; there is also
`verbosity`, which here stands in `text`."""

_EFFORTS = ((1024, "low"), (8192, "medium"))
"""Thinking budgets up to so many tokens, and the effort nearest to them; above the last it is high."""


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses = Losses()
    for field, silent in _UNSAYABLE:
        if getattr(request, field) not in silent:
            losses.drop(field, "the Responses API has no such parameter; leave it out for its models")
    losses.foreign(_unshared(request.extra), "")
    body: Body = {"model": request.model} | _conversation(request, losses)
    body |= {theirs: value for ours, theirs in _PLAIN.items() if (value := getattr(request, ours)) is not None}
    body |= _tools(request, losses)
    body |= _text(request, losses)
    if request.reasoning is not None:
        body |= _reasoning(request.reasoning, losses)
    body |= _keeping(request)
    if request.stream:
        body["stream"] = True
    return EncodedRequest(body | _own_fields(request, body), tuple(losses.warnings))


def _unshared(held: Extra) -> Extra:
    """What another dialect alone can say."""
    chat = {key: value for key, value in held.get(_CHAT, {}).items() if key not in _SAME_IN_CHAT | {"verbosity"}}
    return held | {_CHAT: chat}


def _own_fields(request: ChatRequest, body: Body) -> Body:
    """What only this dialect knows. `text` was read in part, so its parts are put together again."""
    beyond = own(request.extra)
    if "text" in beyond:
        beyond["text"] = {**beyond["text"], **body.get("text", {})}
    beyond.pop("include", None)  # `_keeping` wrote it
    return beyond


# ----------------------------------------------------------------------------------------------------------- conversation
def _conversation(request: ChatRequest, losses: Losses) -> Body:
    """`input` is left out where the client had none, as beside a stored prompt."""
    body: Body = {}
    spelled = mark(request.extra, "_input")
    items: list[Item] = []
    customs: set[str] = set()
    for place, message in enumerate(request.messages):
        path = f"messages[{place}]"
        if mark(message.extra, "_instructions"):
            body["instructions"] = "".join(part.text for part in message.parts if isinstance(part, TextPart))
            continue
        losses.foreign(message.extra, path)
        if message.name is not None:
            losses.drop(f"{path}.name", "messages have no name here; say in the text who speaks")
        customs |= {part.id for part in message.parts if isinstance(part, ToolCallPart) and part.kind == "custom"}
        items += _message(message, path, customs, losses)
    if spelled == "string" and len(items) == 1:
        return body | {"input": items[0]["content"]}
    return body if spelled == "null" and not items else body | {"input": items}


def _message(message: Message, path: str, customs: set[str], losses: Losses) -> list[Item]:
    if message.role == "assistant":
        return ItemWriter(losses).items(message.parts, f"{path}.content")
    items: list[Item] = []
    said: list[Part] = []
    for place, part in enumerate(message.parts):
        where = f"{path}.content[{place}]"
        if isinstance(part, ToolResultPart):
            items.append(_result(part, where, customs, losses))
        elif message.role == "tool" and not isinstance(part, TextPart) and (item := _bare(part, where, losses)):
            items.append(item)
        else:
            said.append(part)
    if not said and message.parts:
        return items
    content = write_content(said, f"{path}.content", losses)
    if not content and said:
        return items
    role = "user" if message.role == "tool" else message.role
    return [*items, {"type": "message", "role": role, "content": content, **(mark(message.extra, "_item") or {})}]


def _bare(part: Any, path: str, losses: Losses) -> Item | None:
    """An item on the user's side that only this dialect knows."""
    return own_value(part, path, losses) if getattr(part, "dialect", None) == NAME else None


def _result(part: ToolResultPart, path: str, customs: set[str], losses: Losses) -> Item:
    losses.foreign(part.extra, path)
    if part.cache_control is not None:
        losses.drop(f"{path}.cache_control", "the Responses API caches by itself; use prompt_cache_key to help it")
    if part.is_error:
        losses.drop(f"{path}.is_error", "there is no mark for a failed result here; the result itself was sent")
    kind = "custom" if part.tool_call_id in customs or mark(part.extra, "_kind") == "custom" else "function"
    output = write_content(part.parts, f"{path}.content", losses)
    head: Item = {"type": _RESULTS[kind], **(mark(part.extra, "_item") or {}), "call_id": part.tool_call_id}
    return head | {"output": output or ""}


_RESULTS = {kind: name for name, kind in RESULTS.items()}


# ------------------------------------------------------------------------------------------------------------------ tools
def _tools(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    written = [_tool(tool, f"tools[{place}]", losses) for place, tool in enumerate(request.tools)]
    if tools := [tool for tool in written if tool is not None]:
        body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, losses)
    return body


def _tool(tool: Tool | NativeTool, path: str, losses: Losses) -> Item | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return tool.value
        if (custom := _custom_tool(tool)) is not None:
            return custom
        kind = tool.value.get("type", "unknown")
        losses.drop(path, f"a tool of type {kind} is known to {tool.dialect} only and was left out; offer it as a function")
        return None
    losses.foreign(tool.extra, path)
    if tool.cache_control is not None:
        losses.drop(f"{path}.cache_control", "the Responses API caches by itself; use prompt_cache_key to help it")
    described: Item = {"type": "function", "name": tool.name, "parameters": tool.parameters}
    if tool.description is not None:
        described["description"] = tool.description
    if mark(tool.extra, "_strict") != "default":
        described["strict"] = bool(tool.strict)
    return described | own(tool.extra)


def _custom_tool(tool: NativeTool) -> Item | None:
    """A tool of free text, which the chat dialect nests and this one does not; likewise the grammar in it."""
    nested = tool.value.get("custom")
    if tool.dialect != _CHAT or not isinstance(nested, dict):
        return None
    form = nested.get("format")
    grammar = form.get("grammar") if isinstance(form, dict) else None
    flat = {"format": {"type": "grammar", **grammar}} if isinstance(grammar, dict) else {}
    return {"type": "custom", **nested, **flat}


def _tool_choice(choice: ToolChoice, losses: Losses) -> Any:
    losses.foreign(choice.extra, "tool_choice")
    for native in own(choice.extra).values():
        return native
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


# ------------------------------------------------------------------------------------------------- the answer and thinking
def _text(request: ChatRequest, losses: Losses) -> Body:
    text: Body = {}
    if request.response_format is not None:
        text["format"] = _format(request.response_format, losses)
    verbosity = request.extra.get(_CHAT, {}).get("verbosity")
    if verbosity is not None:
        text["verbosity"] = verbosity
    return {"text": text} if text else {}


def _format(form: ResponseFormat, losses: Losses) -> Body:
    losses.foreign(form.extra, "response_format")
    if form.kind != "json_schema":
        return {"type": form.kind} | own(form.extra)
    described = {"description": form.description, "strict": form.strict, "schema": form.schema}
    said = {key: value for key, value in described.items() if value is not None}
    return {"type": "json_schema", "name": form.name or "response"} | said | own(form.extra)


def _reasoning(asked: Reasoning, losses: Losses) -> Body:
    losses.foreign(asked.extra, "reasoning")
    fields = own(asked.extra)
    if asked.effort is not None:
        fields["effort"] = asked.effort
        if asked.budget_tokens is not None:
            losses.drop("reasoning.budget_tokens", "the Responses API takes an effort in words; the one given was sent")
    elif asked.enabled is False:
        fields["effort"] = "none"
        losses.emulate("reasoning.enabled", "thinking is switched off by an effort of 'none', which not every model takes")
    elif asked.budget_tokens is not None:
        fields["effort"] = effort = next((word for most, word in _EFFORTS if asked.budget_tokens <= most), "high")
        losses.emulate("reasoning.budget_tokens", f"a budget of {asked.budget_tokens} tokens was sent as effort {effort!r}")
    return {"reasoning": fields} if fields else {}


def _keeping(request: ChatRequest) -> Body:
    """What is stored, and what the answer includes: sealed thoughts where they were asked for and the provider keeps none."""
    include: list[str] = list(mark(request.extra, "_include") or ())
    body: Body = {}
    if mark(request.extra, "_input") is None:
        body = {key: value for key, value in request.extra.get(_CHAT, {}).items() if key in _SAME_IN_CHAT}
        body.setdefault("store", False)
        if body["store"] is False and request.reasoning is not None:
            include.append(ENCRYPTED)
    elif mark(request.extra, "_store") is False:
        body["store"] = False
    if request.logprobs and LOGPROBS not in include:
        include.append(LOGPROBS)
    return body | ({"include": include} if include else {})
