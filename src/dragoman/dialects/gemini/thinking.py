"""How much to think: Reasoning -> `thinkingConfig`. Gemini 3 and later take a level, those before it a budget of tokens.

What a client of this dialect said is said again. Effort from elsewhere becomes the one that the model takes, by the vendor's
own table, and thoughts are asked to be shown, as those clients expect. https://ai.google.dev/gemini-api/docs/openai#thinking
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core.chat import Reasoning
from dragoman.dialects.gemini.common import Losses, mark, own

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_NO_EFFORT = frozenset({"none", "disable"})
_GENERATION = re.compile(r"gemini-(\d+)")


def thinking_config(asked: Reasoning | None, model: str, losses: Losses) -> dict[str, Any]:
    """The fields of `thinkingConfig`; empty when nothing is to be said."""
    if asked is None:
        return {}
    losses.foreign(asked.extra, "reasoning")
    if mark(asked.extra, "_native"):
        return _as_said(asked)
    if asked.enabled is False or (asked.effort in _NO_EFFORT and asked.budget_tokens is None):
        return _off(model, losses)
    if asked.budget_tokens is not None:
        if asked.effort is not None:
            losses.drop("reasoning.effort", "the budget in tokens says it more exactly, so the effort is left out")
        return {"thinkingBudget": asked.budget_tokens, "includeThoughts": True}
    if asked.effort is not None:
        return _by_effort(asked.effort, model, losses)
    return {"includeThoughts": True} if asked.enabled else {}


def _as_said(asked: Reasoning) -> dict[str, Any]:
    budget = mark(asked.extra, "_budget") or asked.budget_tokens
    config = own(asked.extra) | {
        "includeThoughts": mark(asked.extra, "_shown"),
        "thinkingBudget": 0 if asked.enabled is False else budget,
        "thinkingLevel": mark(asked.extra, "_level"),
    }
    return {key: value for key, value in config.items() if value is not None}


def takes_levels(model: str) -> bool:
    """Whether the model is of the third generation or later."""
    found = _GENERATION.search(model)
    return found is not None and int(found[1]) >= 3


def _off(model: str, losses: Losses) -> dict[str, Any]:
    if not takes_levels(model):
        return {"thinkingBudget": 0}
    level = _least(model)
    losses.change("reasoning", f"this model always thinks; its thinking was set to {level}, the least there is")
    return {"thinkingLevel": level}


def _least(model: str) -> str:
    return "low" if "pro" in model else "minimal"


def _by_effort(effort: str, model: str, losses: Losses) -> dict[str, Any]:
    if effort not in _LEVELS:
        losses.drop("reasoning.effort", f"{effort!r} is no effort known here; there are {', '.join(_LEVELS)} and none")
        return {}
    if not takes_levels(model):
        budget = _BUDGETS[effort]
        losses.emulate("reasoning.effort", f"{effort!r} was sent as a budget of {budget} thinking tokens")
        return {"thinkingBudget": budget, "includeThoughts": True}
    level = _least(model) if effort == "minimal" else _LEVELS[effort]
    if level != effort:
        losses.change("reasoning.effort", f"this model has no {effort!r}; {level!r} was sent")
    return {"thinkingLevel": level, "includeThoughts": True}
