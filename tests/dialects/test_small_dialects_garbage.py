"""Whatever a provider sends, a stream ends in one last event and an answer is read or refused: nothing else is ever raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.errors import CallError
from dragoman.dialects import registry
from support.chat_streams import decode_stream

FOLDER = Path(__file__).parents[1] / "golden"
NAMES = ("cohere_chat", "ollama_chat", "openai_completions")
PREDICTION = {"id": "p", "status": "succeeded", "output": ["a", "b"], "metrics": {"input_token_count": 1}, "urls": {}}
few = settings(max_examples=200, deadline=None)

strange = st.sampled_from([None, True, 0, -1, 1e300, "", "x", [], {}, [None], {"x": 1}, [[]], [{"type": "text"}]])


def cases(kind: str, key: str) -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        for path in sorted((FOLDER / name).glob("*.json")):
            case = json.loads(path.read_text(encoding="utf-8"))
            if case["kind"] == kind:
                yield name, case[key]


STREAMS = [*cases("stream", "events"), *cases("lines", "lines")]
TRANSCRIPT = {
    "status": "completed",
    "text": "a",
    "words": [{"text": "a", "start": 1, "end": 2, "speaker": "A"}],
    "utterances": [{"text": "a", "start": 1, "end": 2, "speaker": "A"}],
    "language_code": "en",
    "audio_duration": 3,
}
OTHERS = [
    ("replicate_chat", PREDICTION),
    ("assemblyai_transcriptions", TRANSCRIPT),
    ("bedrock_images", {"images": ["QQ=="], "error": "x", "finish_reasons": ["y"], "seeds": [1]}),
    ("mistral_ocr", {"model": "m", "pages": [{"index": 0, "markdown": "x"}], "usage_info": {"pages_processed": 1}}),
]
ANSWERS = [*cases("answer", "body"), *OTHERS]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value that can be replaced."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = new
    return copy


def wire(name: str, items: list[Any]) -> bytes:
    if name == "ollama_chat":
        return b"".join(json.dumps(item).encode() + b"\n" for item in items)
    return b"".join(b"data: " + (item if isinstance(item, str) else json.dumps(item)).encode() + b"\n\n" for item in items)


def assert_one_end(events: list[Any]) -> None:
    assert isinstance(events[-1], ev.StreamError | ev.ResponseEnd)
    assert not any(isinstance(event, ev.StreamError | ev.ResponseEnd) for event in events[:-1])
    assert_typed(assemble(events))


def assert_typed(response: Any) -> None:
    """A value of a wrong kind is not passed on."""
    assert msgspec.convert(msgspec.to_builtins(response), type(response)) is not None


@few
@given(st.data())
def test_a_stream_with_one_strange_value(data: st.DataObject) -> None:
    name, items = data.draw(st.sampled_from(STREAMS))
    changed = with_value(items, data.draw(st.sampled_from(list(places(items)))), data.draw(strange))
    assert_one_end(decode_stream(registry.get(name), wire(name, changed)))


@few
@given(st.sampled_from((*NAMES, "replicate_chat")), st.binary(max_size=80))
def test_a_stream_of_noise(name: str, noise: bytes) -> None:
    head = b"event: output\ndata: x\n\n" if name == "replicate_chat" else b""
    for data in (noise, head + b"event: done\ndata: " + noise + b"\n\n", head + b"event: error\ndata: " + noise + b"\n\n"):
        assert_one_end(decode_stream(registry.get(name), data))


@few
@given(st.data())
def test_an_answer_with_one_strange_value(data: st.DataObject) -> None:
    name, body = data.draw(st.sampled_from(ANSWERS))
    changed = with_value(body, data.draw(st.sampled_from(list(places(body)))), data.draw(strange))
    read_or_refused(name, json.dumps(changed).encode())


@pytest.mark.parametrize("name", [*NAMES, *dict(OTHERS)])
@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"5", b"[]", b'"x"', b"[" * 5000])
def test_an_answer_that_is_none(name: str, body: bytes) -> None:
    with pytest.raises(CallError):
        registry.get(name).decode_response(body)


def read_or_refused(name: str, body: bytes) -> None:
    try:
        response = registry.get(name).decode_response(body)
    except CallError:
        return
    assert_typed(response)
