"""Values of an answer, taken for what they are: a value of a wrong kind is refused or passed over, never passed on.

Shared by the dialects that read plain JSON objects. Their decoders turn the TypeError into ResponseDecodeError or StreamError.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json


def need_text(value: Any) -> str:
    """A string. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {json.kind(value)}")
    return value


def text_of(value: Any) -> str:
    """A string, "" for null. Raises TypeError for anything else."""
    return "" if value is None else need_text(value)


def text_or_none(value: Any) -> str | None:
    """A string that says something; None for anything else."""
    return value if isinstance(value, str) and value else None


def integer_or_none(value: Any) -> int | None:
    return value if type(value) is int else None
