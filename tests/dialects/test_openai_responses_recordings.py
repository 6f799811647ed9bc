"""Every recorded exchange with the Responses API, replayed: answers, streams in all slicings, requests, failures.

Nothing here compares the dialect with itself alone: streams are held against the final response that they end with, and bodies
against what was recorded. What may differ is written down with its reason.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import BadRequestError, ResponseDecodeError, error_for
from dragoman.dialects.openai_responses import DIALECT
from support.recordings import Entry, exchanges
from support.slicing import cut

ALL = exchanges("responses")
if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)

NOT_THIS_DIALECT = {"azure-responses-reasoning-c36b68f8": "the host answered with a chat completion"}
FAILED_STREAMS = {"openai-responses-stream_error-stream-153ca05e": "the limit was hit after HTTP 200"}
TWO_STREAMS = {"openai-responses-parallel_tools-stream-04b636d5": "two answers were recorded as one"}
ANSWERS = [entry for entry in exchanges("responses", streaming=False, ok=True) if entry.id not in NOT_THIS_DIALECT]
STREAMS = [
    entry for entry in exchanges("responses", streaming=True, ok=True) if entry.id not in FAILED_STREAMS.keys() | TWO_STREAMS
]
FAILURES = exchanges("responses", ok=False)


def by_id(entry: Entry) -> str:
    return entry.id


def decoded(pieces: Iterable[bytes]) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def written_anew(events: Iterable[ev.Event]) -> bytes:
    encoder = DIALECT.stream_encoder(ChatRequest(model="asked"), now=0)
    return b"".join(encoder.encode(event) for event in events)


def frames(data: bytes) -> list[dict[str, Any]]:
    lines = data.decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and not line.endswith("[DONE]")]


def slices(data: bytes, source: random.Random) -> Iterable[list[bytes]]:
    crlf = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    for text in (data, crlf):
        if len(text) < 15_000:
            yield [text[place : place + 1] for place in range(len(text))]
        yield cut(text, [source.randrange(len(text)) for _ in range(len(text) // 100)])


# ---------------------------------------------------------------------------------------------------------------- equality
ECHO_DEFAULTS = {
    "background": False,
    "parallel_tool_calls": True,
    "store": False,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "truncation": "disabled",
}
"""What is written where the provider echoed nothing of the request, because clients expect it."""


def without_silence(value: Any) -> Any:
    """Null and an empty list or object say the same as a field that is not there."""
    if isinstance(value, dict):
        kept = {key: without_silence(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner is not None and inner not in ({}, [])}
    return [without_silence(inner) for inner in value] if isinstance(value, list) else value


def no_zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: no_zeros(inner) for key, inner in value.items() if inner != 0 or isinstance(inner, bool)}
    return value


def said(response: dict[str, Any]) -> dict[str, Any]:
    """A response for comparison."""
    left = {**response, "usage": no_zeros(response.get("usage") or {}), "output": [item(found) for found in response["output"]]}
    left.pop("output_text", None)  # the client library's copy of the texts
    return without_silence({key: value for key, value in left.items() if ECHO_DEFAULTS.get(key, left) != value})


def item(found: dict[str, Any]) -> dict[str, Any]:
    if made_here(found):
        found = {key: value for key, value in found.items() if key != "id"}
    if found["type"] != "message":
        return found
    contents = [content(inner) for inner in found["content"]]
    if contents and contents[0]["type"] == "refusal":
        found = {key: value for key, value in found.items() if key != "id"}  # it gets a new one: see `made_here`
    return {**found, "content": contents}


def made_here(found: dict[str, Any]) -> bool:
    """An item without an id gets one, as clients expect; so does a refusal, because our part has no place to keep its own."""
    return "_dragoman_" in found.get("id", "")


def content(found: dict[str, Any]) -> dict[str, Any]:
    """Citations of xAI say neither title nor place, which clients need: they get an empty title, and the text as a whole."""
    cited = [annotation(inner, len(found.get("text", ""))) for inner in found.get("annotations", ())]
    return {**found, "annotations": cited}


def annotation(found: dict[str, Any], length: int) -> dict[str, Any]:
    whole = {"title": "", "start_index": 0, "end_index": length} if found["type"] == "url_citation" else {}
    return whole | found


def encoded(response: ChatResponse) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(DIALECT.encode_response(response, now=0))
    return written


# ----------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("entry", ANSWERS, ids=by_id)
def test_an_answer_comes_back_as_it_was_recorded(entry: Entry) -> None:
    """decode then encode, on the recorded JSON: no field is lost and none is invented."""
    recorded = entry.load()
    response = DIALECT.decode_response(recorded.response_bytes)
    assert said(encoded(response)) == said(recorded.response_json)
    assert response.warnings == ()
    assert DIALECT.read_usage(recorded.response_bytes) == response.usage


@pytest.mark.parametrize("entry", [entry for entry in ALL if entry.id in NOT_THIS_DIALECT], ids=by_id)
def test_another_dialects_answer_is_refused(entry: Entry) -> None:
    with pytest.raises(ResponseDecodeError, match="output: expected an array, found nothing"):
        DIALECT.decode_response(entry.load().response_bytes)


# ----------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_means_the_same_in_every_slicing(entry: Entry) -> None:
    data = entry.load().response_bytes
    whole = decoded([data])
    for pieces in slices(data, random.Random(entry.id)):
        assert decoded(pieces) == whole


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_adds_up_to_its_final_response(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decoded([data])
    assert isinstance(events[0], ev.ResponseStart)
    assert isinstance(events[-1], ev.ResponseEnd)
    response = assemble(events)
    assert response.warnings == ()
    assert said(encoded(response)) == said(final(entry, data) | scrubbed(entry, data))


def final(entry: Entry, data: bytes) -> dict[str, Any]:
    """The response of the last event, with the items as they were streamed, which it repeats; one host leaves them out."""
    ends = [frame for frame in frames(data) if frame["type"] in ("response.completed", "response.incomplete")]
    response: dict[str, Any] = ends[-1]["response"]
    ended = [frame for frame in frames(data) if frame["type"] == "response.output_item.done"]
    done = [frame["item"] for frame in sorted(ended, key=lambda frame: frame["output_index"])]
    if entry.provider == "chatgpt_codex" and not response["output"]:
        return response | {"output": done}
    unsealed = [nameless(found) for found in done]
    assert without_silence([nameless(found) for found in response["output"]]) == without_silence(unsealed)
    return response | {"output": done}


def nameless(found: dict[str, Any]) -> dict[str, Any]:
    """Thoughts are sealed anew for the last event, and two hosts give new ids there; either are as good."""
    return {key: value for key, value in found.items() if key not in ("encrypted_content", "id", "call_id")}


def scrubbed(entry: Entry, data: bytes) -> dict[str, Any]:
    """Where the recording replaced ids one by one, the first stands."""
    first = next(frame["response"]["id"] for frame in frames(data) if frame["type"] == "response.created")
    return {"id": first} if "REDACTED" in first or entry.provider == "github_copilot" else {}


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_written_anew_is_in_order_and_means_the_same(entry: Entry) -> None:
    events = decoded([entry.load().response_bytes])
    data = written_anew(events)
    assert_vendor_order(frames(data))
    again = decoded([data])
    expected = encoded(assemble(events)) | one_piece(events)
    if entry.provider == "github_copilot":  # its ids change from event to event; written anew, the first stays
        expected["output"] = [
            first | {"id": found["id"]}
            for first, found in zip(expected["output"], encoded(assemble(again))["output"], strict=True)
        ]
    assert said(encoded(assemble(again))) == said(expected)
    assert said(frames(data)[-1]["response"]) == said(encoded(assemble(again)))


def one_piece(events: Iterable[ev.Event]) -> dict[str, Any]:
    """The pieces of a reasoning summary become one in a stream that is written anew: our events do not tell them apart."""
    output = encoded(assemble(events))["output"]
    for found in output:
        for key in ("summary", "content") if found["type"] == "reasoning" else ():
            if len(found.get(key) or ()) > 1:
                found[key] = [{**found[key][0], "text": "\n\n".join(piece["text"] for piece in found[key])}]
    return {"output": output}


def assert_vendor_order(sent: list[dict[str, Any]]) -> None:
    assert [frame["sequence_number"] for frame in sent] == list(range(len(sent)))
    kinds = [frame["type"] for frame in sent]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    added = [frame for frame in sent if frame["type"] == "response.output_item.added"]
    done = [frame for frame in sent if frame["type"] == "response.output_item.done"]
    assert [frame["output_index"] for frame in added] == list(range(len(added)))
    assert sorted(frame["output_index"] for frame in done) == list(range(len(added)))
    assert [frame["item"] for frame in sorted(done, key=lambda frame: frame["output_index"])] == sent[-1]["response"]["output"]
    for first in added:
        place, id_ = first["output_index"], first["item"].get("id")
        of_item = [frame for frame in sent if frame.get("output_index") == place]
        assert of_item[0] is first
        assert of_item[-1]["type"] == "response.output_item.done"
        assert of_item[-1]["item"].get("id") == id_
        assert all(frame["item_id"] == id_ for frame in of_item[1:-1])


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_the_tap_agrees_with_the_decoder(entry: Entry) -> None:
    data = entry.load().response_bytes
    expected = assemble(decoded([data])).usage
    for pieces in ([data], *slices(data[-20_000:], random.Random(entry.id))):
        tap = DIALECT.stream_tap()
        for piece in pieces:
            tap.feed(piece)
        assert (tap.started, tap.complete, tap.usage, tap.error, tap.error_status) == (True, True, expected, None, 0)


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    places = [data.rfind(mark) for mark in (b'"response.completed"', b'"response.incomplete"')]
    for end in random.Random(entry.id).sample(range(max(places)), 3):
        events, tap = decoded([data[:end]]), DIALECT.stream_tap()
        assert isinstance(events[-1], ev.StreamError)
        assert events[-1].broken
        assert not any(isinstance(event, ev.ResponseEnd) for event in events)
        tap.feed(data[:end])
        assert not tap.complete


@pytest.mark.parametrize("entry", [entry for entry in ALL if entry.id in FAILED_STREAMS], ids=by_id)
def test_a_failure_inside_a_stream_is_told(entry: Entry) -> None:
    data = entry.load().response_bytes
    for pieces in ([data], *slices(data, random.Random(1))):
        start, failure = decoded(pieces)
        assert isinstance(start, ev.ResponseStart)
        assert (failure.status, failure.code, failure.broken) == (429, "rate_limit_exceeded", False)
    again = decoded([written_anew(decoded([data]))])
    assert again[-1] == failure
    tap = DIALECT.stream_tap()
    tap.feed(data)
    assert (tap.complete, tap.error_status, tap.error.code) == (False, 429, "rate_limit_exceeded")


# ---------------------------------------------------------------------------------------------------------------- requests
NO_MODEL = "the model stands in a prompt that the vendor stores, where no gateway can see it"


@pytest.mark.parametrize("entry", ALL, ids=by_id)
def test_a_request_loses_nothing_on_the_way_through(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    if "prompt" in recorded and "model" not in recorded:
        with pytest.raises(BadRequestError, match="model: expected a string, found nothing"):
            DIALECT.decode_request(json.dumps(recorded).encode())
        recorded = {"model": NO_MODEL, **recorded}
    sent = DIALECT.encode_request(DIALECT.decode_request(json.dumps(recorded).encode()))
    assert sent.warnings == ()
    assert plain(sent.body) == plain(recorded)


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = without_silence(body)  # nulls, and lists that ask for nothing (tools, include, annotations)
    if body.get("stream") is False:
        del body["stream"]  # false is the default
    if isinstance(body.get("input"), list):
        body["input"] = [plain_item(found) for found in body["input"]]
    return body


def plain_item(found: dict[str, Any]) -> dict[str, Any]:
    if "role" in found:
        kind = "output_text" if found["role"] == "assistant" else "input_text"
        return {**found, "type": "message", "content": as_list(found.get("content"), kind)}  # a role makes it a message
    if "output" in found and found["type"].endswith("call_output"):
        return {**found, "output": as_list(found["output"], "input_text")}
    return found


def as_list(value: Any, kind: str) -> Any:
    """A text stands for one text item."""
    return [{"type": kind, "text": value}] if isinstance(value, str) else value


# ---------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_failure_is_understood_and_can_be_told_again(entry: Entry) -> None:
    recorded = entry.load()
    told = recorded.response_json
    told = told["error"] if isinstance(told.get("error"), dict) else {"message": told.get("error") or told["detail"], **told}
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert (detail.message, detail.code) == (told["message"], told.get("code"))
    error = error_for(entry.status, detail)
    assert error.status_code == entry.status
    again = json.loads(DIALECT.encode_error(error))["error"]
    assert told["message"] in again["message"]


def test_slices_are_slices() -> None:
    """The helper of this file, checked once: nothing is lost between the pieces."""
    data = b'data: {"type": "ping"}\n\n' * 40
    assert all(b"".join(pieces).replace(b"\r\n", b"\n") == data for pieces in slices(data, random.Random(1)))
    assert all(len(pieces) > 1 for pieces in slices(data, random.Random(1)))
    assert [end - start for start, end in pairwise([0, 2, 5])] == [2, 3]
