"""A file that is sent before the request that speaks of it: what goes where, with which key, and what when it is refused."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.http import HttpResponse, TransportFailure, header
from dragoman.core.multipart import FormPart, content_type, encode
from dragoman.engine.call import Call, CallOptions
from dragoman.engine.flow import answer
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment
from dragoman.router.retry import RetryPolicy
from support.calls import Played, fail, play, respond

KEY = "key-of-assemblyai"
TAKEN = respond({"upload_url": "https://cdn.assemblyai.com/upload/u1"})
QUEUED = respond({"id": "t1", "status": "queued"})
DONE = respond({"id": "t1", "status": "completed", "text": "hello", "words": []})
FORM = encode(
    [FormPart(name="model", data=b"asked"), FormPart(name="file", data=b"RIFF", filename="a.wav", media_type="audio/wav")], "b"
)


def ask(*outcomes: Any, retries: int = 0, base_url: str | None = None, **options: Any) -> Played:
    target = resolve("assemblyai/universal-2", env={"ASSEMBLYAI_API_KEY": KEY}, api_key=KEY, base_url=base_url)
    call = Call(
        operation="transcription",
        dialect="openai_transcriptions",
        model="asked",
        body=FORM,
        content_type=content_type("b"),
        deployments=(Deployment(target),),
        options=CallOptions(retry=RetryPolicy(max_retries=retries), **options),
    )
    ticks = count()
    return play(answer(call, lambda: float(next(ticks)), lambda: 1_000_000.0), *outcomes)


def test_the_file_then_the_request_then_the_answer() -> None:
    played = ask(TAKEN, QUEUED, respond({"id": "t1", "status": "processing"}), DONE)
    assert played.names == "Send Send Sleep Send Sleep Send"
    assert [(request.method, request.url) for request in played.requests] == [
        ("POST", "https://api.assemblyai.com/v2/upload"),
        ("POST", "https://api.assemblyai.com/v2/transcript"),
        ("GET", "https://api.assemblyai.com/v2/transcript/t1"),
        ("GET", "https://api.assemblyai.com/v2/transcript/t1"),
    ]
    upload, created, *polls = played.requests
    assert (upload.body, header(upload.headers, "content-type")) == (b"RIFF", "application/octet-stream")
    assert json.loads(created.body) == {
        "speech_models": ["universal-2"],
        "language_detection": True,
        "audio_url": "https://cdn.assemblyai.com/upload/u1",
    }
    assert [poll.body for poll in polls] == [b"", b""]
    assert [header(request.headers, "authorization") for request in played.requests] == [KEY] * 4
    assert played.result.response.text == "hello"


def test_what_the_caller_adds_is_in_the_request_and_not_lost() -> None:
    played = ask(TAKEN, DONE, extra_body={"auto_chapters": True}, extra_headers=(("x-team", "blue"),))
    assert json.loads(played.requests[1].body)["auto_chapters"] is True
    assert [header(request.headers, "x-team") for request in played.requests] == ["blue", "blue"]


@pytest.mark.parametrize("base_url", ["https://api.eu.assemblyai.com/v2", "http://127.0.0.1:9/v2"])
def test_an_address_of_the_callers_holds_for_every_request(base_url: str) -> None:
    played = ask(TAKEN, QUEUED, DONE, base_url=base_url)
    paths = ["upload", "transcript", "transcript/t1"]
    assert [request.url for request in played.requests] == [f"{base_url}/{path}" for path in paths]


@pytest.mark.parametrize(
    ("outcome", "error", "message"),
    [
        (fail(401, "Authentication error"), e.AuthenticationError, "Authentication error"),
        (respond({"error": "Upload failed, please try again"}, 422), e.UnprocessableEntityError, "Upload failed"),
        (respond({"id": "u1"}), e.ResponseDecodeError, "names no upload_url"),
        (respond(b"<html>"), e.ResponseDecodeError, "names no upload_url"),
        (respond([]), e.ResponseDecodeError, "names no upload_url"),
        (TransportFailure("closed", "reset"), e.APIConnectionError, "reset"),
    ],
)  # fmt: skip
def test_without_the_file_there_is_no_request(outcome: HttpResponse, error: type[Exception], message: str) -> None:
    played = ask(outcome)
    assert played.names == "Send"
    assert isinstance(played.error, error)
    assert message in str(played.error)
    assert played.error.llm_provider == "assemblyai"
    assert KEY not in str(played.error)


def test_another_attempt_begins_with_the_file() -> None:
    played = ask(TAKEN, fail(503), TAKEN, DONE, retries=1)
    assert [request.url.rpartition("/")[2] for request in played.requests] == ["upload", "transcript", "upload", "transcript"]
    assert played.result.response.text == "hello"
