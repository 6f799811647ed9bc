"""Google's countTokens as Vertex AI serves it: the fields of a request as they are, under the path of a publisher.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini.common import method_path
from dragoman.dialects.gemini_count_tokens import METHOD, GeminiCountTokens, content_request
from dragoman.dialects.gemini_vertex import PUBLISHER

_COUNTED = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
"""The fields of a request that this endpoint takes; of others none has tokens."""


class VertexCountTokens(GeminiCountTokens):
    name = "vertex_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - a count is no stream
        return method_path(model, METHOD, PUBLISHER)

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        body, lost = content_request(request)
        return EncodedRequest({key: value for key, value in body.items() if key in _COUNTED}, lost)


DIALECT = VertexCountTokens()
