"""Words that both halves of the OpenAI chat dialect share: its name, finish reasons, media types, what goes to `extra`.

Tables and tiny pure helpers only; nothing here reads a whole message. Used by every other file of this package.
Vendor reference: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import Citation, Extra, Finish, Logprobs, Reason, TokenLogprob

NAME = "openai_chat"

UNREADABLE = json.UNREADABLE
"""What the JSON codec raises: bad JSON, and JSON nested deeper than anyone means it."""

REASONS: dict[str, Reason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "error": "error",
    "abort": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}
"""What the compatible providers call the end of an answer, in lower case -> our word."""

FINISH_WORDS: dict[Reason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "error",
    "unknown": "stop",
}
"""Our word -> the dialect's. `error` is none of OpenAI's, but a broken answer must not pass for a finished one."""

AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav"}

_SPECIAL_TOKEN = re.compile(r"</s>|<eos>|<end_of_turn>|<\|[a-z_]+\|>")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


def finish(native: Any, *, has_tool_calls: bool, stop_reason: Any = None) -> Finish:
    """How a choice ended. Calls make it tool_calls, also where the provider says stop or nothing at all."""
    word = native if type(native) is str and native else None
    reason = REASONS.get(word.lower(), "unknown") if word else "unknown"
    if has_tool_calls and reason in ("stop", "unknown"):
        reason = "tool_calls"
    return Finish(reason=reason, native=word, stop_sequence=stop_reason if type(stop_reason) is str else None)


def finish_word(given: Finish | None, *, legacy: bool) -> str | None:
    if given is None:
        return None
    if legacy and given.reason == "tool_calls":
        return "function_call"
    return FINISH_WORDS[given.reason]


def is_special_token(text: str) -> bool:
    """The end token that TGI sends as if it were text, in the chunk with `finish_reason: eos_token`."""
    return _SPECIAL_TOKEN.fullmatch(text) is not None


def extra(fields: dict[str, Any]) -> Extra:
    return {NAME: fields} if fields else {}


def own(held: Extra) -> dict[str, Any]:
    """The fields of this dialect in an `extra`, marks left out."""
    fields = held.get(NAME)
    return {key: value for key, value in fields.items() if not key.startswith("_")} if fields else {}


def mark(held: Extra, name: str) -> Any:
    """What a mark of this dialect says, None without it."""
    return held.get(NAME, {}).get(name)


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of an answer without the nulls, which say nothing."""
    return {key: value for key, value in fields.items() if value is not None}


def split_data_url(url: str) -> tuple[str, str] | None:
    """(MIME type, base64 text) of a data URL; None for any other URL."""
    found = _DATA_URL.fullmatch(url)
    return (found[1], found[2]) if found else None


def data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


# ------------------------------------------------------------------------------------------------------------- citations
def read_citations(annotations: Any) -> tuple[tuple[Citation, ...], list[Any]]:
    """`annotations` -> citations, and the annotations of other types, which stay as they are."""
    items = annotations if type(annotations) is list else []
    cited = [item for item in items if type(item) is dict and type(item.get("url_citation")) is dict]
    return tuple(_citation(item["url_citation"]) for item in cited), [item for item in items if item not in cited]


def _citation(fields: dict[str, Any]) -> Citation:
    left = dict(fields)
    text = {key: left.pop(key) for key in ("url", "title", "content") if type(left.get(key)) is str}
    place = {key: left.pop(key) for key in ("start_index", "end_index") if type(left.get(key)) is int}
    return Citation(url=text.get("url"), title=text.get("title"), cited_text=text.get("content"), **place, extra=extra(left))


def write_citation(citation: Citation) -> dict[str, Any]:
    fields = {
        "url": citation.url,
        "title": citation.title,
        "content": citation.cited_text,
        "start_index": citation.start_index,
        "end_index": citation.end_index,
    }
    return {"type": "url_citation", "url_citation": said(fields) | own(citation.extra)}


# -------------------------------------------------------------------------------------------------------------- logprobs
_LOGPROB_KEYS = {"content": "content", "refusal": "refusal", "reasoning_content": "reasoning"}
"""Their name -> ours. DeepSeek lists the tokens of its reasoning apart."""


def read_logprobs(value: Any) -> Logprobs | None:
    """The tokens' logprobs; older forms (`tokens`, `token_logprobs`) are kept in `extra` as they came."""
    if type(value) is not dict:
        return None
    left = said(value)
    typed: dict[str, Any] = {}
    for theirs, ours in _LOGPROB_KEYS.items():
        tokens = read_tokens(left.get(theirs))
        if tokens is not None:
            typed[ours] = tokens
            del left[theirs]
    return Logprobs(**typed, extra=extra(left)) if typed or left else None


def read_tokens(value: Any) -> tuple[TokenLogprob, ...] | None:
    if type(value) is not list:
        return None
    try:
        return msgspec.convert(value, tuple[TokenLogprob, ...])
    except msgspec.ValidationError:
        return None


def write_logprobs(held: Logprobs | None) -> dict[str, Any] | None:
    if held is None:
        return None
    written: dict[str, Any] = {"content": write_tokens(held.content), "refusal": write_tokens(held.refusal)}
    if held.reasoning is not None:
        written["reasoning_content"] = write_tokens(held.reasoning)
    return written | own(held.extra)


def write_tokens(tokens: tuple[TokenLogprob, ...] | None) -> list[dict[str, Any]] | None:
    if tokens is None:
        return None
    return [_token(token) | {"top_logprobs": [_token(other) for other in token.top_logprobs]} for token in tokens]


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes}
