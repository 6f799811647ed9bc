"""How providers say that a call failed: bodies of error answers, and what comes inside a stream in place of its rest."""

from __future__ import annotations

from collections.abc import Callable

from support.bedrock import frames
from support.natives.base import Json, encoded, events

KINDS = {
    401: ("AuthenticationError", "The key is not known here"),
    400: ("ContextWindowExceededError", "prompt is too long: 9 tokens > 8 maximum"),
    404: ("NotFoundError", "There is no model of this name"),
    429: ("RateLimitError", "Too many requests in a minute"),
    503: ("ServiceUnavailableError", "The model is overloaded"),
}
"""Status -> the class it stands for, what is said."""

GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
CLAUDE_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def openai_failure(status: int, message: str) -> Json:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def claude_failure(status: int, message: str) -> Json:
    return {"type": "error", "error": {"type": CLAUDE_TYPES[status], "message": message}, "request_id": "r"}


def gemini_failure(status: int, message: str) -> Json:
    return {"error": {"code": status, "message": message, "status": GOOGLE_STATUS[status]}}


FAILURES: dict[str, Callable[[int, str], Json]] = {
    "openai_chat": openai_failure,
    "openai_completions": openai_failure,
    "openai_responses": openai_failure,
    "anthropic_messages": claude_failure,
    "anthropic_vertex": claude_failure,
    "anthropic_bedrock": lambda _, message: {"message": message},
    "bedrock_converse": lambda _, message: {"message": message},
    "gemini": gemini_failure,
    "gemini_vertex": gemini_failure,
    "cohere_chat": lambda _, message: {"id": "e", "message": message},
    "ollama_chat": lambda _, message: {"error": message},
    "ollama_generate": lambda _, message: {"error": message},
    "huggingface_completions": lambda _, message: {"error": message},
    "replicate_chat": lambda status, message: {"title": "Failed", "detail": message, "status": status},
}

OVERLOADED = "The model is overloaded"
_FAULT = {"type": "server_error", "code": "server_error", "message": OVERLOADED, "param": None}
_EXCEPTION = frames(("serviceUnavailableException", {"message": OVERLOADED}), kind="exception")
BROKEN: dict[str, bytes] = {
    "openai_chat": events(openai_failure(503, OVERLOADED)),
    "openai_completions": events(openai_failure(503, OVERLOADED)),
    "openai_responses": events({"type": "error", "error": _FAULT}, named=True),
    "anthropic_messages": events(claude_failure(503, OVERLOADED), named=True),
    "anthropic_vertex": events(claude_failure(503, OVERLOADED), named=True),
    "anthropic_bedrock": _EXCEPTION,
    "bedrock_converse": _EXCEPTION,
    "gemini": events(gemini_failure(503, OVERLOADED)),
    "gemini_vertex": events(gemini_failure(503, OVERLOADED)),
    "cohere_chat": events({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": OVERLOADED}}, named=True),
    "ollama_chat": (encoded({"error": OVERLOADED}) + "\n").encode(),
    "ollama_generate": (encoded({"error": OVERLOADED}) + "\n").encode(),
    "huggingface_completions": events({"error": OVERLOADED, "error_type": "overloaded"}),
    "replicate_chat": f"event: error\ndata: {encoded({'detail': OVERLOADED})}\n\n".encode(),
}
"""What comes inside a stream in place of its rest."""
