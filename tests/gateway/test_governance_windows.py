"""Windows are cut at fixed places, the same ones for everybody."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequestError
from dragoman.gateway.governance import windows

SPANS = ["1s", "30s", "1m", "15m", "24h", "1d", "30d", "7d", "2w", "1mo", "3mo", "12mo"]
MOMENTS = st.floats(min_value=0, max_value=4e9)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "span, now, begins, ends",
    [
        ("1m", "2026-11-24T10:20:30", "2026-11-24T10:20:00", "2026-11-24T10:21:00"),
        ("1d", "2026-11-24T10:20:30", "2026-11-24T00:00:00", "2026-11-25T00:00:00"),
        ("7d", "2026-11-24T10:20:30", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),  # a Tuesday: from Monday to Monday
        ("1w", "2026-11-23T00:00:00", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("1mo", "2026-02-28T23:59:59", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("1mo", "2026-12-31T00:00:00", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("3mo", "2026-05-15T00:00:00", "2026-04-01T00:00:00", "2026-07-01T00:00:00"),
    ],
)
def test_a_window_is_where_the_calendar_says(span: str, now: str, begins: str, ends: str) -> None:
    found = windows.window(span, at(now))
    assert (found.begins, found.ends) == (at(begins), at(ends))


@given(st.sampled_from(SPANS), MOMENTS)
def test_every_moment_is_in_exactly_one_window_and_the_next_begins_where_it_ends(span: str, now: float) -> None:
    found = windows.window(span, now)
    assert found.begins <= now < found.ends
    assert windows.window(span, found.begins) == found
    after = windows.window(span, found.ends)
    assert after.begins == found.ends
    assert after.id != found.id


def test_always_has_one_window_that_never_ends() -> None:
    assert windows.window("", 5.0) == ("", 0.0, inf)


@pytest.mark.parametrize("text, kept", [("daily", "1d"), ("monthly", "1mo"), ("30d", "30d"), ("", ""), (None, "")])
def test_spans_are_kept_in_one_form(text: str | None, kept: str) -> None:
    assert windows.span(text) == kept


@pytest.mark.parametrize("text", ["0d", "-1d", "d", "1y", "1.5h", "1 d", "1D", "99999999s"])
def test_what_is_no_span_is_named(text: str) -> None:
    with pytest.raises(BadRequestError, match="budget_duration: "):
        windows.span(text)
