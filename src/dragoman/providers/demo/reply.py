"""An answer as the writers of a wire give it to `plan`, which puts the timing to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from dragoman.core.http import Headers

CREATED = 1_767_225_600
"""The Unix time of every answer (2026-01-01): no clock is read here."""


class Reply(Struct, frozen=True, kw_only=True):
    """`chunks` are bytes with the number of tokens they bring. `stream` tells an event stream from a body that comes whole."""

    chunks: tuple[tuple[bytes, int], ...]
    stream: bool = False
    headers: Headers = ()


def identity(body: bytes, length: int = 24) -> str:
    """An id made of the request: the same request gets the same one."""
    return hashlib.blake2b(body, digest_size=length // 2).hexdigest()


def texts(content: Any) -> str:
    """The text of a message's content, whether it is a string or parts, however deep."""
    if isinstance(content, str):
        return content
    parts: Iterable[Any] = content if isinstance(content, list) else ()
    return "\n".join(filter(None, (_part_text(part) for part in parts)))


def _part_text(part: Any) -> str:
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else texts(part.get("content"))
