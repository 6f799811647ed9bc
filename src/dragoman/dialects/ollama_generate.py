"""Ollama's own text completions, POST /api/generate (https://docs.ollama.com/api/generate), the upstream half.

The prompt goes through the model's template, as with Ollama's OpenAI-compatible endpoint; `raw: true` switches that off.
Options and answers are those of `ollama_chat`, but for where the text stands. Called through `registry.get`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import ErrorDetail
from dragoman.core.events import Event
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.losses import Losses, taken
from dragoman.dialects.ollama_chat import response
from dragoman.dialects.ollama_chat.stream_decode import OllamaStreamDecoder
from dragoman.dialects.ollama_chat.words import NATIVE_FIELDS, RUNTIME_OPTIONS, WHO, Body
from dragoman.dialects.ollama_chat.write_request import UNSAYABLE, write_format, write_options, write_think
from dragoman.dialects.prompting import one_prompt

NAME = "ollama_generate"
_NATIVE = NATIVE_FIELDS | {"suffix", "raw", "template", "system", "images"}
_TOOLS = (("tools", ((),)), ("tool_choice", (None,)))


class OllamaGenerate:
    name = NAME
    stream_accept = "application/x-ndjson"

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path for every model, streamed or not
        return "/api/generate"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        """Raises UnsupportedParamsError for several prompts, and for token ids."""
        losses = Losses(NAME, WHO)
        losses.unsayable(request, (*UNSAYABLE, *_TOOLS))
        losses.foreign(request.extra, "", _NATIVE | RUNTIME_OPTIONS)
        body: Body = {"model": request.model, "prompt": one_prompt(request, losses, WHO), "stream": request.stream}
        said: Body = {
            "logprobs": request.logprobs or None,
            "top_logprobs": request.top_logprobs or None,
            "format": write_format(request.response_format, losses),
            "think": write_think(request.reasoning, losses),
        }
        body |= {key: value for key, value in said.items() if value is not None}
        native = taken(request.extra, NAME, _NATIVE)
        options = write_options(request) | (native.pop("options", None) or {})
        return EncodedRequest(body | ({"options": options} if options else {}) | native, tuple(losses.warnings))

    def decode_response(self, body: bytes) -> ChatResponse:
        return response.decode_response(body, _as_chat)

    def stream_decoder(self) -> StreamDecoder:
        return _Decoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return openai_errors.decode_error(status, body)


class _Decoder(OllamaStreamDecoder):
    def _piece(self, value: Body, events: list[Event]) -> None:
        super()._piece(_as_chat(value), events)


DIALECT: UpstreamDialect = OllamaGenerate()


def _as_chat(value: Any) -> Any:
    """A piece of text as the chat API would have sent it."""
    if not isinstance(value, dict) or "response" not in value:
        return value
    kept = {key: held for key, held in value.items() if key not in ("response", "thinking")}
    return kept | {"message": {"content": value["response"], "thinking": value.get("thinking")}}
