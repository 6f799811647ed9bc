"""OpenAI's POST /responses/input_tokens: a Responses request in, the number of its input tokens out. Both halves and the relay.

Source: https://platform.openai.com/docs/api-reference/responses/input-tokens
"""

from __future__ import annotations

from dragoman.core import json
from dragoman.core.chat import ChatRequest
from dragoman.core.json import Envelope
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_responses import DIALECT as RESPONSES
from dragoman.dialects.operation_wire import WholeAnswers
from dragoman.dialects.token_counts import Counting, counted, read_count

_COUNTED = frozenset(
    """
    model input instructions tools tool_choice parallel_tool_calls text reasoning truncation previous_response_id
    conversation
    """.split()
)
"""The fields that this endpoint takes; of others in a request none has tokens."""


class OpenAICountTokens(Counting, WholeAnswers):
    name = "openai_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/responses/input_tokens"

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = RESPONSES.encode_request(counted(request))
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        return EncodedRequest({key: value for key, value in encoded.body.items() if key in _COUNTED}, encoded.warnings)

    def decode_response(self, body: bytes) -> TokenCountResponse:
        """Raises ResponseDecodeError where there is no count."""
        return read_count(body, "input_tokens")

    def decode_request(self, body: bytes) -> ChatRequest:
        """Raises BadRequestError that names the path."""
        return RESPONSES.decode_request(body)

    def encode_response(self, response: TokenCountResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        return json.encode({"object": "response.input_tokens", "input_tokens": response.input_tokens})

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - no streams here
        return {**envelope, "model": json.raw_text(model)}


DIALECT = OpenAICountTokens()
