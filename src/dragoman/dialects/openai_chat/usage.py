"""Usage between the compatible providers' many spellings and `core.chat.Usage`.

The normal form: prompt tokens include cache reads and writes, completion tokens include reasoning. A provider that leaves
one of them out is recognised by its own arithmetic: `total_tokens` is then more than prompt + completion by just that count.
Called by both decoders, both encoders and the relay; it never raises: counts that are no counts are 0.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Struct

from dragoman.core.chat import Usage
from dragoman.dialects.openai_chat.wire import extra, own, said

_PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "cache_read_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("", "cache_read_input_tokens"),
        ("", "prompt_cache_hit_tokens"),
        ("", "num_cached_tokens"),
        ("", "cached_tokens"),
    ),
    "cache_write_tokens": (
        ("prompt_tokens_details", "cache_creation_tokens"),
        ("prompt_tokens_details", "cache_write_tokens"),
        ("", "cache_creation_input_tokens"),
    ),
    "cache_write_1h_tokens": (
        ("cache_creation", "ephemeral_1h_input_tokens"),
        ("prompt_tokens_details", "cache_creation_1h_tokens"),
    ),
    "reasoning_tokens": (("completion_tokens_details", "reasoning_tokens"), ("", "reasoning_tokens")),
    "input_audio_tokens": (("prompt_tokens_details", "audio_tokens"), ("", "audio_prompt_tokens")),
    "output_audio_tokens": (("completion_tokens_details", "audio_tokens"),),
    "input_image_tokens": (("prompt_tokens_details", "image_tokens"),),
    "output_image_tokens": (("completion_tokens_details", "image_tokens"),),
    "accepted_prediction_tokens": (("completion_tokens_details", "accepted_prediction_tokens"),),
    "rejected_prediction_tokens": (("completion_tokens_details", "rejected_prediction_tokens"),),
    "web_search_requests": (
        ("prompt_tokens_details", "web_search_requests"),
        ("server_tool_use_details", "web_search_requests"),
        ("server_tool_use", "web_search_requests"),
        ("", "num_search_queries"),
    ),
}
"""Our count -> the places where providers put it, as (object, field); the first that is above 0 counts."""

_CANONICAL = {"prompt_tokens", "completion_tokens", "total_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"}
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")
_WRITTEN = {(where, field) for places in _PLACES.values() for where, field in places if where in _DETAILS}


_Tokens = Annotated[int, msgspec.Meta(ge=0)]


class _Input(Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Tokens = 0
    cache_write_tokens: _Tokens = 0
    audio_tokens: _Tokens = 0


class _Output(Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Tokens = 0
    audio_tokens: _Tokens = 0
    accepted_prediction_tokens: _Tokens = 0
    rejected_prediction_tokens: _Tokens = 0


class CommonUsage(Struct, forbid_unknown_fields=True, gc=False):
    """The usage object of most answers: OpenAI's counts and nothing else. Read in one step; see `common_usage`."""

    prompt_tokens: _Tokens
    completion_tokens: _Tokens
    total_tokens: _Tokens
    prompt_tokens_details: _Input | None = None
    completion_tokens_details: _Output | None = None


_NO_INPUT, _NO_OUTPUT = _Input(), _Output()


def common_usage(held: CommonUsage) -> Usage | None:
    """None where the arithmetic shows that something is counted apart: then it is `decode_usage`'s to find out what."""
    into, out = held.prompt_tokens_details or _NO_INPUT, held.completion_tokens_details or _NO_OUTPUT
    if (
        held.total_tokens != held.prompt_tokens + held.completion_tokens
        or into.cached_tokens + into.cache_write_tokens > held.prompt_tokens
    ):
        return None
    return Usage(
        input_tokens=held.prompt_tokens,
        output_tokens=held.completion_tokens,
        cache_read_tokens=into.cached_tokens,
        cache_write_tokens=into.cache_write_tokens,
        reasoning_tokens=out.reasoning_tokens,
        input_audio_tokens=into.audio_tokens,
        output_audio_tokens=out.audio_tokens,
        accepted_prediction_tokens=out.accepted_prediction_tokens,
        rejected_prediction_tokens=out.rejected_prediction_tokens,
    )


def decode_usage(value: Any) -> Usage | None:
    """None for anything that holds no token count."""
    if type(value) is not dict:
        return None
    try:
        return common_usage(msgspec.convert(value, CommonUsage)) or _any_usage(value)
    except msgspec.ValidationError:
        return _any_usage(value)


def _any_usage(value: dict[str, Any]) -> Usage | None:
    prompt, completion = _count(value, "prompt_tokens"), _count(value, "completion_tokens")
    total = _count(value, "total_tokens")
    if not (prompt or completion or total or "prompt_tokens" in value or "completion_tokens" in value):
        return None
    counts = {name: _first(value, places) for name, places in _PLACES.items()}
    prompt, completion = _normal(prompt, completion, total, counts)
    return Usage(input_tokens=prompt, output_tokens=completion, **counts, extra=extra(_rest(value)))


def _normal(prompt: int, completion: int, total: int, counts: dict[str, int]) -> tuple[int, int]:
    """Adds what the provider counted apart. Edits `counts` where the total betrays reasoning that nobody itemised."""
    cached = counts["cache_read_tokens"] + counts["cache_write_tokens"]
    beyond = total - prompt - completion
    if beyond > 0:
        if beyond == counts["reasoning_tokens"]:  # xAI
            return prompt, completion + beyond
        if beyond in (counts["input_audio_tokens"], cached, counts["cache_read_tokens"]):  # Mistral's audio
            return prompt + beyond, completion
        if not counts["reasoning_tokens"]:  # Gemini's compatible endpoint: thinking, billed as output
            counts["reasoning_tokens"] = beyond
            return prompt, completion + beyond
    if cached > prompt:
        return prompt + cached, completion
    return prompt, completion


def _count(fields: Any, key: str) -> int:
    value = fields.get(key) if type(fields) is dict else None
    return value if type(value) is int and value > 0 else 0


def _first(value: dict[str, Any], places: tuple[tuple[str, str], ...]) -> int:
    for where, field in places:
        found = _count(value.get(where) if where else value, field)
        if found:
            return found
    return 0


def _rest(value: dict[str, Any]) -> dict[str, Any]:
    """What the provider told beyond the normal form (costs, times, its own spellings)."""
    left = {key: held for key, held in value.items() if key not in _CANONICAL and held is not None}
    for name in _DETAILS:
        held = left.pop(name, None)
        if type(held) is dict:
            unknown = {key: count for key, count in said(held).items() if (name, key) not in _WRITTEN}
            if unknown:
                left[name] = unknown
    return left


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The usage object of an answer: OpenAI's counts always, the others (and Anthropic's spellings) when they are not 0."""
    beyond = own(usage.extra)
    more_input = {
        "cache_creation_tokens": usage.cache_write_tokens,
        "cache_creation_1h_tokens": usage.cache_write_1h_tokens,
        "image_tokens": usage.input_image_tokens,
        "web_search_requests": usage.web_search_requests,
    }
    anthropic = {
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }
    written: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "audio_tokens": usage.input_audio_tokens,
            **_positive(more_input),
            **beyond.get("prompt_tokens_details", {}),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
            "accepted_prediction_tokens": usage.accepted_prediction_tokens,
            "rejected_prediction_tokens": usage.rejected_prediction_tokens,
            **_positive({"image_tokens": usage.output_image_tokens}),
            **beyond.get("completion_tokens_details", {}),
        },
        **_positive(anthropic),
    }
    return written | {key: value for key, value in beyond.items() if key not in _DETAILS}


def _positive(counts: dict[str, int]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count}
