"""Google's countTokens, both halves and the relay. AI Studio wants a request wrapped, to count more than its `contents`.

Vertex takes the fields as they are. What clients send is read in either form.
https://ai.google.dev/api/tokens, https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.json import Envelope
from dragoman.core.operations import TokenCountResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini import DIALECT as GEMINI
from dragoman.dialects.gemini.common import method_path
from dragoman.dialects.token_counts import Counting, counted, read_count

METHOD = "countTokens"
_WRAPPED = "generateContentRequest"


class GeminiCountTokens(Counting):
    name = "gemini_count_tokens"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - a count is no stream
        return method_path(model, METHOD)

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        body, lost = content_request(request)
        model = request.model if "/" in request.model else f"models/{request.model}"
        return EncodedRequest({_WRAPPED: {"model": model, **body}}, lost)

    def decode_response(self, body: bytes) -> TokenCountResponse:
        """Raises ResponseDecodeError where there is no count."""
        return read_count(body, "totalTokens")

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return GEMINI.decode_error(status, body)

    def decode_request(self, body: bytes) -> ChatRequest:
        """Raises BadRequestError that names the path (inside of the wrapped request, where it is wrapped)."""
        return GEMINI.decode_request(_unwrapped(body))

    def encode_response(self, response: TokenCountResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        return json.encode({"totalTokens": response.input_tokens})

    def encode_error(self, error: DragomanError) -> bytes:
        return GEMINI.encode_error(error)

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - no streams here
        """The model stands in the path and, where a request is wrapped, in there too."""
        wrapped = json.read(envelope, _WRAPPED)
        if not isinstance(wrapped, dict):
            return envelope
        return {**envelope, _WRAPPED: json.raw(wrapped | {"model": model if "/" in model else f"models/{model}"})}


DIALECT = GeminiCountTokens()


def content_request(request: ChatRequest) -> tuple[dict[str, Any], Any]:
    """The body of a generateContent request, and what could not be said in it."""
    encoded = GEMINI.encode_request(counted(request))
    assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
    return encoded.body, encoded.warnings


def _unwrapped(body: bytes) -> bytes:
    """The request inside, without the model, which the path names; garbage as it is, for the reader to refuse."""
    try:
        envelope = json.decode_envelope(body)
        inner = json.read(envelope, _WRAPPED)
    except (json.DecodeError, UnicodeDecodeError):
        return body
    return json.encode({key: value for key, value in inner.items() if key != "model"}) if isinstance(inner, dict) else body
