"""The dialect `xai_transcriptions`: POST /stt as xAI has it, a form in, timed words out. The upstream half.

There is one model, so none is named. Called through `registry.get`. Source: https://docs.x.ai/docs/guides/speech-to-text
"""

from __future__ import annotations

from dragoman.core.media import TranscriptionRequest, TranscriptionResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_transcriptions.answers import read_answer

NAME = "xai_transcriptions"
_ABLE = ("file", "language", "response_format", "timestamp_granularities")
_OWN = ("format", "diarize", "multichannel", "channels", "audio_format", "sample_rate")


class XAITranscriptions(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/stt"

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        """The file has to be the last field."""
        fields = wire.said(request, ("language",)) | wire.native(request.extra, _OWN)
        file = wire.with_bytes(request.file, "file", NAME)
        return wire.form(fields, [("file", file)], warnings=wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> TranscriptionResponse:
        return read_answer(wire.read_answer(body))


DIALECT = XAITranscriptions()
