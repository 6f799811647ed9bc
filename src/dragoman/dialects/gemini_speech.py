"""The dialect `gemini_speech`: speech out of Gemini's generateContent. The upstream half.

Gemini speaks raw samples (16 bit, one channel); they get the head of a WAV file, so that they can be played. How to speak is
told to it in front of the text. Called through `registry.get`.
Source: https://ai.google.dev/gemini-api/docs/speech-generation
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from typing import Any

from dragoman.core.chat import Warning
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import SpeechRequest, SpeechResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.gemini_images import read_parts, read_usage
from dragoman.dialects.media_wire import Body

NAME = "gemini_speech"
_ABLE = ("input", "voice", "instructions", "response_format")
_OWN = ("generationConfig", "safetySettings")
_RATE = re.compile(r"rate=(\d+)")


class GeminiSpeech(wire.MediaDialect):
    name = NAME
    folder = "/models"

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"{self.folder}/{wire.in_path(model)}:generateContent"

    def encode_request(self, request: SpeechRequest) -> EncodedRequest:
        own = wire.native(request.extra, _OWN)
        config: Body = {"responseModalities": ["AUDIO"]}
        if isinstance(request.voice, str):
            config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": request.voice}}}
        elif request.voice:
            config["speechConfig"] = request.voice
        config |= own.pop("generationConfig", {})
        text = f"{request.instructions}: {request.input}" if request.instructions else request.input
        body: Body = {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": config}
        return EncodedRequest(body | own, _changes(request) + wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> SpeechResponse:
        value = wire.read_answer(body)
        parts = [part for candidate in wire.objects(value.get("candidates")) for part in read_parts(candidate)]
        sounds = [part["inlineData"] for part in parts if isinstance(part.get("inlineData"), dict)]
        if not sounds:
            raise ResponseDecodeError("the answer holds no sound")
        kind = str(sounds[0].get("mimeType") or "")
        audio, usage = b"".join(map(_sound, sounds)), read_usage(value.get("usageMetadata"))
        if "L16" not in kind and "pcm" not in kind:
            return SpeechResponse(audio=audio, media_type=kind, usage=usage)
        rate = _RATE.search(kind)
        return SpeechResponse(audio=wav(audio, int(rate[1]) if rate else 24000), media_type="audio/wav", usage=usage)


DIALECT = GeminiSpeech()


def wav(samples: bytes, rate: int) -> bytes:
    """A WAV file of 16-bit samples of one channel, `rate` of them a second."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def _changes(request: SpeechRequest) -> tuple[Warning, ...]:
    found = []
    if request.response_format not in (None, "wav"):
        message = f"{NAME} gives wav; {request.response_format} was asked for"
        found.append(Warning(field="response_format", message=message, code="changed"))
    if request.instructions:
        found.append(Warning(field="instructions", message="put in front of the text", code="emulated"))
    return tuple(found)


def _sound(held: Any) -> bytes:
    try:
        return base64.b64decode(held.get("data") or "", validate=True)
    except (binascii.Error, TypeError):
        raise ResponseDecodeError("inlineData.data is no base64") from None
