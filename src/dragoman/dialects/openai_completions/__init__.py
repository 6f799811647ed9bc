"""OpenAI's text completions, POST /completions: https://platform.openai.com/docs/api-reference/completions.

Both halves and the relay. The vocabulary is that of chat (`words` says how), errors are OpenAI's. Mistral's
fill-in-the-middle endpoint is this dialect under another path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dragoman.core.chat import ChatRequest, ChatResponse, Usage, Warning
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects import openai_errors
from dragoman.dialects.base import Dialect, EncodedRequest, StreamDecoder, StreamEncoder, UsageTap
from dragoman.dialects.openai_chat import relay
from dragoman.dialects.openai_completions import requests, response
from dragoman.dialects.openai_completions.stream_decode import CompletionStreamDecoder
from dragoman.dialects.openai_completions.stream_encode import CompletionStreamEncoder
from dragoman.dialects.openai_completions.words import NAME


class CompletionStreamTap(relay.ChatStreamTap):
    """As the tap of chats, but `text_completion` is no sign of an old server here: choices are told apart by their index."""

    def __init__(self) -> None:
        super().__init__()
        self._finished[0] = False  # there is always a first choice, whose pieces are not looked at one by one

    def _begin(self, lines: bytes) -> None:
        super()._begin(lines)
        self._one_choice = False


class OpenAICompletions:
    """See `dialects.base.Dialect`, which documents the verbs."""

    name = NAME

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return "/completions"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return requests.encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return CompletionStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return openai_errors.decode_error(status, body)

    def decode_request(self, body: bytes) -> ChatRequest:
        return requests.decode_request(body)

    def carry(self, request: ChatRequest) -> tuple[ChatRequest, tuple[Warning, ...]]:
        """For a provider that can only chat. Raises UnsupportedParamsError where the answer would be a wrong one."""
        return requests.as_chat(request)

    def encode_response(self, response_: ChatResponse, *, now: int) -> bytes:
        return response.encode_response(response_, now=now)

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder:
        return CompletionStreamEncoder(request, now=now)

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
        return CompletionStreamTap()


DIALECT: Final[Dialect] = OpenAICompletions()
