"""Token counts: Anthropic's, which leave cached input out of `input_tokens`, and ours, which include it. Both ways.

Used by the response codecs, both stream codecs and the relay's tap, so that all agree. In a stream the counts of
`message_start` are overwritten by those of `message_delta`, never added to: they are running totals.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Usage
from dragoman.dialects.anthropic_messages.common import NAME, RESPONSE_TIERS_BACK, own

_OURS = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "service_tier",
    }
)
_NESTED = {"server_tool_use": "web_search_requests", "output_tokens_details": "thinking_tokens"}


def merge(held: dict[str, Any], later: Any) -> None:
    """Lay a later report over the earlier one; a null says nothing."""
    if isinstance(later, dict):
        held.update((key, value) for key, value in later.items() if value is not None)


def decode_usage(native: dict[str, Any]) -> Usage:
    """Wrong kinds count as zero: a bad count must not cost the answer."""
    read = _count(native, "cache_read_input_tokens")
    tiers = _object(native, "cache_creation")
    one_hour = _count(tiers, "ephemeral_1h_input_tokens")
    five_minutes = _count(tiers, "ephemeral_5m_input_tokens")
    written = _count(native, "cache_creation_input_tokens") or one_hour + five_minutes
    extra = _left(native)
    return Usage(
        input_tokens=_count(native, "input_tokens") + read + written,
        output_tokens=_count(native, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=one_hour,
        reasoning_tokens=_count(_object(native, "output_tokens_details"), "thinking_tokens"),
        web_search_requests=_count(_object(native, "server_tool_use"), "web_search_requests"),
        extra={NAME: extra} if extra else {},
    )


def encode_usage(usage: Usage | None, service_tier: str | None = None) -> dict[str, Any]:
    """Always the four counts that clients read, zero when unknown; the rest where there is something to say."""
    usage = usage or Usage()
    native: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": max(0, usage.cache_write_tokens - usage.cache_write_1h_tokens),
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        native["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.web_search_requests:
        native["server_tool_use"] = {"web_search_requests": usage.web_search_requests}
    if service_tier:
        native["service_tier"] = RESPONSE_TIERS_BACK.get(service_tier, service_tier)
    for key, value in own(usage.extra).items():
        native[key] = {**native.get(key, {}), **value} if key in _NESTED else value
    return native


def _left(native: dict[str, Any]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for key, value in native.items():
        if key in _OURS or value is None:
            continue
        counted = _NESTED.get(key)
        if counted is None:
            left[key] = value
        elif rest := {name: count for name, count in _object(native, key).items() if name != counted and count is not None}:
            left[key] = rest
    return left


def _count(native: dict[str, Any], key: str) -> int:
    value = native.get(key)
    return value if type(value) is int and value > 0 else 0


def _object(native: dict[str, Any], key: str) -> dict[str, Any]:
    value = native.get(key)
    return value if isinstance(value, dict) else {}
