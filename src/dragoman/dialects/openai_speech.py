"""The dialect `openai_speech`: POST /audio/speech as OpenAI has it, both halves and the relay; sound out, or events with it.

Sound passes through as it came; nothing is converted. Mistral answers in JSON, which is read too. Called through
`registry.get`. Source: https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.json import Envelope
from dragoman.core.media import SpeechRequest, SpeechResponse
from dragoman.dialects import media_stream, openai_errors
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import JSON, Body

NAME = "openai_speech"

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_FIELDS = ("model", "input", "voice", "instructions", "response_format", "speed", "stream_format")
_MAGIC = {b"ID3": "mp3", b"RIFF": "wav", b"fLaC": "flac", b"OggS": "opus"}


class OpenAISpeech(wire.MediaDialect):
    """The verbs of `base.Dialect`."""

    name = NAME
    decode_binary = True
    encode_error = staticmethod(openai_errors.encode_error)
    encode_stream_error = staticmethod(openai_errors.encode_stream_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/audio/speech"

    def encode_request(self, request: SpeechRequest) -> EncodedRequest:
        return EncodedRequest(wire.said(request, _FIELDS) | request.extra.get(NAME, {}), wire.unsaid(request, _FIELDS, NAME))

    def decode_request(self, body: bytes, content_type: str = JSON) -> SpeechRequest:
        """Raises BadRequestError that names the field, what was found and what is expected there."""
        given = wire.read_request(body, content_type)
        fields, left = wire.known_fields(given, SpeechRequest)
        wire.required(fields, "input")
        return SpeechRequest(**{"model": "", **fields}, extra={NAME: left} if left else {})

    def decode_response(self, body: bytes, content_type: str) -> SpeechResponse:
        """Sound, the events of a stream that came whole, or JSON with base64. Raises ResponseDecodeError."""
        media_type = content_type.split(";", 1)[0].strip().lower()
        if media_type == media_stream.EVENT_STREAM:
            return _from_events(media_stream.read_events(body))
        if media_type == JSON:
            return _from_json(wire.read_answer(body))
        if not body or media_type.startswith("text/"):
            raise ResponseDecodeError(f"the answer is no sound but {media_type or 'nothing'}")
        return SpeechResponse(audio=body, media_type=media_type or _sniffed(body))

    def encode_answer(self, response: SpeechResponse, request: SpeechRequest, *, now: int) -> tuple[bytes, str]:  # noqa: ARG002 - the verb's signature
        """The body for a client and its media type: the sound, or where it asked for events, one with all of it and an end."""
        if request.stream_format != "sse":
            return response.audio, response.media_type
        delta: Body = {"type": "speech.audio.delta", "audio": base64.b64encode(response.audio).decode()}
        done: Body = {"type": "speech.audio.done"}
        done |= {"usage": wire.write_usage(response.usage, NAME)} if response.usage else {}
        return media_stream.write_events([delta, done]), media_stream.EVENT_STREAM

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - it always comes
        return {**envelope, "model": json.raw_text(model)}

    def relay_filter(self, envelope: Envelope) -> Callable[[bytes], bytes] | None:  # noqa: ARG002 - the verb's signature
        return None

    def read_usage(self, body: bytes) -> Usage | None:  # noqa: ARG002 - sound tells no usage
        return None

    def stream_tap(self) -> media_stream.MediaTap:
        return media_stream.MediaTap(NAME)


DIALECT = OpenAISpeech()


def _from_json(value: Body) -> SpeechResponse:
    audio = _sound(value.get("audio_data"), "audio_data")
    return SpeechResponse(audio=audio, media_type=_sniffed(audio), usage=wire.read_usage(value.get("usage"), NAME))


def _from_events(events: list[Body]) -> SpeechResponse:
    audio = b"".join(_sound(event["audio"], "audio") for event in events if "audio" in event)
    if not audio:
        raise ResponseDecodeError("the stream holds no sound")
    usage = next((event["usage"] for event in events if event.get("usage")), None)
    return SpeechResponse(audio=audio, media_type=_sniffed(audio), usage=wire.read_usage(usage, NAME))


def _sound(value: object, path: str) -> bytes:
    try:
        sound = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except binascii.Error:
        sound = b""
    if not sound:
        raise ResponseDecodeError(f"{path} is no sound in base64")
    return sound


def _sniffed(audio: bytes) -> str:
    """The media type by how the sound begins; MP3, the default of the format, where that tells nothing."""
    return MEDIA_TYPES[next((form for magic, form in _MAGIC.items() if audio.startswith(magic)), "mp3")]
