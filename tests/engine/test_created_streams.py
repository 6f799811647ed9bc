"""A stream of an answer that is created first (Replicate): where it is read, who sees the key, and what when there is none."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.http import HttpResponse
from dragoman.engine.flow import open_stream
from dragoman.engine.streams import StreamState
from support.calls import EVENTS, JSON, KEY, FakeStream, deployment, make_call, play

PLACE = deployment(name="replicate", dialect="replicate_chat", hosts=("stream.replicate.test",))
DONE = b"event: output\ndata: Hi\n\nevent: done\ndata: {}\n\n"


def prediction(status: str, *, at: str | None = None, code: int = 201, **fields: Any) -> HttpResponse:
    urls = {"get": "https://api.replicate.test/v1/predictions/p1"} | ({"stream": at} if at else {})
    body = {"id": "p1", "status": status, "urls": urls, **fields}
    return HttpResponse(status=code, headers=JSON, body=json.dumps(body).encode())


def ask(*outcomes: Any, retries: int = 0) -> Any:
    ticks = count()
    call = make_call(PLACE, stream=True, retries=retries)
    return call, play(open_stream(call, lambda: float(next(ticks)), lambda: 1_000_000.0), *outcomes)


def text_of(call: Any, played: Any) -> str:
    state = StreamState(played.result, call)
    state.begin()
    return "".join(part.text for part in state.response.choices[0].parts)


@pytest.mark.parametrize("host, trusted", [("stream.replicate.test", True), ("elsewhere.test", False)])
def test_it_is_read_where_the_answer_says(host: str, trusted: bool) -> None:
    call, played = ask(prediction("starting", at=f"https://{host}/s"), FakeStream(DONE, headers=EVENTS))
    assert played.names.startswith("Send Open Read")
    created, read = played.requests
    assert (created.method, created.url) == ("POST", "https://api.replicate.test/v1/models/m-1/predictions")
    assert json.loads(created.body)["stream"] is True
    assert (read.method, read.url, read.body) == ("GET", f"https://{host}/s", b"")
    assert any(KEY in value for _, value in read.headers) is trusted
    assert ("accept", "text/event-stream") in read.headers
    assert text_of(call, played) == "Hi"


def test_a_model_that_does_not_stream_is_asked_until_it_is_there() -> None:
    call, played = ask(prediction("starting"), prediction("processing"), prediction("succeeded", output=["H", "i"]))
    assert played.names == "Send Sleep Send Sleep Send"
    assert text_of(call, played) == "Hi"


def test_a_prediction_that_is_refused_is_an_error() -> None:
    _, played = ask(HttpResponse(status=422, headers=JSON, body=b'{"detail":"input.prompt is required"}'))
    assert isinstance(played.error, e.UnprocessableEntityError)
    assert "input.prompt is required" in played.error.message


def test_a_prediction_that_failed_is_created_again() -> None:
    place = "https://stream.replicate.test/s"
    failed = FakeStream(b'event: error\ndata: {"detail":"out of memory"}\n\n', headers=EVENTS)
    call, played = ask(
        prediction("starting", at=place), failed, prediction("starting", at=place), FakeStream(DONE, headers=EVENTS), retries=1
    )
    assert [request.method for request in played.requests] == ["POST", "GET", "POST", "GET"]
    assert failed.closed == 1
    assert text_of(call, played) == "Hi"
