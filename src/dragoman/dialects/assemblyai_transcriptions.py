"""The dialect `assemblyai_transcriptions`: the sound is uploaded, a transcript of it created and asked for. The upstream half.

Times are milliseconds there. Words always have them; sentences are made of the words where speakers are not told apart.
Called through `registry.get`. Source: https://www.assemblyai.com/docs/api-reference/transcripts/submit
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core import json, subtitles
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.http import HttpResponse
from dragoman.core.media import Segment, TranscriptionRequest, TranscriptionResponse, Word
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest, Poll, Upload
from dragoman.dialects.media_wire import Body

NAME = "assemblyai_transcriptions"
WAIT = 1.0
"""Seconds between two questions."""

_WAITING = frozenset({"queued", "processing"})
_ABLE = ("file", "language", "response_format", "timestamp_granularities")
_PROMPTED = ("prompt", "temperature")
"""Fields of the models that can be told what to listen for (universal-3); the others refuse them."""
_ONE_MODEL = frozenset({"best", "nano", "slam-1"})
"""Models of the days when a transcript was made by one; today's are a list, tried in order."""
_OWN = (
    "speech_models speaker_labels speakers_expected speaker_options multichannel language_detection language_detection_options "
    "language_confidence_threshold punctuate format_text disfluencies audio_start_from audio_end_at keyterms_prompt domain "
    "custom_spelling filter_profanity remove_audio_tags redact_pii redact_pii_policies redact_pii_sub auto_highlights "
    "content_safety iab_categories sentiment_analysis entity_detection speech_threshold"
).split()
_SPOKEN = {"text", "start", "end", "speaker"}
_THEIR_FAULT = re.compile(r"internal|server error|try again", re.IGNORECASE)
"""In the message of a transcript that failed: nothing was wrong with the sound."""


class AssemblyAITranscriptions(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return "/transcript"

    def upload(self, request: TranscriptionRequest) -> Upload | None:
        data = request.file.data
        return None if data is None else Upload("upload", data, answered="upload_url", field="audio_url")

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        """Without a language it is found out."""
        model, prompted = request.model, _PROMPTED if request.model.startswith("universal-3") else ()
        body: Body = {"speech_model": model} if model in _ONE_MODEL else {"speech_models": [model]}
        body |= {} if request.file.data is not None else {"audio_url": request.file.address()}
        body |= {"language_code": request.language} if request.language else {"language_detection": True}
        body |= {"speaker_labels": True} if request.response_format == "diarized_json" else {}
        body |= wire.said(request, prompted)
        body |= {key: _meant(value) for key, value in wire.native(request.extra, _OWN).items()}
        return EncodedRequest(body, wire.unsaid(request, (*_ABLE, *prompted), NAME, own=_OWN))

    def poll(self, response: HttpResponse) -> Poll | None:
        try:
            value = json.decode(response.body)
        except json.UNREADABLE:
            return None
        waiting = isinstance(value, dict) and value.get("status") in _WAITING
        return Poll(f"transcript/{value.get('id')}", WAIT) if waiting else None

    def decode_response(self, body: bytes) -> TranscriptionResponse:
        value = _read(body)
        words = tuple(map(_word, wire.objects(value.get("words"))))
        text, utterances = value.get("text"), map(_utterance, wire.objects(value.get("utterances")))
        return TranscriptionResponse(
            text=text if isinstance(text, str) else "",
            model=wire.text_or_none(value.get("speech_model_used")),
            language=wire.text_or_none(value.get("language_code")),
            duration=wire.number_or_none(value.get("audio_duration")),
            words=words,
            segments=tuple(utterances) or subtitles.lines(words),
            extra=wire.left_over(value, {"text", "words", "utterances", "language_code", "audio_duration"}, NAME),
        )


DIALECT = AssemblyAITranscriptions()


def _read(body: bytes) -> Body:
    """A transcript that is there. Raises what one that failed stands for."""
    try:
        value = json.decode(body)
    except json.UNREADABLE as problem:
        raise ResponseDecodeError(f"the answer is no JSON: {problem}") from None
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise ResponseDecodeError("the answer is no object with a string `status`")
    if value["status"] != "completed":
        message = str(value.get("error") or f"the transcript is {value['status']}")
        raise error_for(502 if _THEIR_FAULT.search(message) else 400, ErrorDetail(message=message))
    return value


def _meant(value: Any) -> Any:
    """A field that came as the text of a form, as the JSON it stands for. Items of lists are words, unless they are objects."""
    if isinstance(value, list):
        return [_meant(item) if str(item).startswith("{") else item for item in value]
    try:
        return json.decode(value) if isinstance(value, str) else value
    except json.UNREADABLE:
        return value


def _seconds(value: Any) -> float:
    return (wire.number_or_none(value) or 0.0) / 1000


def _word(item: Body) -> Word:
    return Word(
        word=str(item.get("text", "")),
        start=_seconds(item.get("start")),
        end=_seconds(item.get("end")),
        speaker=wire.text_or_none(item.get("speaker")),
        extra=wire.left_over(item, _SPOKEN, NAME),
    )


def _utterance(item: Body) -> Segment:
    return Segment(
        text=str(item.get("text", "")),
        start=_seconds(item.get("start")),
        end=_seconds(item.get("end")),
        speaker=wire.text_or_none(item.get("speaker")),
    )
