"""Files and batches of the SDK: what is sent, what comes back, sync and async, and what is an error before anything is sent."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from pathlib import Path
from typing import Any

import openai
import pytest

import dragoman
from dragoman import AsyncClient, Client
from dragoman.client import files
from dragoman.client.file_run import Asked, arun, run
from dragoman.core import multipart
from dragoman.core.errors import AuthenticationError, BadRequestError, NotFoundError, ResponseDecodeError
from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure, header
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport

ENV = {"OPENAI_API_KEY": "key-of-openai", "ANTHROPIC_API_KEY": "key-of-anthropic"}
JSON = (("content-type", "application/json"), ("x-request-id", "r-1"))
FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch"}
BATCH = {"id": "batch_1", "object": "batch", "status": "completed", "output_file_id": "file-2", "request_counts": {"total": 3}}

CALLS: list[tuple[Asked[Any], str, str, Any]] = [
    (files._retrieval("file-1"), "GET", "/files/file-1", FILE),
    (files._retrieval("a/../b"), "GET", "/files/a%2F..%2Fb", FILE),
    (files._deletion("file-1"), "DELETE", "/files/file-1", {"id": "file-1", "deleted": True}),
    (
        files._files("batch", "file-0", 5),
        "GET",
        "/files?purpose=batch&after=file-0&limit=5",
        {"data": [FILE], "has_more": False},
    ),
    (files._files(None, None, None), "GET", "/files", {"data": [FILE], "has_more": False}),
    (files._batch_retrieval("batch_1"), "GET", "/batches/batch_1", BATCH),
    (files._batches(None, 2), "GET", "/batches?limit=2", {"data": [BATCH], "has_more": True}),
    (files._cancellation("batch_1"), "POST", "/batches/batch_1/cancel", BATCH),
]


def reply(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers=JSON, body=json.dumps(body).encode())


def called(
    asked: Asked[Any], answer: HttpResponse | TransportFailure, provider: str = "openai", **given: Any
) -> tuple[Any, HttpRequest]:
    """The result of a sync call, which an async one must equal."""
    transport = ReplayTransport(answer)
    made = run(Client(transport=transport, env=ENV), provider, asked, given)
    other = AsyncReplayTransport(answer)
    again = asyncio.run(arun(AsyncClient(transport=other, env=ENV), provider, asked, given))
    assert transport.requests == other.requests
    assert again == made or again.content == made.content
    return made, transport.requests[0]


@pytest.mark.parametrize(("asked", "method", "path", "answer"), CALLS, ids=[f"{method} {path}" for _, method, path, _ in CALLS])
def test_every_call_asks_where_openai_has_it(asked: Asked[Any], method: str, path: str, answer: Any) -> None:
    made, request = called(asked, reply(answer))
    assert (request.method, request.url) == (method, f"https://api.openai.com/v1{path}")
    assert header(request.headers, "authorization") == "Bearer key-of-openai"
    assert made.model_dump() == answer
    assert made._response_headers["x-request-id"] == "r-1"


def test_results_have_their_fields() -> None:
    page, _ = called(files._batches(None, None), reply({"data": [BATCH], "has_more": False}))
    assert (page.data[0].output_file_id, page.data[0].request_counts.total, page.data[0].errors) == ("file-2", 3, None)
    listed, _ = called(files._files(None, None, None), reply({"data": [FILE]}))
    assert listed.data[0].filename == "a.jsonl"


@pytest.mark.parametrize("kind", ["bytes", "open", "path", "tuple"])
def test_a_file_is_uploaded_however_it_is_given(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n")
    opened = io.BytesIO(b"{}\n")
    opened.name = "a.jsonl"
    given = {"bytes": b"{}\n", "open": opened, "path": path, "tuple": ("a.jsonl", b"{}\n", "application/jsonl")}[kind]
    made, request = called(files._upload(given, "batch"), reply(FILE), extra_body={"expires_after": {"seconds": 60}})
    parts = multipart.decode(request.body, multipart.boundary_of(header(request.headers, "content-type") or ""))
    fields = {part.name: part.data for part in parts}
    assert fields == {"purpose": b"batch", "file": b"{}\n", "expires_after": b'{"seconds":60}'}
    assert next(part.filename for part in parts if part.name == "file") == ("file.bin" if kind == "bytes" else "a.jsonl")
    assert made.id == "file-1"


def test_a_batch_says_what_it_is_asked_to_and_no_more() -> None:
    _, request = called(files._batch("24h", "/v1/chat/completions", "file-1", None), reply(BATCH), extra_body={"new": 1})
    assert json.loads(request.body) == {
        "completion_window": "24h",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1",
        "new": 1,
    }


def test_what_is_in_a_file_comes_as_it_is() -> None:
    raw = HttpResponse(status=200, headers=(("content-type", "application/octet-stream"),), body=b"\xff line")
    made, request = called(files._content("file-1"), raw)
    assert request.url.endswith("/files/file-1/content")
    assert (made.content, made.read()) == (b"\xff line", b"\xff line")
    assert "key" not in repr(made)


def test_a_gateway_is_named_by_its_address_and_key() -> None:
    _, request = called(files._retrieval("file-1"), reply(FILE), api_base="https://gw.test/v1", api_key="sk-mine", timeout=3)
    assert request.url == "https://gw.test/v1/files/file-1"
    assert header(request.headers, "authorization") == "Bearer sk-mine"


def test_failures_are_our_errors_and_openais() -> None:
    with pytest.raises(NotFoundError, match="openai answered 404: no such file") as failure:
        called(files._retrieval("x"), reply({"error": {"message": "no such file"}}, 404))
    assert isinstance(failure.value, openai.NotFoundError)
    with pytest.raises(ResponseDecodeError):
        called(files._retrieval("x"), HttpResponse(status=200, body=b"<html>"))
    with pytest.raises(dragoman.APIConnectionError):
        called(files._retrieval("x"), TransportFailure("connect", "refused"))


@pytest.mark.parametrize(
    ("provider", "given", "error", "message"),
    [
        ("cohere", {"api_key": "k"}, BadRequestError, "cohere keeps files neither in OpenAI's way nor in Anthropic's"),
        ("openai", {"api_base": "https://other.test"}, AuthenticationError, "no key for https://other.test"),
        ("nobody", {}, dragoman.ConfigurationError, "no provider is called 'nobody'"),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_is_sent(
    provider: str, given: Any, error: type[Exception], message: str
) -> None:
    transport = ReplayTransport()
    with pytest.raises(error, match=message):
        run(Client(transport=transport, env=ENV), provider, files._retrieval("x"), given)
    assert transport.requests == []
    with pytest.raises(BadRequestError, match="file: expected bytes"):
        files._upload("https://example.com/a", "batch")


def test_every_call_has_both_worlds() -> None:
    for name in ("create_file", "file_retrieve", "file_delete", "file_list", "file_content"):
        assert inspect.iscoroutinefunction(getattr(dragoman, f"a{name}"))
        assert callable(getattr(dragoman, name))
    for name in ("create_batch", "retrieve_batch", "list_batches", "cancel_batch"):
        assert inspect.iscoroutinefunction(getattr(dragoman, f"a{name}"))
        assert callable(getattr(dragoman, name))
