"""Google's generateContent API (https://ai.google.dev/api/generate-content), both halves and the relay.

AI Studio and Vertex speak it alike. A file a verb: read_* is from the wire to our words, write_* the way back; `answer` reads
answers and pieces of them. Model and stream flag stand in the path, so a body has neither. This file only puts the verbs of
`dialects.base.Dialect` together.
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse, Usage
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects.base import Dialect, EncodedRequest, StreamDecoder, StreamEncoder, UsageTap
from dragoman.dialects.gemini import errors, relay, response
from dragoman.dialects.gemini.common import NAME, method_path
from dragoman.dialects.gemini.read_request import decode_request
from dragoman.dialects.gemini.stream_decode import GeminiStreamDecoder
from dragoman.dialects.gemini.stream_encode import GeminiStreamEncoder
from dragoman.dialects.gemini.write_request import encode_request

UNARY, STREAMED = "generateContent", "streamGenerateContent?alt=sse"


class Gemini:
    name = NAME

    # upstream
    def path(self, model: str, *, stream: bool) -> str:
        return method_path(model, STREAMED if stream else UNARY)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return GeminiStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)

    # downstream
    def decode_request(self, body: bytes) -> ChatRequest:
        return decode_request(body)

    def encode_response(self, response_: ChatResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        return response.encode_response(response_)

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder:  # noqa: ARG002 - as above
        return GeminiStreamEncoder(request.model)

    def encode_error(self, error: DragomanError) -> bytes:
        return errors.encode_error(error)

    def encode_stream_error(self, error: DragomanError) -> bytes:
        return errors.encode_stream_error(error)

    # relay
    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - neither is in a body
        return relay.edit_request(envelope)

    def relay_filter(self, envelope: Envelope) -> None:
        """Nothing: its streams report usage unasked."""

    def read_usage(self, body: bytes) -> Usage | None:
        return relay.read_usage(body)

    def stream_tap(self) -> UsageTap:
        return relay.GeminiUsageTap()


DIALECT: Dialect = Gemini()
