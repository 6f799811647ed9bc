"""The dialect `elevenlabs_transcriptions`: ElevenLabs' speech to text, a form in, timed words out. The upstream half.

Called through `registry.get`. Source: https://elevenlabs.io/docs/api-reference/speech-to-text/convert
"""

from __future__ import annotations

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import TranscriptionRequest, TranscriptionResponse, Word
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "elevenlabs_transcriptions"
_ABLE = ("file", "language", "temperature", "response_format", "timestamp_granularities")
_OWN = ("tag_audio_events", "num_speakers", "diarize", "diarization_threshold", "seed", "keyterms", "entity_detection")
_ANSWER = {"text", "language_code", "words", "audio_duration_secs"}
_WORD = {"text", "start", "end", "type", "speaker_id"}


class ElevenLabsTranscriptions(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/speech-to-text"

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        """Words always come with their times."""
        fields: Body = {"model_id": request.model}
        fields |= {"language_code": request.language} if request.language else {}
        fields |= {"temperature": request.temperature} if request.temperature is not None else {}
        fields |= {"diarize": True} if request.response_format == "diarized_json" else {}
        fields |= wire.native(request.extra, _OWN)
        files = [("file", request.file)] if request.file.data is not None else []
        fields |= {} if files else {"cloud_storage_url": request.file.address()}
        return wire.form(fields, files, warnings=wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> TranscriptionResponse:
        value = wire.read_answer(body)
        text = value.get("text")
        if not isinstance(text, str):
            raise ResponseDecodeError("the answer is no object with a string `text`")
        return TranscriptionResponse(
            text=text,
            language=wire.text_or_none(value.get("language_code")),
            duration=wire.number_or_none(value.get("audio_duration_secs")),
            words=tuple(word for item in wire.objects(value.get("words")) if (word := _word(item)) is not None),
            extra=wire.left_over(value, _ANSWER, NAME),
        )


DIALECT = ElevenLabsTranscriptions()


def _word(item: Body) -> Word | None:
    """None for the spaces between words, which are listed too. Sounds that are no words (laughter) stay."""
    start, end = wire.number_or_none(item.get("start")), wire.number_or_none(item.get("end"))
    if item.get("type") == "spacing" or start is None or end is None:
        return None
    return Word(
        word=str(item.get("text")),
        start=start,
        end=end,
        speaker=wire.text_or_none(item.get("speaker_id")),
        extra=wire.left_over(item, _WORD, NAME),
    )
