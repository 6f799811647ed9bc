"""Every recorded text completion, replayed through both halves and the tap; Mistral's fill-in-the-middle likewise.

Streams are folded a second time by plain code; requests come back as they were recorded, but for what is written down here.
Not spoken: Hugging Face's `hf_task`, the API of single models that its router has replaced (its language models chat and
complete in OpenAI's dialects), and Anthropic's `complete`, which is switched off.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, Finish
from dragoman.core.errors import error_for
from dragoman.core.unfold import unfold
from dragoman.dialects.openai_completions import DIALECT
from support.chat_streams import cuts, decode_stream
from support.recordings import Entry, exchanges

NO_COMPLETION = {"openai-completions-plain-3b56213f": "an organisation's usage, whose URL ends in the same word"}
ALL = [entry for entry in exchanges("completions") + exchanges("fim") if entry.id not in NO_COMPLETION]
GOOD = [entry for entry in ALL if entry.status == 200]
STREAMS = [entry for entry in GOOD if entry.streaming]
ANSWERS = [entry for entry in GOOD if not entry.streaming]
FAILURES = [entry for entry in ALL if entry.status != 200]
BY_ID = {"ids": lambda entry: entry.id}
LONG = 20_000
"""Bytes of a stream that is not cut byte by byte, to save time."""

if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


def text_of(choice: dict[str, Any]) -> str:
    held = choice.get("message") or choice.get("delta") or {}
    return choice["text"] if choice.get("text") is not None else held.get("content") or ""


def told(response: Any) -> dict[str, Any]:
    return {
        "texts": ["".join(part.text for part in choice.parts) for choice in response.choices],
        "reasons": [choice.finish.native for choice in response.choices],
        "counts": response.usage and (response.usage.input_tokens, response.usage.output_tokens),
        "id": response.id,
        "model": response.model,
    }


def meaning(response: Any) -> Any:
    """Clients are told in OpenAI's words why an answer ended, and "stop" where the provider says nothing."""
    told = [replace(choice.finish, native=None) for choice in response.choices]
    known = [Finish(reason="stop") if finish.reason == "unknown" else finish for finish in told]
    choices = zip(response.choices, known, strict=True)
    return replace(response, choices=tuple(replace(choice, finish=finish) for choice, finish in choices))


def counts_of(usage: dict[str, Any] | None) -> tuple[int, int] | None:
    return usage and (usage["prompt_tokens"], usage.get("completion_tokens", 0))


def folded(data: bytes) -> dict[str, Any]:
    """What a stream amounts to, by plain code."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    counts, first = None, {}
    for line in data.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        chunk = json.loads(line[6:])
        first = first or chunk
        counts = counts_of(chunk.get("usage")) or counts
        for choice in chunk["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + text_of(choice)
            if choice.get("finish_reason"):
                reasons[choice["index"]] = choice["finish_reason"]
    return {
        "texts": [texts[index] for index in sorted(texts)],
        "reasons": [reasons[index] for index in sorted(reasons)],
        "counts": counts,
        "id": first["id"],
        "model": first["model"],
    }


# ---------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_means_the_same_in_all_slicings(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decode_stream(DIALECT, data)
    for pieces in cuts(data, random.Random(entry.id), bytewise=len(data) < LONG):
        assert decode_stream(DIALECT, *pieces) == events
    assert isinstance(events[-1], ev.ResponseEnd)
    assert told(assemble(events)) == folded(data)


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_written_anew_means_the_same(entry: Entry) -> None:
    events = decode_stream(DIALECT, entry.load().response_bytes)
    encoder = DIALECT.stream_encoder(ChatRequest(model="m", include_usage=True), now=5)
    data = b"".join(encoder.encode(event) for event in events)
    again, expected = assemble(decode_stream(DIALECT, data)), assemble(events)
    assert meaning(again) == meaning(expected)
    assert data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_the_tap_agrees_with_the_decoder(entry: Entry) -> None:
    data = entry.load().response_bytes
    expected = assemble(decode_stream(DIALECT, data)).usage
    for pieces in ([data], *cuts(data, random.Random(entry.id), bytewise=len(data) < LONG)):
        tap = DIALECT.stream_tap()
        for piece in pieces:
            tap.feed(piece)
        assert (tap.started, tap.complete, tap.usage, tap.error) == (True, True, expected, None)


@pytest.mark.parametrize("entry", STREAMS, **BY_ID)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    for end in random.Random(entry.id).sample(range(data.rindex(b'"finish_reason"')), 3):
        events = decode_stream(DIALECT, data[:end])
        assert isinstance(events[-1], ev.StreamError)
        tap = DIALECT.stream_tap()
        tap.feed(data[:end])
        assert not tap.complete


# ---------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("entry", ANSWERS, **BY_ID)
def test_an_answer_is_read_whole_and_comes_back(entry: Entry) -> None:
    recorded = entry.load()
    answer = recorded.response_json
    response = DIALECT.decode_response(recorded.response_bytes)
    assert told(response) == {
        "texts": [text_of(choice) for choice in answer["choices"]],
        "reasons": [choice.get("finish_reason") for choice in answer["choices"]],
        "counts": counts_of(answer.get("usage")),
        "id": answer.get("id", ""),
        "model": answer["model"],
    }
    again = DIALECT.decode_response(DIALECT.encode_response(response, now=5))
    assert meaning(again) == meaning(replace(response, created=response.created or 5))
    assert told(assemble(unfold(response))) == told(response)
    assert DIALECT.read_usage(recorded.response_bytes) == response.usage


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize("entry", ALL, **BY_ID)
def test_a_request_comes_back_as_it_was_recorded(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    encoded = DIALECT.encode_request(DIALECT.decode_request(json.dumps(recorded).encode()))
    assert json.loads(json.dumps(encoded.body)) == plain(recorded)
    assert encoded.warnings == ()


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """These are all the deliberate differences: null is not said, and neither is `stream: false`, the default."""
    return {key: value for key, value in body.items() if value is not None and (key, value) != ("stream", False)}


# --------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, **BY_ID)
def test_a_failure_is_understood_and_can_be_told_again(entry: Entry) -> None:
    recorded = entry.load()
    told_by_openai = recorded.response_json["error"]
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert (detail.message, detail.type) == (told_by_openai["message"], told_by_openai["type"])
    error = error_for(entry.status, detail)
    assert error.status_code == entry.status
    assert told_by_openai["message"] in json.loads(DIALECT.encode_error(error))["error"]["message"]
