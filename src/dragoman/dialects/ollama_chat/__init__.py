"""Ollama's own chat API, POST /api/chat (https://docs.ollama.com/api/chat), the upstream half.

It takes what its OpenAI-compatible endpoint ignores without a word: `num_ctx` and the other options of the runtime,
`keep_alive`, thinking. Streams are JSON lines. This file only puts the verbs of `dialects.base.UpstreamDialect` together.
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import ErrorDetail
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.ollama_chat import response
from dragoman.dialects.ollama_chat.stream_decode import OllamaStreamDecoder
from dragoman.dialects.ollama_chat.words import NAME
from dragoman.dialects.ollama_chat.write_request import encode_request


class OllamaChat:
    name = NAME
    stream_accept = "application/x-ndjson"

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return "/api/chat"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return OllamaStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        """`{"error": text}`, which the reader of OpenAI-like errors understands."""
        return openai_errors.decode_error(status, body)


DIALECT: UpstreamDialect = OllamaChat()
