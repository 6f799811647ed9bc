"""The dialect `fal_transcriptions`: Whisper on fal (fal-ai/whisper, fal-ai/wizper), asked in one go. The upstream half.

Called through `registry.get`. Source: https://fal.ai/models/fal-ai/whisper/api
"""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import Segment, TranscriptionRequest, TranscriptionResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import Body

NAME = "fal_transcriptions"
_ABLE = ("file", "language", "prompt", "response_format", "timestamp_granularities")
_OWN = ("batch_size", "num_speakers", "version", "max_segment_len", "merge_chunks", "chunk_level", "task", "diarize")


class FalTranscriptions(wire.MediaDialect):
    """`task` is transcribe; a translation is asked for as the model's own field."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return f"/{wire.in_path(model)}"

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        body: Body = {"audio_url": request.file.address()} | wire.said(request, ("language", "prompt"))
        body |= {"chunk_level": "word"} if request.timestamp_granularities == ("word",) else {}
        body |= {"diarize": True} if request.response_format == "diarized_json" else {}
        body |= wire.native(request.extra, _OWN)
        return EncodedRequest(body, wire.unsaid(request, _ABLE, NAME, own=_OWN))

    def decode_response(self, body: bytes) -> TranscriptionResponse:
        value = wire.read_answer(body)
        text = value.get("text")
        if not isinstance(text, str):
            raise ResponseDecodeError("the answer is no object with a string `text`")
        chunks = [_chunk(item) for item in wire.objects(value.get("chunks"))]
        languages = value.get("inferred_languages") or value.get("languages")
        return TranscriptionResponse(
            text=text,
            language=wire.text_or_none(languages[0]) if isinstance(languages, list) and languages else None,
            segments=tuple(chunk for chunk in chunks if chunk is not None),
            extra=wire.left_over(value, {"text", "chunks", "languages", "inferred_languages"}, NAME),
        )


DIALECT = FalTranscriptions()


def _chunk(item: Body) -> Segment | None:
    """None for one whose times are not known: the last of a recording that was cut off has no end."""
    times: Any = item.get("timestamp")
    start, end = (wire.number_or_none(time) for time in times) if isinstance(times, list) and len(times) == 2 else (None, None)
    if start is None or end is None:
        return None
    return Segment(text=str(item.get("text", "")), start=start, end=end, speaker=wire.text_or_none(item.get("speaker")))
