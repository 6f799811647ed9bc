"""`CustomLLM`: a provider of your own in Python, with LiteLLM's methods and their argument names.

    class MyLLM(dragoman.CustomLLM):
        def completion(self, model, messages, model_response, optional_params, **rest):
            model_response.choices[0].message.content = "Hi!"
            return model_response

    dragoman.custom_provider_map = [{"provider": "my-llm", "custom_handler": MyLLM()}]
    dragoman.completion("my-llm/any", [{"role": "user", "content": "Hello"}])

Write the methods you have; `custom_bridge` calls them. https://docs.litellm.ai/docs/providers/custom_llm_server
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from dragoman.core.errors import BadRequestError

if TYPE_CHECKING:
    from dragoman.client.custom_bridge import HandlerBridge


class CustomLLMError(Exception):
    """A failure as a provider's answer would tell it: `status_code` decides the error that the caller gets, and retries."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


class GenericStreamingChunk(TypedDict, total=False):
    """A piece of a stream. `tool_use` is a tool call of OpenAI's chunks; `usage` its token counts; `index` is the choice's."""

    text: str
    tool_use: dict[str, Any] | None
    is_finished: bool
    finish_reason: str
    usage: dict[str, Any] | None
    index: int
    provider_specific_fields: dict[str, Any] | None


class CustomLLM:
    """All methods are called with keywords. Chat: model, messages, optional_params (what else was asked for, in OpenAI's
    words), model_response (an empty answer to fill in), api_key, api_base, headers, timeout (seconds), and, as nothing of
    use here, custom_prompt_dict, print_verbose, encoding, logging_obj, acompletion, litellm_params, logger_fn and client.
    Embeddings have `input` in place of messages, images `prompt`.

    Return the filled answer, or any dict or pydantic object of OpenAI's shape. Streams yield `GenericStreamingChunk`s or
    OpenAI's chunks; one that returns is a complete answer. Without a stream of its own an answer is streamed in one piece;
    an event loop runs a plain method in a thread where the awaited one is not written.
    """

    def completion(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("completion")

    async def acompletion(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("acompletion")

    def streaming(self, *_: Any, **__: Any) -> Iterator[Any]:
        raise self._not_written("streaming")

    def astreaming(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise self._not_written("astreaming")

    def embedding(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("embedding")

    async def aembedding(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("aembedding")

    def image_generation(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("image_generation")

    async def aimage_generation(self, *_: Any, **__: Any) -> Any:
        raise self._not_written("aimage_generation")

    def _not_written(self, name: str) -> BadRequestError:
        return BadRequestError(f"{type(self).__name__} has no method {name}; write it, or ask for what it has")

    def _bridge(self) -> HandlerBridge:
        from dragoman.client.custom_bridge import HandlerBridge  # noqa: PLC0415 - it needs asyncio, a class's author may not

        return HandlerBridge(self)
