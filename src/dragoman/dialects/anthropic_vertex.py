"""Claude on Vertex AI: Anthropic's own Messages API but for the envelope.

The model is in the path (its date after an @), the API version in the body. Answers, streams and errors are Anthropic's, so
Anthropic's clients get them as they come.
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.core.chat import ChatRequest
from dragoman.core.json import Envelope
from dragoman.dialects.anthropic_messages import AnthropicMessages
from dragoman.dialects.anthropic_messages.common import NAME
from dragoman.dialects.base import Dialect, EncodedRequest
from dragoman.dialects.gemini.common import method_path

VERSION = "vertex-2023-10-16"
PUBLISHER = "/publishers/anthropic/models"


class AnthropicVertex(AnthropicMessages):
    name = "anthropic_vertex"
    same_as = NAME

    def path(self, model: str, *, stream: bool) -> str:
        return method_path(model, "streamRawPredict" if stream else "rawPredict", PUBLISHER)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = super().encode_request(request)
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        body = {key: value for key, value in encoded.body.items() if key != "model"}
        return EncodedRequest({"anthropic_version": VERSION, **body}, encoded.warnings)

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - neither is in a body
        rest = {key: value for key, value in envelope.items() if key != "model"}
        return {**rest, "anthropic_version": json.raw_text(VERSION)}


DIALECT: Dialect = AnthropicVertex()
