"""What the demo models say: an `Ask` -> an `Answer`. Rules and one small table; nothing here knows a wire format.

`echo` says the user's words back. `canned` knows the documented prompts. `tools` calls a tool when it may. `json` always
answers with JSON. `reason` thinks first. What an API promises holds for all of them: a forced tool is called, a schema is
kept, stop sequences and `max_tokens` end the answer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import msgspec

from dragoman.core import json
from dragoman.providers.demo import schema, tokens
from dragoman.providers.demo.ask import Answer, Ask, Tool, ToolCall

CANNED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("i love programming", "french"), "J'adore programmer."),
    (("sentiment", "i think the food was okay"), "Neutral"),
    (("capital of france",), "Paris"),
    (
        ("antibiotics",),
        "Antibiotics kill bacteria or stop them from growing, but do nothing against viruses; overuse leaves resistant ones.",
    ),
    (("joke",), "Why did the gateway cross the road? The first route was in cooldown."),
)
"""A row answers when the conversation (system and last user text, in lower case) holds all its words."""

_WORDS = (
    "every",
    "caravan",
    "needs",
    "a",
    "guide",
    "who",
    "knows",
    "both",
    "tongues",
    "and",
    "all",
    "roads",
    "between",
    "them",
)


def answer(ask: Ask) -> Answer:
    """The whole answer. Raises Refusal 400 for a schema that demo cannot fill."""
    called = _called_tools(ask)
    calls = tuple(ToolCall(tool.name, _filled(tool, ask)) for tool in called)
    text = "" if calls else _text(ask).removeprefix(ask.begun)
    spoken, hit = _stopped(text, ask.stop)
    finish = "tool_calls" if calls else "stop_sequence" if hit else "stop"
    reasoning = _reasoning(ask) if _thinks(ask) else ""
    return _limited(Answer(reasoning=reasoning, text=spoken, calls=calls, finish=finish, stop_sequence=hit), ask.max_tokens)


# ---------------------------------------------------------------------------------------------------------------- text
def _text(ask: Ask) -> str:
    if ask.length is not None:
        return " ".join(itertools.islice(itertools.cycle(_WORDS), ask.length))
    if ask.schema is not None:
        return json.encode(schema.example(ask.schema, fill=_subject(ask.user))).decode()
    text = CHAT_MODELS[ask.model](ask)
    return json.encode({"answer": text}).decode() if ask.json_object or ask.model == "json" else text


def _echo(ask: Ask) -> str:
    return ask.user


def _canned(ask: Ask) -> str:
    said = f"{ask.system}\n{ask.user}".lower()
    for words, text in CANNED:
        if all(word in said for word in words):
            return text
    return f"(demo) You wrote {len(ask.user.split())} words, and no model has read them."


def _report(ask: Ask) -> str:
    return f"(demo) The tools say: {'; '.join(ask.tool_results)}" if ask.tool_results else _canned(ask)


CHAT_MODELS: dict[str, Callable[[Ask], str]] = {
    "echo": _echo,
    "canned": _canned,
    "tools": _report,
    "json": _canned,
    "reason": _canned,
}


# --------------------------------------------------------------------------------------------------------------- tools
def _called_tools(ask: Ask) -> tuple[Tool, ...]:
    """A named tool: that one. `required`, or `auto` on a user turn of the model `tools`: the first one.

    All of them instead, when the user says "both", "all" or "each" and parallel calls are allowed.
    """
    if isinstance(ask.tool_choice, tuple):
        return tuple(tool for tool in ask.tools if tool.name == ask.tool_choice[0])
    willing = ask.tool_choice == "required" or (ask.tool_choice == "auto" and ask.model == "tools" and not ask.tool_results)
    if not willing:
        return ()
    several = ask.parallel and re.search(r"\b(both|all|each)\b", ask.user, re.IGNORECASE)
    return ask.tools if several else ask.tools[:1]


def _filled(tool: Tool, ask: Ask) -> str:
    return json.encode(schema.example(tool.parameters or {"type": "object"}, fill=_subject(ask.user))).decode()


def _subject(text: str) -> str:
    """What free strings are filled with: the last capitalised word of the user, such as the city that is asked for."""
    capitalised = re.findall(r"\b[A-Z]\w+", text)
    return capitalised[-1] if capitalised else "demo"


# ----------------------------------------------------------------------------------------------------------- reasoning
def _thinks(ask: Ask) -> bool:
    return ask.model == "reason" if ask.think is None else ask.think


def _reasoning(ask: Ask) -> str:
    return f"The user wrote {len(ask.user.split())} words. A rule answers them, so there is little to think about."


# -------------------------------------------------------------------------------------------------------------- limits
def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which one that was."""
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    place, stop = min(found)
    return text[:place], stop


def _limited(full: Answer, limit: int | None) -> Answer:
    """At most `limit` tokens: of the reasoning, then the text, then the calls. A call counts its name and its arguments."""
    left = limit if limit is not None else float("inf")

    def take(text: str) -> str:
        nonlocal left
        wanted = tokens.count(text)
        kept = text if wanted <= left else tokens.first(text, int(left))
        left -= wanted
        return kept

    reasoning = take(full.reasoning)
    reasoning_tokens = tokens.count(reasoning)
    text = take(full.text)
    calls = []
    for call in full.calls:
        take(call.name)
        if left <= 0:
            break
        calls.append(ToolCall(call.name, take(call.arguments)))
    used = reasoning_tokens + tokens.count(text) + sum(tokens.count(call.name) + tokens.count(call.arguments) for call in calls)
    changes = {"finish": "length", "stop_sequence": None} if left < 0 else {}
    return msgspec.structs.replace(
        full,
        reasoning=reasoning,
        text=text,
        calls=tuple(calls),
        output_tokens=used,
        reasoning_tokens=reasoning_tokens,
        **changes,
    )
