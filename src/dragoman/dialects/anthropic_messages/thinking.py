"""How much to think: Reasoning -> `thinking`, `output_config.effort`, and a `max_tokens` that leaves room for both.

Effort that a client of this dialect said stays effort. Effort from elsewhere becomes a budget of thinking tokens, which
every thinking model takes; where the API would then refuse the request, the wish to think yields to the rest of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dragoman.core.chat import ChatRequest, Reasoning, ReasoningPart, ToolCallPart
from dragoman.dialects.anthropic_messages.common import (
    DEFAULT_MAX_TOKENS,
    EFFORT_BUDGETS,
    MINIMUM_BUDGET,
    NO_EFFORT,
    mark,
)
from dragoman.dialects.losses import Losses


class Thinking(NamedTuple):
    """`derived`: the budget is our reading of an effort, nobody asked for it in tokens."""

    max_tokens: int
    field: dict[str, Any] | None = None
    effort: str | None = None
    derived: bool = False


def encode_thinking(request: ChatRequest, losses: Losses) -> Thinking:
    asked = request.reasoning or Reasoning()
    losses.foreign(asked.extra, "reasoning")
    effort = asked.effort if mark(asked.extra, "_effort") else None
    budget, derived = asked.budget_tokens, False
    if asked.effort is not None and effort is None and budget is None:
        budget = _budget_of(asked.effort, request, losses)
        derived = budget is not None
    elif asked.effort is not None and effort is None:
        losses.drop("reasoning.effort", "the budget in tokens says it more exactly, so the effort is left out")
    field = _field(asked, mark(asked.extra, "_thinking") or {}, budget, losses)
    if budget is None and field is not None and field.get("type") == "enabled":
        field["budget_tokens"] = budget = EFFORT_BUDGETS["medium"]
        losses.emulate("reasoning.enabled", f"Anthropic wants a number: {budget} thinking tokens were asked for")
    thinks = field is not None and field["type"] != "disabled"
    return Thinking(_max_tokens(request, budget if thinks else None, losses), field, effort, derived and thinks)


def _field(asked: Reasoning, native: dict[str, Any], budget: int | None, losses: Losses) -> dict[str, Any] | None:
    """The `thinking` object, None when nothing is to be said."""
    if asked.enabled is False or (asked.effort in NO_EFFORT and budget is None and not native):
        if budget is not None:
            losses.drop("reasoning.budget_tokens", "thinking is switched off, so its budget is left out")
        return {"type": "disabled", **native}
    if budget is None:
        return {"type": "enabled", **native} if asked.enabled or native else None
    if budget < MINIMUM_BUDGET:
        losses.change("reasoning.budget_tokens", f"{budget} was raised to {MINIMUM_BUDGET}, the least that Anthropic takes")
    return {"type": "enabled", "budget_tokens": max(budget, MINIMUM_BUDGET), **native}


def _budget_of(effort: str, request: ChatRequest, losses: Losses) -> int | None:
    """The budget that stands for an effort, None where there is none to set."""
    if effort in NO_EFFORT or (request.reasoning and request.reasoning.enabled is False):
        return None
    budget = EFFORT_BUDGETS.get(effort)
    if budget is None:
        losses.drop("reasoning.effort", f"{effort!r} is no effort known here; there are {', '.join(EFFORT_BUDGETS)} and none")
    elif request.tool_choice is not None and request.tool_choice.mode in ("required", "named"):
        losses.drop("reasoning.effort", "Anthropic does not think when a tool is forced; the tool choice was kept")
    elif _tool_turn_without_thinking(request):
        losses.drop(
            "reasoning.effort", "the last tool calls came without their signed thinking, so Anthropic would refuse to think"
        )
    else:
        losses.emulate("reasoning.effort", f"{effort!r} was sent as a budget of {budget} thinking tokens")
        return budget
    return None


def _tool_turn_without_thinking(request: ChatRequest) -> bool:
    for message in reversed(request.messages):
        if message.role == "assistant":
            called = any(isinstance(part, ToolCallPart) for part in message.parts)
            return called and not any(_signed(part) for part in message.parts)
    return False


def _signed(part: object) -> bool:
    return isinstance(part, ReasoningPart) and (part.signature is not None or part.redacted is not None)


def _max_tokens(request: ChatRequest, budget: int | None, losses: Losses) -> int:
    """The budget counts towards `max_tokens`, which must be larger. A limit that leaves no answer is raised by the budget."""
    asked = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    budget = None if budget is None else max(budget, MINIMUM_BUDGET)
    if budget is None or (request.max_tokens is not None and asked > budget):
        return asked
    if request.max_tokens is not None:
        losses.change("max_tokens", f"{asked} leaves no room beside {budget} thinking tokens; raised to {asked + budget}")
    return asked + budget
