"""The dialects of speech and transcription by tables: what is written, what is lost, what answers mean, what is refused."""

from __future__ import annotations

import base64
import json

import pytest

from dragoman.core import multipart
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError, RateLimitError, ResponseDecodeError
from dragoman.core.media import (
    MediaFile,
    Segment,
    SpeechRequest,
    SpeechResponse,
    TranscriptionRequest,
    TranscriptionResponse,
    Word,
)
from dragoman.core.multipart import FormPart
from dragoman.dialects import registry
from dragoman.dialects.gemini_speech import wav
from support.media import as_form

MP3 = MediaFile(data=b"ID3", name="a.mp3", media_type="audio/mpeg")
FAR = MediaFile(url="https://sounds.example/a.mp3")
SRT = b"1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n00:00:01,500 --> 00:00:02,000\nBye.\n\n"
TIMED = TranscriptionResponse(
    text="Hello there. Bye.",
    segments=(Segment(text="Hello there.", start=0, end=1.5), Segment(text="Bye.", start=1.5, end=2)),
)


def json_body(**fields):
    return json.dumps(fields).encode()


def decode(name, body, content_type="application/json"):
    dialect = registry.get(name)
    body = body if isinstance(body, bytes) else json_body(**body)
    return dialect.decode_response(body, content_type) if hasattr(dialect, "decode_binary") else dialect.decode_response(body)


# ---------------------------------------------------------------------------------------------------------------- speech
@pytest.mark.parametrize(
    ("name", "wish", "written", "lost"),
    [
        ("openai_speech", {"voice": "nova", "speed": 1.5}, {"model": "m", "input": "hi", "voice": "nova", "speed": 1.5}, []),
        ("openai_speech", {"voice": {"id": "v"}}, {"model": "m", "input": "hi", "voice": {"id": "v"}}, []),
        ("deepgram_speech", {"voice": "nova", "speed": 2}, {"text": "hi"}, ["voice", "speed"]),
        ("elevenlabs_speech", {"voice": "v", "speed": 0.9, "instructions": "softly"},
         {"text": "hi", "model_id": "m", "voice_settings": {"speed": 0.9}}, ["instructions"]),
        ("gemini_speech", {"voice": "Kore", "response_format": "mp3"}, {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {
                "responseModalities": ["AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
            }}, ["response_format"]),
        ("gemini_speech", {"instructions": "Say softly"}, {
            "contents": [{"role": "user", "parts": [{"text": "Say softly: hi"}]}],
            "generationConfig": {"responseModalities": ["AUDIO"]}}, ["instructions"]),
    ],
)  # fmt: skip
def test_what_is_written_to_be_spoken(name, wish, written, lost):
    body, warnings, content_type = registry.get(name).encode_request(SpeechRequest(model="m", input="hi", **wish))
    assert (body, content_type) == (written, "application/json")
    assert [warning.field for warning in warnings] == lost


@pytest.mark.parametrize(
    ("name", "wish", "path"),
    [
        ("deepgram_speech", {}, "/speak?model=m"),
        ("deepgram_speech", {"response_format": "wav"}, "/speak?model=m&encoding=linear16&container=wav"),
        ("deepgram_speech", {"extra": {"openai_speech": {"sample_rate": 8000}}}, "/speak?model=m&sample_rate=8000"),
        ("elevenlabs_speech", {"voice": "a/b"}, "/text-to-speech/a%2Fb"),
        (
            "elevenlabs_speech",
            {"voice": {"id": "v"}, "response_format": "mp3"},
            "/text-to-speech/v?output_format=mp3_44100_128",
        ),
        ("elevenlabs_speech", {"voice": "v", "response_format": "ulaw_8000"}, "/text-to-speech/v?output_format=ulaw_8000"),
    ],
)
def test_paths_that_depend_on_the_request(name, wish, path):
    assert registry.get(name).request_path(SpeechRequest(model="m", input="hi", **wish)) == path


@pytest.mark.parametrize(
    ("name", "wish", "message"),
    [
        ("elevenlabs_speech", {}, "voice: elevenlabs_speech needs the id"),
        (
            "elevenlabs_speech",
            {"voice": "v", "response_format": "aac"},
            "response_format: elevenlabs_speech gives mp3, opus, pcm",
        ),
        ("deepgram_speech", {"response_format": "midi"}, "response_format: deepgram_speech gives"),
    ],
)
def test_speech_that_cannot_be_asked_for(name, wish, message):
    with pytest.raises(BadRequestError, match=message):
        registry.get(name).request_path(SpeechRequest(model="m", input="hi", **wish))


SPEECH_STREAM = (
    b'data: {"type":"speech.audio.delta","audio":"SUQz"}\n\ndata: {"type":"speech.audio.delta","audio":"QUI="}\n\n'
    b'data: {"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}\n\n'
)


@pytest.mark.parametrize(
    ("name", "body", "content_type", "audio", "media_type"),
    [
        ("openai_speech", b"sound", "audio/wav", b"sound", "audio/wav"),
        ("openai_speech", b"fLaC", "", b"fLaC", "audio/flac"),
        ("openai_speech", SPEECH_STREAM, "text/event-stream; charset=utf-8", b"ID3AB", "audio/mpeg"),
        ("openai_speech", {"audio_data": "T2dnUw=="}, "application/json", b"OggS", "audio/ogg"),
        ("deepgram_speech", b"sound", "audio/mpeg", b"sound", "audio/mpeg"),
        ("elevenlabs_speech", b"sound", "audio/mpeg", b"sound", "audio/mpeg"),
        ("gemini_speech", {"candidates": [{"content": {"parts": [{"inlineData": {
            "mimeType": "audio/L16;rate=8000", "data": "AAE="}}]}}]}, "", wav(b"\x00\x01", 8000), "audio/wav"),
        ("gemini_speech", {"candidates": [{"content": {"parts": [{"inlineData": {
            "mimeType": "audio/mpeg", "data": "AAE="}}]}}]}, "", b"\x00\x01", "audio/mpeg"),
    ],
)  # fmt: skip
def test_what_was_spoken(name, body, content_type, audio, media_type):
    answer = decode(name, body, content_type)
    assert (answer.audio, answer.media_type) == (audio, media_type)


@pytest.mark.parametrize(
    ("name", "body", "content_type"),
    [
        ("openai_speech", b"", "audio/mpeg"),
        ("openai_speech", {"audio_data": "?"}, "application/json"),
        ("openai_speech", {}, "application/json"),
        ("openai_speech", b"<html>", "text/html"),
        ("elevenlabs_speech", b"<html>", "text/html; charset=utf-8"),
        ("openai_speech", b'data: {"type":"speech.audio.done"}\n\n', "text/event-stream"),
        ("deepgram_speech", {"request_id": "1"}, "application/json"),
        ("elevenlabs_speech", b"", ""),
        ("gemini_speech", {"candidates": []}, "application/json"),
        ("gemini_speech", {"candidates": [{"content": {"parts": [{"inlineData": {"data": "?"}}]}}]}, "application/json"),
    ],
)
def test_silence_is_no_answer(name, body, content_type):
    with pytest.raises(ResponseDecodeError):
        decode(name, body, content_type)


def test_a_wav_file_is_one():
    import io
    import wave

    with wave.open(io.BytesIO(wav(b"\x01\x02" * 10, 24000))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth(), sound.getnframes()) == (24000, 1, 2, 10)


def test_sound_goes_out_as_it_is_or_in_events():
    dialect = registry.get("openai_speech")
    answer = SpeechResponse(audio=b"ID3AB", media_type="audio/mpeg", usage=Usage(input_tokens=3, output_tokens=4))
    request = SpeechRequest(model="m", input="hi")
    assert dialect.encode_answer(answer, request, now=0) == (b"ID3AB", "audio/mpeg")
    written, media_type = dialect.encode_answer(answer, SpeechRequest(model="m", input="hi", stream_format="sse"), now=0)
    again = decode("openai_speech", written, media_type)
    assert (again.audio, again.usage.total_tokens) == (b"ID3AB", 7)
    tap = dialect.stream_tap()
    tap.feed(written)
    assert (tap.complete, tap.usage.output_tokens) == (True, 4)


@pytest.mark.parametrize(
    ("body", "message"),
    [(json_body(model="m"), "input: expected a string"), (json_body(input="hi", speed="fast"), "speed: Expected `float")],
)
def test_speech_requests_that_make_no_sense(body, message):
    with pytest.raises(BadRequestError, match=message):
        registry.get("openai_speech").decode_request(body)


# --------------------------------------------------------------------------------------------------------- transcription
FIELDS = {"model": ["m"], "file": [(b"ID3", "a.mp3", "audio/mpeg")]}


@pytest.mark.parametrize(
    ("name", "wish", "form", "lost"),
    [
        ("openai_transcriptions", {"temperature": 1.0, "timestamp_granularities": ("word",), "stream": True},
         {**FIELDS, "temperature": ["1"], "timestamp_granularities[]": ["word"], "stream": ["true"]}, []),
        ("openai_transcriptions", {"extra": {"openai_transcriptions": {"chunking_strategy": {"type": "server_vad"}}}},
         {**FIELDS, "chunking_strategy": ['{"type":"server_vad"}']}, []),
        ("openai_translations", {"prompt": "p", "language": "de"}, {**FIELDS, "prompt": ["p"]}, ["language"]),
        ("xai_transcriptions", {"language": "de", "prompt": "p"}, {"language": ["de"], "file": FIELDS["file"]}, ["prompt"]),
        ("elevenlabs_transcriptions", {"language": "de", "response_format": "diarized_json"},
         {"model_id": ["m"], "language_code": ["de"], "diarize": ["true"], "file": FIELDS["file"]}, []),
        ("elevenlabs_transcriptions", {"file": FAR, "include": ("logprobs",)},
         {"model_id": ["m"], "cloud_storage_url": [FAR.url]}, ["include"]),
    ],
)  # fmt: skip
def test_what_is_written_to_be_transcribed(name, wish, form, lost):
    request = TranscriptionRequest(**{"model": "m", "file": MP3, **wish})
    body, warnings, content_type = registry.get(name).encode_request(request)
    assert as_form(body, content_type) == form
    assert [warning.field for warning in warnings] == lost


def test_the_file_comes_last_because_xai_wants_it_so():
    body, _, content_type = registry.get("xai_transcriptions").encode_request(
        TranscriptionRequest(model="m", file=MP3, language="de")
    )
    assert [part.name for part in multipart.decode(body, multipart.boundary_of(content_type))] == ["language", "file"]


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        ({}, {"audio_url": "data:audio/mpeg;base64,SUQz"}),
        ({"file": FAR, "language": "de", "timestamp_granularities": ("word",)},
         {"audio_url": FAR.url, "language": "de", "chunk_level": "word"}),
        ({"extra": {"openai_transcriptions": {"task": "translate"}}},
         {"audio_url": "data:audio/mpeg;base64,SUQz", "task": "translate"}),
    ],
)  # fmt: skip
def test_what_is_written_for_fal(wish, written):
    request = TranscriptionRequest(**{"model": "m", "file": MP3, **wish})
    assert registry.get("fal_transcriptions").encode_request(request) == (written, (), "application/json")


def test_deepgram_is_asked_by_the_query():
    dialect = registry.get("deepgram_transcriptions")
    extra = {"openai_transcriptions": {"keyterm": ["a", "b"], "numerals": True}}
    request = TranscriptionRequest(model="nova", file=MP3, language="de", response_format="diarized_json", extra=extra)
    assert dialect.request_path(request) == (
        "/listen?model=nova&smart_format=true&utterances=true&language=de&diarize=true&keyterm=a&keyterm=b&numerals=true"
    )
    assert dialect.encode_request(request) == (b"ID3", (), "audio/mpeg")


@pytest.mark.parametrize("name", ["deepgram_transcriptions", "openai_transcriptions", "xai_transcriptions"])
def test_a_media_type_cannot_smuggle_a_header(name):
    file = MediaFile(data=b"x", media_type="audio/mpeg\r\nx-evil: 1")
    with pytest.raises(BadRequestError, match="file: expected a media type"):
        registry.get(name).encode_request(TranscriptionRequest(model="m", file=file))


def form_body(*parts):
    return multipart.encode([FormPart(**part) for part in parts], "B"), multipart.content_type("B")


FILE = {"name": "file", "data": b"ID3", "filename": "a.mp3", "media_type": "audio/mpeg"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ((json_body(model="m"),), "expected one file in a form"),
        (form_body({"name": "model", "data": b"m"}), "expected one file in a form"),
        (form_body(FILE, FILE), "found 2"),
        (form_body(FILE, {"name": "temperature", "data": b"hot"}), "temperature: Expected `float"),
        ((b"--B", "multipart/form-data; boundary=B"), "cut off|end of its line"),
    ],
)
def test_transcription_requests_that_make_no_sense(body, message):
    with pytest.raises(BadRequestError, match=message):
        registry.get("openai_transcriptions").decode_request(*body)


def test_one_granularity_without_brackets_is_a_list_of_one():
    body = form_body(FILE, {"name": "timestamp_granularities", "data": b"word"})
    assert registry.get("openai_transcriptions").decode_request(*body).timestamp_granularities == ("word",)


@pytest.mark.parametrize(
    ("body", "content_type", "text", "segments"),
    [
        ({"text": "hi", "segments": [{"id": 0, "start": 0, "end": 1, "text": "hi", "seek": 3}]}, "application/json", "hi", 1),
        (b"Hello there.\n", "text/plain; charset=utf-8", "Hello there.", None),
        (SRT, "text/plain", TIMED.text, 2),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n", "text/vtt", "Hello", 1),
        (b'data: {"type":"transcript.text.done","text":"hi"}\n\n', "text/event-stream", "hi", None),
    ],
)
def test_what_was_said(body, content_type, text, segments):
    answer = decode("openai_transcriptions", body, content_type)
    assert (answer.text, answer.segments and len(answer.segments)) == (text, segments)


@pytest.mark.parametrize(
    ("name", "body", "content_type", "message"),
    [
        ("openai_transcriptions", {}, "application/json", "string `text`"),
        (
            "openai_transcriptions",
            {"text": "hi", "segments": [{"text": "hi"}]},
            "application/json",
            r"segments\[0\] has no start",
        ),
        ("openai_transcriptions", {"text": "hi", "words": {}}, "application/json", "words is no array but object"),
        ("openai_transcriptions", b"\xff\xfe", "text/plain", "neither JSON nor text"),
        ("openai_transcriptions", b"<html>", "text/html", "a web page"),
        ("elevenlabs_transcriptions", {}, "", "string `text`"),
        ("deepgram_transcriptions", {"results": {"channels": [{"alternatives": []}]}}, "", "alternatives"),
        ("fal_transcriptions", {}, "", "string `text`"),
    ],
)
def test_transcriptions_that_are_none(name, body, content_type, message):
    with pytest.raises(ResponseDecodeError, match=message):
        decode(name, body, content_type)


def test_an_error_inside_a_stream_is_one():
    stream = b'data: {"type":"error","error":{"code":"rate_limit_exceeded","message":"slow down"}}\n\n'
    with pytest.raises(RateLimitError, match="slow down"):
        decode("openai_transcriptions", stream, "text/event-stream")


@pytest.mark.parametrize(
    ("form", "body", "media_type"),
    [
        ("text", b"Hello there. Bye.\n", "text/plain; charset=utf-8"),
        ("srt", SRT, "text/plain; charset=utf-8"),
        (
            "vtt",
            b"WEBVTT\n\n" + SRT.replace(b",", b".").replace(b"1\n", b"", 1).replace(b"2\n", b"", 1),
            "text/vtt; charset=utf-8",
        ),
    ],
)
def test_every_form_out_of_one_answer(form, body, media_type):
    request = TranscriptionRequest(model="m", file=MP3, response_format=form)
    assert registry.get("openai_transcriptions").encode_answer(TIMED, request, now=0) == (body, media_type)


def test_json_tells_all_that_is_known():
    answer = TranscriptionResponse(
        text="hi", language="en", duration=1.5, words=(Word(word="hi", start=0, end=1, speaker="A"),)
    )
    request = TranscriptionRequest(model="m", file=MP3, response_format="verbose_json")
    body, media_type = registry.get("openai_transcriptions").encode_answer(answer, request, now=0)
    assert media_type == "application/json"
    assert json.loads(body) == {
        "text": "hi",
        "language": "en",
        "duration": 1.5,
        "words": [{"word": "hi", "start": 0.0, "end": 1.0, "speaker": "A"}],
    }


def test_no_subtitles_without_times():
    request = TranscriptionRequest(model="m", file=MP3, response_format="srt")
    with pytest.raises(ResponseDecodeError, match="ask for json or text"):
        registry.get("openai_transcriptions").encode_answer(TranscriptionResponse(text="hi"), request, now=0)


def test_usage_may_be_seconds():
    dialect = registry.get("openai_transcriptions")
    body = json_body(text="hi", usage={"type": "duration", "seconds": 6})
    usage = dialect.decode_response(body, "application/json").usage
    assert (usage.total_tokens, usage.extra["openai_transcriptions"]["seconds"]) == (0, 6)
    assert dialect.read_usage(body) == usage
    assert dialect.read_usage(SRT) is None


def test_base64_of_the_sound_is_what_travels():
    assert base64.b64decode(MP3.address().partition(",")[2]) == MP3.data
