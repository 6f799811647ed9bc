"""Requests to a running gateway over both chat routes, with plain HTTP: what comes back is looked at as it is."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx2

from support.demo_server import RunningDemo
from support.gated_upstream import PATIENCE

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
"""The client's dialect -> where it asks."""

HELLO = [{"role": "user", "content": "hello there, gateway"}]


def client(url: str, **options: Any) -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=PATIENCE, trust_env=False, verify=False, **options)


def chat(model: Any, **fields: Any) -> dict[str, Any]:
    """A body that both dialects take."""
    return {"model": model, "max_tokens": 100, "messages": HELLO, **fields}


def ask(url: str, dialect: str, body: Any, **headers: str) -> httpx2.Response:
    """`body` is JSON, or bytes that need not be."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with client(url) as session:
        return session.post(PATHS[dialect], content=content, headers={"content-type": "application/json", **headers})


def error_of(dialect: str, body: Any) -> dict[str, Any]:
    """The error in an answer, which must have the shape that clients of the dialect read."""
    value = body if isinstance(body, dict) else body.json()
    error = value["error"]
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    if dialect == "anthropic":
        assert value["type"] == "error"
    else:
        assert set(error) == {"message", "type", "param", "code"}
    return error


def text_of(dialect: str, body: Any) -> str:
    value = body if isinstance(body, dict) else body.json()
    return value["choices"][0]["message"]["content"] if dialect == "openai" else value["content"][0]["text"]


def events_of(data: bytes) -> list[Any]:
    """The data of a stream's events; [DONE] as it is."""
    found = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in found]


def streamed_text(events: list[Any]) -> str:
    said = [event for event in events if isinstance(event, dict)]
    openai = [choice["delta"].get("content") or "" for event in said for choice in event.get("choices", ())]
    anthropic = [event["delta"].get("text", "") for event in said if event.get("type") == "content_block_delta"]
    return "".join(openai + anthropic)


def ends_cleanly(events: list[Any]) -> bool:
    return bool(events) and (events[-1] == "[DONE]" or events[-1].get("type") == "message_stop")


def request_bytes(dialect: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {PATHS[dialect]} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


@contextmanager
def connected(address: tuple[str, int], data: bytes = b"") -> Iterator[socket.socket]:
    """A connection of one's own, on which `data` was sent."""
    with closing(socket.create_connection(address, timeout=PATIENCE)) as connection:
        connection.sendall(data)
        yield connection


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        piece = connection.recv(65536)
        assert piece, f"the connection ended before {mark!r} came: {data[-500:]!r}"
        data += piece
    return data


def read_to_end(connection: socket.socket) -> bytes:
    data = bytearray()
    while piece := connection.recv(1 << 20):
        data += piece
    return bytes(data)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a thing that will be true soon, and give it back."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)
    return found


def assert_leaving_ends_the_stream(address: tuple[str, int], demo: RunningDemo, dialect: str, model: str) -> None:
    """A client that goes away in the middle of an answer takes its request at the provider with it."""
    until(lambda: demo.stats()["open_streams"] == 0)
    before = demo.stats()["cancelled"]
    with connected(address, request_bytes(dialect, chat(model, stream=True))) as connection:
        read_until(connection, b"data: ")
        assert demo.stats()["open_streams"] == 1
    until(lambda: demo.stats()["open_streams"] == 0)
    assert demo.stats()["cancelled"] == before + 1
