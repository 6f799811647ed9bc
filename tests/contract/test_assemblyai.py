"""A transcription of AssemblyAI over real sockets: uploaded, created, asked for; by the SDK, by `openai` through the gateway.

The server behaves as the vendor documents it, and refuses whoever has not gone the steps before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import HTTPServer

import openai
import pytest

import dragoman
from dragoman import AsyncClient, Client
from dragoman.core.errors import AuthenticationError
from support.gateway import gateway
from support.http_server import QuietHandler, running, url_of

KEY = "key-of-assemblyai"
SOUND = b"RIFF\x00\x00\x00\x00WAVE" + bytes(range(256)) * 512
WORDS = [
    {"text": "Hello", "start": 250, "end": 650, "confidence": 0.97, "speaker": None},
    {"text": "there.", "start": 730, "end": 1022, "confidence": 0.99, "speaker": None},
]
SRT = "1\n00:00:00,250 --> 00:00:01,022\nHello there.\n\n"


class AssemblyAI(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps: list[str] = []
        self.asked: list[dict[str, object]] = []


class Handler(QuietHandler):
    server: AssemblyAI
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 - the name that the base class calls
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.steps.append(f"POST {self.path}")
        if self.headers["authorization"] != KEY:
            self._say({"error": "Authentication error, API token missing/invalid"}, 401)
        elif self.path == "/v2/upload" and body == SOUND:
            self._say({"upload_url": "https://cdn.assemblyai.com/upload/u1"})
        elif self.path == "/v2/transcript" and json.loads(body)["audio_url"] == "https://cdn.assemblyai.com/upload/u1":
            self.server.asked.append(json.loads(body))
            self._say({"id": "t1", "status": "queued", "text": None, "words": None, "error": None})
        else:
            self._say({"error": "bad request"}, 400)

    def do_GET(self) -> None:  # noqa: N802 - as above
        self.server.steps.append(f"GET {self.path}")
        done = {"id": "t1", "status": "completed", "text": "Hello there.", "words": WORDS, "error": None}
        self._say({**done, "language_code": "en_us", "audio_duration": 2, "utterances": None})

    def _say(self, value: object, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode())


@pytest.fixture
def assemblyai() -> Iterator[AssemblyAI]:
    with running(AssemblyAI()) as server:
        yield server


STEPS = ["POST /v2/upload", "POST /v2/transcript", "GET /v2/transcript/t1"]


def test_the_sdk(assemblyai: AssemblyAI) -> None:
    dragoman.register_model({"assemblyai/priced-ears": {"input_cost_per_second": 0.0001, "mode": "audio_transcription"}})
    with Client(env={}) as client:
        place = {"api_base": f"{url_of(assemblyai)}/v2", "api_key": KEY}
        heard = client.transcription(
            "assemblyai/priced-ears", ("a.wav", SOUND), response_format="verbose_json", speaker_labels=True, **place
        )
    assert (heard.text, heard.language, heard.duration) == ("Hello there.", "en_us", 2.0)
    assert [(word.word, word.start, word.end) for word in heard.words] == [("Hello", 0.25, 0.65), ("there.", 0.73, 1.022)]
    assert [(segment.text, segment.start, segment.end) for segment in heard.segments] == [("Hello there.", 0.25, 1.022)]
    assert assemblyai.steps == STEPS
    assert assemblyai.asked[0]["speaker_labels"] is True
    assert heard._hidden_params["response_cost"] == pytest.approx(2 * 0.0001)
    assert heard._hidden_params["api_base"] == place["api_base"]


def test_the_sdk_awaited(assemblyai: AssemblyAI) -> None:
    async def scenario() -> str:
        async with AsyncClient(env={}) as client:
            heard = await client.transcription(
                "assemblyai/universal-2",
                ("a.wav", SOUND),
                response_format="srt",
                api_base=f"{url_of(assemblyai)}/v2",
                api_key=KEY,
            )
            return heard.text

    assert asyncio.run(scenario()) == SRT
    assert assemblyai.steps == STEPS


def test_a_wrong_key_sends_the_file_once(assemblyai: AssemblyAI) -> None:
    with Client(env={}) as client, pytest.raises(AuthenticationError, match="API token missing/invalid"):
        client.transcription("assemblyai/universal-2", SOUND, api_base=f"{url_of(assemblyai)}/v2", api_key="wrong")
    assert assemblyai.steps == ["POST /v2/upload"]


def test_openai_through_the_gateway(assemblyai: AssemblyAI) -> None:
    place = f"api_base: '{url_of(assemblyai)}/v2', api_key: {KEY}"
    config = f"models:\n  - {{name: ears, model: assemblyai/universal-3-pro, {place}}}\n"
    with gateway(config) as served, openai.OpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0) as client:
        heard = client.audio.transcriptions.create(
            model="ears",
            file=("a.wav", SOUND),
            response_format="verbose_json",
            prompt="a greeting",
            timestamp_granularities=["word", "segment"],
        )
        lines = client.audio.transcriptions.create(model="ears", file=("a.wav", SOUND), response_format="vtt")
    assert (heard.text, heard.language, heard.duration) == ("Hello there.", "en_us", 2.0)
    assert [word.word for word in heard.words or ()] == ["Hello", "there."]
    assert [segment.text for segment in heard.segments or ()] == ["Hello there."]
    assert lines == "WEBVTT\n\n00:00:00.250 --> 00:00:01.022\nHello there.\n\n"
    assert assemblyai.steps == STEPS * 2
    assert assemblyai.asked[0]["prompt"] == "a greeting"
