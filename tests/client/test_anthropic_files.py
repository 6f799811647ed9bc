"""Files and batches of the SDK at Anthropic: OpenAI's arguments and lines go in, OpenAI's objects and lines come out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import dragoman
from dragoman import AsyncClient, Client
from dragoman.client import files
from dragoman.client.file_run import Asked, arun, run
from dragoman.core import multipart
from dragoman.core.errors import BadRequestError, NotFoundError, ResponseDecodeError, UnsupportedParamsError
from dragoman.core.http import HttpRequest, HttpResponse, header
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport

ENV = {"ANTHROPIC_API_KEY": "key-of-anthropic"}
JSON = (("content-type", "application/json"), ("request-id", "r-1"))
CHAT = "/v1/chat/completions"
FILE = {
    "id": "file_1",
    "type": "file",
    "size_bytes": 3,
    "created_at": "2026-01-02T03:04:05Z",
    "filename": "a.csv",
    "mime_type": "text/csv",
    "downloadable": False,
}
AS_OPENAIS = {
    "id": "file_1",
    "object": "file",
    "bytes": 3,
    "created_at": 1767323045,
    "filename": "a.csv",
    "purpose": "user_data",
    "status": "processed",
    "expires_at": None,
    "mimetype": "text/csv",
}


def batch(status: str = "in_progress", **fields: Any) -> dict[str, Any]:
    counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0} | fields.pop("counts", {})
    made = {"id": "msgbatch_1", "type": "message_batch", "processing_status": status, "request_counts": counts}
    times = {"created_at": "2026-01-02T03:04:05Z", "expires_at": "2026-01-03T03:04:05Z", "ended_at": None}
    return {**made, **times, "archived_at": None, "cancel_initiated_at": None, "results_url": None, **fields}


def reply(body: Any, status: int = 200) -> HttpResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=JSON, body=data)


def called(asked: Asked[Any], *answers: HttpResponse, **given: Any) -> tuple[Any, HttpRequest]:
    """The result of a sync call, which an async one must equal."""
    transport, other = ReplayTransport(*answers), AsyncReplayTransport(*answers)
    made = run(Client(transport=transport, env=ENV), "anthropic", asked, given)
    again = asyncio.run(arun(AsyncClient(transport=other, env=ENV), "anthropic", asked, given))
    assert transport.requests == other.requests
    assert again == made or again.content == made.content
    return made, transport.requests[0]


def here(asked: Asked[Any]) -> Any:
    """The result of a call for which nothing is sent."""
    return run(Client(transport=ReplayTransport(), env=ENV), "anthropic", asked, {})


def lines(*bodies: Any, url: str = CHAT) -> bytes:
    made = [{"custom_id": f"c{n}", "method": "POST", "url": url, "body": body} for n, body in enumerate(bodies)]
    return b"\n".join(json.dumps(line).encode() for line in made)


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": text}], **more}


def kept(data: bytes) -> str:
    id_: str = here(files._upload(("a.jsonl", data), "batch")).id
    return id_


PAGE = {"data": [FILE], "has_more": True, "first_id": "file_1", "last_id": "file_1"}
FILES: list[tuple[Asked[Any], str, str, Any, Any]] = [
    (files._retrieval("file_1"), "GET", "/v1/files/file_1", FILE, AS_OPENAIS),
    (files._retrieval("a/../b"), "GET", "/v1/files/a%2F..%2Fb", FILE, AS_OPENAIS),
    (
        files._deletion("file_1"),
        "DELETE",
        "/v1/files/file_1",
        {"id": "file_1", "type": "file_deleted"},
        {"id": "file_1", "object": "file", "deleted": True},
    ),
    (
        files._files(None, "file_0", 5),
        "GET",
        "/v1/files?after_id=file_0&limit=5",
        PAGE,
        {"object": "list", "data": [AS_OPENAIS], "first_id": "file_1", "last_id": "file_1", "has_more": True},
    ),
]


@pytest.mark.parametrize(("asked", "method", "path", "answer", "made"), FILES, ids=[f"{m} {p}" for _, m, p, *_ in FILES])
def test_files_are_asked_for_in_anthropics_words(asked: Asked[Any], method: str, path: str, answer: Any, made: Any) -> None:
    found, request = called(asked, reply(answer))
    assert (request.method, request.url) == (method, f"https://api.anthropic.com{path}")
    sent = {name: header(request.headers, name) for name in ("x-api-key", "anthropic-beta", "anthropic-version")}
    assert sent == {
        "x-api-key": "key-of-anthropic",
        "anthropic-beta": "files-api-2025-04-14",
        "anthropic-version": "2023-06-01",
    }
    assert found.model_dump() == made
    assert found._response_headers["request-id"] == "r-1"


def test_an_upload_is_the_file_alone() -> None:
    made, request = called(files._upload(("a.csv", b"1,2", "text/csv"), "user_data"), reply(FILE))
    (part,) = multipart.decode(request.body, multipart.boundary_of(header(request.headers, "content-type") or ""))
    assert (part.name, part.filename, part.data, part.media_type) == ("file", "a.csv", b"1,2", "text/csv")
    assert made == AS_OPENAIS


def test_files_have_no_purposes_there() -> None:
    made, _ = called(files._files("batch", None, None), reply(PAGE))
    assert [warning.field for warning in made.warnings] == ["purpose"]


def test_the_lines_of_a_batch_wait_here() -> None:
    data = lines(said("hi"))
    id_ = kept(data)
    assert here(files._retrieval(id_)).filename == "a.jsonl"
    assert here(files._content(id_)).content == data
    assert here(files._deletion(id_)) == {"id": id_, "object": "file", "deleted": True}
    with pytest.raises(NotFoundError, match="kept by the process that uploaded them"):
        here(files._retrieval(id_))


def test_a_batch_is_made_of_its_lines() -> None:
    plain, tools = said("hi"), said("weather?", model="anthropic/claude-haiku-4-5", logit_bias={"1": 1})
    tools["messages"].insert(0, {"role": "system", "content": "Be brief."})
    id_ = kept(lines(plain, tools))
    made, request = called(files._batch("24h", CHAT, id_, {"mine": "1"}), reply(batch(counts={"processing": 2})))
    assert request.url == "https://api.anthropic.com/v1/messages/batches"
    first, second = json.loads(request.body)["requests"]
    assert (first["custom_id"], first["params"]["model"], first["params"]["max_tokens"]) == ("c0", "claude-sonnet-4-5", 9)
    assert (second["params"]["model"], "system" in second["params"]) == ("claude-haiku-4-5", True)
    assert {warning.field for warning in made.warnings} == {"metadata", "logit_bias"}
    assert (made.id, made.status, made.input_file_id, made.request_counts.total) == ("msgbatch_1", "in_progress", id_, 2)


@pytest.mark.parametrize(
    ("data", "endpoint", "strict", "error", "message"),
    [
        (lines(said("hi")), "/v1/responses", False, BadRequestError, "batches answer /v1/chat/completions"),
        (lines(said("hi"), url="/v1/embeddings"), CHAT, False, BadRequestError, "and '/v1/embeddings'"),
        (
            lines({"messages": []}),
            CHAT,
            False,
            BadRequestError,
            "request 'c0': expected a body that is a JSON object and names",
        ),
        (lines(said("hi", messages="x")), CHAT, False, BadRequestError, "request 'c0': messages"),
        (lines(said("hi", logit_bias={"1": 1})), CHAT, True, BadRequestError, "request 'c0': logit_bias"),
    ],
)
def test_lines_that_cannot_be_asked_are_refused(
    data: bytes, endpoint: str, error: type[Exception], message: str, *, strict: bool
) -> None:
    client = Client(transport=ReplayTransport(), env=ENV, strict=strict)
    with pytest.raises(error, match=message):
        run(client, "anthropic", files._batch("24h", endpoint, kept(data), None), {})


def test_what_is_no_line_is_refused_when_it_is_uploaded() -> None:
    with pytest.raises(BadRequestError, match="line 2: expected a JSON object"):
        kept(lines(said("hi")) + b"\n{}")


ENDS = [
    (batch(), "in_progress", None, 0),
    (batch("canceling", cancel_initiated_at="2026-01-02T03:05:05Z"), "cancelling", None, 0),
    (batch("ended", counts={"succeeded": 2, "errored": 1}, results_url="https://x"), "completed", "msgbatch_1", 1),
    (batch("ended", counts={"succeeded": 2, "expired": 3}, results_url="https://x"), "expired", "msgbatch_1", 3),
    (
        batch("ended", counts={"canceled": 2}, cancel_initiated_at="2026-01-02T03:05:05Z", results_url="https://x"),
        "cancelled",
        "msgbatch_1",
        2,
    ),
]


@pytest.mark.parametrize(("answer", "status", "output", "failed"), ENDS, ids=[status for _, status, *_ in ENDS])
def test_how_far_a_batch_is(answer: Any, status: str, output: str | None, failed: int) -> None:
    made, request = called(files._batch_retrieval("msgbatch_1"), reply(answer))
    assert request.url.endswith("/v1/messages/batches/msgbatch_1")
    assert (made.status, made.output_file_id, made.request_counts.failed, made.endpoint) == (status, output, failed, CHAT)
    cancelled, request = called(files._cancellation("msgbatch_1"), reply(answer))
    assert (request.method, request.body, cancelled) == ("POST", b"{}", made)
    page, _ = called(files._batches("msgbatch_0", 1), reply({"data": [answer], "has_more": False}))
    assert (page.data, page.has_more, page.last_id) == ([made], False, "msgbatch_1")


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
RESULTS = [
    {"custom_id": "c0", "result": {"type": "succeeded", "message": MESSAGE}},
    {
        "custom_id": "c1",
        "result": {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}},
    },
    {"custom_id": "c2", "result": {"type": "canceled"}},
    {"custom_id": "c3", "result": {"type": "expired"}},
]


def test_results_are_openais_lines() -> None:
    body = b"\n".join(json.dumps(line).encode() for line in RESULTS)
    made, request = called(files._content("msgbatch_1"), reply(body))
    assert request.url.endswith("/v1/messages/batches/msgbatch_1/results")
    done, failed, *never = [json.loads(line) for line in made.text.splitlines()]
    answer = done["response"]["body"]
    assert (done["custom_id"], done["response"]["status_code"], answer["object"]) == ("c0", 200, "chat.completion")
    assert (answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"]) == ("hello", 10)
    assert (failed["response"]["status_code"], failed["response"]["body"]["error"]["message"]) == (
        400,
        "anthropic answered 400: no",
    )
    codes = [(line["response"], line["error"]["code"]) for line in never]
    assert codes == [(None, "batch_cancelled"), (None, "batch_expired")]
    with pytest.raises(ResponseDecodeError, match="a line that is no result"):
        called(files._content("msgbatch_1"), reply(b'{"custom_id": "x"}'))


def test_strict_refuses_what_would_be_left_out() -> None:
    client = Client(transport=ReplayTransport(), env=ENV, strict=True)
    with pytest.raises(UnsupportedParamsError, match="purpose"):
        run(client, "anthropic", files._files("batch", None, None), {})


def test_the_functions_take_it_by_name() -> None:
    with pytest.raises(NotFoundError):
        dragoman.file_retrieve("file-kept-0", custom_llm_provider="anthropic", api_key="k")
