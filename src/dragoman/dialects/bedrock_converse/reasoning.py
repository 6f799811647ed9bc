"""How much to think, in the words of the model's maker: a part of additionalModelRequestFields, and what has to yield to it.

Claude's rules are Anthropic's own (`anthropic_messages.thinking`). The others know efforts in three words; a budget in tokens
is told to them as the nearest of those.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from dragoman.core.chat import ChatRequest, Reasoning
from dragoman.dialects.anthropic_messages.common import NO_EFFORT
from dragoman.dialects.anthropic_messages.thinking import encode_thinking
from dragoman.dialects.bedrock_converse.common import Body, Losses
from dragoman.dialects.bedrock_converse.models import Family, ReasoningStyle


class Reasoned(Struct, frozen=True, kw_only=True):
    """`fields` of additionalModelRequestFields, `effort` of outputConfig, `yielding`: parameters of ours refused beside them.

    `thinks`: the model was asked to think, so it cannot be forced to call a tool.
    """

    fields: Body = {}
    effort: str | None = None
    max_tokens: int | None = None
    yielding: tuple[str, ...] = ()
    thinks: bool = False


_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BUDGETS = ((2048, "low"), (8192, "medium"))
"""Thinking tokens up to -> the effort; more is high."""

_SAMPLING = ("temperature", "top_p", "top_k")


def encode_reasoning(request: ChatRequest, family: Family, losses: Losses) -> Reasoned:
    asked = request.reasoning
    if asked is None or asked == Reasoning():
        return Reasoned(max_tokens=request.max_tokens)
    return _WRITERS[family.reasoning](request, asked, losses)


def _claude(request: ChatRequest, _: Reasoning, losses: Losses) -> Reasoned:
    """Converse has no least `max_tokens`, so none is set where the caller said nothing."""
    thinking = encode_thinking(request, losses)
    yielding = tuple(name for name in _SAMPLING if (name, getattr(request, name)) != ("temperature", 1))
    return Reasoned(
        fields={} if thinking.field is None else {"thinking": thinking.field},
        effort=thinking.effort,
        max_tokens=None if request.max_tokens is None else thinking.max_tokens,
        yielding=yielding if thinking.derived else (),
        thinks=thinking.field is not None and thinking.field["type"] != "disabled",
    )


def _nova(request: ChatRequest, asked: Reasoning, losses: Losses) -> Reasoned:
    """At high effort Nova decides the length and the sampling itself, and refuses to be told."""
    losses.foreign(asked.extra, "reasoning")
    if _off(asked):
        return Reasoned(fields={"reasoningConfig": {"type": "disabled"}}, max_tokens=request.max_tokens)
    effort = _effort(asked, losses)
    if effort is None:
        return Reasoned(max_tokens=request.max_tokens)
    return Reasoned(
        fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}},
        max_tokens=request.max_tokens,
        yielding=("max_tokens", *_SAMPLING) if effort == "high" else (),
    )


def _worded(field: str) -> Callable[[ChatRequest, Reasoning, Losses], Reasoned]:
    """The effort as one word under `field`."""

    def write(request: ChatRequest, asked: Reasoning, losses: Losses) -> Reasoned:
        losses.foreign(asked.extra, "reasoning")
        if _off(asked):
            losses.drop("reasoning", "this model cannot be told not to think; leave reasoning out or use another model")
            return Reasoned(max_tokens=request.max_tokens)
        effort = _effort(asked, losses)
        return Reasoned(fields={} if effort is None else {field: effort}, max_tokens=request.max_tokens)

    return write


def _none(request: ChatRequest, asked: Reasoning, losses: Losses) -> Reasoned:
    if not _off(asked):
        losses.drop(
            "reasoning", "it is not known how this model is asked to think; say it in additionalModelRequestFields if it can"
        )
    return Reasoned(max_tokens=request.max_tokens)


def _off(asked: Reasoning) -> bool:
    return asked.enabled is False or (asked.effort in NO_EFFORT and asked.budget_tokens is None)


def _effort(asked: Reasoning, losses: Losses) -> str | None:
    """The word for what was asked, None if there is none."""
    if asked.effort is not None:
        effort = _EFFORTS.get(asked.effort)
        if effort is None:
            losses.drop("reasoning.effort", f"{asked.effort!r} is no effort known here; there are {', '.join(_EFFORTS)}")
        elif effort != asked.effort:
            losses.change("reasoning.effort", f"{asked.effort!r} was sent as {effort!r}, the nearest that this model knows")
        return effort
    if asked.budget_tokens is None:
        losses.emulate("reasoning.enabled", "this model wants to know how much to think: medium was asked for")
        return "medium"
    effort = next((word for limit, word in _BUDGETS if asked.budget_tokens <= limit), "high")
    losses.emulate("reasoning.budget_tokens", f"this model counts in words: {asked.budget_tokens} was sent as {effort!r}")
    return effort


_WRITERS: dict[ReasoningStyle, Callable[[ChatRequest, Reasoning, Losses], Reasoned]] = {
    "none": _none,
    "thinking": _claude,
    "reasoningConfig": _nova,
    "reasoning_effort": _worded("reasoning_effort"),
    "reasoning_config": _worded("reasoning_config"),
}
