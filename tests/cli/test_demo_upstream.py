"""`dragoman demo-upstream`: the real clients talk to it, its faults are real on a socket, and it starts and stops cleanly."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from dragoman.cli.demo_upstream import demo_upstream
from dragoman.core.errors import ConfigurationError
from dragoman.providers.demo.settings import FAULTS
from support.demo_server import RunningDemo, demo_server

TURN = [{"role": "user", "content": "What is the capital of France?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
OPENAI_TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "weather", "input_schema": SCHEMA}


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module")
def openai_client(demo: RunningDemo) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=demo.openai_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(demo: RunningDemo) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=demo.anthropic_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False, verify=False) as client:
        yield client


# --------------------------------------------------------------------------------------------------- the openai client
def test_openai_plain(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="demo/canned", messages=TURN)
    assert answer.choices[0].message.content == "Paris"
    assert answer.system_fingerprint == "demo"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_openai_stream(openai_client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    with openai_client.chat.completions.create(model="echo", messages=TURN, stream=True, stream_options=options) as stream:
        chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == TURN[0]["content"]
    assert chunks[-1].usage is not None


def test_openai_stream_helper_collects_tool_calls(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(model="tools", messages=TURN, tools=[OPENAI_TOOL]) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "France"})
    assert final.choices[0].finish_reason == "tool_calls"


def test_openai_json_schema(openai_client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    answer = openai_client.chat.completions.create(model="json", messages=TURN, response_format=form)
    assert json.loads(answer.choices[0].message.content or "") == {"city": "France"}


def test_openai_embeddings_images_models(openai_client: openai.OpenAI) -> None:
    vectors = openai_client.embeddings.create(model="embed", input=["a text", "a text"], dimensions=64).data
    assert len(vectors[0].embedding) == 64
    assert vectors[0].embedding == vectors[1].embedding
    images = openai_client.images.generate(model="image", prompt="a castle", size="256x256").data
    assert images is not None
    assert images[0].b64_json
    assert "echo" in {model.id for model in openai_client.models.list()}


def test_openai_async(demo: RunningDemo) -> None:
    async def talk() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=demo.openai_url, api_key="any") as client:
            plain = await client.chat.completions.create(model="canned", messages=TURN)
            async with await client.chat.completions.create(model="canned", messages=TURN, stream=True) as stream:
                pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        return plain.choices[0].message.content, "".join(pieces)

    assert asyncio.run(talk()) == ("Paris", "Paris")


# ------------------------------------------------------------------------------------------------ the anthropic client
def test_anthropic_plain(anthropic_client: anthropic.Anthropic) -> None:
    answer = anthropic_client.messages.create(model="canned", max_tokens=20, messages=TURN)
    assert [block.text for block in answer.content] == ["Paris"]
    assert answer.stop_reason == "end_turn"


def test_anthropic_stream_with_thinking(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model="reason", max_tokens=100, messages=TURN) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == "Paris"
    assert [block.type for block in final.content] == ["thinking", "text"]
    again = [
        *TURN,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in final.content[:1]]},
        *TURN,
    ]
    assert anthropic_client.messages.create(model="canned", max_tokens=20, messages=again).type == "message"


def test_anthropic_stream_of_a_tool_call(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model="tools", max_tokens=100, messages=TURN, tools=[ANTHROPIC_TOOL]) as stream:
        final = stream.get_final_message()
    assert [(block.name, block.input) for block in final.content] == [("weather", {"city": "France"})]
    assert final.stop_reason == "tool_use"


def test_anthropic_async(demo: RunningDemo) -> None:
    async def talk() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=demo.anthropic_url, api_key="any") as client:
            plain = await client.messages.create(model="canned", max_tokens=20, messages=TURN)
            async with client.messages.stream(model="canned", max_tokens=20, messages=TURN) as stream:
                said = [text async for text in stream.text_stream]
        return plain.content[0].text, "".join(said)

    assert asyncio.run(talk()) == ("Paris", "Paris")


STATUSES = [
    ("400", openai.BadRequestError, anthropic.BadRequestError),
    ("401", openai.AuthenticationError, anthropic.AuthenticationError),
    ("429", openai.RateLimitError, anthropic.RateLimitError),
    ("500", openai.InternalServerError, anthropic.InternalServerError),
    ("503", openai.InternalServerError, anthropic.InternalServerError),
    ("529", openai.InternalServerError, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("fault", "in_openai", "in_anthropic"), STATUSES)
def test_the_clients_see_the_error_they_know(
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    fault: str,
    in_openai: type[openai.APIStatusError],
    in_anthropic: type[anthropic.APIStatusError],
) -> None:
    with pytest.raises(in_openai) as caught:
        openai_client.chat.completions.create(model=f"echo?fail={fault}&retry_after=7", messages=TURN)
    assert caught.value.status_code == int(fault)
    assert caught.value.response.headers["retry-after"] == "7"
    with pytest.raises(in_anthropic):
        anthropic_client.messages.create(model=f"echo?fail={fault}", max_tokens=9, messages=TURN)


def test_the_clients_see_an_error_inside_a_stream(openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic) -> None:
    body = {"demo": {"fail": "error_event"}}
    chunks = openai_client.chat.completions.create(model="echo", messages=TURN, stream=True, extra_body=body)
    with chunks, pytest.raises(openai.APIError, match="error_event"):
        list(chunks)
    events = anthropic_client.messages.create(model="echo", max_tokens=50, messages=TURN, stream=True, extra_body=body)
    with events, pytest.raises(anthropic.APIStatusError, match="error_event"):
        list(events)


# ---------------------------------------------------------------------------------------------------- faults on a socket
IMPATIENT = httpx.Timeout(30, read=0.1)


def post(http: httpx.Client, demo: RunningDemo, model: str, *, timeout: Any = 30, **fields: Any) -> httpx.Response:
    return http.post(f"{demo.openai_url}/chat/completions", json={"model": model, "messages": TURN, **fields}, timeout=timeout)


ON_A_SOCKET = [
    ("timeout", httpx.ReadTimeout),
    ("stall", httpx.ReadTimeout),
    ("stall&fail_after=0", httpx.ReadTimeout),
    ("cut", httpx.RemoteProtocolError),
    ("cut&fail_after=0", httpx.RemoteProtocolError),
    ("refuse", httpx.ReadError),
]


@pytest.mark.parametrize(("fault", "failure"), ON_A_SOCKET)
@pytest.mark.parametrize("stream", [True, False])
def test_a_fault_on_the_wire(http: httpx.Client, demo: RunningDemo, fault: str, failure: type[Exception], stream: bool) -> None:
    with pytest.raises(failure):
        post(http, demo, f"echo?fail={fault}", timeout=IMPATIENT if failure is httpx.ReadTimeout else 30, stream=stream)


def test_what_was_sent_before_a_cut_arrives(demo: RunningDemo) -> None:
    received = exchange(demo, raw_request("echo?fail=cut&fail_after=3", stream=True))
    assert received.count(b"data: ") == 3
    assert not received.endswith(b"0\r\n\r\n")


def test_garbage_ends_like_a_proper_body(http: httpx.Client, demo: RunningDemo) -> None:
    answer = post(http, demo, "echo?fail=garbage&fail_after=1", stream=True)
    assert answer.status_code == 200
    assert answer.text.count("\n\n") == 2
    assert "[DONE]" not in answer.text


def test_pace_and_latency_are_played(http: httpx.Client, demo: RunningDemo) -> None:
    answer = post(http, demo, "echo?latency=5&tokens_per_second=2000", stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")


# -------------------------------------------------------------------------------------------------------------- the server
def exchange(demo: RunningDemo, *parts: bytes) -> bytes:
    """Raw bytes out, raw bytes in, until the server closes."""
    with socket.create_connection(demo.address, timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        received = bytearray()
        while data := connection.recv(65536):
            received += data
    return bytes(received)


def raw_request(model: str, *headers: bytes, stream: bool = False) -> bytes:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": model}], "stream": stream}).encode()
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"host: demo", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def test_pipelined_requests_are_answered_in_order(demo: RunningDemo) -> None:
    first = raw_request("echo?latency=20&chunk=1", stream=True)
    second, last = raw_request("echo"), raw_request("canned", b"connection: close")
    received = exchange(demo, first + second + last)
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.index(b"[DONE]") < received.index(b'"message":') < received.index(b"no model has read them")


def test_a_request_may_come_byte_by_byte(demo: RunningDemo) -> None:
    request = raw_request("echo", b"connection: close")
    assert b'"content":"echo"' in exchange(demo, *(bytes([byte]) for byte in request))


def test_expect_continue(demo: RunningDemo) -> None:
    received = exchange(demo, raw_request("echo", b"connection: close", b"expect: 100-continue"))
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_what_is_no_http_is_refused(demo: RunningDemo) -> None:
    assert exchange(demo, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_slow_reader_gets_every_byte(demo: RunningDemo) -> None:
    """More than the socket buffers hold, so the server has to pause and go on."""
    request = raw_request("echo?length=20000&chunk=1", b"connection: close", stream=True)
    received = exchange(demo, request)
    assert len(received) > 5_000_000
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_stats_count_and_reset(http: httpx.Client) -> None:
    with demo_server() as demo:
        post(http, demo, "echo")
        post(http, demo, "demo/canned")
        post(http, demo, "nobody")
        assert demo.stats() == {"requests": 3, "cancelled": 0, "open_streams": 0, "by_model": {"echo": 1, "canned": 1}}
        with socket.create_connection(demo.address, timeout=10) as connection:
            connection.sendall(raw_request("echo?fail=stall&fail_after=1", stream=True))
            assert connection.recv(100)
            assert demo.stats()["open_streams"] == 1
        with pytest.raises(httpx.ReadTimeout):
            post(http, demo, "echo?fail=timeout", timeout=IMPATIENT)
        polls = (demo.stats()["cancelled"] for _ in range(10_000))
        assert 2 in polls  # the server learns of a closed connection in its own time
        assert demo.stats()["open_streams"] == 0
        demo.reset()
        assert demo.stats()["requests"] == 0


def test_a_share_of_requests_fails_and_the_same_ones_after_a_reset(http: httpx.Client) -> None:
    with demo_server(fail="503", fail_rate=0.5) as demo:
        before = [post(http, demo, "echo").status_code for _ in range(12)]
        demo.reset()
        after = [post(http, demo, "echo").status_code for _ in range(12)]
    assert before == after
    assert set(before) == {200, 503}


def test_a_key_can_be_required() -> None:
    with demo_server(require_key="right") as demo:
        with openai.OpenAI(base_url=demo.openai_url, api_key="right") as client:
            assert client.chat.completions.create(model="canned", messages=TURN).choices[0].message.content == "Paris"
        with openai.OpenAI(base_url=demo.openai_url, api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="canned", messages=TURN)
        refused = pytest.raises(anthropic.AuthenticationError, match="authentication_error")
        with anthropic.Anthropic(base_url=demo.anthropic_url, api_key="wrong") as other, refused:
            other.messages.create(model="canned", max_tokens=9, messages=TURN)


# ------------------------------------------------------------------------------------------------------------- the command
COMMAND = [sys.executable, "-c", "from dragoman.cli.demo_upstream import demo_upstream; demo_upstream()"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(http: httpx.Client, number: signal.Signals) -> None:
    arguments = [*COMMAND, "--port", "0", "--fail", "503", "--retry-after", "4"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+) ", line)
        assert found is not None, line
        answer = post(http, RunningDemo(found[1]), "echo")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "4")
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=10)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_the_command_names_a_bad_parameter_and_a_taken_port(demo: RunningDemo) -> None:
    with pytest.raises(ConfigurationError, match="it can as: 400"):
        demo_upstream(["--port", "0", "--fail", "sulk"])
    with pytest.raises(
        ConfigurationError, match=rf"cannot listen on 127\.0\.0\.1:{demo.address[1]}: .*; choose another --port"
    ):
        demo_upstream(["--port", str(demo.address[1])])


def test_the_help_names_every_fault() -> None:
    told = next(option.help for option in demo_upstream.params if option.name == "fail")
    assert [fault for fault in FAULTS if fault not in told] == []
