"""Anthropic's token count as Vertex AI serves it: one path for all models, the model in the body. The upstream half.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens
"""

from __future__ import annotations

from dragoman.dialects.anthropic_count_tokens import AnthropicCountTokens
from dragoman.dialects.anthropic_vertex import PUBLISHER


class AnthropicVertexCountTokens(AnthropicCountTokens):
    name = "anthropic_vertex_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return f"{PUBLISHER}/count-tokens:rawPredict"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()


DIALECT = AnthropicVertexCountTokens()
