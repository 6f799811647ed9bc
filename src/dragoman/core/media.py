"""Pictures and sound in our own words: images made, edited and varied, speech out of text, text out of speech.

As `operations.py`: each has a request and a response, frozen values that the dialects speak. Files travel as the bytes that
came, generated images as base64 text or an address; nothing here fetches, converts or plays anything.
"""

from __future__ import annotations

import base64
from typing import Any

from dragoman.core.chat import Extra, Usage, Value, Warning


class MediaFile(Value, frozen=True, kw_only=True):
    """A file that is sent: exactly one of `data`, `url` (http, https or data:) or `file_id` (a provider's own) is set.

    `name` is what a form calls it; `media_type` a MIME type, where it is known.
    """

    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None
    media_type: str | None = None

    def address(self) -> str:
        """The URL, or the bytes as a data: URL. Empty for a file that only its provider can read."""
        if self.data is None:
            return self.url or ""
        return f"data:{self.media_type or 'application/octet-stream'};base64,{base64.b64encode(self.data).decode()}"


# --------------------------------------------------------------------------------------------------------------- images
class ImageRequest(Value, frozen=True, kw_only=True):
    """Images for a prompt; with `images`, an edit of those (inside `mask`, where it is transparent), or variations of one.

    `size` is "WIDTHxHEIGHT" in pixels or "auto"; `response_format` is url or b64_json; `output_format` png, jpeg or webp;
    `output_compression` 0 to 100. With `stream`, `partial_images` says how many unfinished ones to show.
    """

    model: str
    prompt: str | None = None
    images: tuple[MediaFile, ...] = ()
    mask: MediaFile | None = None
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    style: str | None = None
    response_format: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    moderation: str | None = None
    input_fidelity: str | None = None
    partial_images: int | None = None
    user: str | None = None
    stream: bool | None = None
    extra: Extra = {}


class GeneratedImage(Value, frozen=True, kw_only=True):
    """One image: `data` (base64 text) or `url` is set. `revised_prompt` is what the model made of the prompt."""

    data: str | None = None
    url: str | None = None
    media_type: str | None = None
    revised_prompt: str | None = None
    extra: Extra = {}


class ImageResponse(Value, frozen=True, kw_only=True):
    """`created` is a Unix time in seconds."""

    images: tuple[GeneratedImage, ...]
    created: int | None = None
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# --------------------------------------------------------------------------------------------------------------- speech
class SpeechRequest(Value, frozen=True, kw_only=True):
    """`input` spoken. `response_format` is mp3, opus, aac, flac, wav or pcm; `speed` is 1 for as it is.

    `voice` is a provider's name for one, or {"id": ...} of one that the caller had made.
    `stream_format` is audio (the bytes themselves) or sse (base64 in events).
    """

    model: str
    input: str
    voice: str | dict[str, Any] | None = None
    instructions: str | None = None
    response_format: str | None = None
    speed: float | None = None
    stream_format: str | None = None
    extra: Extra = {}


class SpeechResponse(Value, frozen=True, kw_only=True):
    audio: bytes
    media_type: str
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# -------------------------------------------------------------------------------------------------------- transcription
class TranscriptionRequest(Value, frozen=True, kw_only=True):
    """What is said in `file`; as a translation, in English. `language` is that of the speech (ISO 639-1).

    `response_format` is json, text, srt, vtt, verbose_json or diarized_json; `timestamp_granularities` are word and segment.
    """

    model: str
    file: MediaFile
    language: str | None = None
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    timestamp_granularities: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    stream: bool | None = None
    extra: Extra = {}


class Segment(Value, frozen=True, kw_only=True):
    """A stretch of speech; `start` and `end` in seconds from the beginning."""

    text: str
    start: float
    end: float
    id: int | str | None = None
    speaker: str | None = None
    extra: Extra = {}


class Word(Value, frozen=True, kw_only=True):
    word: str
    start: float
    end: float
    speaker: str | None = None
    extra: Extra = {}


class TranscriptionResponse(Value, frozen=True, kw_only=True):
    """`duration` is seconds of sound. `segments` and `words` are None where the provider gave none, () where it found none."""

    text: str
    model: str | None = None
    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] | None = None
    words: tuple[Word, ...] | None = None
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}
