"""Cohere's Chat API, version 2 (https://docs.cohere.com/reference/chat), the upstream half.

This file only puts the verbs of `dialects.base.UpstreamDialect` together; `write_*` is the way to the wire, `response` and
`stream_decode` the way back. Version 1 of the API (JSON lines, other names for everything) is not spoken.
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import ErrorDetail
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.cohere_chat import response
from dragoman.dialects.cohere_chat.common import NAME
from dragoman.dialects.cohere_chat.stream_decode import CohereStreamDecoder
from dragoman.dialects.cohere_chat.write_request import encode_request


class CohereChat:
    name = NAME

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return "/v2/chat"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return CohereStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        """`{"id", "message"}`, which the reader of OpenAI-like errors understands."""
        return openai_errors.decode_error(status, body)


DIALECT: UpstreamDialect = CohereChat()
