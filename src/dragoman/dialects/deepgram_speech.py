"""The dialect `deepgram_speech`: Deepgram's text to speech; the model is the voice. The upstream half.

What is asked for stands in the query, so `request_path` makes the path. Called through `registry.get`.
Source: https://developers.deepgram.com/reference/text-to-speech-api/speak
"""

from __future__ import annotations

from urllib.parse import urlencode

from dragoman.core.media import SpeechRequest, SpeechResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.elevenlabs_speech import read_sound

NAME = "deepgram_speech"
_FORMATS = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav"},
    "pcm": {"encoding": "linear16", "container": "none"},
}
_ABLE = ("input", "response_format")
_OWN = ("encoding", "container", "sample_rate", "bit_rate", "mip_opt_out", "tag")


class DeepgramSpeech(wire.MediaDialect):
    name = NAME
    decode_binary = True

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature
        return f"/speak?{urlencode({'model': model})}"

    def request_path(self, request: SpeechRequest) -> str:
        """Raises BadRequestError for a form of sound that is not offered."""
        asked = request.response_format
        if asked is not None and asked not in _FORMATS:
            raise wire.bad("response_format", f"{NAME} gives {', '.join(_FORMATS)}, not {asked!r}")
        query = (_FORMATS[asked] if asked else {}) | wire.native(request.extra, _OWN)
        return self.path(request.model) + (f"&{urlencode(query)}" if query else "")

    def encode_request(self, request: SpeechRequest) -> EncodedRequest:
        return EncodedRequest({"text": request.input}, wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes, content_type: str) -> SpeechResponse:
        return read_sound(body, content_type)


DIALECT = DeepgramSpeech()
