"""Our own small cases of the Responses API: one for each quirk of its traffic (the number leads the name), each kind of body.

A case holds what comes over the wire and, under `expect`, what it means in our words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import error_for
from dragoman.dialects.openai_responses import DIALECT

FOLDER = Path(__file__).parents[1] / "golden" / "openai_responses"
CASES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def cases(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name) for name, case in CASES.items() if case["kind"] in kinds]
    )


def bytes_of(body: Any) -> bytes:
    return json.dumps(body).encode()


def events_of(data: bytes, size: int) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    events = [event for place in range(0, len(data), size) for event in decoder.feed(data[place : place + size])]
    return [*events, *decoder.close()]


def test_every_quirk_has_a_case() -> None:
    assert {name.split("_")[0] for name in CASES} >= {"36", "37", "38", "39", "40", "93"}


@cases("stream", "broken")
def test_stream_means_the_same_in_every_slicing(case: dict[str, Any]) -> None:
    data = case["stream"].encode()
    whole = events_of(data, len(data))
    for size in (1, 2, 5, 61):
        assert events_of(data, size) == whole
        assert events_of(data.replace(b"\n", b"\r\n"), size) == whole


@cases("stream")
def test_stream(case: dict[str, Any]) -> None:
    events = events_of(case["stream"].encode(), 4096)
    assert assemble(events) == msgspec.convert(case["expect"], ChatResponse)
    starts = [event.index for event in events if isinstance(event, ev.PartStart)]
    assert sorted(starts) == list(range(len(starts)))
    assert sorted(event.index for event in events if isinstance(event, ev.PartEnd)) == sorted(starts)


@cases("stream")
def test_stream_is_tapped(case: dict[str, Any]) -> None:
    data = case["stream"].encode()
    for size in (1, 50, len(data)):
        tap = DIALECT.stream_tap()
        for place in range(0, len(data), size):
            tap.feed(data[place : place + size])
        assert (tap.started, tap.complete, tap.error) == (True, True, None)
        assert tap.usage == msgspec.convert(case["expect"], ChatResponse).usage


@cases("stream")
def test_stream_is_written_anew(case: dict[str, Any]) -> None:
    """Marks aside: statuses are said, items get ids, and pieces of thoughts become one."""
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    written = b"".join(encoder.encode(event) for event in events_of(case["stream"].encode(), 4096))
    again = assemble(events_of(written, 1_000_000))
    expected = msgspec.convert(case["expect"], ChatResponse)
    assert [bare(part) for part in again.choices[0].parts] == [bare(part) for part in expected.choices[0].parts]
    assert (again.choices[0].finish, again.usage, again.warnings) == (
        expected.choices[0].finish,
        expected.usage,
        expected.warnings,
    )


def bare(part: Any) -> Any:
    return msgspec.structs.replace(part, extra={}) if getattr(part, "extra", None) else part


@cases("broken")
def test_failure_inside_a_stream(case: dict[str, Any]) -> None:
    data = case["stream"].encode()
    failure = events_of(data, 4096)[-1]
    assert failure == msgspec.convert(case["expect"], ev.StreamError)
    tap = DIALECT.stream_tap()
    tap.feed(data)
    assert (tap.complete, tap.error.message, tap.error_status) == (False, failure.message, failure.status)


@cases("answer")
def test_answer(case: dict[str, Any]) -> None:
    body = bytes_of(case["body"])
    response = DIALECT.decode_response(body)
    assert response == msgspec.convert(case["expect"], ChatResponse)
    assert DIALECT.read_usage(body) == response.usage
    written = json.loads(DIALECT.encode_response(response, now=1))
    assert written.items() >= (case["body"] | {"usage": written["usage"]}).items()
    if response.usage is not None:
        written["usage"]["input_tokens_details"].pop("cache_write_tokens")  # a count that clients expect
        assert written["usage"] == case["body"]["usage"]


@cases("request")
def test_request(case: dict[str, Any]) -> None:
    request = DIALECT.decode_request(bytes_of(case["body"]))
    assert request == msgspec.convert(case["expect"], ChatRequest)
    sent = DIALECT.encode_request(request)
    assert (sent.body, sent.warnings) == (case["body"], ())


@cases("failure")
def test_failure(case: dict[str, Any]) -> None:
    detail = DIALECT.decode_error(case["status"], bytes_of(case["body"]))
    found = {"class": type(error_for(case["status"], detail)).__name__, "message": detail.message}
    assert found | {"code": detail.code, "param": detail.param} == case["expect"]
