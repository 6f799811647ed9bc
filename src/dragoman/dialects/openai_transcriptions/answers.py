"""Transcriptions as OpenAI's JSON (json, verbose_json, diarized_json) and as its events, read and written.

Fields beyond the vocabulary (log probabilities, Whisper's own figures) ride along in `extra`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.media import Segment, TranscriptionResponse, Word
from dragoman.dialects import media_stream
from dragoman.dialects import media_wire as wire
from dragoman.dialects.media_wire import Body

NAME = "openai_transcriptions"

_ANSWER = {"text", "model", "language", "duration", "segments", "words", "usage"}
_SEGMENT = {"id", "text", "start", "end", "speaker"}
_WORD = {"word", "start", "end", "speaker"}
_DELTA, _SEGMENT_EVENT, _DONE = "transcript.text.delta", "transcript.text.segment", "transcript.text.done"


def read_answer(value: Body) -> TranscriptionResponse:
    text = value.get("text")
    if not isinstance(text, str):
        raise ResponseDecodeError("the answer is no object with a string `text`")
    return TranscriptionResponse(
        text=text,
        model=wire.text_or_none(value.get("model")),
        language=wire.text_or_none(value.get("language")),
        duration=_duration(value.get("duration")),
        segments=_all("segments", value.get("segments"), _read_segment),
        words=_all("words", value.get("words"), read_word),
        usage=wire.read_usage(value.get("usage"), NAME),
        extra=wire.left_over(value, _ANSWER, NAME),
    )


def _duration(value: Any) -> float | None:
    """Seconds; some send them as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return wire.number_or_none(value)


def _all(key: str, value: Any, read: Any) -> tuple[Any, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise ResponseDecodeError(f"{key} is no array but {json.kind(value)}")
    return tuple(read(f"{key}[{place}]", item) for place, item in enumerate(value))


def _read_segment(path: str, item: Any) -> Segment:
    start, end = _times(path, item)
    identity = item.get("id")
    return Segment(
        text=_text(path, item.get("text")),
        start=start,
        end=end,
        id=identity if isinstance(identity, int | str) else None,
        speaker=wire.text_or_none(item.get("speaker")),
        extra=wire.left_over(item, _SEGMENT, NAME),
    )


def read_word(path: str, item: Any) -> Word:
    """`text` is what xAI calls the word."""
    start, end = _times(path, item)
    known = _WORD if "word" in item else _WORD | {"text"}
    return Word(
        word=_text(path, item.get("word", item.get("text"))),
        start=start,
        end=end,
        speaker=wire.text_or_none(item.get("speaker")),
        extra=wire.left_over(item, known, NAME),
    )


def _times(path: str, item: Any) -> tuple[float, float]:
    fields = item if isinstance(item, dict) else {}
    start, end = wire.number_or_none(fields.get("start")), wire.number_or_none(fields.get("end"))
    if start is None or end is None:
        raise ResponseDecodeError(f"{path} has no start and end in seconds")
    return start, end


def _text(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ResponseDecodeError(f"{path} has no text")
    return value


# -------------------------------------------------------------------------------------------------------------- writing
def write_answer(response: TranscriptionResponse) -> Body:
    body: Body = {"text": response.text}
    named = {"model": response.model, "language": response.language, "duration": response.duration}
    body |= {key: value for key, value in named.items() if value is not None}
    if response.segments is not None:
        body["segments"] = [_write_segment(place, segment) for place, segment in enumerate(response.segments)]
    if response.words is not None:
        body["words"] = [_write_word(word) for word in response.words]
    if response.usage is not None:
        body["usage"] = wire.write_usage(response.usage, NAME)
    return body | response.extra.get(NAME, {})


def _write_segment(place: int, segment: Segment) -> Body:
    body: Body = {"id": place if segment.id is None else segment.id}
    body |= {"start": segment.start, "end": segment.end, "text": segment.text}
    return body | _speaker(segment) | segment.extra.get(NAME, {})


def _write_word(word: Word) -> Body:
    return {"word": word.word, "start": word.start, "end": word.end} | _speaker(word) | word.extra.get(NAME, {})


def _speaker(spoken: Segment | Word) -> Body:
    return {} if spoken.speaker is None else {"speaker": spoken.speaker}


# --------------------------------------------------------------------------------------------------------------- events
def from_events(events: list[Body]) -> TranscriptionResponse:
    done = next(event for event in reversed(events) if media_stream.is_end(event))
    segments = [event for event in events if event.get("type") == _SEGMENT_EVENT]
    value = {key: held for key, held in done.items() if key in _ANSWER}
    return read_answer(value | ({"segments": segments} if segments else {}))


def write_events(response: TranscriptionResponse) -> bytes:
    """Speakers are told apart in segments; without them the text comes in one piece."""
    pieces: list[Body] = [{"type": _DELTA, "delta": response.text}]
    if response.segments and any(segment.speaker for segment in response.segments):
        pieces = [{"type": _SEGMENT_EVENT} | _write_segment(*placed) for placed in enumerate(response.segments)]
    usage = {} if response.usage is None else {"usage": wire.write_usage(response.usage, NAME)}
    return media_stream.write_events([*pieces, {"type": _DONE, "text": response.text} | usage])
