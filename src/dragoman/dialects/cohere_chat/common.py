"""What all files of the dialect share: its name and its tables (finish reasons, error types, budgets). Nothing here reads.

Sources: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/errors, recorded traffic.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Finish, Reason

NAME = "cohere_chat"
WHO = "Cohere"
Body = dict[str, Any]

UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError)
"""What reading an answer that makes no sense may raise."""

NATIVE_FIELDS = frozenset({"citation_options", "documents", "priority", "raw_prompting", "safety_mode", "strict_tools"})
"""Fields of the request that nobody else has: they are taken from a client of whatever dialect."""

REASONS: dict[str, Reason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
}

ERROR_STATUSES = {"TIMEOUT": 504, "INVALID_TOOL_GENERATION": 500}
"""Type of an error that ends a stream -> the HTTP status it stands for; others are 500. All may go well when asked again."""

EFFORT_BUDGETS = {"minimal": 512, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
"""Effort in words -> thinking budget in tokens: the API knows tokens only."""

NO_EFFORT = frozenset({"none", "disable"})


def decode_finish(native: Any, *, called: bool) -> Finish:
    """Calls make a good end `tool_calls`, whatever it is called."""
    word = native if isinstance(native, str) and native else None
    reason = REASONS.get(word or "", "unknown")
    return Finish(reason="tool_calls" if called and reason == "stop" else reason, native=word)
