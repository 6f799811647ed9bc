"""Claude on Vertex AI: Anthropic's own Messages API but for the envelope. The upstream half.

The model is in the path (its date after an @), the API version in the body. Answers, streams and errors are Anthropic's.
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import ErrorDetail
from dragoman.dialects.anthropic_messages import DIALECT as ANTHROPIC
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.gemini.common import method_path

VERSION = "vertex-2023-10-16"
PUBLISHER = "/publishers/anthropic/models"


class AnthropicVertex:
    name = "anthropic_vertex"

    def path(self, model: str, *, stream: bool) -> str:
        return method_path(model, "streamRawPredict" if stream else "rawPredict", PUBLISHER)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = ANTHROPIC.encode_request(request)
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        body = {key: value for key, value in encoded.body.items() if key != "model"}
        return EncodedRequest({"anthropic_version": VERSION, **body}, encoded.warnings)

    def decode_response(self, body: bytes) -> ChatResponse:
        return ANTHROPIC.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ANTHROPIC.stream_decoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return ANTHROPIC.decode_error(status, body)


DIALECT: UpstreamDialect = AnthropicVertex()
