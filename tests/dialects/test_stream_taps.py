"""Every usage tap bears whatever bytes come: it never raises, and what is no event is an error that says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.dialects import registry

TAPS = ["openai_chat", "openai_responses", "openai_completions", "anthropic_messages", "gemini"]
EVENTS = {
    "openai_chat": b'{"choices":[{"index":0,"finish_reason":"%b"}]}',
    "openai_responses": b'{"type":"error","message":"%b"}',
    "openai_completions": b'{"choices":[{"index":0,"finish_reason":"%b"}]}',
    "anthropic_messages": b'{"type":"error","error":{"message":"%b"}}',
    "gemini": b'{"candidates":[{"finishReason":"%b"}]}',
}


@pytest.mark.parametrize("dialect", TAPS)
def test_an_event_that_is_not_utf8_is_an_error(dialect: str) -> None:
    tap = registry.get(dialect).stream_tap()
    tap.feed(b"data: " + EVENTS[dialect] % b"\xff" + b"\n\n")
    assert tap.started
    assert tap.error is not None
    assert "not JSON" in tap.error.message


@pytest.mark.parametrize("dialect", TAPS)
@given(pieces=st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"{", b"}", b'"error"', b"\xff"])))
def test_no_bytes_raise(dialect: str, pieces: list[bytes]) -> None:
    tap = registry.get(dialect).stream_tap()
    for piece in pieces:
        tap.feed(piece)
