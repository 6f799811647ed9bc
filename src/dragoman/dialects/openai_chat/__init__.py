"""The OpenAI chat completions dialect, both halves and the relay: what OpenAI and every compatible provider speak.

One file a verb; this one only names them together as `DIALECT`. Pure translation: no provider is named in a decision, what
one of them does otherwise is read generically or is a quirk of its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dragoman.core.chat import ChatRequest, ChatResponse, Usage
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects import openai_errors
from dragoman.dialects.base import Dialect, EncodedRequest, StreamDecoder, StreamEncoder, UsageTap
from dragoman.dialects.openai_chat import relay
from dragoman.dialects.openai_chat.request_decode import decode_request
from dragoman.dialects.openai_chat.request_encode import encode_request
from dragoman.dialects.openai_chat.response_decode import decode_response
from dragoman.dialects.openai_chat.response_encode import encode_response
from dragoman.dialects.openai_chat.stream_decode import ChatStreamDecoder
from dragoman.dialects.openai_chat.stream_encode import ChatStreamEncoder
from dragoman.dialects.openai_chat.wire import NAME


class OpenAIChat:
    """See `dialects.base.Dialect`, which documents the verbs."""

    name = NAME

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - here the path is the same for all
        return "/chat/completions"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ChatStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return openai_errors.decode_error(status, body)

    def decode_request(self, body: bytes) -> ChatRequest:
        return decode_request(body)

    def encode_response(self, response: ChatResponse, *, now: int) -> bytes:
        return encode_response(response, now=now)

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder:
        return ChatStreamEncoder(request, now=now)

    def encode_error(self, error: DragomanError) -> bytes:
        return openai_errors.encode_error(error)

    def encode_stream_error(self, error: DragomanError) -> bytes:
        return openai_errors.encode_stream_error(error)

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:
        return relay.edit_request(envelope, model=model, want_usage=want_usage)

    def relay_filter(self, envelope: Envelope) -> Callable[[bytes], bytes] | None:
        return relay.relay_filter(envelope)

    def read_usage(self, body: bytes) -> Usage | None:
        return relay.read_usage(body)

    def stream_tap(self) -> UsageTap:
        return relay.ChatStreamTap()


DIALECT: Final[Dialect] = OpenAIChat()
