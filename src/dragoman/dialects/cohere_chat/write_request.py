"""ChatRequest -> the body for Cohere. What the API cannot say is left out, and becomes a Warning.

Its own fields (`documents`, `citation_options`, `safety_mode` ...) are taken from a client of whatever dialect. The API
knows no choice of one tool: then only that tool is offered, and a call is required.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, Extra, NativeTool, Reasoning, ResponseFormat, Tool
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.cohere_chat.common import EFFORT_BUDGETS, NAME, NATIVE_FIELDS, NO_EFFORT, WHO, Body
from dragoman.dialects.cohere_chat.write_messages import MessageWriter
from dragoman.dialects.losses import UNCOMMON, Losses, own, taken

_OF_ITS_OWN = frozenset({"frequency_penalty", "presence_penalty", "logprobs"})
_UNSAYABLE = tuple(rule for rule in UNCOMMON if rule[0] not in _OF_ITS_OWN)

_SAMPLING: dict[str, tuple[str, float, float]] = {
    "temperature": ("temperature", 0, 2),
    "top_p": ("p", 0.01, 0.99),
    "top_k": ("k", 0, 500),
    "frequency_penalty": ("frequency_penalty", 0, 1),
    "presence_penalty": ("presence_penalty", 0, 1),
}
"""Our parameter -> theirs, with the lowest and highest value that the reference allows."""


def encode_request(request: ChatRequest) -> EncodedRequest:
    losses = Losses(NAME, WHO)
    losses.unsayable(request, _UNSAYABLE)
    losses.foreign(request.extra, "", NATIVE_FIELDS)
    writer = MessageWriter(losses)
    body: Body = {"model": request.model, "messages": writer.write(request.messages)}
    body |= _tools(request, losses)
    body |= _limits(request) | _sampling(request, losses)
    if (form := _format(request.response_format, losses)) is not None:
        body["response_format"] = form
    if (thinking := _thinking(request.reasoning, losses)) is not None:
        body["thinking"] = thinking
    if request.stream:
        body["stream"] = True
    body |= taken(request.extra, NAME, NATIVE_FIELDS)
    if writer.documents:
        body["documents"] = [*body.get("documents", []), *writer.documents]
    return EncodedRequest(body, tuple(losses.warnings))


def _limits(request: ChatRequest) -> Body:
    said = {"max_tokens": request.max_tokens, "seed": request.seed, "logprobs": request.logprobs or None}
    return {key: value for key, value in said.items() if value is not None} | (
        {"stop_sequences": list(request.stop)} if request.stop else {}
    )


def _sampling(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    for field, (name, lowest, highest) in _SAMPLING.items():
        value = getattr(request, field)
        if value is None:
            continue
        body[name] = min(max(value, lowest), highest)
        if body[name] != value:
            losses.change(field, f"Cohere takes {lowest} to {highest}; {value} became {body[name]}")
    return body


# ---------------------------------------------------------------------------------------------------------------- tools
def _tools(request: ChatRequest, losses: Losses) -> Body:
    body: Body = {}
    choice = request.tool_choice
    offered = [(tool, f"tools[{place}]") for place, tool in enumerate(request.tools)]
    if choice is not None:
        losses.foreign(choice.extra, "tool_choice")
        if choice.mode == "named":
            if len(offered) > 1:
                losses.emulate("tool_choice", f"Cohere cannot be told which tool to call; {choice.name} alone was offered")
            offered = [(tool, path) for tool, path in offered if not isinstance(tool, Tool) or tool.name == choice.name]
        if choice.mode != "auto":
            body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    if written := [tool for held, path in offered if (tool := _tool(held, path, losses)) is not None]:
        body["tools"] = written
    strict = {tool.strict for tool, _ in offered if isinstance(tool, Tool)}
    if True in strict:
        body["strict_tools"] = True
        if len(strict) > 1:
            losses.change("tools", "Cohere holds all tools to their schemas or none; all are held to them")
    return body


def _tool(tool: Tool | NativeTool, path: str, losses: Losses) -> Body | None:
    if isinstance(tool, NativeTool):
        if tool.dialect == NAME:
            return tool.value
        losses.drop(path, f"only {tool.dialect} knows this tool; offer Cohere a function")
        return None
    losses.foreign(tool.extra, path)
    function: dict[str, Any] = {"name": tool.name} | ({"description": tool.description} if tool.description else {})
    function["parameters"] = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    return {"type": "function", "function": function | own(tool.extra, NAME)}


# -------------------------------------------------------------------------------------------------------- form and thought
def _format(wanted: ResponseFormat | None, losses: Losses) -> Body | None:
    if wanted is None or wanted.kind == "text":
        return None
    losses.foreign(wanted.extra, "response_format")
    if wanted.description is not None:
        losses.drop("response_format.json_schema.description", "put the description into the schema itself")
    if wanted.strict is False:
        losses.change("response_format.json_schema.strict", "Cohere always holds the answer to the schema")
    return {"type": "json_object"} | ({"json_schema": wanted.schema} if wanted.schema is not None else {})


def _thinking(asked: Reasoning | None, losses: Losses) -> Body | None:
    if asked is None:
        return None
    budget = asked.budget_tokens or _native_budget(asked.extra)
    losses.foreign(asked.extra, "reasoning", () if budget is None else ("thinking",))
    if asked.enabled is False or (asked.effort in NO_EFFORT and budget is None):
        return {"type": "disabled"}
    if asked.effort is not None and budget is not None:
        losses.drop("reasoning.effort", "the budget in tokens says it more exactly, so the effort is left out")
    elif asked.effort is not None:
        budget = EFFORT_BUDGETS.get(asked.effort)
        if budget is None:
            known = ", ".join(EFFORT_BUDGETS)
            losses.drop("reasoning.effort", f"{asked.effort!r} is no effort known here; there are {known} and none")
            return None if asked.enabled is None else {"type": "enabled"}
        losses.emulate("reasoning.effort", f"{asked.effort!r} was sent as a budget of {budget} thinking tokens")
    if budget is None:
        return {"type": "enabled"} if asked.enabled else None
    return {"type": "enabled", "token_budget": budget}


def _native_budget(extra: Extra) -> int | None:
    """The API's own `thinking.token_budget`, from a client of a dialect that reads the rest of `thinking`."""
    objects = [fields["thinking"] for fields in extra.values() if isinstance(fields.get("thinking"), dict)]
    return next((held for fields in objects if isinstance(held := fields.get("token_budget"), int)), None)
