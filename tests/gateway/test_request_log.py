"""Samples of what was asked and answered: what is kept, what is cut, who is left out, and that files come and go."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dragoman.gateway.observing.entries import RequestLogEntry
from dragoman.gateway.observing.request_log import Files, Kept, RequestLog
from dragoman.gateway.observing.requests import Ended
from dragoman.gateway.serving import Route
from support.demo_server import RunningDemo, demo_server
from support.gateway import gateway


class Wire:
    """An exchange in memory."""

    client, path, headers, disconnected = "c", b"/p", [], False

    def __init__(self, body: bytes = b'{"a":1}') -> None:
        self.body = body
        self.written = b""
        self.response_complete = False

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        self.written += body
        self.response_complete = True

    def start(self, status: int, headers: Any) -> None: ...

    def write(self, data: bytes) -> None:
        self.written += data

    def finish(self) -> None:
        self.response_complete = True


class Listed:
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def keep(self, line: bytes) -> None:
        self.lines.append(json.loads(line))


class Key:
    def __init__(self, **metadata: Any) -> None:
        self.key = self
        self.id = "key-1"
        self.metadata = metadata


def answered(exchange: Any, log: RequestLog, who: Any = None, *pieces: bytes) -> None:
    """As the pipeline does: it is told of the end, and then the last byte goes out."""
    told = Ended("chat", "openai_chat", exchange, b"r", who, None, 200, 0.1, None)
    if pieces:
        exchange.start(200, [])
        for piece in pieces:
            exchange.write(piece)
        log(told)
        exchange.finish()
    else:
        log(told)
        exchange.respond(200, [], b'{"b":2}')


def served(log: RequestLog, *pieces: bytes, who: Any = None, body: bytes = b'{"a":1}') -> Wire:
    routes = log.wrapped({("POST", b"/p"): Route(lambda exchange: answered(exchange, log, who, *pieces))})
    wire = Wire(body)
    routes["POST", b"/p"].handler(wire)  # type: ignore[arg-type]  # it has what is used here
    return wire


def log_of(share: float = 1.0, most: int = 1000) -> tuple[Listed, RequestLog]:
    kept = Listed()
    return kept, RequestLog(kept, share=share, most=most, rng=Random(7))


def test_a_whole_answer_is_kept_as_it_went_out() -> None:
    kept, log = log_of()
    wire = served(log)
    assert wire.written == b'{"b":2}'
    ((line),) = kept.lines
    assert (line["request"], line["response"], line["status"]) == ({"a": 1}, {"b": 2}, 200)


def test_a_stream_is_kept_once_it_is_over() -> None:
    kept, log = log_of()
    wire = served(log, b"data: 1\n\n", b"data: 2\n\n")
    assert wire.written == b"data: 1\n\ndata: 2\n\n"
    assert [line["response"] for line in kept.lines] == ["data: 1\n\ndata: 2\n\n"]


def test_long_bodies_are_cut_in_the_log_alone() -> None:
    kept, log = log_of(most=10)
    wire = served(log, b"0123456", b"789abc", body=b"[" + b"1," * 50 + b"1]")
    assert wire.written == b"0123456789abc"
    assert kept.lines[0]["response"] == {"beginning": "0123456789", "bytes": 13}
    assert kept.lines[0]["request"]["bytes"] == 103


def test_a_share_of_the_requests_is_kept() -> None:
    kept, log = log_of(share=0.3)
    for _ in range(1000):
        served(log)
    assert 250 < len(kept.lines) < 350


@pytest.mark.parametrize(("metadata", "number"), [({}, 1), ({"request_log": True}, 1), ({"request_log": False}, 0)])
def test_a_key_can_be_left_out(metadata: dict[str, Any], number: int) -> None:
    kept, log = log_of()
    served(log, who=Key(**metadata))
    assert len(kept.lines) == number


def test_a_client_that_leaves_is_kept_with_what_it_got() -> None:
    kept, log = log_of()
    exchange = Kept(Wire(), 100)  # type: ignore[arg-type]  # as above
    exchange.when_done(log._write)
    exchange.write(b"half")
    exchange.exchange.disconnected = True
    log(Ended("chat", "openai_chat", exchange, b"r", None, None, 499, 0.1, None))  # type: ignore[arg-type]  # as above
    assert [(line["status"], line["response"]) for line in kept.lines] == [(499, "half")]


# ---------------------------------------------------------------------------------------------------------------- files
def files(folder: Path, clock: Any, **entry: Any) -> Files:
    return Files(RequestLogEntry(folder=str(folder), **entry), clock)


def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    keeper = files(tmp_path / "log", lambda: 1000.0, file_mb=0.0001)
    for number in range(10):
        keeper.keep(json.dumps({"n": number, "pad": "x" * 40}).encode())
    keeper.close()
    paths = sorted((tmp_path / "log").iterdir())
    assert len(paths) > 1
    numbers = [json.loads(line)["n"] for path in paths for line in path.read_text().splitlines()]
    assert numbers == list(range(10))
    assert all(path.stat().st_size <= 105 + 60 for path in paths)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


def test_the_oldest_files_go_by_number(tmp_path: Path) -> None:
    now = iter(range(1000, 2000))
    keeper = files(tmp_path, lambda: float(next(now)), file_mb=0.00001, files=3)
    for number in range(9):
        keeper.keep(b'{"n": %d}' % number)
    keeper.close()
    assert [json.loads(path.read_text())["n"] for path in sorted(tmp_path.iterdir())] == [6, 7, 8]


def test_the_oldest_files_go_by_age(tmp_path: Path) -> None:
    seconds = [0.0]
    keeper = files(tmp_path, lambda: seconds[0], file_mb=0.00001, days=1)
    keeper.keep(b'{"n": 1}')
    seconds[0] = 2 * 86400.0
    keeper.keep(b'{"n": 2}')
    keeper.close()
    assert [json.loads(path.read_text())["n"] for path in tmp_path.iterdir()] == [2]


def test_a_folder_that_cannot_be_written_costs_the_sample_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    files(tmp_path / "file", lambda: 0.0).keep(b"{}")


# ------------------------------------------------------------------------------------------------------------ really served
CONFIG = """
models:
  - {{name: echo, model: openai/echo, api_base: '{base}', api_key: sk-upstream-of-the-test}}
  - {{name: claude, model: anthropic/echo, api_base: '{root}', api_key: sk-upstream-of-the-test}}
server: {{api_key: sk-the-gateways-key}}
request_log: {{folder: '{folder}'}}
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


def test_a_gateway_keeps_relayed_and_rewritten_answers_and_refusals(demo: RunningDemo, tmp_path: Path) -> None:
    config = CONFIG.format(base=demo.openai_url, root=demo.url, folder=tmp_path / "kept")
    with gateway(config) as running:
        answers = [send(running.openai_url, model, stream) for model in ("echo", "claude") for stream in (False, True)]
        refused = send(running.openai_url, "nobody", stream=False)
    lines = [json.loads(line) for path in sorted((tmp_path / "kept").iterdir()) for line in path.read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 200, 404]
    for line, body in zip(lines, [*answers, refused], strict=True):
        shown = line["response"] if isinstance(line["response"], str) else json.dumps(line["response"])
        assert shown == (body if isinstance(line["response"], str) else json.dumps(json.loads(body)))
        assert line["request"]["messages"] == [{"role": "user", "content": "hi"}]
    assert "sk-" not in json.dumps(lines)


def send(base: str, model: str, stream: bool) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    headers = {"authorization": "Bearer sk-the-gateways-key", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{base}/chat/completions", body, headers), timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()
