"""Token counts, both ways. Used by the response codecs, both stream codecs and the relay, so that all agree.

Here as in our words, input includes what was cached and output includes reasoning. Wrong kinds count as zero: a bad count
must not cost the answer. Searches are counted beside the usage, in `tool_usage`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Usage
from dragoman.dialects.openai_responses.words import extra, own

_INPUT, _OUTPUT = "input_tokens_details", "output_tokens_details"
_PLACES: dict[str, tuple[str, str]] = {
    "cache_read_tokens": (_INPUT, "cached_tokens"),
    "cache_write_tokens": (_INPUT, "cache_write_tokens"),
    "cache_write_1h_tokens": (_INPUT, "cache_write_1h_tokens"),
    "input_audio_tokens": (_INPUT, "audio_tokens"),
    "input_image_tokens": (_INPUT, "image_tokens"),
    "reasoning_tokens": (_OUTPUT, "reasoning_tokens"),
    "output_audio_tokens": (_OUTPUT, "audio_tokens"),
    "output_image_tokens": (_OUTPUT, "image_tokens"),
    "accepted_prediction_tokens": (_OUTPUT, "accepted_prediction_tokens"),
    "rejected_prediction_tokens": (_OUTPUT, "rejected_prediction_tokens"),
}
"""Our count -> the object and the field that hold it."""

_ALWAYS = frozenset({"cached_tokens", "cache_write_tokens", "reasoning_tokens"})
"""Counts that clients expect, zero or not."""

_SEARCHES = "web_search_requests"
_READ = {_INPUT: {field for where, field in _PLACES.values() if where == _INPUT}} | {
    _OUTPUT: {field for where, field in _PLACES.values() if where == _OUTPUT}
}
_TOTALS = frozenset({"input_tokens", "output_tokens", "total_tokens", _SEARCHES})


def decode_usage(native: Any, tool_usage: Any = None) -> Usage | None:
    """None for anything that holds no token count. `tool_usage` stands beside `usage` in the response."""
    if not isinstance(native, dict) or not ("input_tokens" in native or "output_tokens" in native):
        return None
    counts = {ours: _count(native.get(where), field) for ours, (where, field) in _PLACES.items()}
    searches = _count(native, _SEARCHES) or _count(_object(tool_usage).get("web_search"), "num_requests")
    return Usage(
        input_tokens=_count(native, "input_tokens"),
        output_tokens=_count(native, "output_tokens"),
        web_search_requests=searches,
        **counts,
        extra=extra(_left(native)),
    )


def encode_usage(usage: Usage, *, searches_told: bool = False) -> dict[str, Any]:
    """`searches_told`: the response says in its `tool_usage` how often was searched."""
    details: dict[str, dict[str, int]] = {_INPUT: {}, _OUTPUT: {}}
    for ours, (where, field) in _PLACES.items():
        count = getattr(usage, ours)
        if count or field in _ALWAYS:
            details[where][field] = count
    beyond = own(usage.extra)
    written: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        _INPUT: details[_INPUT] | beyond.pop(_INPUT, {}),
        "output_tokens": usage.output_tokens,
        _OUTPUT: details[_OUTPUT] | beyond.pop(_OUTPUT, {}),
        "total_tokens": usage.total_tokens,
    }
    if usage.web_search_requests and not searches_told:
        written[_SEARCHES] = usage.web_search_requests
    return written | beyond


def _left(native: dict[str, Any]) -> dict[str, Any]:
    """What was reported beyond the counts we have words for (costs, tools, counts of other kinds)."""
    left = {key: value for key, value in native.items() if key not in _TOTALS and key not in _READ and value is not None}
    for where, known in _READ.items():
        rest = {key: value for key, value in _object(native.get(where)).items() if key not in known and value is not None}
        if rest:
            left[where] = rest
    return left


def _count(fields: Any, key: str) -> int:
    value = _object(fields).get(key)
    return value if type(value) is int and value > 0 else 0


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
