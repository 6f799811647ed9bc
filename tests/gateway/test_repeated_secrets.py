"""A provider that repeats our key, wherever it can: nobody who reads of the failure gets to see it.

The marker is sought in what clients get from every face, in the log, samples, spans and the ledger; in the SDK in the error
and in what hooks are told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.core.errors import DragomanError
from dragoman.integrations.custom_logger import CustomLogger
from support.gateway import gateway
from support.http_server import QuietHandler, running, url_of
from support.keyed_gateway import MASTER, KeyedGateway
from support.otlp_sink import Sink, otlp_sink
from support.requests import until

MARK = "sk-marker-of/this+test=0123456789"
DELTA = {"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [DELTA]}


class Repeating(QuietHandler):
    """What it does is the name of the model."""

    def do_POST(self) -> None:  # noqa: N802 - the name by which http.server calls it
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        shown = self.headers.get("authorization") or self.headers.get("x-api-key") or ""
        key = shown.removeprefix("Bearer ")
        assert key == MARK
        error = {"message": f"Incorrect API key: {key}", "type": key, "code": key, "param": key}
        manner = asked["model"]
        if manner == "refuses":
            self.answer(401, json.dumps({"error": error}).encode())
        elif manner == "text":
            self.answer(500, f"no such key: {key}".encode(), "text/plain")
        elif manner == "inside":
            self.answer(200, json.dumps({"error": error}).encode())
        elif manner == "garbage":
            self.answer(200, f'{{"choices": "{key}"'.encode())
        else:
            events = [CHUNK, {"error": error}] if manner == "breaks" else [{"error": error}]
            self.answer(200, "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), "text/event-stream")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repeating)
    with running(server):
        yield url_of(server)


MANNERS = ("refuses", "text", "inside", "garbage", "at-once", "breaks")
STREAMS = ("at-once", "breaks")
MESSAGES = [{"role": "user", "content": "hello"}]


def _generation(model: str) -> Any:
    return {"data": [{"modelName": model, "order": 1, "promptParams": {"messages": MESSAGES}}]}


FACES: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", lambda model: {"model": model, "messages": MESSAGES}),
    "responses": ("/v1/responses", lambda model: {"model": model, "input": "hello"}),
    "messages": ("/v1/messages", lambda model: {"model": model, "messages": MESSAGES, "max_tokens": 9}),
    "gptrouter": ("/api/v1/generate", _generation),
}


class Watched:
    def __init__(self, keyed: KeyedGateway, folder: Path, sink: Sink) -> None:
        self.keyed = keyed
        self.folder = folder
        self.sink = sink


@pytest.fixture(scope="module")
def watched(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("secrets")
    at = f"api_base: '{provider}/v1', api_key: '{MARK}'"
    models = "\n".join(f"  - {{name: {name}, model: custom_openai/{name}, {at}}}" for name in MANNERS)
    yaml = f"""
models:
{models}
retries: 0
router: {{continuation: {{enabled: false}}}}
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
logs: {{format: json, level: debug, requests: true}}
request_log: {{folder: '{folder}/samples', share: 1}}
telemetry: {{otel: true}}
gptrouter: {{prompts: '{folder}/prompts.db'}}
"""
    with (
        otlp_sink() as sink,
        gateway(yaml, log=folder / "log", OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, OTEL_BSP_SCHEDULE_DELAY="100") as served,
    ):
        yield Watched(KeyedGateway(served), folder, sink)


BOTH = [(manner, stream) for manner in MANNERS for stream in (False, True) if stream or manner not in STREAMS]
CASES = [(face, *case) for face in FACES for case in BOTH]


@pytest.mark.parametrize("face, manner, stream", CASES, ids=["-".join(map(str, case)) for case in CASES])
def test_no_client_gets_to_see_it(watched: Watched, face: str, manner: str, stream: bool) -> None:
    path, body = FACES[face]
    told = watched.keyed.ask("POST", path, body(manner) | {"stream": stream})
    assert MARK not in f"{told.body.decode()} {told.headers}"
    assert b"error" in told.body.lower()


def test_nobody_who_watches_gets_to_see_it(watched: Watched) -> None:
    for manner in MANNERS:
        watched.keyed.ask("POST", "/v1/chat/completions", FACES["chat"][1](manner) | {"stream": manner in STREAMS})
    until(lambda: b"breaks" in watched.keyed.ask("GET", "/spend/logs").body)
    until(lambda: any("breaks" in span.name for span in watched.sink.spans))
    seen = {path.name: path.read_bytes() for path in watched.folder.rglob("*") if path.is_file()}
    assert b"Incorrect API key: [" in seen["log"]
    seen["rows"] = watched.keyed.ask("GET", "/spend/logs").body
    seen["spans"] = repr(watched.sink.requests).encode()
    for name, held in seen.items():
        assert MARK.encode() not in held, name


class Hook(CustomLogger):
    def __init__(self) -> None:
        self.told: list[str] = []

    def log_failure_event(self, kwargs: Any, response_obj: Any, *_: Any) -> None:
        self.told.append(f"{kwargs} {response_obj}")


@pytest.mark.parametrize("manner", MANNERS)
def test_the_sdks_errors_and_hooks_do_not_hold_it(provider: str, manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Hook()
    monkeypatch.setattr(dragoman, "callbacks", [hook])
    place = {"api_base": f"{provider}/v1", "api_key": MARK, "num_retries": 0}
    with pytest.raises(DragomanError) as failed:
        list(dragoman.completion(f"custom_openai/{manner}", messages=MESSAGES, stream=manner in STREAMS, **place))
    error: BaseException | None = failed.value
    while error is not None:
        assert MARK not in f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    until(lambda: bool(hook.told))
    assert MARK not in "".join(hook.told)
