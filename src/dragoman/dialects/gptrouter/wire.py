"""What every part of the GPTRouter dialect shares: its name, its ids, and how an event is written.

Events are one line of ASCII: the clients there are cut lines at U+2028, U+2029 and U+0085 too, and lose what they cut.
Ids are UUIDs made of names, so that they are the same in every worker and after every start.
"""

from __future__ import annotations

from functools import lru_cache
from json import dumps
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from dragoman.core import json

NAME = "gptrouter"
PREAMBLE = b"retry: 3000\n\n"
PING = b": ping\n\n"
TRAILER = b"event: end\ndata: Stream closed\n\n"
"""What the transport of the original adds to the end of every stream, good or bad."""


@lru_cache(maxsize=4096)
def provider_id(provider: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"gptrouter:provider:{provider}"))


@lru_cache(maxsize=4096)
def model_id(provider: str, model: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"gptrouter:model:{provider}/{model}"))


def ascii_json(value: Any) -> bytes:
    """JSON of plain values, with every character beyond ASCII escaped."""
    written = json.encode(value)
    return written if written.isascii() else dumps(json.decode(written), separators=(",", ":")).encode()


def event(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % ascii_json(value)
