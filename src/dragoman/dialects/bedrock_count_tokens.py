"""Bedrock's CountTokens, the upstream half: the prompt of a Converse request in, a number out. Not every model can be asked.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest
from dragoman.core.errors import ErrorDetail
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.bedrock_converse import DIALECT as CONVERSE
from dragoman.dialects.bedrock_converse.common import path
from dragoman.dialects.token_counts import Counting, counted, read_count

_COUNTED = frozenset({"messages", "system", "toolConfig", "additionalModelRequestFields"})


class BedrockCountTokens(Counting):
    name = "bedrock_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - a count is no stream
        return path(model, "count-tokens")

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        encoded = CONVERSE.encode_request(counted(request))
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        prompt = {key: value for key, value in encoded.body.items() if key in _COUNTED}
        return EncodedRequest({"input": {"converse": prompt}}, encoded.warnings)

    def decode_response(self, body: bytes) -> TokenCountResponse:
        """Raises ResponseDecodeError where there is no count."""
        return read_count(body, "inputTokens")

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return CONVERSE.decode_error(status, body)


DIALECT = BedrockCountTokens()
