"""Token counts: Gemini's, which leave thoughts and the prompts of tools out of the two big counts, and ours. Both ways.

Used by the answer's codecs, both stream codecs and the relay's tap, so that all agree. In a stream every report is the total
so far. https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Usage
from dragoman.dialects.gemini.common import TIERS, TIERS_BACK, extra_of, own

_OURS = frozenset(
    {
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "totalTokenCount",
        "serviceTier",
    }
)


def decode_usage(native: dict[str, Any]) -> Usage:
    """Wrong kinds count as zero: a bad count must not cost the answer."""
    thoughts = _count(native, "thoughtsTokenCount")
    prompt, answer = native.get("promptTokensDetails"), native.get("candidatesTokensDetails")
    left = {key: value for key, value in native.items() if key not in _OURS and value is not None}
    return Usage(
        input_tokens=_count(native, "promptTokenCount") + _count(native, "toolUsePromptTokenCount"),
        output_tokens=_count(native, "candidatesTokenCount") + thoughts,
        cache_read_tokens=_count(native, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_of_modality(prompt, "AUDIO"),
        output_audio_tokens=_of_modality(answer, "AUDIO"),
        input_image_tokens=_of_modality(prompt, "IMAGE"),
        output_image_tokens=_of_modality(answer, "IMAGE"),
        extra=extra_of(left),
    )


def encode_usage(usage: Usage, service_tier: str | None = None) -> dict[str, Any]:
    """Always the three counts that clients read; the rest where there is something to say."""
    beyond = own(usage.extra)
    native: dict[str, Any] = {
        "promptTokenCount": max(0, usage.input_tokens - _count(beyond, "toolUsePromptTokenCount")),
        "candidatesTokenCount": max(0, usage.output_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        native["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cache_read_tokens:
        native["cachedContentTokenCount"] = usage.cache_read_tokens
    details = {
        "promptTokensDetails": _details(usage.input_tokens, usage.input_audio_tokens, usage.input_image_tokens),
        "candidatesTokensDetails": _details(usage.output_tokens, usage.output_audio_tokens, usage.output_image_tokens),
    }
    native |= {key: counts for key, counts in details.items() if counts and key not in beyond}
    if service_tier:
        native["serviceTier"] = TIERS_BACK.get(service_tier, service_tier)
    return native | beyond


def tier_of(native: dict[str, Any] | None) -> str | None:
    """The service tier, which Gemini reports among the counts."""
    tier = (native or {}).get("serviceTier")
    return TIERS.get(tier, tier) if isinstance(tier, str) else None


def _details(total: int, audio: int, image: int) -> list[dict[str, Any]]:
    """The counts by modality; empty where nothing but text is told."""
    if not (audio or image):
        return []
    counts = {"TEXT": total - audio - image, "AUDIO": audio, "IMAGE": image}
    return [{"modality": kind, "tokenCount": count} for kind, count in counts.items() if count > 0]


def _count(native: dict[str, Any], key: str) -> int:
    value = native.get(key)
    return value if type(value) is int and value > 0 else 0


def _of_modality(details: Any, modality: str) -> int:
    listed = details if isinstance(details, list) else []
    return sum(_count(item, "tokenCount") for item in listed if isinstance(item, dict) and item.get("modality") == modality)
