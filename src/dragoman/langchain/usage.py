"""Token counts of an answer, in LangChain's words. Called for whole answers and for the last chunk of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata


def usage_metadata(usage: Mapping[str, Any] | None) -> UsageMetadata | None:
    """OpenAI-shaped usage (cache reads and writes included in the prompt) -> usage_metadata; None for None."""
    if not usage:
        return None
    into, out = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    made = UsageMetadata(
        input_tokens=prompt, output_tokens=completion, total_tokens=usage.get("total_tokens") or prompt + completion
    )
    inputs: InputTokenDetails = _counts(
        audio=into.get("audio_tokens"),
        cache_creation=into.get("cache_creation_tokens") or usage.get("cache_creation_input_tokens"),
        cache_read=into.get("cached_tokens"),
    )
    outputs: OutputTokenDetails = _counts(audio=out.get("audio_tokens"), reasoning=out.get("reasoning_tokens"))
    if inputs:
        made["input_token_details"] = inputs
    if outputs:
        made["output_token_details"] = outputs
    return made


def _counts(**counts: int | None) -> Any:
    return {name: count for name, count in counts.items() if count is not None}
