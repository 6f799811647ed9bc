"""What `bind_tools` binds: tools of every kind as OpenAI's tool objects, and a tool choice in OpenAI's words.

Accepts functions, pydantic classes, TypedDicts, LangChain tools, JSON schemas, and tools in OpenAI's or Anthropic's form; a
dict of another `type` is a provider's own tool and goes to it as it stands. Called by `base`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from dragoman.langchain.schemas import strict_schema

_SCHEMA_TYPES = (None, "function", "object")
_MODES = {"any": "required", "required": "required", "auto": "auto", "none": "none"}


def openai_tools(tools: Sequence[Any], *, strict: bool | None = None) -> list[dict[str, Any]]:
    """`strict=True` makes every parameter required and forbids others, as strict tools must be; None says nothing."""
    return [_tool(tool, strict=strict) for tool in tools]


def _tool(tool: Any, *, strict: bool | None) -> dict[str, Any]:
    if isinstance(tool, dict) and tool.get("type") not in _SCHEMA_TYPES:
        return tool
    made: dict[str, Any] = convert_to_openai_tool(tool)
    function = made.get("function")
    if strict is not None and isinstance(function, dict):
        function = {**function, "strict": strict}
        if strict:
            function["parameters"] = strict_schema(function.get("parameters") or {"type": "object", "properties": {}})
    return made | ({"function": function} if function else {}) | _beside(tool)


def _beside(tool: Any) -> dict[str, Any]:
    """What a tool says to its provider beside its schema: `cache_control`, `defer_loading` and the like."""
    if isinstance(tool, BaseTool):
        return dict(getattr(tool, "extras", None) or {})
    if isinstance(tool, dict):
        return {key: tool[key] for key in ("cache_control", "defer_loading") if key in tool}
    return {}


def names(tools: Sequence[dict[str, Any]]) -> list[str]:
    """What each tool is called; a provider's own tool by its name or its type."""
    return [(tool.get("function") or tool).get("name") or tool.get("type") or "" for tool in tools]


def openai_tool_choice(choice: Any, tools: Sequence[dict[str, Any]]) -> Any:
    """`True` and "any" force some tool, a name forces that one; None and False say nothing. Raises ValueError."""
    if choice is None or choice is False:
        return None
    if choice is True:
        return "required"
    if isinstance(choice, dict):
        return _from_dict(choice)
    if choice in names(tools):
        found = tools[names(tools).index(choice)]
        return {"type": "function", "function": {"name": choice}} if "function" in found else _native(found)
    if choice in _MODES:
        return _MODES[choice]
    raise ValueError(f"tool_choice: {choice!r} is none of the bound tools ({', '.join(names(tools))}) and no mode")


def unforced(said: dict[str, Any], model: str) -> dict[str, Any]:
    """Claude takes no forced tool while it thinks (https://docs.claude.com/en/docs/build-with-claude/extended-thinking)."""
    thinking = said.get("thinking") or {}
    thinks = thinking.get("type") in ("enabled", "adaptive") or said.get("reasoning_effort") not in (None, "none")
    choice = said.get("tool_choice")
    if not thinks or choice in (None, "auto", "none") or "claude" not in model.lower():
        return said
    warnings.warn("tool_choice was changed to auto: Claude takes no forced tool while it thinks", UserWarning, stacklevel=4)
    return said | {"tool_choice": "auto"}


def _native(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") == "custom":
        return {"type": "custom", "custom": {"name": names([tool])[0]}}
    return {"type": tool["type"]}


def _from_dict(choice: dict[str, Any]) -> Any:
    """OpenAI's own form, or Anthropic's."""
    if choice.get("type") == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _MODES.get(str(choice.get("type")), choice)
