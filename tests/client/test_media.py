"""Pictures and sound from the arguments to the objects, sync and async, against answers that are played."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman import AsyncClient, Client
from dragoman.client import functions, media
from dragoman.client.media_files import media_file, media_files
from dragoman.core.errors import (
    BadRequestError,
    RateLimitError,
    ResponseDecodeError,
    UnsupportedParamsError,
)
from dragoman.core.http import HttpResponse, header
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport
from support.media import as_form

ENV = {
    "OPENAI_API_KEY": "key-of-openai",
    "AZURE_API_KEY": "key-of-azure",
    "AZURE_API_BASE": "https://mine.openai.azure.com",
    "FAL_KEY": "key-of-fal",
    "BFL_API_KEY": "key-of-bfl",
    "STABILITY_API_KEY": "key-of-stability",
    "XAI_API_KEY": "key-of-xai",
    "DEEPGRAM_API_KEY": "key-of-deepgram",
    "ELEVENLABS_API_KEY": "key-of-elevenlabs",
    "VERTEXAI_PROJECT": "mine",
    **{f"{name}_API_KEY": "k" for name in "GEMINI VERTEXAI REPLICATE FIREWORKS TOGETHER OPENROUTER HYPERBOLIC".split()},
}
PNG = b"\x89PNG\r\n\x1a\n..."
IMAGES = {
    "created": 7,
    "data": [{"b64_json": "QQ==", "revised_prompt": "a cat"}],
    "usage": {"input_tokens": 3, "output_tokens": 4},
}
SRT = "1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n"


def reply(body: Any, content_type: str = "application/json", status: int = 200) -> HttpResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=(("content-type", content_type),), body=data)


def client(*answers: HttpResponse, **defaults: Any) -> tuple[Client, ReplayTransport]:
    transport = ReplayTransport(*answers)
    return Client(transport=transport, env=ENV, **{"num_retries": 0, **defaults}), transport


def sent_form(transport: ReplayTransport) -> dict[str, Any]:
    (request,) = transport.requests
    return as_form(request.body, header(request.headers, "content-type") or "")


# ---------------------------------------------------------------------------------------------------------------- images
def test_an_image() -> None:
    caller, transport = client(reply(IMAGES))
    response = caller.image_generation("cat", "dall-e-3", n=1, size="1024x1024")
    assert (response.created, response.data[0].b64_json, response.data[0].revised_prompt) == (7, "QQ==", "a cat")
    assert (response.data[0].url, response.usage.output_tokens, response.warnings) == (None, 4, ())
    assert response._hidden_params["custom_llm_provider"] == "openai"
    (request,) = transport.requests
    assert request.url == "https://api.openai.com/v1/images/generations"
    assert json.loads(request.body) == {"model": "dall-e-3", "prompt": "cat", "n": 1, "size": "1024x1024"}
    assert header(request.headers, "authorization") == "Bearer key-of-openai"


def test_images_that_count_no_tokens_cost_what_a_piece_of_them_does() -> None:
    dragoman.register_model({"openai/priced-pictures": {"output_cost_per_image": 0.04, "mode": "image_generation"}})
    caller, _ = client(reply({"created": 7, "data": [{"b64_json": "QQ=="}, {"b64_json": "QQ=="}]}))
    response = caller.image_generation("cat", "openai/priced-pictures", n=2)
    assert response._hidden_params["response_cost"] == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("asked", "images", "dollars"), [({}, 1, 0.04), ({"n": 2}, 2, 0.08), ({"quality": "hd", "size": "1792x1024"}, 1, 0.12)]
)
def test_an_image_costs_what_its_size_and_quality_do(asked: dict[str, Any], images: int, dollars: float) -> None:
    caller, _ = client(reply({"created": 7, "data": [{"url": "https://x.example/a.png"}] * images}))
    response = caller.image_generation("cat", "openai/dall-e-3", **asked)
    assert response._hidden_params["response_cost"] == pytest.approx(dollars)
    assert dragoman.completion_cost(response) == pytest.approx(dollars)


def test_speech_costs_by_the_character_and_what_is_heard_by_the_second(tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF....")
    heard = {"text": "Hello.", "duration": 90.0, "language": "english"}
    caller, _ = client(reply(b"ID3...", "audio/mpeg"), reply(heard))
    assert caller.speech("openai/tts-1", "x" * 200, "alloy")._hidden_params["response_cost"] == pytest.approx(0.003)
    said = caller.transcription("openai/whisper-1", sound, response_format="verbose_json")
    assert said._hidden_params["response_cost"] == pytest.approx(0.009)


def test_gpt_image_is_not_asked_for_what_it_refuses() -> None:
    caller, transport = client(reply(IMAGES), reply(IMAGES))
    assert caller.image_generation("cat", "gpt-image-1", response_format="b64_json").warnings == ()
    assert [w.field for w in caller.image_generation("cat", "gpt-image-1", response_format="url").warnings] == [
        "response_format"
    ]
    assert [json.loads(request.body) for request in transport.requests] == [{"model": "gpt-image-1", "prompt": "cat"}] * 2


def test_an_image_of_another_maker() -> None:
    answer = {"images": [{"url": "https://fal.media/a.png", "content_type": "image/png"}], "seed": 5}
    caller, transport = client(reply(answer))
    response = caller.image_generation("cat", "fal_ai/fal-ai/flux/schnell", n=2, quality="hd", seed=5)
    assert [image.url for image in response.data] == ["https://fal.media/a.png"]
    assert [warning.field for warning in response.warnings] == ["quality"]
    (request,) = transport.requests
    assert request.url == "https://fal.run/fal-ai/flux/schnell"
    assert json.loads(request.body) == {"prompt": "cat", "num_images": 2, "seed": 5}
    assert header(request.headers, "authorization") == "Key key-of-fal"


def test_what_would_be_lost_is_an_error_under_strict() -> None:
    caller, transport = client()
    with pytest.raises(UnsupportedParamsError, match="quality"):
        caller.image_generation("cat", "fal/fal-ai/flux/schnell", quality="hd", strict=True)
    assert transport.requests == []


def test_an_image_that_is_created_first() -> None:
    there = {"id": "1", "status": "Ready", "result": {"sample": "https://delivery.bfl.ai/a.png"}}
    waiting = {"id": "1", "polling_url": "https://api.us1.bfl.ai/v1/get_result?id=1"}
    caller, transport = client(reply(waiting), reply(there))
    assert caller.image_generation("cat", "bfl/flux-dev").data[0].url == "https://delivery.bfl.ai/a.png"
    assert [(request.method, request.url) for request in transport.requests] == [
        ("POST", "https://api.bfl.ai/v1/flux-dev"),
        ("GET", "https://api.us1.bfl.ai/v1/get_result?id=1"),
    ]
    assert [header(request.headers, "x-key") for request in transport.requests] == ["key-of-bfl"] * 2


def test_a_form_for_one_who_wants_a_form() -> None:
    caller, transport = client(reply({"image": "QQ==", "finish_reason": "SUCCESS"}))
    response = caller.image_generation("cat", "stability/core", size="1024x1024", user="me")
    assert response.data[0].b64_json == "QQ=="
    assert [warning.field for warning in response.warnings] == ["user"]
    assert transport.requests[0].url == "https://api.stability.ai/v2beta/stable-image/generate/core"
    assert sent_form(transport) == {"prompt": ["cat"], "aspect_ratio": ["1:1"]}


def test_azure_has_the_deployment_in_its_path() -> None:
    caller, transport = client(reply(IMAGES))
    caller.image_generation("cat", "azure/my-images")
    assert transport.requests[0].url == (
        "https://mine.openai.azure.com/openai/deployments/my-images/images/generations?api-version=2024-10-21"
    )


def test_an_edit(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(PNG)
    caller, transport = client(reply(IMAGES))
    with file.open("rb") as opened:
        response = caller.image_edit([opened, file], "green", "gpt-image-1", mask=PNG, n=1, extra_body={"shade": "dark"})
    assert response.data[0].b64_json == "QQ=="
    assert transport.requests[0].url == "https://api.openai.com/v1/images/edits"
    assert sent_form(transport) == {
        "model": ["gpt-image-1"],
        "prompt": ["green"],
        "n": ["1"],
        "shade": ["dark"],
        "image[]": [(PNG, "cat.png", "image/png")] * 2,
        "mask": [(PNG, "mask.png", "image/png")],
    }


def test_an_edit_of_an_image_far_away() -> None:
    caller, transport = client(reply({"data": [{"url": "u"}]}))
    caller.image_edit("https://pictures.example/cat.png", "green", "xai/grok-imagine-image-quality")
    assert json.loads(transport.requests[0].body)["images"] == [
        {"type": "image_url", "url": "https://pictures.example/cat.png"}
    ]


def test_a_variation() -> None:
    caller, transport = client(reply(IMAGES))
    caller.image_variation(PNG, "dall-e-2", n=2)
    assert sent_form(transport) == {"model": ["dall-e-2"], "n": ["2"], "image": [(PNG, "image.png", "image/png")]}


def test_what_openais_form_has_no_field_for_is_told() -> None:
    caller, transport = client(reply(IMAGES))
    assert [w.field for w in caller.image_variation(PNG, "dall-e-2", quality="hd").warnings] == ["quality"]
    with pytest.raises(UnsupportedParamsError, match="quality"):
        caller.image_variation(PNG, "dall-e-2", quality="hd", strict=True)
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("gemini/gemini-2.5-flash-image", "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash-image:generateContent"),
        ("gemini/imagen-4.0", "https://generativelanguage.googleapis.com/v1beta/models/imagen-4.0:predict"),
        ("vertex_ai/imagen-4.0",
         "https://aiplatform.googleapis.com/v1/projects/mine/locations/global/publishers/google/models/imagen-4.0:predict"),
        ("replicate/black-forest-labs/flux-dev", "https://api.replicate.com/v1/models/black-forest-labs/flux-dev/predictions"),
        ("fireworks/flux-1-dev-fp8",
         "https://api.fireworks.ai/inference/v1/workflows/accounts/fireworks/models/flux-1-dev-fp8/text_to_image"),
        ("together/black-forest-labs/FLUX.1-schnell", "https://api.together.ai/v1/images/generations"),
        ("openrouter/google/gemini-3.1-flash-lite-image", "https://openrouter.ai/api/v1/images"),
        ("hyperbolic/SD2", "https://api.hyperbolic.xyz/v1/image/generation"),
    ],
)  # fmt: skip
def test_where_images_are_asked_for(model: str, url: str) -> None:
    caller, transport = client(reply({"error": {"message": "no"}}, status=400))
    with pytest.raises(BadRequestError):
        caller.image_generation("cat", model)
    assert [request.url for request in transport.requests] == [url]


# ----------------------------------------------------------------------------------------------------------------- sound
def test_speech(tmp_path: Path) -> None:
    caller, transport = client(reply(b"ID3sound", "audio/mpeg"))
    spoken = caller.speech("openai/tts-1", "hello", "nova", speed=1.5)
    assert (spoken.content, spoken.read(), spoken.media_type) == (b"ID3sound", b"ID3sound", "audio/mpeg")
    assert list(spoken.iter_bytes(5)) == [b"ID3so", b"und"]
    spoken.stream_to_file(tmp_path / "a.mp3")
    assert (tmp_path / "a.mp3").read_bytes() == b"ID3sound"
    assert repr(spoken) == "SpeechAudio(audio/mpeg, 8 bytes)"
    assert spoken._hidden_params["litellm_model_name"] == "tts-1"
    assert json.loads(transport.requests[0].body) == {"model": "tts-1", "input": "hello", "voice": "nova", "speed": 1.5}
    assert header(transport.requests[0].headers, "accept") == "*/*"


def test_speech_of_another_maker_says_what_was_lost() -> None:
    caller, transport = client(reply(b"sound", "audio/mpeg"))
    spoken = caller.speech("deepgram/aura-2-thalia-en", "hello", "nova")
    assert [warning.field for warning in spoken.warnings] == ["voice"]
    assert json.loads(transport.requests[0].body) == {"text": "hello"}
    assert header(transport.requests[0].headers, "authorization") == "Token key-of-deepgram"


def test_a_transcription() -> None:
    caller, transport = client(reply({"text": "hello", "duration": 1.5, "words": [{"word": "hello", "start": 0, "end": 1}]}))
    heard = caller.transcription(
        "whisper-1", ("a.wav", b"RIFF"), language="en", response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert (heard.text, heard.duration, heard.words[0].end, heard.segments) == ("hello", 1.5, 1, None)
    assert transport.requests[0].url == "https://api.openai.com/v1/audio/transcriptions"
    assert sent_form(transport) == {
        "model": ["whisper-1"],
        "language": ["en"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word"],
        "file": [(b"RIFF", "a.wav", "audio/wav")],
    }


def test_subtitles() -> None:
    caller, _ = client(reply(SRT.encode(), "text/plain"))
    assert caller.transcription("whisper-1", b"ID3", response_format="srt").text == SRT


def test_subtitles_of_one_who_gives_none() -> None:
    words = {"text": "Hello.", "language": "en", "duration": 1.5, "words": [{"text": "Hello.", "start": 0, "end": 1.5}]}
    caller, _ = client(reply(words), reply({"text": "Hello."}))
    assert caller.transcription("xai/stt", b"ID3", response_format="srt").text == SRT
    with pytest.raises(ResponseDecodeError, match="ask for json or text"):
        caller.transcription("xai/stt", b"ID3", response_format="srt")


def test_a_translation() -> None:
    caller, transport = client(reply({"text": "hello"}))
    assert caller.translation("whisper-1", b"ID3").text == "hello"
    assert transport.requests[0].url == "https://api.openai.com/v1/audio/translations"


def test_the_sound_itself_is_the_body_where_the_maker_wants_it_so() -> None:
    answer = {"results": {"channels": [{"alternatives": [{"transcript": "hello", "words": []}]}]}}
    caller, transport = client(reply(answer))
    assert caller.transcription("deepgram/nova-3", b"ID3").text == "hello"
    (request,) = transport.requests
    assert (request.body, header(request.headers, "content-type")) == (b"ID3", "audio/mpeg")


# ---------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.image_generation("cat", "fal/m", stream=True), BadRequestError, "stream: not a part of this call"),
        (lambda c: c.speech("tts-1", "hi", mock_response=b"x"), BadRequestError, "mock_response: not a part"),
        (lambda c: c.image_variation(PNG, "fal/m"), BadRequestError, "fal offers no image_variation; it offers: image"),
        (lambda c: c.image_edit("cat.png", "green", "dall-e-2"), BadRequestError, "a path is a pathlib.Path"),
        (lambda c: c.image_edit([], "green", "dall-e-2"), BadRequestError, "image: expected at least one image"),
        (lambda c: c.image_edit(PNG, "green", "dall-e-2", n="two"), BadRequestError, "n: Expected `int"),
        (lambda c: c.transcription("whisper-1", Path("no-such.wav")), BadRequestError, "no-such.wav"),
        (lambda c: c.transcription("whisper-1", None), BadRequestError, "file: expected the sound"),
        (lambda c: c.transcription("whisper-1", io.StringIO("x")), BadRequestError, "files are opened with 'rb'"),
        (lambda c: c.transcription("whisper-1", "https://a.example/b.wav"), BadRequestError, "read it and pass the bytes"),
        (lambda c: c.speech("gpt-4o-mini-tts", ""), BadRequestError, "input"),
    ],
)
def test_what_cannot_be_asked(call: Any, error: type[Exception], message: str) -> None:
    caller, transport = client(reply({"error": {"message": "input is empty"}}, status=400))
    with pytest.raises(error, match=message):
        call(caller)
    assert len(transport.requests) <= 1


def test_a_failure_of_the_provider_is_ours_and_holds_no_key() -> None:
    caller, _ = client(reply({"error": {"message": "slow down, key-of-openai"}}, status=429))
    with pytest.raises(RateLimitError) as caught:
        caller.image_generation("cat", "dall-e-3")
    assert "key-of-openai" not in str(caught.value)
    assert (caught.value.llm_provider, caught.value.status_code) == ("openai", 429)


# ----------------------------------------------------------------------------------------------------------------- async
def test_all_of_it_awaited() -> None:
    answers = [
        reply(IMAGES),
        reply(IMAGES),
        reply(IMAGES),
        reply(b"ID3", "audio/mpeg"),
        reply({"text": "a"}),
        reply({"text": "b"}),
    ]
    transport = AsyncReplayTransport(*answers)

    async def calls() -> list[Any]:
        async with AsyncClient(transport=transport, env=ENV) as caller:
            return [
                (await caller.image_generation("cat", "dall-e-3")).data[0].b64_json,
                (await caller.image_edit(PNG, "green", "dall-e-2")).data[0].b64_json,
                (await caller.image_variation(PNG, "dall-e-2")).data[0].b64_json,
                await (await caller.speech("tts-1", "hello", "nova")).aread(),
                (await caller.transcription("whisper-1", b"ID3")).text,
                (await caller.translation("whisper-1", b"ID3")).text,
            ]

    assert asyncio.run(calls()) == ["QQ==", "QQ==", "QQ==", b"ID3", "a", "b"]


def test_the_functions_use_the_shared_client(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [reply(IMAGES)] * 3 + [reply(b"ID3", "audio/mpeg"), reply({"text": "a"}), reply({"text": "b"})]
    caller, _ = client(*answers)
    other = AsyncClient(transport=AsyncReplayTransport(*answers), env=ENV)

    async def shared() -> AsyncClient:
        return other

    monkeypatch.setattr(media, "_shared", lambda: caller)
    monkeypatch.setattr(media, "_shared_async", shared)
    assert functions.CallControls.__annotations__.keys() <= media.SpeechArguments.__annotations__.keys()
    arguments = [("cat", "dall-e-3"), (PNG, "green", "dall-e-2"), (PNG, "dall-e-2"), ("tts-1", "hello", "nova")]
    arguments += [("whisper-1", b"ID3"), ("whisper-1", b"ID3")]
    names = ["image_generation", "image_edit", "image_variation", "speech", "transcription", "translation"]
    for name, given in zip(names, arguments, strict=True):
        now = getattr(media, name)(*given)
        later = asyncio.run(getattr(media, f"a{name}")(*given))
        assert getattr(now, "content", now) == getattr(later, "content", later)


# ----------------------------------------------------------------------------------------------------------------- files
@pytest.mark.parametrize(
    ("value", "name", "media_type"),
    [
        (PNG, "image.png", "image/png"),
        (b"RIFF\0\0\0\0WEBP", "image.webp", "image/webp"),
        (b"\xff\xd8\xff\xe0", "image.jpg", "image/jpeg"),
        (b"\0\0\0\x18ftypM4A", "image.m4a", "audio/mp4"),
        (b"no idea", "image.bin", None),
        (("cat.webp", b"x"), "cat.webp", "image/webp"),
        (("cat", b"x", "image/x-cat"), "cat", "image/x-cat"),
        (io.BytesIO(PNG), "image.png", "image/png"),
        (bytearray(PNG), "image.png", "image/png"),
    ],
)
def test_files_are_known_by_their_name_or_their_beginning(value: Any, name: str, media_type: str | None) -> None:
    found = media_file("image", value)
    assert (found.name, found.media_type) == (name, media_type)


def test_one_file_or_several() -> None:
    assert len(media_files("image", PNG)) == 1
    assert len(media_files("image", [PNG, "data:image/png;base64,QQ=="])) == 2
    with pytest.raises(BadRequestError, match="a tuple of 1"):
        media_file("image", (PNG,))


# Append to tests/client/test_media.py once /tmp/media_engine.patch is applied.
def test_paths_that_hold_what_is_asked_for() -> None:
    words = {"results": {"channels": [{"alternatives": [{"transcript": "hi", "words": []}]}]}}
    caller, transport = client(reply(b"snd", "audio/mpeg"), reply(b"snd", "audio/mpeg"), reply(words))
    caller.speech("elevenlabs/eleven_v3", "hi", "voice1", response_format="mp3")
    caller.speech("deepgram/aura-2-thalia-en", "hi", response_format="wav")
    caller.transcription("deepgram/nova-3", b"ID3", language="de")
    assert [request.url for request in transport.requests] == [
        "https://api.elevenlabs.io/v1/text-to-speech/voice1?output_format=mp3_44100_128",
        "https://api.deepgram.com/v1/speak?model=aura-2-thalia-en&encoding=linear16&container=wav",
        "https://api.deepgram.com/v1/listen?model=nova-3&smart_format=true&utterances=true&language=de",
    ]
    assert header(transport.requests[0].headers, "xi-api-key") == "key-of-elevenlabs"


def test_an_image_is_asked_for_at_the_same_address_until_it_is_there() -> None:
    there = {"id": "1", "status": "Ready", "result": {"sample": "https://delivery.bfl.ai/a.png"}}
    waiting = {"id": "1", "polling_url": "https://api.us1.bfl.ai/v1/get_result?id=1"}
    caller, transport = client(reply(waiting), reply({"id": "1", "status": "Pending"}), reply(there))
    caller.image_generation("cat", "bfl/flux-dev")
    assert [request.url for request in transport.requests[1:]] == ["https://api.us1.bfl.ai/v1/get_result?id=1"] * 2
