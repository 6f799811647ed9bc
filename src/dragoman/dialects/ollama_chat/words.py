"""What both directions of the dialect share: its name, its tables and the readers of times, counts and reasons.

Sources: https://docs.ollama.com/api/chat, https://docs.ollama.com/modelfile (the options), recorded traffic.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dragoman.core.chat import Finish, Reason, TokenLogprob, Usage
from dragoman.dialects.openai_chat.wire import read_tokens

NAME = "ollama_chat"
WHO = "Ollama"
Body = dict[str, Any]

OPTIONS = {
    "max_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
"""Our parameter -> the option of the runtime."""

RUNTIME_OPTIONS = frozenset(
    (
        "main_gpu min_p mirostat mirostat_eta mirostat_tau num_batch num_ctx num_gpu num_keep num_predict num_thread "
        "penalize_newline repeat_last_n repeat_penalty typical_p use_mmap"
    ).split()
)
"""Options that no other API has: they are taken from a client of whatever dialect, and go where the others go."""

NATIVE_FIELDS = frozenset({"keep_alive", "options", "shift", "think", "truncate"})
"""Fields of the request that nobody else has, likewise taken from everyone."""

THINK = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Effort in words -> the three levels that Ollama knows."""

NO_EFFORT = frozenset({"none", "disable"})

_REASONS: dict[str, Reason] = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}


def decode_finish(native: Any, *, called: bool) -> Finish:
    """Calls make the end `tool_calls`; older servers do not say why an answer ended."""
    word = native if isinstance(native, str) and native else None
    reason = _REASONS.get(word, "unknown") if word else "stop"
    return Finish(reason="tool_calls" if called and reason == "stop" else reason, native=word)


def decode_usage(value: Body) -> Usage | None:
    """The count of the prompt is left out where all of it was cached."""
    counts = {key: value.get(key) for key in ("prompt_eval_count", "eval_count")}
    known = {key: count for key, count in counts.items() if type(count) is int}
    if not known:
        return None
    return Usage(input_tokens=known.get("prompt_eval_count", 0), output_tokens=known.get("eval_count", 0))


def decode_logprobs(value: Any) -> tuple[TokenLogprob, ...] | None:
    """The tokens in OpenAI's form."""
    return read_tokens(value) if value else None


def decode_created(value: Any) -> int | None:
    """`2025-06-09T18:55:26.684517Z` as Unix seconds."""
    try:
        return int(datetime.fromisoformat(value).timestamp()) or None
    except (TypeError, ValueError, OverflowError):
        return None


def call_origin(value: Body) -> str:
    """What makes the id of a call unique where an older server gives it none: the time of the answer."""
    created = value.get("created_at")
    return "call_" + ("".join(filter(str.isalnum, created)) if isinstance(created, str) else "0")
