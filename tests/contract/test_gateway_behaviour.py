"""The gateway as a process: what it does with bad input, bad providers and bad clients, over both chat routes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.demo_server import RunningDemo
from support.gated_upstream import GatedUpstream, gated_upstream
from support.gateway import RunningGateway, gateway
from support.rawclient import parse_responses
from support.requests import (
    HELLO,
    PATHS,
    ask,
    assert_leaving_ends_the_stream,
    chat,
    client,
    connected,
    ends_cleanly,
    error_of,
    events_of,
    read_to_end,
    read_until,
    request_bytes,
    streamed_text,
    text_of,
    until,
)

DIALECTS = ["openai", "anthropic"]
UPSTREAMS = ["", "claude-"]
"""Before a model's name: who serves it speaks OpenAI's dialect, or Anthropic's."""

GATEWAY_KEY = "sk-gateway-0123456789"
UPSTREAM_KEY = "sk-upstream-0123456789"
MIB = 1024 * 1024


def entry(name: str, model: str, base: str, order: int = 0) -> str:
    return f"  - {{name: {name}, model: '{model}', order: {order}, api_base: '{base}', api_key: {UPSTREAM_KEY}}}\n"


def closed_port() -> int:
    """Where nobody listens, for as long as nobody else is given it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def unanswering_address() -> Iterator[str]:
    """A port whose queue of connections is full, so that the next one is neither accepted nor refused."""
    waiting = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        try:
            for _ in range(4):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(listening.getsockname())
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[GatedUpstream]:
    with gated_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway") / "log"


@pytest.fixture(scope="module")
def guarded(demo: RunningDemo, upstream: GatedUpstream, log: Path) -> Iterator[RunningGateway]:
    """Asks for a key, is strict, takes 4 MB, tries twice."""
    openai, anthropic, down = f"{demo.url}/v1", demo.url, f"http://127.0.0.1:{closed_port()}"
    config = "models:\n" + entry("echo", "openai/echo", openai) + entry("claude-echo", "anthropic/echo", anthropic)
    config += entry("embed", "openai/embed", openai)
    config += entry("down", "openai/echo", f"{down}/v1") + entry("claude-down", "anthropic/echo", down)
    for name, model in {"429": "echo?fail=429", "500": "echo?fail=500", "cut": "echo?fail=cut&fail_after=0"}.items():
        config += entry(f"first-{name}", f"openai/{model}", openai) + entry(f"first-{name}", "openai/echo", openai, order=1)
        config += entry(f"claude-first-{name}", f"anthropic/{model}", anthropic)
        config += entry(f"claude-first-{name}", "anthropic/echo", anthropic, order=1)
    config += entry("first-down", "openai/echo", f"{down}/v1") + entry("first-down", "openai/echo", openai, order=1)
    config += entry("claude-first-down", "anthropic/echo", down) + entry("claude-first-down", "openai/echo", openai, order=1)
    config += entry("gated", "openai/m", f"{upstream.url}/v1") + entry("claude-gated", "anthropic/m", upstream.url)
    config += f"server: {{api_key: {GATEWAY_KEY}, max_body_mb: 4}}\nstrict: true\nretries: 1\n"
    config += "router: {cooldown: {enabled: false}}\n"  # so that the first is asked each time
    with gateway(config, log=log) as running:
        yield running


def bearer(key: str = GATEWAY_KEY) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def memory(process: Any, kind: str = "VmRSS") -> int:
    """Bytes of a process; VmHWM is the most it has had, where the system tells."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(process.pid)])) * 1024
    found = re.search(rf"{kind}:\s+(\d+) kB", status.read_text())
    assert found is not None
    return int(found.group(1)) * 1024


# --------------------------------------------------------------------------------------------------------------- bad input
DEEP = b'{"model": "echo", "max_tokens": 1, "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the request body is not a JSON object"),
        (b"hello", "the request body is not a JSON object"),
        (b'{"model": "echo"', "the request body is not a JSON object"),
        (b'{"model": "echo"} {}', "the request body is not a JSON object"),
        (b"[1, 2]", "the request body is not a JSON object: Expected `object`, got `array`"),
        (b'"echo"', "the request body is not a JSON object: Expected `object`, got `str`"),
        (b"null", "the request body is not a JSON object: Expected `object`, got `null`"),
        (b"\xff\xfe", "the request body is not a JSON object"),
        (b'{"\xff": 1}', "the request body is not a JSON object"),
        (b'{"model": "\xff"}', "the request body is not a JSON object"),
        (b'{"model": "\\ud800"}', "the request body is not a JSON object"),
        (DEEP, "the request body is not a JSON object"),
        (b"{}", "model: missing"),
        ({"messages": HELLO}, "model: missing"),
        (chat(None), "model: missing"),
        (chat(5), "model: expected a string, found integer 5"),
        (chat(["echo"]), 'model: expected a string, found array ["echo"]'),
        (chat("echo", stream="yes"), 'stream: expected true or false, found string "yes"'),
        (chat("echo", stream=1), "stream: expected true or false, found integer 1"),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_asks_for_nothing_is_a_400(served: RunningGateway, dialect: str, body: Any, words: str) -> None:
    answer = ask(served.url, dialect, body)
    error = error_of(dialect, answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert words in error["message"]
    if dialect == "openai" and words[0] in "ms":
        assert error["param"] == words.partition(":")[0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": 7, "content": "x"}]}, "messages[0].role"),
        ({"tools": 5}, "tools"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_wrong_type_is_told_with_its_path(
    served: RunningGateway, dialect: str, upstream_kind: str, stream: bool, fields: dict[str, Any], words: str
) -> None:
    """By us where the request is translated, by the provider where it is relayed."""
    answer = ask(served.url, dialect, chat(f"{upstream_kind}echo", stream=stream, **fields))
    error = error_of(dialect, answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), error
    assert words in error["message"]


@pytest.mark.parametrize("field", ["stream_options", "messages", "temperature", "odd"])
@pytest.mark.parametrize("value", [b'"\xff"', b'"\\ud800"', b"[" * 900 + b"]" * 900])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_no_json_deep_inside_is_never_an_error_of_ours(
    served: RunningGateway, dialect: str, upstream_kind: str, value: bytes, field: str
) -> None:
    """Where it is relayed it may be nobody's."""
    body = json.dumps(chat(f"{upstream_kind}echo", stream=True, **{field: "HERE"})).encode().replace(b'"HERE"', value)
    answer = ask(served.url, dialect, body)
    relayed = dialect == ("anthropic" if upstream_kind else "openai")
    assert answer.status_code in ((200, 400) if relayed or field in ("odd", "stream_options") else (400,)), answer.text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "words"), [("ehco", "did you mean echo"), ("", "there are: "), ("x" * 5000, "more than 512"), ("a\nb", r"'a\nb'")]
)
def test_an_unknown_model_is_a_404_with_the_nearest_names(served: RunningGateway, dialect: str, name: str, words: str) -> None:
    answer = ask(served.url, dialect, chat(name))
    error = error_of(dialect, answer)
    assert answer.status_code == 404
    assert words in error["message"]
    if dialect == "openai":
        assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_embeddings_are_not_streamed_and_not_chatted_with(served: RunningGateway) -> None:
    with client(served.url) as session:
        streamed = session.post("/v1/embeddings", json={"model": "embed", "input": "x", "stream": True})
        misused = session.post("/v1/embeddings", json={"model": "claude-echo", "input": "x"})
        empty = session.post("/v1/embeddings", json={"model": "embed"})
        tokens = session.post("/v1/embeddings", json={"model": "embed", "input": [[1, 2, 3], [4]]})
    assert (streamed.status_code, error_of("openai", streamed)["param"]) == (400, "stream")
    assert "input" in error_of("openai", empty)["message"]
    assert len(tokens.json()["data"]) == 2
    assert (misused.status_code, error_of("openai", misused)["param"]) == (400, "model")
    assert "anthropic offers no embedding" in error_of("openai", misused)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/chat/completions", 405, "GET is not allowed at /v1/chat/completions"),
        ("DELETE", "/v1/models", 405, "DELETE is not allowed"),
        ("POST", "/v1/completion", 404, "there are POST /v1/chat/completions"),
        ("GET", "/", 404, "nothing is at GET /"),
        ("GET", "/v1/models/nothing", 404, "GET /v1/models lists them"),
    ],
)
def test_other_paths_say_what_there_is(served: RunningGateway, method: str, path: str, status: int, words: str) -> None:
    with client(served.url) as session:
        answer = session.request(method, path)
    assert answer.status_code == status
    assert words in error_of("openai", answer)["message"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_base_urls_are_written_with_and_without_v1(served: RunningGateway, prefix: str) -> None:
    with client(served.url) as session:
        assert text_of("openai", session.post(f"{prefix}/chat/completions", json=chat("echo")))
        assert text_of("anthropic", session.post(f"{prefix}/messages?beta=true", json=chat("echo")))
        assert session.post(f"{prefix}/embeddings", json={"model": "embed", "input": "x"}).json()["data"]
        assert session.get(f"{prefix}/models/claude-echo").json()["id"] == "claude-echo"
        assert "echo" in {model["id"] for model in session.get(f"{prefix}/models").json()["data"]}


# ------------------------------------------------------------------------------------------------------------ big requests
def flood(address: tuple[str, int], head: bytes, pieces: Iterator[bytes]) -> bytes:
    """Send for as long as the other side takes it, and return all that it says."""
    with connected(address, head) as connection:

        def send() -> None:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                pass  # the other side has had enough of it

        sender = threading.Thread(target=send)
        sender.start()
        heard = b""
        try:
            heard = read_until(connection, b"\r\n\r\n")
            heard += read_to_end(connection)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes the sender
            sender.join()
        return heard


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_50_mb_is_refused_and_not_held(guarded: RunningGateway, dialect: str, declared: bool) -> None:
    before = memory(guarded.process)
    framing = b"content-length: %d" % (50 * MIB) if declared else b"transfer-encoding: chunked"
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n%b\r\n\r\n"
    head %= (PATHS[dialect].encode(), GATEWAY_KEY.encode(), framing)
    megabyte = b"x" * MIB if declared else b"100000\r\n" + b"x" * MIB + b"\r\n"
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(lambda _: flood(guarded.address, head, iter([megabyte] * 50)), range(4)))
    for data in heard:
        (answer,) = parse_responses(data)
        assert (answer.status, answer.complete) == (413, True)
        assert answer.header(b"connection") == b"close"
        assert "4" in error_of(dialect, json.loads(answer.body))["message"]
    assert memory(guarded.process, "VmHWM") - before < 60 * MIB
    assert ask(guarded.url, dialect, chat("echo"), **bearer()).status_code == 200


@pytest.mark.parametrize(
    "lines", [b"x-bomb: " + b"x" * 200_000, b"\r\n".join(b"x-%d: y" % number for number in range(5000))], ids=["long", "many"]
)
def test_a_header_bomb_is_refused(served: RunningGateway, lines: bytes) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\ncontent-length: 0\r\n\r\n"
    (answer,) = parse_responses(flood(served.address, b"", iter([head])))
    assert answer.status == 431
    assert answer.header(b"connection") == b"close"
    assert json.loads(answer.body)["error"]["message"]


# ------------------------------------------------------------------------------------------------------------------- keys
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Bearer {GATEWAY_KEY}x"}, 401),
        ({"authorization": f"Bearer {UPSTREAM_KEY}"}, 401),
        ({"authorization": GATEWAY_KEY}, 401),
        ({"authorization": "Basic d3Jvbmc6d3Jvbmc="}, 401),
        ({"x-api-key": ""}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"authorization": f"Bearer {GATEWAY_KEY}"}, 200),
        ({"authorization": f"bearer {GATEWAY_KEY}"}, 200),
        ({"x-api-key": GATEWAY_KEY}, 200),
        ({"api-key": GATEWAY_KEY}, 200),
    ],
)
def test_the_gateways_key_is_asked_for_everywhere(guarded: RunningGateway, headers: dict[str, str], status: int) -> None:
    with client(guarded.url, headers=headers) as session:
        answers = {dialect: session.post(path, json=chat("echo")) for dialect, path in PATHS.items()}
        answers["embeddings"] = session.post("/v1/embeddings", json={"model": "embed", "input": "x"})
        answers["models"] = session.get("/v1/models")
        answers["model"] = session.get("/v1/models/echo")
        assert session.get("/health/live").status_code == session.get("/health/ready").status_code == 200
    assert {answer.status_code for answer in answers.values()} == {status}
    if status == 401:
        for dialect, answer in answers.items():
            assert "API key" in error_of(dialect, answer)["message"]


def test_nothing_is_said_of_models_to_those_without_a_key(guarded: RunningGateway) -> None:
    assert ask(guarded.url, "openai", b"garbage").status_code == 401
    assert ask(guarded.url, "openai", chat("no-such-model")).status_code == 401


# ------------------------------------------------------------------------------------------------------------ bad providers
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_provider_that_is_down_is_a_502(guarded: RunningGateway, dialect: str, upstream_kind: str, stream: bool) -> None:
    answer = ask(guarded.url, dialect, chat(f"{upstream_kind}down", stream=stream), **bearer())
    assert answer.status_code == 502
    assert "is the base URL right, and the server up?" in error_of(dialect, answer)["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("failing", ["down", "500", "429", "cut"])
def test_the_second_deployment_answers_when_the_first_cannot(
    guarded: RunningGateway, dialect: str, upstream_kind: str, failing: str, stream: bool
) -> None:
    answer = ask(guarded.url, dialect, chat(f"{upstream_kind}first-{failing}", stream=stream), **bearer())
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-dragoman-attempts"] == "2"
    assert answer.headers["x-dragoman-deployment"].startswith(f"{upstream_kind}first-{failing}#")
    if stream:
        events = events_of(answer.content)
        assert streamed_text(events) == "hello there, gateway"
        assert ends_cleanly(events)
    else:
        assert text_of(dialect, answer) == "hello there, gateway"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("named", "told"), [("90", 90), ("90.2", 91), ("Fri, 31 Dec 2100 23:59:59 GMT", None)])
def test_how_long_to_wait_is_passed_on(
    guarded: RunningGateway,
    upstream: GatedUpstream,
    dialect: str,
    upstream_kind: str,
    stream: bool,
    named: str,
    told: str | None,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, guarded.url, dialect, chat(f"{upstream_kind}gated", stream=stream), **bearer())
        body = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "slower, please"}}'
        upstream.next().answer(429, body, f"retry-after: {named}")
        answer = waiting.result()
    assert answer.status_code == 429
    assert "slower, please" in error_of(dialect, answer)["message"]
    assert error_of(dialect, answer)["type"] in ("rate_limit_error", "rate_limit_exceeded", "requests")
    wait = int(answer.headers["retry-after"])
    assert wait > 10**9 if told is None else wait == told


@pytest.mark.parametrize(
    ("status", "told"),
    [(302, 500), (418, 418), (600, 502), (999, 502)],
    ids=["redirect", "unusual", "none", "none at all"],
)
def test_a_status_nobody_uses_is_still_one_whole_error(
    guarded: RunningGateway, upstream: GatedUpstream, status: int, told: int
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, guarded.url, "openai", chat("gated"), **bearer())
        while not waiting.done():  # it may be asked again
            if upstream.waiting:
                upstream.next().answer(status, b"{}", "location: http://elsewhere.test/?key=x")
            waiting.done() or threading.Event().wait(0.01)
    assert waiting.result().status_code == told
    assert error_of("openai", waiting.result())["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_key_is_ever_repeated(
    guarded: RunningGateway, upstream: GatedUpstream, log: Path, dialect: str, stream: bool
) -> None:
    name = "gated" if dialect == "openai" else "claude-gated"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, guarded.url, dialect, chat(name, stream=stream), **bearer())
        asked = upstream.next()
        assert UPSTREAM_KEY.encode() in asked.head
        assert GATEWAY_KEY.encode() not in asked.head
        told = {"type": "error", "error": {"type": "authentication_error", "message": f"bad key {UPSTREAM_KEY}", "code": "x"}}
        asked.answer(401, json.dumps(told).encode(), f"x-echo: {UPSTREAM_KEY}")
        answer = waiting.result()
    assert answer.status_code == 401
    seen = answer.text + str(answer.headers) + log.read_text()
    assert "bad key [key]" in answer.text
    assert UPSTREAM_KEY not in seen
    assert GATEWAY_KEY not in seen


# ----------------------------------------------------------------------------------------------------------------- deadlines
DEADLINES = {
    "connect": "timeouts.connect",
    "first_token": "timeouts.first_token",
    "idle": "timeouts.idle",
    "total": "(total)",
}


Answers = dict[tuple[str, str, bool], httpx2.Response]


@pytest.fixture(scope="module")
def overdue(demo: RunningDemo) -> Iterator[Answers]:
    """What each kind of silence ends in, all asked for at once: (deadline, client's dialect, stream) -> the answer."""
    models = {
        "first_token": "echo?fail=timeout",
        "idle": "echo?fail=stall&fail_after=2&length=9",
        "total": "echo?length=100000&tokens_per_second=50",
    }
    with unanswering_address() as nowhere:
        config = (
            "models:\n" + entry("connect", "openai/echo", f"{nowhere}/v1") + entry("claude-connect", "anthropic/echo", nowhere)
        )
        for name, model in models.items():
            config += entry(name, f"openai/{model}", f"{demo.url}/v1") + entry(f"claude-{name}", f"anthropic/{model}", demo.url)
        config += "timeouts: {connect: 3, first_token: 5, idle: 4, total: 7}\nretries: 0\n"
        cases = [(name, dialect, stream) for name in DEADLINES for dialect in DIALECTS for stream in (False, True)]

        with gateway(config) as running, ThreadPoolExecutor(len(cases)) as pool:

            def answer(case: tuple[str, str, bool]) -> httpx2.Response:
                name, dialect, stream = case
                return ask(running.url, dialect, chat(f"claude-{name}" if stream else name, stream=stream, max_tokens=9999))

            yield dict(zip(cases, pool.map(answer, cases), strict=True))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["connect", "first_token"])
@pytest.mark.parametrize("stream", [False, True])
def test_silence_before_the_answer_is_a_504(overdue: Answers, name: str, dialect: str, stream: bool) -> None:
    answer = overdue[name, dialect, stream]
    assert answer.status_code == 504
    assert DEADLINES[name] in error_of(dialect, answer)["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["idle", "total"])
def test_silence_inside_an_answer_is_an_error_in_the_stream(overdue: Answers, name: str, dialect: str) -> None:
    answer = overdue[name, dialect, True]
    assert answer.status_code == 200
    events = events_of(answer.content)
    assert len(events) > 1, "the answer had begun"
    assert DEADLINES[name] in error_of(dialect, events[-1])["message"]
    assert sum("error" in event for event in events) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["idle", "total"])
def test_half_an_answer_is_a_504(overdue: Answers, name: str, dialect: str) -> None:
    """A plain answer has no idle time: its first token is the whole of it."""
    assert overdue[name, dialect, False].status_code == 504


# ---------------------------------------------------------------------------------------------------------- broken streams
@pytest.mark.parametrize("fault", ["cut", "garbage", "error_event", "stall"])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_broken_stream_ends_in_one_typed_error_and_no_end_mark(
    served: RunningGateway, dialect: str, upstream_kind: str, fault: str
) -> None:
    answer = ask(served.url, dialect, chat(f"{upstream_kind}fail-{fault}", stream=True))
    assert answer.status_code == 200
    events = events_of(answer.content)
    assert len(events) > 1, "what came before the break is not lost"
    assert not ends_cleanly(events)
    assert "[DONE]" not in events
    assert [bool(event.get("error")) for event in events] == [False] * (len(events) - 1) + [True]
    assert error_of(dialect, events[-1])["message"]


@pytest.mark.parametrize("fault", ["garbage", "cut"])
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plain_answer_that_makes_no_sense_is_a_502(
    served: RunningGateway, dialect: str, upstream_kind: str, fault: str
) -> None:
    answer = ask(served.url, dialect, chat(f"{upstream_kind}fail-{fault}"))
    assert answer.status_code == 502
    assert error_of(dialect, answer)["message"]


@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_inside_a_200_is_an_error(served: RunningGateway, dialect: str, upstream_kind: str) -> None:
    answer = ask(served.url, dialect, chat(f"{upstream_kind}fail-error_event"))
    assert answer.status_code >= 429, answer.text
    assert "fail=error_event" in error_of(dialect, answer)["message"]


# --------------------------------------------------------------------------------------------------------------- bad clients
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_ends_the_request_upstream(
    guarded: RunningGateway, upstream: GatedUpstream, dialect: str, upstream_kind: str, stream: bool
) -> None:
    data = request_bytes(dialect, chat(f"{upstream_kind}gated", stream=stream))
    data = data.replace(b"host: test", f"host: test\r\nx-api-key: {GATEWAY_KEY}".encode())
    with connected(guarded.address, data):
        asked = upstream.next()
    asked.wait_until_gone()
    assert upstream.waiting == 0, "and it is not asked again"


@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_that_leaves_in_the_middle_ends_the_stream_upstream(
    served: RunningGateway, demo: RunningDemo, dialect: str, upstream_kind: str
) -> None:
    assert_leaving_ends_the_stream(served.address, demo, dialect, f"{upstream_kind}slow")


def test_a_client_that_reads_slowly_gets_everything_and_costs_no_memory(
    guarded: RunningGateway, upstream: GatedUpstream
) -> None:
    piece = b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 60_000}}]}).encode() + b"\n\n"
    count = 1000
    data = request_bytes("openai", chat("gated", stream=True))
    data = data.replace(b"host: test", f"host: test\r\nx-api-key: {GATEWAY_KEY}".encode())
    before = memory(guarded.process)
    with connected(guarded.address, data) as connection, ThreadPoolExecutor(1) as pool:
        asked = upstream.next()

        def send() -> None:
            asked.begin()
            for _ in range(count):
                asked.write(piece)
            asked.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
            asked.end()

        sending = pool.submit(send)
        read_until(connection, b"data: ")
        held = until_still(lambda: asked.sent)
        assert held < count * len(piece) / 2, "the upstream waits for the client"
        assert memory(guarded.process) - before < 24 * MIB
        rest = read_until_size(connection, count * len(piece) - MIB) + read_until(connection, b"0\r\n\r\n")
        sending.result()
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert memory(guarded.process) - before < 24 * MIB


def until_still(measure: Any) -> int:
    """The value that a growing number has come to rest at."""
    seen: list[int] = []

    def rests() -> bool:
        seen.append(measure())
        return len(seen) > 60 and len(set(seen[-60:])) == 1

    until(rests)
    return seen[-1]


def read_until_size(connection: socket.socket, size: int) -> bytes:
    """The last part of at least so many bytes."""
    data = b""
    while size > 0:
        data = connection.recv(1 << 20)
        assert data
        size -= len(data)
    return data


# ------------------------------------------------------------------------------------------------------ what goes right
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("upstream_kind", UPSTREAMS)
def test_pieces_arrive_as_they_come(guarded: RunningGateway, upstream: GatedUpstream, dialect: str, upstream_kind: str) -> None:
    """Each piece is sent only when the one before has arrived."""
    frames = OPENAI_FRAMES if upstream_kind == "" else ANTHROPIC_FRAMES
    data = request_bytes(dialect, chat(f"{upstream_kind}gated", stream=True))
    data = data.replace(b"host: test", f"host: test\r\nx-api-key: {GATEWAY_KEY}".encode())
    with connected(guarded.address, data) as connection:
        asked = upstream.next()
        asked.begin()
        asked.write(frames["begin"])
        for word in (b"first", b"second", b"third"):
            asked.write(frames["text"].replace(b"WORD", word))
            read_until(connection, word)
        asked.write(frames["end"])
        asked.end()
        rest = read_until(connection, b"\r\n0\r\n\r\n")
    assert (b"[DONE]" if dialect == "openai" else b"message_stop") in rest


OPENAI_FRAMES = {
    "begin": b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n',
    "text": b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "WORD"}}]}\n\n',
    "end": b'data: {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
}
ANTHROPIC_FRAMES = {
    "begin": b'data: {"type": "message_start", "message": {"id": "1", "type": "message", "role": "assistant", "model": "m", '
    b'"content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}\n\n'
    b'data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}\n\n',
    "text": b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "WORD"}}\n\n',
    "end": b'data: {"type": "content_block_stop", "index": 0}\n\n'
    b'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}\n\n'
    b'data: {"type": "message_stop"}\n\n',
}


def test_parallel_streams_do_not_mix(served: RunningGateway) -> None:
    cases = [(DIALECTS[number % 2], UPSTREAMS[number // 2 % 2], f"message {number} " * (number + 1)) for number in range(32)]

    def said(case: tuple[str, str, str]) -> str:
        dialect, upstream_kind, text = case
        body = chat(f"{upstream_kind}echo", stream=True, messages=[{"role": "user", "content": text}])
        return streamed_text(events_of(ask(served.url, dialect, body).content))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(said, cases)) == [text for _, _, text in cases]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_two_requests_in_one_go_are_answered_in_order(served: RunningGateway, dialect: str) -> None:
    texts = ["the first one", "the second one", "the third one"]
    bodies = [chat("claude-echo", messages=[{"role": "user", "content": text}]) for text in texts]
    bodies[1]["stream"] = True
    data = b"".join(request_bytes(dialect, body) for body in bodies)
    last = data.rfind(b"content-type")
    data = data[:last] + b"connection: close\r\n" + data[last:]
    with connected(served.address, data) as connection:
        first, second, third = parse_responses(read_to_end(connection))
    assert text_of(dialect, json.loads(first.body)) == texts[0]
    assert streamed_text(events_of(second.body)) == texts[1]
    assert text_of(dialect, json.loads(third.body)) == texts[2]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mine-1.2:3_x", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("with space", False),
        ("", False),
        ("ünï", False),
        ("a;b", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("model", ["echo", "no-such-model"])
def test_a_request_id_is_kept_when_it_is_sane(served: RunningGateway, model: str, given: str | None, kept: bool) -> None:
    headers = {} if given is None else {"x-request-id": given.encode()}
    with client(served.url) as session:
        answers = [session.post(PATHS["openai"], json=chat(model), headers=headers) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    if kept:
        assert ids == [given, given]
    else:
        assert len(set(ids)) == 2
        assert all(re.fullmatch(r"req_[0-9a-f]{20}", found) for found in ids)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_lost_is_told_in_a_header_and_an_error_where_that_is_wanted(
    served: RunningGateway, guarded: RunningGateway, stream: bool
) -> None:
    lossy = chat("claude-echo", logit_bias={"50256": -100}, stream=stream)
    kept = ask(served.url, "openai", lossy)
    assert kept.status_code == 200
    assert "logit_bias" in kept.headers["x-dragoman-warnings"]
    assert "x-dragoman-warnings" not in ask(served.url, "openai", chat("claude-echo", stream=stream)).headers
    assert "x-dragoman-warnings" not in ask(served.url, "openai", lossy | {"model": "echo"}).headers
    refused = ask(guarded.url, "openai", lossy, **bearer())
    assert refused.status_code == 400
    assert "logit_bias" in error_of("openai", refused)["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_log_is_silent_as_long_as_all_goes_as_it_should(guarded: RunningGateway, log: Path, dialect: str) -> None:
    assert ask(guarded.url, dialect, chat("echo"), **bearer()).status_code == 200
    assert "Traceback" not in log.read_text()
