"""What the SDK returns for pictures and sound: OpenAI-shaped objects as in `objects`, and for speech the sound itself.

Field reference: https://platform.openai.com/docs/api-reference/images/object and the pages on audio beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Self

from dragoman.client.objects import Answer, OpenAIObject
from dragoman.core.chat import Warning


class ImageObject(OpenAIObject):
    """One image: base64 text or an address."""

    b64_json: str | None
    url: str | None
    revised_prompt: str | None


class MediaUsage(OpenAIObject):
    """Tokens, or `seconds` of sound, as the provider counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: dict[str, int] | None
    seconds: float | None
    type: str | None


class ImageResponse(Answer):
    """`created` is a Unix time in seconds."""

    created: int
    data: list[ImageObject]
    usage: MediaUsage | None
    background: str | None
    output_format: str | None
    quality: str | None
    size: str | None
    _nested = {"data": ImageObject, "usage": MediaUsage}


class TranscriptionSegment(OpenAIObject):
    """`start` and `end` in seconds."""

    id: int | str
    text: str
    start: float
    end: float
    speaker: str | None


class TranscriptionWord(OpenAIObject):
    word: str
    start: float
    end: float
    speaker: str | None


class TranscriptionResponse(Answer):
    """`text` is what was said; for response_format srt or vtt the subtitles. `duration` is seconds."""

    text: str
    language: str | None
    duration: float | None
    segments: list[TranscriptionSegment] | None
    words: list[TranscriptionWord] | None
    usage: MediaUsage | None
    _nested = {"segments": TranscriptionSegment, "words": TranscriptionWord, "usage": MediaUsage}


class SpeechAudio:
    """The sound: `content`, and the methods by which programs that know OpenAI's binary answers get at it."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content = content
        self.media_type = media_type
        self._hidden_params: dict[str, Any] = {}
        self._response_headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SpeechAudio({self.media_type}, {len(self.content)} bytes)"

    def beside(self, hidden: dict[str, Any], headers: dict[str, str]) -> Self:
        """The same object with these beside the sound."""
        self._hidden_params, self._response_headers = hidden, headers
        return self

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What was asked for and could not be said to this provider, or was changed on the way."""
        found: tuple[Warning, ...] = self._hidden_params.get("warnings", ())
        return found

    def read(self) -> bytes:
        return self.content

    async def aread(self) -> bytes:
        return self.content

    def iter_bytes(self, chunk_size: int = 64 * 1024) -> Iterator[bytes]:
        return (self.content[start : start + chunk_size] for start in range(0, len(self.content), chunk_size))

    def write_to_file(self, file: str | PathLike[str]) -> None:
        Path(file).write_bytes(self.content)

    stream_to_file = write_to_file
