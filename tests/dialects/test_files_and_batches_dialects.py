"""Files and batches in the dialects of OpenAI and Anthropic: read, written, made each other's, and garbage refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import json as codec
from dragoman.core.batches import Batch, BatchCounts, BatchRequest, BatchResult
from dragoman.core.errors import CallError, ResponseDecodeError
from dragoman.dialects import anthropic_batches, openai_batches, registry
from dragoman.dialects.model_lists import seconds
from support.recordings import exchanges

NAMES = ("openai_files", "openai_batches", "anthropic_files", "anthropic_batches")
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
BODIES = st.sampled_from([b"{}", b'{"model":"m","n":1.50}', b'{"a":[{"b":null}]}'])
SPOKEN = {"openai": (openai_batches, "/v1/chat/completions"), "anthropic": (anthropic_batches, "/v1/messages")}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"{}", b'{"data": [{}]}', b'{"id": 7}', b'{"object": "list", "data": [{"id": 1}]}']
)
def test_garbage_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(CallError):
        registry.get(name).decode_response(body)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@given(st.lists(st.tuples(IDS, BODIES), min_size=1, max_size=5))
def test_requests_come_back_as_they_were_written(name: str, items: list[tuple[str, bytes]]) -> None:
    dialect, endpoint = SPOKEN[name]
    requests = [BatchRequest(custom_id=id_, endpoint=endpoint, body=body) for id_, body in items]
    written = dialect.write_requests(requests)
    assert dialect.read_requests(written if isinstance(written, bytes) else codec.encode(written)) == requests


RESULTS = [
    BatchResult(custom_id="a", outcome="succeeded", body=b'{"x":1}'),
    BatchResult(
        custom_id="b", outcome="errored", status=400, body=b'{"error":{"type":"invalid_request_error","message":"no"}}'
    ),
    BatchResult(custom_id="c", outcome="cancelled"),
    BatchResult(custom_id="d", outcome="expired"),
]


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize("result", RESULTS, ids=[result.outcome for result in RESULTS])
def test_results_come_back_as_they_were_written(name: str, result: BatchResult) -> None:
    dialect, _ = SPOKEN[name]
    found = dialect.read_result(dialect.write_result(result))
    assert (found.custom_id, found.outcome) == (result.custom_id, result.outcome)
    if result.body:
        assert (found.status, found.body) == (result.status, result.body)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "line", [b"", b"no", b"[]", b"{}", b'{"custom_id": "a"}', b'{"custom_id": "a", "result": 7, "response": 7}']
)
def test_a_line_that_is_no_result_is_refused(name: str, line: bytes) -> None:
    with pytest.raises(ResponseDecodeError):
        SPOKEN[name][0].read_result(line)


STATUSES = [
    ("in_progress", {}, "in_progress", {"processing": 5}),
    ("validating", {}, "in_progress", {"processing": 5}),
    ("finalizing", {"succeeded": 5}, "in_progress", {"succeeded": 5}),
    ("cancelling", {"succeeded": 2}, "canceling", {"processing": 3, "succeeded": 2}),
    ("completed", {"succeeded": 4, "errored": 1}, "ended", {"succeeded": 4, "errored": 1}),
    ("cancelled", {"succeeded": 2, "cancelled": 3}, "ended", {"succeeded": 2, "canceled": 3}),
    ("expired", {"succeeded": 2, "expired": 3}, "ended", {"succeeded": 2, "expired": 3}),
    ("failed", {}, "ended", {"errored": 5}),
]


@pytest.mark.parametrize(("status", "counts", "theirs", "told"), STATUSES, ids=[status for status, *_ in STATUSES])
def test_a_batch_of_openais_in_anthropics_words(status: Any, counts: Any, theirs: str, told: Any) -> None:
    batch = Batch(id="x", status=status, counts=BatchCounts(total=5, **counts), created=60, results=True, ended=120)
    made = anthropic_batches.write_batch(batch, "https://gw/results")
    assert made["processing_status"] == theirs
    assert {name: number for name, number in made["request_counts"].items() if number} == told
    assert (made["created_at"], made["results_url"]) == ("1970-01-01T00:01:00Z", "https://gw/results")
    assert (made["ended_at"] is not None) == (theirs == "ended")


def test_recorded_batches_come_back_as_they_were() -> None:
    for entry in exchanges("batches", provider="openai"):
        value = entry.load().response_json
        for item in value["data"] if value["object"] == "list" else [value]:
            assert _said(openai_batches.write_batch(openai_batches.read_batch(item))) == _said(item)
    for entry in exchanges("batches", provider="anthropic"):
        value = entry.load().response_json
        for item in value.get("data", [value]) if isinstance(value, dict) and "custom_id" not in value else ():
            made = anthropic_batches.write_batch(anthropic_batches.read_batch(item), item["results_url"])
            assert {name: _moment(name, found) for name, found in made.items()} == {
                name: _moment(name, found) for name, found in item.items()
            }


def _said(value: Any) -> Any:
    return {name: found for name, found in value.items() if found is not None}


def _moment(name: str, value: Any) -> Any:
    """We write times to the second."""
    return seconds(value) if name.endswith("_at") else value


def test_recorded_requests_and_results_are_read() -> None:
    found = []
    for entry in exchanges("batches", provider="anthropic"):
        exchange = entry.load()
        if exchange.data["request"]["url"].endswith("/results"):
            found += [anthropic_batches.read_result(line) for line in exchange.response_bytes.splitlines()]
        elif exchange.request_json:
            requests = anthropic_batches.read_requests(json.dumps(exchange.request_json).encode())
            assert [request.custom_id for request in requests] == ["0"]
    for result in found:
        response = registry.get("anthropic_messages").decode_response(result.body)
        assert (result.outcome, response.usage.output_tokens > 0) == ("succeeded", True)
