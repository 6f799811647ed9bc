"""The dialect `deepgram_transcriptions`: Deepgram's speech to text, the sound itself in, timed words out. The upstream half.

What is asked for stands in the query, so `request_path` makes the path. Called through `registry.get`.
Source: https://developers.deepgram.com/reference/speech-to-text-api/listen
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import Segment, TranscriptionRequest, TranscriptionResponse, Word
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "deepgram_transcriptions"
_ALWAYS = {"smart_format": "true", "utterances": "true"}
"""Punctuation, and sentences with their times."""
_ABLE = ("file", "language", "response_format", "timestamp_granularities")
_OWN = ("diarize", "keyterm", "keywords", "multichannel", "numerals", "profanity_filter", "redact", "filler_words", "tag")
_WORD = {"word", "punctuated_word", "start", "end", "speaker"}


class DeepgramTranscriptions(wire.MediaDialect):
    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature
        return f"/listen?{urlencode({'model': model, **_ALWAYS})}"

    def request_path(self, request: TranscriptionRequest) -> str:
        query: Body = {"language": request.language} if request.language else {"detect_language": "true"}
        query |= {"diarize": "true"} if request.response_format == "diarized_json" else {}
        query |= {key: _plain(value) for key, value in wire.native(request.extra, _OWN).items()}
        return f"{self.path(request.model)}&{urlencode(query, doseq=True)}"

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        lost = wire.unsaid(request, _ABLE, NAME, own=_OWN)
        if request.file.data is None:
            return EncodedRequest({"url": request.file.address()}, lost)
        return EncodedRequest(request.file.data, lost, wire.media_type(request.file, "file") or "application/octet-stream")

    def decode_response(self, body: bytes) -> TranscriptionResponse:
        value = wire.read_answer(body)
        results, metadata = _object(value.get("results")), _object(value.get("metadata"))
        channels = wire.objects(results.get("channels"))
        best = [wire.objects(channel.get("alternatives"))[:1] for channel in channels]
        if not best or not all(best):
            raise ResponseDecodeError("the answer is no object with results.channels[].alternatives[]")
        spoken = [alternative for (alternative,) in best]
        utterances = results.get("utterances")
        return TranscriptionResponse(
            text="\n".join(str(alternative.get("transcript", "")) for alternative in spoken),
            language=wire.text_or_none(channels[0].get("detected_language")),
            duration=wire.number_or_none(metadata.get("duration")),
            words=tuple(_word(item) for alternative in spoken for item in wire.objects(alternative.get("words"))),
            segments=None if utterances is None else tuple(map(_segment, wire.objects(utterances))),
            extra=wire.left_over(metadata, {"duration"}, NAME),
        )


DIALECT = DeepgramTranscriptions()


def _object(value: Any) -> Body:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _word(item: Body) -> Word:
    return Word(
        word=str(item.get("punctuated_word") or item.get("word") or ""),
        start=wire.number_or_none(item.get("start")) or 0.0,
        end=wire.number_or_none(item.get("end")) or 0.0,
        speaker=_speaker(item),
        extra=wire.left_over(item, _WORD, NAME),
    )


def _segment(item: Body) -> Segment:
    return Segment(
        text=str(item.get("transcript", "")),
        start=wire.number_or_none(item.get("start")) or 0.0,
        end=wire.number_or_none(item.get("end")) or 0.0,
        id=wire.text_or_none(item.get("id")),
        speaker=_speaker(item),
    )


def _speaker(item: Body) -> str | None:
    """Speakers are numbers here."""
    return None if item.get("speaker") is None else str(item["speaker"])
