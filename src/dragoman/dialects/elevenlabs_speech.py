"""The dialect `elevenlabs_speech`: ElevenLabs' text to speech; the voice is part of the path. The upstream half.

`request_path` makes the path, because `path` knows only the model. Called through `registry.get`.
Source: https://elevenlabs.io/docs/api-reference/text-to-speech/convert
"""

from __future__ import annotations

from urllib.parse import quote

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import SpeechRequest, SpeechResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "elevenlabs_speech"
_FORMATS = {"mp3": "mp3_44100_128", "opus": "opus_48000_64", "pcm": "pcm_24000"}
_ABLE = ("input", "voice", "response_format", "speed")
_OWN = ("voice_settings", "language_code", "seed", "previous_text", "next_text", "apply_text_normalization")


class ElevenLabsSpeech(wire.MediaDialect):
    name = NAME
    decode_binary = True

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature
        return "/text-to-speech"

    def request_path(self, request: SpeechRequest) -> str:
        """The path of this request. Raises BadRequestError without a voice, or for a form of sound that is not offered."""
        voice = request.voice.get("id") if isinstance(request.voice, dict) else request.voice
        if not isinstance(voice, str) or not voice:
            raise wire.bad("voice", f"{NAME} needs the id of a voice (https://elevenlabs.io/app/voice-library)")
        path = f"{self.path(request.model)}/{quote(voice, safe='')}"
        if request.response_format is None:
            return path
        form = _FORMATS.get(request.response_format, request.response_format)
        if form not in _FORMATS.values() and "_" not in form:
            raise wire.bad("response_format", f"{NAME} gives {', '.join(_FORMATS)} and its own names, not {form!r}")
        return f"{path}?output_format={quote(form, safe='')}"

    def encode_request(self, request: SpeechRequest) -> EncodedRequest:
        body: Body = {"text": request.input, "model_id": request.model} | wire.native(request.extra, _OWN)
        if request.speed is not None:
            body["voice_settings"] = {**body.get("voice_settings", {}), "speed": request.speed}
        return EncodedRequest(body, wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes, content_type: str) -> SpeechResponse:
        return read_sound(body, content_type)


DIALECT = ElevenLabsSpeech()


def read_sound(body: bytes, content_type: str) -> SpeechResponse:
    """An answer that is the sound itself. Raises ResponseDecodeError for JSON and for nothing."""
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type == wire.JSON:
        raise ResponseDecodeError(f"the answer is no sound but JSON with {', '.join(wire.read_answer(body))}")
    if not body or media_type.startswith("text/"):
        raise ResponseDecodeError(f"the answer is no sound but {media_type or 'nothing'}")
    return SpeechResponse(audio=body, media_type=media_type or "audio/mpeg")
