"""What demo counts as a token: at most four letters or digits, or one sign, each with the white space before it, if any.

The tokens of a text, joined, are the text. Usage is the number of them: exact, and the same everywhere. A message of the
prompt adds four for its frame, a part that is not text counts 85.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MESSAGE_FRAME = 4
MEDIA_PART = 85

_TOKEN = re.compile(r"\s?\w{1,4}|\s?[^\w\s]|\s")


def split(text: str) -> list[str]:
    return _TOKEN.findall(text)


def count(text: str) -> int:
    return len(_TOKEN.findall(text))


def first(text: str, limit: int) -> str:
    """The text of the first `limit` tokens."""
    return "".join(split(text)[:limit])


def groups(text: str, size: int) -> Iterator[list[str]]:
    """The tokens, `size` at a time."""
    tokens = split(text)
    for start in range(0, len(tokens), size):
        yield tokens[start : start + size]
