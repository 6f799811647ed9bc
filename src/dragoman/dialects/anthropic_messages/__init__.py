"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), both halves and the relay.

A file a verb: read_* is from the wire to our words, write_* the way back; `blocks` are what messages and answers are made
of. This file only puts the verbs of `dialects.base.Dialect` together. The vendor's base URL is https://api.anthropic.com.
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse, Usage
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects.anthropic_messages import errors, relay, response
from dragoman.dialects.anthropic_messages.common import NAME, PATH, VERSION
from dragoman.dialects.anthropic_messages.read_request import decode_request
from dragoman.dialects.anthropic_messages.stream_decode import AnthropicStreamDecoder
from dragoman.dialects.anthropic_messages.stream_encode import AnthropicStreamEncoder
from dragoman.dialects.anthropic_messages.write_request import encode_request
from dragoman.dialects.base import Dialect, EncodedRequest, StreamDecoder, StreamEncoder, UsageTap


class AnthropicMessages:
    name = NAME

    # upstream
    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return PATH

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("anthropic-version", VERSION),)

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return AnthropicStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)

    # downstream
    def decode_request(self, body: bytes) -> ChatRequest:
        return decode_request(body)

    def encode_response(self, response_: ChatResponse, *, now: int) -> bytes:
        return response.encode_response(response_, now=now)

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder:
        return AnthropicStreamEncoder(request.model, now)

    def encode_error(self, error: DragomanError) -> bytes:
        return errors.encode_error(error)

    def encode_stream_error(self, error: DragomanError) -> bytes:
        return errors.encode_stream_error(error)

    # relay
    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - streams always report usage
        return relay.edit_request(envelope, model=model)

    def relay_filter(self, envelope: Envelope) -> None:
        """Nothing: its streams report usage unasked."""

    def read_usage(self, body: bytes) -> Usage | None:
        return relay.read_usage(body)

    def stream_tap(self) -> UsageTap:
        return relay.AnthropicUsageTap()


DIALECT: Dialect = AnthropicMessages()
