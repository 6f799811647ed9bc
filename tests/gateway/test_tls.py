"""TLS on both sides: the gateway with a certificate of its own, and a provider whose authority only SSL_CERT_FILE knows."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import trustme

from dragoman.cli.demo_server import DemoServer
from dragoman.providers.demo import Settings
from support.gateway import PROGRAM, RunningGateway, gateway

HELLO = [{"role": "user", "content": "hello there, gateway"}]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(folder / "certificate.pem", append=number > 0)
    return folder


class TlsDemo:
    """The demo upstream behind TLS: bytes are carried to and from it as they come."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-demo")

    def __enter__(self) -> str:
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> str:
        self._demo = DemoServer(Settings(), port=0)
        await self._demo.start()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._context)
        return f"https://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        await self._demo.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._demo.url.removeprefix("http://").split(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except OSError:
                pass
            finally:
                sink.close()

        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


@pytest.fixture(scope="module")
def served(authority: trustme.CA, folder: Path) -> Iterator[RunningGateway]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with TlsDemo(context) as upstream:
        config = f"""
models:
  - {{name: echo, model: openai/echo, api_base: '{upstream}/v1', api_key: sk-upstream}}
  - {{name: stranger, model: openai/echo, api_base: '{upstream.replace("localhost", "127.0.0.1")}/v1', api_key: sk-upstream}}
server: {{ssl_certfile: {folder}/certificate.pem, ssl_keyfile: {folder}/key.pem}}
retries: 0
"""
        with gateway(config, SSL_CERT_FILE=str(folder / "authority.pem")) as running:
            yield running


@pytest.fixture
def client(served: RunningGateway, folder: Path) -> Iterator[openai.OpenAI]:
    trust = ssl.create_default_context(cafile=folder / "authority.pem")
    http: Any = openai.DefaultHttpxClient(verify=trust, trust_env=False)
    with openai.OpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0, http_client=http) as made:
        yield made


def test_a_chat_and_a_stream_over_tls_on_both_sides(served: RunningGateway, client: openai.OpenAI) -> None:
    assert served.url.startswith("https://")
    answer = client.chat.completions.create(model="echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello there, gateway"
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there, gateway"


def test_a_certificate_for_another_host_is_not_taken(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match=r"certificate verify failed.*is the base URL right") as failure:
        client.chat.completions.create(model="stranger", messages=HELLO)
    assert failure.value.status_code == 502


def test_a_client_that_does_not_know_the_authority_is_not_served(served: RunningGateway) -> None:
    with httpx2.Client(trust_env=False) as stranger, pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
        stranger.get(f"{served.url}/health/live")


@pytest.mark.parametrize(("certificate", "key"), [("key.pem", "certificate.pem"), ("certificate.pem", "authority.pem")])
def test_a_certificate_that_cannot_be_used_is_told_on_one_line(folder: Path, certificate: str, key: str) -> None:
    config = folder / "dragoman.yaml"
    config.write_text(
        "models: [{name: echo, model: demo/echo}]\n"
        f"server: {{port: 0, ssl_certfile: {folder}/{certificate}, ssl_keyfile: {folder}/{key}}}\n"
    )
    run = subprocess.run([PROGRAM, "serve", "--config", config], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 1
    assert run.stderr.startswith("dragoman: server.ssl_certfile, server.ssl_keyfile: cannot use ")
    assert run.stderr.count("\n") == 1
    assert certificate in run.stderr
