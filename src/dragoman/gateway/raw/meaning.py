"""What a request that is passed on is, as far as one of the provider's dialects knows its path. Pure.

It decides nothing about where the request goes: it tells the books which operation and model it was, and who reads its usage.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dragoman.core import json
from dragoman.dialects import registry
from dragoman.providers.base import Target

UNKNOWN = "passthrough"
_MODEL_IN_PATH = re.compile(r"/models/([^/:?]+)")


class Meaning(NamedTuple):
    """`operation` is "passthrough", and `dialect` None, where nobody knows the path. `model` may be "" there."""

    operation: str
    model: str
    stream: bool
    dialect: Any = None
    name: str = ""


def meaning(target: Target, method: str, url: str, body: bytes) -> Meaning:
    """What is asked at `url`."""
    fields = _fields(body)
    place = url.partition("?")[0]
    in_path = _MODEL_IN_PATH.search(place)
    model = fields.get("model") or (in_path[1] if in_path else "")
    stream = fields.get("stream") is True or ":stream" in place
    if method == "POST" and isinstance(model, str) and model:
        for operation, name in target.provider.dialects.items():
            dialect = registry.get(name)
            path = target.provider.paths.get(operation) or dialect.path(model, stream=stream)
            if place == (target.base_url + path).partition("?")[0] and hasattr(dialect, "read_usage"):
                return Meaning(operation, model, stream, dialect, name)
    return Meaning(UNKNOWN, model if isinstance(model, str) else "", stream)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        value = json.decode(body) if body.startswith(b"{") else None
    except json.UNREADABLE:
        value = None
    return value if isinstance(value, dict) else {}
