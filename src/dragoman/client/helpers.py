"""Tokens and streams: `token_counter`, `encode`, `decode`, `trim_messages`, `stream_chunk_builder`.

Counts are OpenAI's tokenizer's where the `tokens` extra is installed, else estimates; a provider's own usage is better than
both. Streams are put together by the same decoder and assembler that serve a call. Nothing here asks the network.
"""

from __future__ import annotations

from typing import Any

from dragoman.catalog import tokenizer, tokens
from dragoman.client.models import find_model
from dragoman.client.objects import ModelResponse
from dragoman.client.results import model_response
from dragoman.core import json
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatResponse, TextPart, Usage
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.core.events import StreamError
from dragoman.dialects import registry as dialects

TRIM_RATIO = 0.75
"""The share of a model's context window that trimmed messages may fill, so that an answer fits behind them."""


def token_counter(
    model: str = "",
    text: str | list[str] | None = None,
    messages: list[dict[str, Any]] | None = None,
    tools: list[dict[str, Any]] | None = None,
    *,
    count_response_tokens: bool = False,
) -> int:
    """Tokens of `text`, or of a prompt of `messages` and `tools`, as the model would count them, about.

    `count_response_tokens`: the text is an answer, without the framing of a prompt. Raises BadRequestError for neither.
    """
    if text is None and messages is None:
        raise BadRequestError("token_counter: pass text or messages")
    count = tokens.text_counter(model)
    total = 0
    if text is not None:
        total += count("".join(text) if isinstance(text, list) else text)
    if messages is not None:
        total += tokens.count_messages(messages, count)
        if count_response_tokens:
            total -= tokens.PER_ANSWER
    return total + tokens.count_tools(tools or (), count)


def encode(model: str = "", text: str = "") -> list[int]:
    """The text as tokens of OpenAI's tokenizer for `model`. Raises ConfigurationError without the `tokens` extra."""
    found: list[int] = tokenizer.encoding(tokenizer.encoding_name(model)).encode_ordinary(text)
    return found


def decode(model: str = "", tokens: list[int] | None = None) -> str:
    """The text of such tokens. Raises ConfigurationError without the `tokens` extra."""
    text: str = tokenizer.encoding(tokenizer.encoding_name(model)).decode(tokens or [])
    return text


def trim_messages(
    messages: list[dict[str, Any]],
    model: str | None = None,
    trim_ratio: float = TRIM_RATIO,
    max_tokens: int | None = None,
    *,
    return_response_tokens: bool = False,
) -> Any:
    """The newest messages that fit: into `max_tokens`, or into `trim_ratio` of the model's context window.

    System messages stay, tool answers stay with their calls, a last message that is too long loses its middle. With
    `return_response_tokens` a pair: the messages, and how many tokens are left for the answer. Raises BadRequestError where
    the limit is not known or cannot be met.
    """
    window = max_tokens
    if window is None:
        found = find_model(model) if model else None
        if found is None or found.model.context_window is None:
            raise BadRequestError(f"trim_messages: the context window of {model!r} is not known; pass max_tokens")
        window = int(found.model.context_window * trim_ratio)
    count = tokens.text_counter(model or "")
    kept = tokens.trim(messages, window, count)
    return (kept, window - tokens.count_messages(kept, count)) if return_response_tokens else kept


def stream_chunk_builder(chunks: list[Any], messages: list[dict[str, Any]] | None = None) -> ModelResponse | None:
    """The chunks of a streamed answer as the answer; None for no chunks. `messages`: to count usage when no chunk tells it.

    Raises BadRequestError for what is no chunk of a chat completion, ResponseDecodeError where one tells of a failure.
    """
    if not chunks:
        return None
    decoder = dialects.get("openai_chat").stream_decoder()
    frames = b"".join(b"data: " + json.encode(_plain(chunk, index)) + b"\n\n" for index, chunk in enumerate(chunks))
    events = [*decoder.feed(frames + b"data: [DONE]\n\n"), *decoder.close()]
    for event in events:
        if isinstance(event, StreamError) and not event.broken:
            raise ResponseDecodeError(f"the stream failed: {event.message}")
    answer = assemble(event for event in events if not isinstance(event, StreamError))
    made = model_response(answer, now=0)
    if answer.usage is None:
        usage = _usage(answer, messages)
        made["usage"] = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
    whole: ModelResponse = ModelResponse.of(made)
    return whole


def _plain(chunk: Any, index: int) -> dict[str, Any]:
    dump = getattr(chunk, "model_dump", None)
    fields = dump(exclude_none=True) if dump else chunk
    if not isinstance(fields, dict) or not {"choices", "error"} & fields.keys():
        raise BadRequestError(f"chunks[{index}]: expected a chunk of a chat completion, with choices, found {json.kind(chunk)}")
    return {name: value for name, value in fields.items() if value is not None}


def _usage(answer: ChatResponse, messages: list[dict[str, Any]] | None) -> Usage:
    count = tokens.text_counter(answer.model)
    texts = (part.text for choice in answer.choices for part in choice.parts if isinstance(part, TextPart))
    asked = tokens.count_messages(messages, count) if messages else 0
    return Usage(input_tokens=asked, output_tokens=count("".join(texts)))
