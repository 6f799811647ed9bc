"""AWS Bedrock's Converse and ConverseStream, the upstream half: one API for the chat models of all makers that Bedrock hosts.

This file only puts the verbs of `dialects.base.UpstreamDialect` together; `write_*` is the way to the wire, the rest the way
back. Signing is no business of a dialect (`providers.auth.aws`). The vendor's base URL is https://bedrock-runtime.REGION.amazonaws.com.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import ErrorDetail
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.bedrock_converse import errors, response
from dragoman.dialects.bedrock_converse.common import NAME, path
from dragoman.dialects.bedrock_converse.stream_decode import ConverseStreamDecoder
from dragoman.dialects.bedrock_converse.write_request import encode_request


class BedrockConverse:
    name = NAME
    stream_accept = "application/vnd.amazon.eventstream"

    def path(self, model: str, *, stream: bool) -> str:
        return path(model, "converse-stream" if stream else "converse")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return encode_request(request)

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return ConverseStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)


DIALECT: UpstreamDialect = BedrockConverse()
