"""`image_generation`, `image_edit`, `image_variation`, `speech`, `transcription`, `translation`, and each with an `a` in front.

One call to whoever makes pictures and sound, on the client that all functions of the package share. `image` and `file` are
bytes, an open file, a path, a tuple (name, content, media type) or, where the provider fetches, a URL.
"""

from __future__ import annotations

from typing import Any, Unpack

from dragoman.client.functions import CallControls, _shared, _shared_async
from dragoman.client.media_objects import ImageResponse, SpeechAudio, TranscriptionResponse


class ImageArguments(CallControls, total=False):
    """The parameters of https://platform.openai.com/docs/api-reference/images; `size` is "WIDTHxHEIGHT" in pixels."""

    n: int
    size: str
    quality: str
    style: str
    response_format: str
    background: str
    output_format: str
    output_compression: int
    moderation: str
    user: str


class EditArguments(ImageArguments, total=False):
    mask: Any
    input_fidelity: str


class SpeechArguments(CallControls, total=False):
    """`speed` is 1 for as it is; `response_format` one of mp3, opus, aac, flac, wav, pcm."""

    instructions: str
    response_format: str
    speed: float


class TranscriptionArguments(CallControls, total=False):
    """`response_format` is json, text, srt, vtt, verbose_json or diarized_json."""

    language: str
    prompt: str
    response_format: str
    temperature: float
    timestamp_granularities: list[str]
    include: list[str]


def image_generation(prompt: str, model: str, **arguments: Unpack[ImageArguments]) -> ImageResponse:
    """Images for `prompt`. A parameter OpenAI does not know (a seed, steps) goes to the provider as it is."""
    return _shared().image_generation(prompt, model, **arguments)


async def aimage_generation(prompt: str, model: str, **arguments: Unpack[ImageArguments]) -> ImageResponse:
    """`image_generation`, awaited."""
    client = await _shared_async()
    return await client.image_generation(prompt, model, **arguments)


def image_edit(image: Any, prompt: str, model: str, **arguments: Unpack[EditArguments]) -> ImageResponse:
    """`image`, or a list of them, changed as `prompt` says; with a `mask`, where that is transparent."""
    return _shared().image_edit(image, prompt, model, **arguments)


async def aimage_edit(image: Any, prompt: str, model: str, **arguments: Unpack[EditArguments]) -> ImageResponse:
    """`image_edit`, awaited."""
    client = await _shared_async()
    return await client.image_edit(image, prompt, model, **arguments)


def image_variation(image: Any, model: str, **arguments: Unpack[ImageArguments]) -> ImageResponse:
    """Others like `image`."""
    return _shared().image_variation(image, model, **arguments)


async def aimage_variation(image: Any, model: str, **arguments: Unpack[ImageArguments]) -> ImageResponse:
    """`image_variation`, awaited."""
    client = await _shared_async()
    return await client.image_variation(image, model, **arguments)


def speech(model: str, input: str, voice: Any = None, **arguments: Unpack[SpeechArguments]) -> SpeechAudio:  # noqa: A002 - OpenAI's name
    """`input` spoken by `voice`, a provider's name for one."""
    return _shared().speech(model, input, voice, **arguments)


async def aspeech(
    model: str,
    input: str,  # noqa: A002 - OpenAI's name
    voice: Any = None,
    **arguments: Unpack[SpeechArguments],
) -> SpeechAudio:
    """`speech`, awaited."""
    client = await _shared_async()
    return await client.speech(model, input, voice, **arguments)


def transcription(model: str, file: Any, **arguments: Unpack[TranscriptionArguments]) -> TranscriptionResponse:
    """What is said in `file`. Raises BadRequestError for subtitles where the provider tells no times."""
    return _shared().transcription(model, file, **arguments)


async def atranscription(model: str, file: Any, **arguments: Unpack[TranscriptionArguments]) -> TranscriptionResponse:
    """`transcription`, awaited."""
    client = await _shared_async()
    return await client.transcription(model, file, **arguments)


def translation(model: str, file: Any, **arguments: Unpack[TranscriptionArguments]) -> TranscriptionResponse:
    """What is said in `file`, in English."""
    return _shared().translation(model, file, **arguments)


async def atranslation(model: str, file: Any, **arguments: Unpack[TranscriptionArguments]) -> TranscriptionResponse:
    """`translation`, awaited."""
    client = await _shared_async()
    return await client.translation(model, file, **arguments)
