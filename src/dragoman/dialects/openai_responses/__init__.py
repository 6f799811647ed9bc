"""OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses), both halves and the relay.

A file a verb: read_* is from the wire to our words, write_* the way back; `items` are what inputs and answers are made of,
`parts` their content. This file only puts the verbs of `dialects.base.Dialect` together. It holds no state: what a client
asks to be stored, or refers to as stored, is kept in the request's `extra` for whoever has a store.
"""

from __future__ import annotations

from typing import Final

from dragoman.core.chat import ChatRequest, ChatResponse, Usage
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects import openai_errors
from dragoman.dialects.base import Dialect, EncodedRequest, StreamDecoder, StreamEncoder, UsageTap
from dragoman.dialects.openai_responses import errors, relay, response
from dragoman.dialects.openai_responses.read_request import decode_request
from dragoman.dialects.openai_responses.stream_decode import ResponsesStreamDecoder
from dragoman.dialects.openai_responses.stream_encode import ResponsesStreamEncoder
from dragoman.dialects.openai_responses.words import NAME, PATH
from dragoman.dialects.openai_responses.write_request import encode_request


class OpenAIResponses:
    """See `dialects.base.Dialect`, which documents the verbs."""

    name = NAME

    # upstream
    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return PATH

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ResponsesStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return openai_errors.decode_error(status, body)

    # downstream
    def decode_request(self, body: bytes) -> ChatRequest:
        return decode_request(body)

    def encode_response(self, response_: ChatResponse, *, now: int) -> bytes:
        return response.encode_response(response_, now=now)

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder:
        return ResponsesStreamEncoder(request.model, now)

    def encode_error(self, error: DragomanError) -> bytes:
        return openai_errors.encode_error(error)

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
        return relay.ResponsesUsageTap()


DIALECT: Final[Dialect] = OpenAIResponses()
