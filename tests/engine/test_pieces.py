"""What is paid for by the piece, as an answer and its request tell it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.core.errors import InternalServerError
from dragoman.core.media import GeneratedImage, ImageResponse, SpeechResponse, TranscriptionResponse
from dragoman.core.operations import RerankResponse
from dragoman.engine.call import Call, Settlement
from dragoman.engine.pieces import image_kind, pieces

TWO = ImageResponse(images=(GeneratedImage(url="https://x.example/1.png"), GeneratedImage(url="https://x.example/2.png")))
SOUND = SpeechResponse(audio=b"ID3", media_type="audio/mpeg")
DIALECTS = {"image": "openai_images", "speech": "openai_speech", "transcription": "openai_transcriptions"}
TOLD = Usage(extra={"openai_transcriptions": {"seconds": 9}})


def ended(operation: str, body: Any, **settlement: Any) -> Call:
    dialect = DIALECTS.get(operation, "openai_chat")
    call = Call(operation=operation, dialect=dialect, model="m", body=json.dumps(body).encode(), deployments=())
    call.settle(Settlement(**settlement))
    return call


@pytest.mark.parametrize(
    ("operation", "body", "response", "usage", "units"),
    [
        ("image", {"model": "m", "prompt": "p", "n": 5}, TWO, None, {"image": 2}),
        ("image", {"model": "m", "prompt": "p", "size": "auto", "quality": "hd"}, TWO, None, {"image hd": 2}),
        ("image", {"model": "m", "prompt": "p"}, TWO, Usage(output_tokens=1), {}),
        ("image", {"model": "m", "prompt": "p"}, None, None, {}),
        ("image", {"model": "m", "prompt": 7}, TWO, None, {}),  # relayed unread, and the provider took it
        ("speech", {"model": "m", "input": "four", "voice": "v"}, SOUND, None, {"character": 4}),
        ("speech", {"model": "m", "input": "four", "voice": "v"}, None, None, {}),
        ("transcription", {}, TranscriptionResponse(text="t", duration=1.5), None, {"second": 1.5}),
        ("transcription", {}, None, TOLD, {"second": 9}),
        ("transcription", {}, TranscriptionResponse(text="t"), None, {}),
        ("rerank", {}, RerankResponse(model="m", results=(), search_units=2), None, {"query": 2}),
        ("rerank", {}, RerankResponse(model="m", results=(), search_units=2), Usage(input_tokens=9), {}),
        ("rerank", {}, RerankResponse(model="m", results=()), None, {}),
        ("chat", {}, TWO, None, {}),
    ],
)
def test_pieces(operation: str, body: Any, response: Any, usage: Usage | None, units: dict[str, float]) -> None:
    assert pieces(ended(operation, body, response=response), usage) == units


def test_what_failed_has_none() -> None:
    body = {"model": "m", "input": "four", "voice": "v"}
    assert pieces(ended("speech", body, response=SOUND, error=InternalServerError("no")), None) == {}


@pytest.mark.parametrize(
    ("quality", "size", "kind"),
    [
        (None, None, "image"),
        ("auto", "auto", "image"),
        ("hd", None, "image hd"),
        (None, "1x2", "image 1x2"),
        ("hd", "1x2", "image hd 1x2"),
    ],
)
def test_how_a_price_list_names_an_image(quality: str | None, size: str | None, kind: str) -> None:
    assert image_kind(quality, size) == kind
