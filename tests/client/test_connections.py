"""Streams over real sockets: a complete answer leaves its connection usable, and one that is held open holds nobody up."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dragoman import AsyncClient, Client, Timeouts
from support.calls import HELLO, STREAM
from support.http_server import running

FOR_EVER = Timeouts(connect=10, first_token=None, idle=None, total=None)


class Handler(BaseHTTPRequestHandler):
    """Streams an answer; for the model `held` the end of the body never comes."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        held = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"] == "held"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in STREAM))
        if held:
            self.close_connection = True
            if not self.connection.recv(1):
                self.server.hung_up.set()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.hung_up = threading.Event()

    @property
    def place(self) -> dict[str, str]:
        return {"api_base": f"http://127.0.0.1:{self.server_port}/v1", "api_key": "k"}


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as started:
        yield started


def sync_texts(server: Server, model: str, count: int) -> list[str]:
    with Client(timeout=FOR_EVER, **server.place) as client:
        streams = (client.completion(f"openai/{model}", HELLO, stream=True) for _ in range(count))
        return [_text(list(stream)) for stream in streams]


def async_texts(server: Server, model: str, count: int) -> list[str]:
    async def main() -> list[str]:
        async with AsyncClient(timeout=FOR_EVER, **server.place) as client:
            texts = []
            for _ in range(count):
                stream = await client.completion(f"openai/{model}", HELLO, stream=True)
                texts.append(_text([chunk async for chunk in stream]))
            return texts

    return asyncio.run(main())


def _text(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


Texts = Callable[[Server, str, int], list[str]]
both = pytest.mark.parametrize("texts", [sync_texts, async_texts], ids=["sync", "async"])


@both
def test_streams_share_a_connection(server: Server, texts: Texts) -> None:
    assert texts(server, "good", 4) == ["hello"] * 4
    assert server.connections == 1


@both
def test_an_answer_that_is_complete_is_given_although_the_connection_stays_open(server: Server, texts: Texts) -> None:
    assert texts(server, "held", 1) == ["hello"]
    assert server.hung_up.wait(10)


PROGRAM = """
import asyncio, sys, dragoman
place = {{"api_base": "http://127.0.0.1:{port}/v1", "api_key": "k", "stream": True}}
list(dragoman.completion("openai/good", [], **place))
async def main():
    async for _ in await dragoman.acompletion("openai/good", [], **place):
        pass
asyncio.run(main())
"""


def test_the_shared_clients_leave_nothing_open(server: Server) -> None:
    program = PROGRAM.format(port=server.server_port)
    found = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", program], check=False, capture_output=True, text=True
    )
    assert (found.returncode, found.stderr) == (0, "")
