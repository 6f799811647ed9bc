"""Claude through Bedrock's InvokeModel: Anthropic's own Messages API but for the envelope. The upstream half.

The model is in the path, the API version and the betas are in the body, and a stream's events come in base64 in the frames of
AWS's binary event stream. Everything else is `anthropic_messages`.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
"""

from __future__ import annotations

import base64
import binascii

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.aws_eventstream import EventStreamDecoder, Message
from dragoman.core.chat import ChatRequest, ChatResponse, Warning
from dragoman.core.errors import ErrorDetail
from dragoman.dialects.anthropic_messages import DIALECT as ANTHROPIC
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.bedrock_converse import errors
from dragoman.dialects.bedrock_converse.common import path

VERSION = "bedrock-2023-05-31"


class AnthropicBedrock:
    name = "anthropic_bedrock"
    stream_accept = "application/vnd.amazon.eventstream"

    def path(self, model: str, *, stream: bool) -> str:
        return path(model, "invoke-with-response-stream" if stream else "invoke")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        """Betas that a client named in a field `anthropic_beta` of its body go along; Bedrock does not read the header."""
        encoded = ANTHROPIC.encode_request(request)
        assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
        body, warnings = {"anthropic_version": VERSION, **encoded.body}, list(encoded.warnings)
        for key in ("model", "stream"):
            body.pop(key, None)
        if body.pop("service_tier", None) is not None:
            warnings.append(
                Warning(field="service_tier", message="InvokeModel takes no tier in the body; use Converse for one")
            )
        return EncodedRequest(body, tuple(warnings))

    def decode_response(self, body: bytes) -> ChatResponse:
        return ANTHROPIC.decode_response(body)

    def stream_decoder(self) -> StreamDecoder:
        return InvokeStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return errors.decode_error(status, body)


class InvokeStreamDecoder:
    """Unwraps the frames and hands the events in them to Anthropic's decoder."""

    def __init__(self) -> None:
        self._frames = EventStreamDecoder()
        self._events = ANTHROPIC.stream_decoder()
        self._over = False

    def feed(self, chunk: bytes) -> list[ev.Event]:
        out: list[ev.Event] = []
        try:
            for message in [] if self._over else self._frames.feed(chunk):
                out += self._take(message)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:  # EventStreamError, DecodeError are ValueErrors
            out += self._ended(ev.StreamError(message=f"an event of the stream makes no sense: {error!r}", broken=True))
        return out

    def close(self) -> list[ev.Event]:
        return [] if self._over else self._events.close()

    def _take(self, message: Message) -> list[ev.Event]:
        if self._over:
            return []
        if message.header(":message-type") != "event":
            return self._ended(errors.stream_error(message))
        event = base64.b64decode(json.decode(message.payload)["bytes"], validate=True)
        return self._events.feed(b"data: " + event.replace(b"\n", b" ") + b"\n\n")

    def _ended(self, error: ev.StreamError) -> list[ev.Event]:
        self._over = True
        return [error]


DIALECT: UpstreamDialect = AnthropicBedrock()
