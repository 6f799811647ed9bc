"""What both halves of the dialect share: its name, its tables (errors, reasons, tiers) and the list of what got lost.

Tables are the vendor's words beside ours; each is written once and inverted here. Nothing in this file reads a body.
Sources: https://platform.claude.com/docs/en/api/messages, /en/api/errors, /en/build-with-claude/handling-stop-reasons.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Extra, Finish, Reason
from dragoman.dialects import losses

NAME = "anthropic_messages"
PATH = "/v1/messages"
VERSION = "2023-06-01"

DEFAULT_MAX_TOKENS = 4096
"""`max_tokens` is mandatory here and optional elsewhere. Every model that answers today takes 4096, so it is never refused."""

MINIMUM_BUDGET = 1024
"""The smallest thinking budget that the API takes, in tokens."""

EFFORT_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
"""Effort in words -> thinking budget in tokens, for callers who say the first where the model wants the second."""

NO_EFFORT = frozenset({"none", "disable"})

STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's error types and the status each stands for when it comes inside a 200 stream."""

TYPE_OF_STATUS = {status: name for name, status in STATUS_OF_TYPE.items()} | {
    408: "timeout_error",
    422: "invalid_request_error",
    503: "overloaded_error",
}


def error_type(status: int) -> str:
    """The error type that clients of this dialect expect under a status."""
    return TYPE_OF_STATUS.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")


REASONS: dict[str, Reason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
}

STOP_REASONS: dict[Reason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "unknown": "end_turn",
    "error": "error",
}
"""Ours -> theirs. There is no word here for an answer that ended in an error; ours is passed on rather than a clean end."""


def decode_finish(native: str | None, stop_sequence: str | None) -> Finish:
    return Finish(reason=REASONS.get(native or "", "unknown"), native=native, stop_sequence=stop_sequence)


def encode_finish(finish: Finish | None, *, refused: bool) -> dict[str, Any]:
    """`stop_reason` and `stop_sequence`. The provider's word is kept where it means the same here."""
    if finish is None:
        return {"stop_reason": None, "stop_sequence": None}
    if refused and finish.reason == "stop":
        native = "refusal"
    elif finish.native and REASONS.get(finish.native, "unknown") == finish.reason:
        native = finish.native
    elif finish.reason == "stop" and finish.stop_sequence is not None:
        native = "stop_sequence"
    else:
        native = STOP_REASONS[finish.reason]
    return {"stop_reason": native, "stop_sequence": finish.stop_sequence}


REQUEST_TIERS = {"auto": "auto", "standard_only": "default"}
REQUEST_TIERS_BACK = {ours: theirs for theirs, ours in REQUEST_TIERS.items()}
RESPONSE_TIERS = {"standard": "default"}
RESPONSE_TIERS_BACK = {ours: theirs for theirs, ours in RESPONSE_TIERS.items()}
"""Service tiers in the words of OpenAI, which the vocabulary uses."""


class Losses(losses.Losses):
    """The warnings of one encoding into this dialect."""

    def __init__(self) -> None:
        super().__init__(NAME, "Anthropic models")


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def own(extra: Extra) -> dict[str, Any]:
    """What only this dialect knows, marks left out."""
    return {key: value for key, value in extra.get(NAME, {}).items() if not key.startswith("_")}


def mark(extra: Extra, name: str) -> Any:
    """What a mark of this dialect says, None without it."""
    return extra.get(NAME, {}).get(name)


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Tool arguments as the object that the wire wants; "" is an empty one. None when the text is no JSON object."""
    if not text.strip():
        return {}
    try:
        value = json.decode(text)
    except json.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def raw_arguments(text: str) -> dict[str, Any]:
    """Arguments that are no JSON object, said honestly: whoever validates the input sees what the model really wrote."""
    return {"_raw": text}
