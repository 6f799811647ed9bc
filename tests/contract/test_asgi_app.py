"""The gateway as a plain ASGI app under somebody else's server: `uvicorn dragoman.gateway.asgi:app` as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from support.demo_server import RunningDemo
from support.gateway import RunningGateway, demo_config
from support.requests import ask, assert_leaving_ends_the_stream, chat, error_of, until

HELLO = [{"role": "user", "content": "hello there, gateway"}]
UPSTREAMS = ["", "claude-"]


@pytest.fixture(scope="module")
def hosted(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("asgi")
    (folder / "dragoman.yaml").write_text(demo_config(demo.url) + "server: {max_body_mb: 1}\n")
    command = [sys.executable, "-m", "uvicorn", "dragoman.gateway.asgi:app", "--port", "0", "--no-access-log"]
    env = {**os.environ, "DRAGOMAN_CONFIG": str(folder / "dragoman.yaml")}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, env=env) as process:
        try:
            found = until(lambda: re.search(r"running on (http://[\d.:]+)", (folder / "log").read_text()) or process.poll())
            assert isinstance(found, re.Match), (folder / "log").read_text()
            yield RunningGateway(found.group(1), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def openai_client(hosted: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=hosted.openai_url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def anthropic_client(hosted: RunningGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=hosted.url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_openais_client(openai_client: openai.OpenAI, upstream: str) -> None:
    answer = openai_client.chat.completions.create(model=f"{upstream}echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello there, gateway"
    chunks = list(openai_client.chat.completions.create(model=f"{upstream}echo", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there, gateway"
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_anthropics_client(anthropic_client: anthropic.Anthropic, upstream: str) -> None:
    message = anthropic_client.messages.create(model=f"{upstream}echo", max_tokens=100, messages=HELLO)
    assert message.content[0].text == "hello there, gateway"
    with anthropic_client.messages.stream(model=f"{upstream}echo", max_tokens=100, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "hello there, gateway"
        assert stream.get_final_message().stop_reason == "end_turn"


def test_embeddings_and_models(openai_client: openai.OpenAI) -> None:
    assert len(openai_client.embeddings.create(model="embed", input="a harbour").data[0].embedding) == 256
    assert openai_client.models.retrieve("claude-echo").id == "claude-echo"


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("stream", [False, True])
def test_failures_are_the_clients_own_errors(openai_client: openai.OpenAI, upstream: str, stream: bool) -> None:
    for model, kind in (("fail-401", openai.AuthenticationError), ("nobody", openai.NotFoundError)):
        with pytest.raises(kind):
            openai_client.chat.completions.create(model=f"{upstream}{model}", messages=HELLO, stream=stream)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("fault", ["cut", "garbage", "error_event"])
def test_a_stream_that_breaks_is_an_error(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, upstream: str, fault: str
) -> None:
    model = f"{upstream}fail-{fault}"
    with pytest.raises(openai.APIError):
        list(openai_client.chat.completions.create(model=model, messages=HELLO, stream=True))
    with pytest.raises(anthropic.APIError):
        list(anthropic_client.messages.create(model=model, max_tokens=100, messages=HELLO, stream=True))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_bad_requests_are_refused_in_the_clients_dialect(hosted: RunningGateway, dialect: str) -> None:
    broken = ask(hosted.url, dialect, b"{")
    assert (broken.status_code, error_of(dialect, broken)["type"]) == (400, "invalid_request_error")
    big = ask(hosted.url, dialect, chat("echo", padding="x" * 2_000_000))
    assert big.status_code == 413
    assert error_of(dialect, big)["message"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_client_that_leaves_ends_the_stream_upstream(
    hosted: RunningGateway, demo: RunningDemo, dialect: str, upstream: str
) -> None:
    assert_leaving_ends_the_stream(hosted.address, demo, dialect, f"{upstream}slow")


def test_a_bad_configuration_is_told_and_not_served(tmp_path: Path) -> None:
    (tmp_path / "dragoman.yaml").write_text("models: [{name: a, modle: b}]")
    command = [sys.executable, "-m", "uvicorn", "dragoman.gateway.asgi:app", "--port", "0"]
    env = {**os.environ, "DRAGOMAN_CONFIG": str(tmp_path / "dragoman.yaml")}
    run = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert run.returncode != 0
    assert f"{tmp_path}/dragoman.yaml:1: models[0].modle: unknown key; did you mean model?" in run.stderr
