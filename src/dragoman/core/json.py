"""The one JSON codec. Raw envelopes keep what is not touched as the bytes that came.

`Envelope` is a JSON object split at its top level only: every value stays the bytes the client wrote until someone asks
for it, so a 64 KB body costs one scan, and what nobody edits is forwarded exactly as it came.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

DecodeError = msgspec.DecodeError
"""Raised by everything here that reads; the message names the path for typed reads."""

UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
"""What reading may end in: bad JSON, bad UTF-8 in a string, and nesting deeper than anyone means it."""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode

Envelope = dict[str, Raw]
decode_envelope = msgspec.json.Decoder(dict[str, Raw]).decode


def raw(value: Any) -> Raw:
    """A value as the bytes an envelope holds."""
    return Raw(encode(value))


@lru_cache(maxsize=4096)
def raw_text(text: str) -> Raw:
    """As `raw`, for a text that comes again and again, such as a model's name."""
    return raw(text)


def read(envelope: Envelope, key: str) -> Any:
    """The value under `key`, or None when absent."""
    held = envelope.get(key)
    return None if held is None else decode(held)


def kind(value: Any) -> str:
    """The JSON name of a Python value's type, for messages to people."""
    return _KINDS.get(type(value), type(value).__name__)


_KINDS = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def pretty(text: bytes, indent: int) -> bytes:
    """The same JSON, indented for people."""
    return msgspec.json.format(text, indent=indent)
