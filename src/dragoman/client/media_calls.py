"""The calls for pictures and sound as methods of `Client` and `AsyncClient`, which take them up from here.

Arguments are LiteLLM's. What does the work is loaded at the first such call: most programs only chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dragoman.caching import Cache
    from dragoman.client.arguments import Arguments
    from dragoman.client.media_objects import ImageResponse, SpeechAudio, TranscriptionResponse
    from dragoman.engine.call import Call
    from dragoman.router.deployment import Deployment
    from dragoman.transport.base import AsyncTransport, Transport


class AnyCaller(Protocol):
    """What these calls need of a client."""

    def _cache(self) -> Cache | None: ...
    def _defaults(self) -> dict[str, Any]: ...
    def _deployment(self, model: str, place: dict[str, Any]) -> Deployment: ...
    def _sorted(self, model: str, parameters: frozenset[str], given: dict[str, Any]) -> Arguments: ...
    def _call(
        self, model: str, operation: str, said: Arguments, *, dialect: str | None, body: bytes, content_type: str
    ) -> Call: ...


class Caller(AnyCaller, Protocol):
    _transport: Transport


class AsyncCaller(AnyCaller, Protocol):
    _transport: AsyncTransport


def _run(client: Caller, operation: str, model: str, given: dict[str, Any]) -> Any:
    from dragoman.client.media_run import run  # noqa: PLC0415 - loaded when it is first needed

    return run(client, operation, model, given)


async def _arun(client: AsyncCaller, operation: str, model: str, given: dict[str, Any]) -> Any:
    from dragoman.client.media_run import arun  # noqa: PLC0415 - loaded when it is first needed

    return await arun(client, operation, model, given)


class MediaCalls:
    """For `Client`. See the functions of the same names in `dragoman`."""

    def image_generation(self: Caller, prompt: str, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = _run(self, "image", model, {**given, "prompt": prompt})
        return made

    def image_edit(self: Caller, image: Any, prompt: str, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = _run(self, "image_edit", model, {**given, "image": image, "prompt": prompt})
        return made

    def image_variation(self: Caller, image: Any, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = _run(self, "image_variation", model, {**given, "image": image})
        return made

    def speech(self: Caller, model: str, input: str, voice: Any = None, **given: Any) -> SpeechAudio:  # noqa: A002 - OpenAI's name
        made: SpeechAudio = _run(self, "speech", model, {**given, "input": input, "voice": voice})
        return made

    def transcription(self: Caller, model: str, file: Any, **given: Any) -> TranscriptionResponse:
        made: TranscriptionResponse = _run(self, "transcription", model, {**given, "file": file})
        return made

    def translation(self: Caller, model: str, file: Any, **given: Any) -> TranscriptionResponse:
        made: TranscriptionResponse = _run(self, "translation", model, {**given, "file": file})
        return made


class AsyncMediaCalls:
    """For `AsyncClient`, as MediaCalls."""

    async def image_generation(self: AsyncCaller, prompt: str, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = await _arun(self, "image", model, {**given, "prompt": prompt})
        return made

    async def image_edit(self: AsyncCaller, image: Any, prompt: str, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = await _arun(self, "image_edit", model, {**given, "image": image, "prompt": prompt})
        return made

    async def image_variation(self: AsyncCaller, image: Any, model: str, **given: Any) -> ImageResponse:
        made: ImageResponse = await _arun(self, "image_variation", model, {**given, "image": image})
        return made

    async def speech(self: AsyncCaller, model: str, input: str, voice: Any = None, **given: Any) -> SpeechAudio:  # noqa: A002 - OpenAI's name
        made: SpeechAudio = await _arun(self, "speech", model, {**given, "input": input, "voice": voice})
        return made

    async def transcription(self: AsyncCaller, model: str, file: Any, **given: Any) -> TranscriptionResponse:
        made: TranscriptionResponse = await _arun(self, "transcription", model, {**given, "file": file})
        return made

    async def translation(self: AsyncCaller, model: str, file: Any, **given: Any) -> TranscriptionResponse:
        made: TranscriptionResponse = await _arun(self, "translation", model, {**given, "file": file})
        return made
