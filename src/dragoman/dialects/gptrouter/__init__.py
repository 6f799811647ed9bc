"""GPTRouter's dialect, the half in which we are the server: its requests, answers, streams and errors.

One file a verb; this one names them together as `DIALECT`. A request lists candidates, so the gateway reads it with
`requests` and `params` and makes one call of it; `decode_request` gives the conversation of the first.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import DragomanError
from dragoman.dialects.gptrouter import errors
from dragoman.dialects.gptrouter.answers import Source, encode_answer
from dragoman.dialects.gptrouter.params import Manner, chat_body
from dragoman.dialects.gptrouter.requests import read_generation
from dragoman.dialects.gptrouter.stream import GPTRouterStreamEncoder
from dragoman.dialects.gptrouter.wire import NAME
from dragoman.dialects.openai_chat import DIALECT as OPENAI_CHAT


class GPTRouter:
    """The downstream verbs of `dialects.base.Dialect`, for who knows nothing of candidates."""

    name = NAME

    def decode_request(self, body: bytes) -> ChatRequest:
        generation = read_generation(body)
        first = generation.candidates[0]
        fields: dict[str, Any] = chat_body(first.params, f"{first.path}.promptParams").fields
        return OPENAI_CHAT.decode_request(
            json.encode({**fields, "model": first.model or first.model_id, "stream": generation.stream})
        )

    def encode_response(self, response: ChatResponse, *, now: int) -> bytes:  # noqa: ARG002 - the verb's signature
        return encode_answer(response, Source(model=response.model), Manner())

    def stream_encoder(self, request: ChatRequest, *, now: int) -> GPTRouterStreamEncoder:  # noqa: ARG002 - the verb's signature
        source = Source(model=request.model)
        return GPTRouterStreamEncoder(lambda _: source, Manner())

    def encode_error(self, error: DragomanError) -> bytes:
        return errors.encode_error(error)

    def encode_stream_error(self, error: DragomanError) -> bytes:
        return errors.encode_stream_error(error)


DIALECT = GPTRouter()
