"""The calls of a `Router`: those of the package, of a model group in place of a model, sync and awaited.

Arguments and results are those of the functions of the same names in `dragoman`. Nothing is decided here: the clients are the
plain ones but for the session that chooses who is asked.
"""

from __future__ import annotations

from typing import Any

from dragoman.client.media_objects import ImageResponse, SpeechAudio, TranscriptionResponse
from dragoman.client.objects import EmbeddingResponse, ModelResponse
from dragoman.client.operation_objects import DecisionResponse, ModerationResponse, OCRResponse, RerankResponse
from dragoman.client.per_loop import PerLoop
from dragoman.client.router_batch import BatchCalls
from dragoman.client.router_core import RoutedClient
from dragoman.client.streams import AsyncCompletionStream, CompletionStream


class RouterCalls(BatchCalls):
    """For `Router`, which makes the clients."""

    _client: RoutedClient
    _clients: PerLoop

    def completion(self, model: str, messages: list[Any], **given: Any) -> ModelResponse | CompletionStream:
        """As `dragoman.completion`, of a model group.

        Beside its arguments: `fallbacks` (groups, or dicts with `model` and what is to differ), `disable_fallbacks`,
        `num_retries`, `specific_deployment`, `tags`, `litellm_session_id`, `patience` (seconds, when all are at a limit) and
        `priority` (the lowest goes first).
        """
        return self._client.completion(model, messages, **given)

    async def acompletion(self, model: str, messages: list[Any], **given: Any) -> ModelResponse | AsyncCompletionStream:
        """`completion`, awaited."""
        return await (await self._clients.get()).completion(model, messages, **given)

    async def schedule_acompletion(
        self, model: str, messages: list[Any], priority: int, **given: Any
    ) -> ModelResponse | AsyncCompletionStream:
        """LiteLLM's name for `acompletion` with a priority."""
        return await self.acompletion(model, messages, priority=priority, **given)

    def embedding(self, model: str, input: Any, **given: Any) -> EmbeddingResponse:  # noqa: A002 - OpenAI's name
        return self._client.embedding(model, input, **given)

    async def aembedding(self, model: str, input: Any, **given: Any) -> EmbeddingResponse:  # noqa: A002 - OpenAI's name
        return await (await self._clients.get()).embedding(model, input, **given)

    def image_generation(self, prompt: str, model: str, **given: Any) -> ImageResponse:
        return self._client.image_generation(prompt, model, **given)

    async def aimage_generation(self, prompt: str, model: str, **given: Any) -> ImageResponse:
        return await (await self._clients.get()).image_generation(prompt, model, **given)

    def image_edit(self, image: Any, prompt: str, model: str, **given: Any) -> ImageResponse:
        return self._client.image_edit(image, prompt, model, **given)

    async def aimage_edit(self, image: Any, prompt: str, model: str, **given: Any) -> ImageResponse:
        return await (await self._clients.get()).image_edit(image, prompt, model, **given)

    def transcription(self, file: Any, model: str, **given: Any) -> TranscriptionResponse:
        return self._client.transcription(model, file, **given)

    async def atranscription(self, file: Any, model: str, **given: Any) -> TranscriptionResponse:
        return await (await self._clients.get()).transcription(model, file, **given)

    def speech(self, model: str, input: str, voice: Any = None, **given: Any) -> SpeechAudio:  # noqa: A002 - OpenAI's name
        return self._client.speech(model, input, voice, **given)

    async def aspeech(self, model: str, input: str, voice: Any = None, **given: Any) -> SpeechAudio:  # noqa: A002 - as above
        return await (await self._clients.get()).speech(model, input, voice, **given)

    def image_variation(self, image: Any, model: str, **given: Any) -> ImageResponse:
        return self._client.image_variation(image, model, **given)

    async def aimage_variation(self, image: Any, model: str, **given: Any) -> ImageResponse:
        return await (await self._clients.get()).image_variation(image, model, **given)

    def translation(self, file: Any, model: str, **given: Any) -> TranscriptionResponse:
        return self._client.translation(model, file, **given)

    async def atranslation(self, file: Any, model: str, **given: Any) -> TranscriptionResponse:
        return await (await self._clients.get()).translation(model, file, **given)

    def rerank(self, model: str, query: Any, documents: list[Any], **given: Any) -> RerankResponse:
        return self._client.rerank(model, query, documents, **given)

    async def arerank(self, model: str, query: Any, documents: list[Any], **given: Any) -> RerankResponse:
        return await (await self._clients.get()).rerank(model, query, documents, **given)

    def moderation(self, input: Any, model: str, **given: Any) -> ModerationResponse:  # noqa: A002 - OpenAI's name
        return self._client.moderation(input, model, **given)

    async def amoderation(self, input: Any, model: str, **given: Any) -> ModerationResponse:  # noqa: A002 - as above
        return await (await self._clients.get()).moderation(input, model, **given)

    def ocr(self, model: str, document: dict[str, Any], **given: Any) -> OCRResponse:
        return self._client.ocr(model, document, **given)

    async def aocr(self, model: str, document: dict[str, Any], **given: Any) -> OCRResponse:
        return await (await self._clients.get()).ocr(model, document, **given)

    def decision(self, model: str, questions: Any, **given: Any) -> DecisionResponse:
        return self._client.decision(model, questions, **given)

    async def adecision(self, model: str, questions: Any, **given: Any) -> DecisionResponse:
        return await (await self._clients.get()).decision(model, questions, **given)
