"""Helpers for the dialects of pictures and sound: recorded requests as bytes, forms as values, bodies as JSON."""

from __future__ import annotations

import json
from typing import Any

from dragoman.core import multipart
from support.recordings import Entry, body_bytes

OMITTED = "[multipart form data omitted]"


def sent(entry: Entry) -> tuple[bytes, str] | None:
    """The body and content-type of a recorded request; None where the source kept none."""
    request = entry.load().data["request"]
    if not request["recorded"] or request["body_encoding"] == "none" or request["body"] == OMITTED:
        return None
    return body_bytes(request), request["headers"].get("content-type", "application/json")


def as_form(body: bytes, content_type: str) -> dict[str, Any]:
    """A form as name -> values, in any order of names: text, or (bytes, filename, media type) for files."""
    found: dict[str, Any] = {}
    for part in multipart.decode(body, multipart.boundary_of(content_type)):
        value = part.text if part.filename is None else (part.data, part.filename, part.media_type)
        found.setdefault(part.name, []).append(value)
    return found


def as_value(body: bytes | dict[str, Any], content_type: str = "application/json") -> Any:
    """A body to compare: JSON as its value, a form as `as_form`."""
    if isinstance(body, dict):
        return json.loads(json.dumps(body))
    return json.loads(body) if content_type == "application/json" else as_form(body, content_type)


def answered(entry: Entry) -> tuple[bytes, str]:
    """The body and content-type of a recorded answer."""
    exchange = entry.load()
    return exchange.response_bytes, exchange.headers.get("content-type", "")


def without_nulls(value: Any) -> Any:
    """Null says the same as absence."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
