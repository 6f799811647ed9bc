"""Every recording of speech, transcriptions and translations: answers decode, requests come back as they were."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from dragoman.core import subtitles
from dragoman.core.media import MediaFile, SpeechRequest, TranscriptionRequest
from dragoman.dialects import registry
from support.media import answered, as_value, sent, without_nulls
from support.recordings import exchanges

NAMES = {
    "audio_speech": "openai_speech",
    "audio_transcriptions": "openai_transcriptions",
    "audio_translations": "openai_translations",
}
OWN = {
    ("deepgram", "audio_speech"): "deepgram_speech",
    ("deepgram", "audio_transcriptions"): "deepgram_transcriptions",
    ("elevenlabs", "audio_transcriptions"): "elevenlabs_transcriptions",
    ("fal", "audio_transcriptions"): "fal_transcriptions",
    ("xai", "audio_transcriptions"): "xai_transcriptions",
}
RECORDED = [(entry, OWN.get((entry.provider, kind), name)) for kind, name in NAMES.items() for entry in exchanges(kind)]
OPENAI_SHAPED = [(entry, name) for entry, name in RECORDED if name.startswith("openai")]
ANSWERS = [pair for pair in RECORDED if pair[0].status == 200]

NOT_OPENAIS = {
    "openrouter-audio_transcriptions-plain-5898ed3e": "JSON with the sound as base64, which OpenRouter takes as well"
}


def ident(value):
    return getattr(value, "id", None)


# -------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    ("entry", "name"),
    [pair for pair in OPENAI_SHAPED if sent(pair[0]) and pair[0].id not in NOT_OPENAIS],
    ids=ident,
)
def test_requests_lose_nothing(entry, name):
    """Deliberate differences: the boundary of a form, the order of its parts and headers of parts that say nothing."""
    dialect = registry.get(name)
    body, content_type = sent(entry)
    request = dialect.decode_request(body, content_type)
    written, warnings, written_type = dialect.encode_request(request)
    assert warnings == ()
    assert as_value(written, written_type) == without_nulls(as_value(body, content_type))


@pytest.mark.parametrize("entry", exchanges("audio_transcriptions", provider="xai"), ids=ident)
def test_xai_requests_are_written_as_recorded(entry):
    dialect = registry.get("xai_transcriptions")
    body, content_type = sent(entry)
    form = as_value(body, content_type)
    data, name, media_type = form["file"][0]
    file = MediaFile(data=data, name=name, media_type=media_type)
    written, warnings, written_type = dialect.encode_request(
        TranscriptionRequest(model="stt", file=file, language=form.get("language", [None])[0])
    )
    assert warnings == ()
    assert as_value(written, written_type) == form


@pytest.mark.parametrize("entry", exchanges("audio_transcriptions", provider="deepgram"), ids=ident)
def test_deepgram_takes_the_sound_itself_or_its_address(entry):
    """Deliberate difference: we ask for the language to be found out, where none is said."""
    dialect = registry.get("deepgram_transcriptions")
    body, content_type = sent(entry)
    url = entry.load().request_json
    file = MediaFile(url=url["url"]) if url else MediaFile(data=body, media_type=content_type)
    request = TranscriptionRequest(model="nova-3-general", file=file)
    written, warnings, written_type = dialect.encode_request(request)
    assert (written, warnings, written_type) == (url or body, (), content_type)
    assert query_of(dialect.request_path(request)) == {**query_of(recorded_url(entry)), "detect_language": "true"}


@pytest.mark.parametrize("entry", exchanges("audio_speech", provider="deepgram"), ids=ident)
def test_deepgram_speech_is_asked_for_as_recorded(entry):
    dialect = registry.get("deepgram_speech")
    recorded = entry.load().request_json
    request = SpeechRequest(model="aura-2-thalia-en", input=recorded["text"], response_format="mp3")
    assert dialect.encode_request(request) == (recorded, (), "application/json")
    assert query_of(dialect.request_path(request)) == query_of(recorded_url(entry))


def recorded_url(entry) -> str:
    return entry.load().data["request"]["url"]


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize(
    "entry", [entry for entry in exchanges("generate_content", provider="gemini") if "audio_output" in entry.kind], ids=ident
)
def test_gemini_speaks(entry):
    """Deliberate difference: the model stands in the path alone."""
    dialect, recorded = registry.get("gemini_speech"), entry.load().request_json
    text = recorded["contents"][0]["parts"][0]["text"]
    written, warnings, _ = dialect.encode_request(SpeechRequest(model="m", input=text, voice="Kore"))
    assert warnings == ()
    assert written == {key: value for key, value in recorded.items() if key != "model"}
    answer = dialect.decode_response(answered(entry)[0])
    assert (answer.audio[:4], answer.audio[8:12], answer.media_type) == (b"RIFF", b"WAVE", "audio/wav")
    assert answer.usage.output_tokens > 0


# --------------------------------------------------------------------------------------------------------------- answers
def decoded(entry, name):
    dialect, (body, content_type) = registry.get(name), answered(entry)
    binary = getattr(dialect, "decode_binary", False)
    return dialect.decode_response(body, content_type) if binary else dialect.decode_response(body)


@pytest.mark.parametrize(("entry", "name"), [pair for pair in ANSWERS if pair[0].kind[0] == "audio_speech"], ids=ident)
def test_speech_is_sound(entry, name):
    answer = decoded(entry, name)
    assert answer.media_type.startswith("audio/")
    if answered(entry)[1].startswith("audio/"):
        assert answer.audio == answered(entry)[0]


@pytest.mark.parametrize(("entry", "name"), [pair for pair in ANSWERS if pair[0].kind[0] != "audio_speech"], ids=ident)
def test_transcriptions_say_what_was_said(entry, name):
    answer = decoded(entry, name)
    recorded = answered(entry)[0]
    spoken = json.dumps(answer.text, ensure_ascii=False)[1:-1]
    assert spoken in recorded.decode() or json.dumps(answer.text)[1:-1] in recorded.decode()
    assert all(0 <= word.start <= word.end for word in answer.words or ())
    lines = subtitles.cues(answer)
    assert [line.start for line in subtitles.read(subtitles.write("srt", lines)) or ()] == pytest.approx(
        [line.start for line in lines], abs=0.0006
    )


OPENAI_JSON = [
    (entry, name)
    for entry, name in OPENAI_SHAPED
    if entry.status == 200 and entry.load().response_json is not None and not name.endswith("speech")
]


@pytest.mark.parametrize(("entry", "name"), OPENAI_JSON, ids=ident)
def test_openai_shaped_answers_come_back_as_they_were(entry, name):
    """Deliberate differences: null is the same as absent, but inside of a usage; segments have a number."""
    dialect, recorded = registry.get(name), entry.load().response_json
    written = json.loads(dialect.encode_response(decoded(entry, name), now=0))
    for place, segment in enumerate(recorded.get("segments", [])):
        segment.setdefault("id", place)
    assert without_nulls(written) == without_nulls(recorded)


@pytest.mark.parametrize(("entry", "name"), [pair for pair in RECORDED if pair[0].status != 200], ids=ident)
def test_failures_say_what_the_provider_said(entry, name):
    assert "audio" in registry.get(name).decode_error(entry.status, answered(entry)[0]).message


@pytest.mark.parametrize("entry", exchanges("audio_transcriptions", streaming=True), ids=ident)
def test_a_tap_reads_the_usage_of_a_relayed_stream(entry):
    body = answered(entry)[0]
    for size in (1, 7, len(body)):
        tap = registry.get("openai_transcriptions").stream_tap()
        for start in range(0, len(body), size):
            tap.feed(body[start : start + size])
        assert (tap.started, tap.complete, tap.error) == (True, True, None)
        assert (tap.usage.input_audio_tokens, tap.usage.output_tokens) == (37, 145)


@pytest.mark.parametrize("entry", exchanges("audio_transcriptions", streaming=True), ids=ident)
def test_a_whole_stream_is_an_answer_with_speakers(entry):
    answer = decoded(entry, "openai_transcriptions")
    assert [(segment.speaker, segment.end) for segment in answer.segments] == [("A", 3.25)]
    request = TranscriptionRequest(model="m", file=MediaFile(data=b"x"), stream=True)
    written, media_type = registry.get("openai_transcriptions").encode_answer(answer, request, now=0)
    assert media_type == "text/event-stream"
    assert registry.get("openai_transcriptions").decode_response(written, media_type) == answer
