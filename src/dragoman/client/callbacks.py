"""Hooks of the SDK by LiteLLM's API: who is told of a call, when, and how. Hooks observe; none can change or break a call.

    dragoman.callbacks           CustomLogger objects and names, told of everything
    dragoman.input_callback      told before a call
    dragoman.success_callback    told of its answer
    dragoman.failure_callback    told of its error

A function gets (kwargs, completion_response, start_time, end_time), or before a call (kwargs). Names ("otel", "langfuse") are
those of `telemetry.named`. The clients call `attach` for each call; while no hook is set that costs a look at four lists.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.client.arguments import Arguments
    from dragoman.engine.call import Call

LISTS = ("callbacks", "input_callback", "success_callback", "failure_callback")


def attach(call: Call, said: Arguments, *, awaited: bool) -> None:
    """Have the hooks told of this call, which is about to begin. `awaited`: it is one of an event loop.

    Raises ConfigurationError for a name or an object that is no hook.
    """
    package = vars(sys.modules["dragoman"])
    lists = tuple(package[name] for name in LISTS)
    if any(lists) and not said.notes.get("no-log"):
        from dragoman.client.hooks import Hooks  # noqa: PLC0415 - loaded by the first call that is watched

        Hooks(call, said, lists, awaited=awaited).begin()


def watched(chunks: Any, call: Call) -> Any:
    """What makes the chunks of a stream; told of each where a hook wants to be."""
    for observer in call.observers:
        follow = getattr(observer, "follow", None)
        if follow is not None:
            return follow(chunks)
    return chunks
