"""Spans of time that budgets and limits are counted in: "30s", "15m", "24h", "7d", "2w", "1mo", and "" for always.

Windows are cut at fixed places, so that every worker and every restart cuts them alike: days at midnight UTC, whole weeks on
Monday, months on the first. A window has an id, which is part of the key of whatever is counted in it: what ends late is
booked where it began, and nothing ever has to be set back. Pure: `now` is Unix seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from typing import NamedTuple

from dragoman.core.errors import BadRequestError, ErrorDetail

ALWAYS = ""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_WORDS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "1mo", "yearly": "12mo"}
_FORM = re.compile(r"([1-9][0-9]{0,6})(mo|[smhdw])")
_WEEK, _MONDAY = 7 * 86400, 4 * 86400
"""Unix time begins on a Thursday: the first Monday comes four days later."""


class Window(NamedTuple):
    """`id` is "" for always, else the span and its number: "1d#20600". `begins` and `ends` are Unix seconds."""

    id: str
    begins: float
    ends: float


_FOREVER = Window(ALWAYS, 0.0, inf)


def span(text: str | None, field: str = "budget_duration") -> str:
    """A span as it is kept. Raises BadRequestError for what is none."""
    found = _WORDS.get(text or "", text or "")
    if found and not _FORM.fullmatch(found):
        message = f"{text!r} is no span of time; write a number and s, m, h, d, w or mo, such as 30d"
        raise BadRequestError(f"{field}: {message}", detail=ErrorDetail(message=message, param=field), attempts=0)
    return found


def seconds(text: str, field: str = "duration") -> float:
    """How long a span lasts; a month counts as 30 days. Raises BadRequestError."""
    number, unit = _parts(span(text, field))
    return number * (30 * 86400 if unit == "mo" else _UNITS[unit])


def window(text: str, now: float) -> Window:
    """The window of this span that `now` is in."""
    if not text:
        return _FOREVER
    number, unit = _parts(text)
    if unit == "mo":
        return _months(text, number, now)
    length = number * _UNITS[unit]
    offset = _MONDAY if length % _WEEK == 0 else 0
    index = int((now - offset) // length)
    return Window(f"{text}#{index}", index * length + offset, (index + 1) * length + offset)


@lru_cache(maxsize=1024)
def _parts(text: str) -> tuple[int, str]:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} did not go through `span`")
    return int(match[1]), match[2]


def _months(text: str, number: int, now: float) -> Window:
    day = datetime.fromtimestamp(now, UTC)
    index = (day.year * 12 + day.month - 1) // number
    return Window(f"{text}#{index}", _first_of(index * number), _first_of((index + 1) * number))


def _first_of(month: int) -> float:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()
