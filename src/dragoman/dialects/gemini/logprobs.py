"""`logprobsResult` <-> log probabilities of tokens. The vendor's ids of tokens have no place in ours.

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import Logprobs, TokenLogprob


def read_logprobs(result: dict[str, Any] | None) -> tuple[TokenLogprob, ...] | None:
    """The chosen tokens with the likeliest at their place; None without any. Entries that make no sense are left out."""
    held = result or {}
    tops = held.get("topCandidates")
    lists = [item.get("candidates") if isinstance(item, dict) else None for item in tops] if isinstance(tops, list) else []
    chosen = _tokens(held.get("chosenCandidates"))
    alternatives = [tuple(_tokens(found)) for found in lists]
    return (
        tuple(
            TokenLogprob(
                token=token.token, logprob=token.logprob, top_logprobs=alternatives[place] if place < len(lists) else ()
            )
            for place, token in enumerate(chosen)
        )
        or None
    )


def _tokens(value: Any) -> list[TokenLogprob]:
    found = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [
        TokenLogprob(token=str(item.get("token", "")), logprob=float(item["logProbability"]))
        for item in found
        if isinstance(item.get("logProbability"), int | float)
    ]


def write_logprobs(logprobs: Logprobs | None) -> dict[str, Any]:
    """The field for a candidate; empty without tokens of the text."""
    tokens = logprobs.content if logprobs else None
    if not tokens:
        return {}
    result: dict[str, Any] = {"chosenCandidates": [_token(token) for token in tokens]}
    if any(token.top_logprobs for token in tokens):
        result["topCandidates"] = [{"candidates": [_token(top) for top in token.top_logprobs]} for token in tokens]
    return {"logprobsResult": result}


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logProbability": token.logprob}
