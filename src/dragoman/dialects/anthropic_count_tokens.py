"""Anthropic's POST /v1/messages/count_tokens: a Messages request without limits in, a number out. Both halves, and relay.

Source: https://docs.anthropic.com/en/api/messages-count-tokens
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.core.chat import ChatRequest
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects.anthropic_messages import DIALECT as MESSAGES
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.token_counts import Counting, counted, read_count

_UNCOUNTED = frozenset({"max_tokens", "stream", "metadata", "service_tier", "container", "inference_geo"})
"""Fields of a message that this endpoint refuses. The limit is mandatory there and so it is always written."""


class AnthropicCountTokens(Counting):
    name = "anthropic_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/v1/messages/count_tokens"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return MESSAGES.headers()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = MESSAGES.encode_request(counted(request))
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        body = {key: value for key, value in encoded.body.items() if key not in _UNCOUNTED}
        return EncodedRequest(body, encoded.warnings)

    def decode_response(self, body: bytes) -> TokenCountResponse:
        """Raises ResponseDecodeError where there is no count."""
        return read_count(body, "input_tokens")

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return MESSAGES.decode_error(status, body)

    def decode_request(self, body: bytes) -> ChatRequest:
        """Raises BadRequestError that names the path."""
        return MESSAGES.decode_request(body)

    def encode_response(self, response: TokenCountResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        return json.encode({"input_tokens": response.input_tokens})

    def encode_error(self, error: DragomanError) -> bytes:
        return MESSAGES.encode_error(error)

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - no streams here
        return {**envelope, "model": json.raw_text(model)}


DIALECT = AnthropicCountTokens()
