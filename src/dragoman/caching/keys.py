"""The key of an answer: a digest of everything that can change it. Pure.

A request counts as our vocabulary has it, with what only its own dialect knows, so whoever asks the same gets the same
answer, in whichever dialect and whether streamed or not. The order of keys inside a value (a schema, a tool's arguments)
counts: models follow it. That of parameters does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core.http import Headers

VERSION = 1
"""Of what is hashed here and of `entries.Entry`. Another one leaves what is kept alone."""

_TRANSPORT: dict[str, Any] = {"model": "", "stream": False, "include_usage": None}
"""Fields that say how an answer travels; the model is a part of its own."""
_TRANSPORT_EXTRA = frozenset({"stream", "stream_options"})
_NOISE = frozenset({"idempotency-key", "traceparent", "tracestate", "user-agent", "x-client-request-id", "x-request-id"})
"""Headers that tell one request from another and mean nothing to a model."""

_encode = msgspec.msgpack.Encoder().encode


def digest(*parts: Any) -> str:
    """Of values that msgpack can say: Structs, texts, numbers, bytes, and lists and dicts of them."""
    return sha256(_encode((VERSION, *parts))).hexdigest()


def meaning(request: Struct) -> Struct:
    """The request without what says only how its answer is to travel."""
    fields = request.__struct_fields__
    changes = {name: value for name, value in _TRANSPORT.items() if name in fields}
    extra: Mapping[str, Mapping[str, Any]] = getattr(request, "extra", {})
    if extra:
        changes["extra"] = {dialect: _in_order(extra[dialect]) for dialect in sorted(extra)}
    return msgspec.structs.replace(request, **changes)


def headers(given: Headers) -> list[tuple[str, str]]:
    """Those that may change an answer."""
    return sorted(header for header in given if header[0] not in _NOISE)


def body(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that are merged into a body."""
    return _in_order(extra)


def _in_order(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in sorted(fields) if name not in _TRANSPORT_EXTRA}
