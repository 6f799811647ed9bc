"""AssemblyAI's transcriptions by tables: what is written, when it is asked again, what answers mean, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.errors import BadGatewayError, BadRequestError, DragomanError, ResponseDecodeError
from dragoman.core.http import HttpResponse
from dragoman.core.media import MediaFile, Segment, TranscriptionRequest, Word
from dragoman.dialects import registry
from dragoman.dialects.base import Poll, Upload

DIALECT = registry.get("assemblyai_transcriptions")
MP3 = MediaFile(data=b"ID3", name="a.mp3", media_type="audio/mpeg")
HELLO = {"text": "Hello", "start": 250, "end": 650, "confidence": 0.97, "speaker": "A"}
THERE = {"text": "there.", "start": 730, "end": 1022, "confidence": 0.99, "speaker": "A"}
BYE = {"text": "Bye", "start": 1076, "end": 1418, "confidence": 0.98, "speaker": "B"}
DONE = {
    "id": "t1",
    "status": "completed",
    "speech_model_used": "universal-2",
    "language_code": "en_us",
    "text": "Hello there. Bye",
    "words": [HELLO, THERE, BYE],
    "utterances": None,
    "audio_duration": 2,
    "error": None,
}


def asked(model: str = "universal-2", file: MediaFile = MP3, **wish: Any) -> TranscriptionRequest:
    return TranscriptionRequest(model=model, file=file, **wish)


def beside(**fields: Any) -> dict[str, Any]:
    """Fields of AssemblyAI's own, as a client of OpenAI's dialect says them in a form."""
    return {"extra": {"openai_transcriptions": fields}}


@pytest.mark.parametrize(
    ("request_", "written", "lost"),
    [
        (asked(), {"speech_models": ["universal-2"], "language_detection": True}, []),
        (asked(language="de"), {"speech_models": ["universal-2"], "language_code": "de"}, []),
        (asked("best", language="en"), {"speech_model": "best", "language_code": "en"}, []),
        (asked(language="en", response_format="diarized_json"),
         {"speech_models": ["universal-2"], "language_code": "en", "speaker_labels": True}, []),
        (asked(language="en", response_format="verbose_json", timestamp_granularities=("word", "segment")),
         {"speech_models": ["universal-2"], "language_code": "en"}, []),
        (asked("universal-3-pro", language="en", prompt="names", temperature=0.1),
         {"speech_models": ["universal-3-pro"], "language_code": "en", "prompt": "names", "temperature": 0.1}, []),
        (asked(language="en", prompt="names", temperature=0.1, include=("logprobs",)),
         {"speech_models": ["universal-2"], "language_code": "en"}, ["prompt", "temperature", "include"]),
        (asked(language="en", file=MediaFile(url="https://sounds.example/a.mp3")),
         {"speech_models": ["universal-2"], "language_code": "en", "audio_url": "https://sounds.example/a.mp3"}, []),
        (asked(language="en", **beside(speakers_expected="2", punctuate="false", domain="medical-v1")),
         {"speech_models": ["universal-2"], "language_code": "en", "speakers_expected": 2, "punctuate": False,
          "domain": "medical-v1"}, []),
        (asked(language="en", **beside(keyterms_prompt=["2024", "true"], custom_spelling=['{"from":["a"],"to":"b"}'])),
         {"speech_models": ["universal-2"], "language_code": "en", "keyterms_prompt": ["2024", "true"],
          "custom_spelling": [{"from": ["a"], "to": "b"}]}, []),
        (asked(language="en", **beside(speech_models=["universal-3-pro", "universal-2"], unknown="1")),
         {"speech_models": ["universal-3-pro", "universal-2"], "language_code": "en"}, ["extra.openai_transcriptions.unknown"]),
    ],
)  # fmt: skip
def test_what_is_written(request_: TranscriptionRequest, written: dict[str, Any], lost: list[str]) -> None:
    body, warnings, content_type = DIALECT.encode_request(request_)
    assert (body, content_type) == (written, "application/json")
    assert [warning.field for warning in warnings] == lost


def test_bytes_are_uploaded_and_addresses_are_not() -> None:
    assert DIALECT.upload(asked()) == Upload("upload", b"ID3", answered="upload_url", field="audio_url")
    assert DIALECT.upload(asked(file=MediaFile(url="https://sounds.example/a.mp3"))) is None


@pytest.mark.parametrize(
    ("body", "poll"),
    [
        (b'{"id":"t1","status":"queued"}', Poll("transcript/t1", 1.0)),
        (b'{"id":"t1","status":"processing"}', Poll("transcript/t1", 1.0)),
        (b'{"id":"t1","status":"completed"}', None),
        (b'{"id":"t1","status":"error","error":"no"}', None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_when_it_is_asked_again(body: bytes, poll: Poll | None) -> None:
    assert DIALECT.poll(HttpResponse(status=200, body=body)) == poll


def heard(**changes: Any) -> Any:
    return DIALECT.decode_response(json.dumps(DONE | changes).encode())


def test_words_have_seconds_and_make_sentences() -> None:
    answer = heard()
    assert (answer.text, answer.model, answer.language, answer.duration) == ("Hello there. Bye", "universal-2", "en_us", 2.0)
    own = {"assemblyai_transcriptions": {"confidence": 0.97}}
    assert answer.words[0] == Word(word="Hello", start=0.25, end=0.65, speaker="A", extra=own)
    assert answer.segments == (Segment(text="Hello there.", start=0.25, end=1.022), Segment(text="Bye", start=1.076, end=1.418))
    assert answer.extra["assemblyai_transcriptions"]["id"] == "t1"


def test_speakers_are_told_apart_in_what_they_said() -> None:
    utterances = [{"text": "Hello there.", "start": 250, "end": 1022, "speaker": "A", "words": [HELLO, THERE]}]
    assert heard(utterances=utterances).segments == (Segment(text="Hello there.", start=0.25, end=1.022, speaker="A"),)


def test_silence_is_an_answer() -> None:
    answer = heard(text=None, words=None)
    assert (answer.text, answer.words, answer.segments) == ("", (), ())


@pytest.mark.parametrize(
    ("format_", "written"),
    [
        ("text", b"Hello there. Bye\n"),
        ("srt", b"1\n00:00:00,250 --> 00:00:01,022\nHello there.\n\n2\n00:00:01,076 --> 00:00:01,418\nBye\n\n"),
        ("vtt", b"WEBVTT\n\n00:00:00.250 --> 00:00:01.022\nHello there.\n\n00:00:01.076 --> 00:00:01.418\nBye\n\n"),
    ],
)
def test_it_is_written_as_openai_would(format_: str, written: bytes) -> None:
    body, _ = registry.get("openai_transcriptions").encode_answer(heard(), asked(response_format=format_), now=0)
    assert body == written


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ({"status": "error", "error": "Download error, unable to download the file"}, BadRequestError, "Download error"),
        ({"status": "error", "error": "Server error, please try again"}, BadGatewayError, "try again"),
        ({"status": "error"}, BadRequestError, "the transcript is error"),
        ({"text": "hi"}, ResponseDecodeError, "string `status`"),
        ([], ResponseDecodeError, "string `status`"),
    ],
)
def test_what_is_no_transcript(body: Any, error: type[DragomanError], message: str) -> None:
    with pytest.raises(error, match=message):
        DIALECT.decode_response(json.dumps(body).encode())
