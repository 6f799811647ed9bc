"""What policy may know of a request, read from its envelope at the cost of a few searches through its bytes. Pure.

No body is decoded and nothing is counted exactly: input tokens are estimated rather too low than too high, because a
deployment is left out for a prompt that seems too long, while a provider that refuses one leads to the fallbacks for it.
Called by the gateway and by `Router`, and only where there is something to choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dragoman.core import json
from dragoman.router.state import RequestFacts

BYTES_PER_TOKEN = 5
ESCAPED_BYTES_PER_TOKEN = 12
"""Where letters are written as escapes of JSON."""

_PROMPT = ("messages", "system", "instructions", "input", "contents", "systemInstruction", "prompt", "tools", "functions")
_MOST_OUTPUT = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_DATA = re.compile(rb"[A-Za-z0-9+/=_-]{256,}")
"""Files in base64: they are no text, and what they count as is the provider's to say."""
_LONG = 4096

_INPUTS = {
    "images": re.compile(rb'"(?:image_url|input_image)"|"type": ?"image"|"mime_?[tT]ype": ?"image/'),
    "audio": re.compile(rb'"input_audio"|"mime_?[tT]ype": ?"audio/'),
    "documents": re.compile(rb'"type": ?"(?:file|input_file|document)"|"mime_?[tT]ype": ?"application/pdf'),
}
"""Ability -> how a prompt shows that it is needed. Inside a text the quotes would be escaped."""
_SCHEMAS = ("response_format", "text", "output_format", "output_config", "generationConfig")
_SCHEMA = re.compile(rb'"json_schema"|"response_?(?:json_)?schema"', re.IGNORECASE)
_NONE = (b"null", b"[]")


def request_facts(
    envelope: json.Envelope, group: str, *, stream: bool, session: str | None = None, tagged: bool = False, **own: Any
) -> RequestFacts:
    """`own` are fields of RequestFacts that the caller knows better. `tagged`: tags of the request's metadata count."""
    prompt = [bytes(envelope[name]) for name in _PROMPT if name in envelope]
    metadata, user = _metadata(envelope), _text(envelope, "user")
    found: dict[str, Any] = {
        "input_tokens": sum(map(_tokens, prompt)),
        "output_tokens": next((_count(envelope, name) for name in _MOST_OUTPUT if name in envelope), 0),
        "abilities": _abilities(envelope, prompt),
        "session": session or _session(envelope, metadata, user),
        "tenant": user or "",
        "tags": _tags(metadata) if tagged else frozenset(),
    }
    return RequestFacts(group=group, stream=stream, **found | own)


def _tokens(text: bytes) -> int:
    size = len(text)
    if size > _LONG:
        size -= sum(match.end() - match.start() for match in _DATA.finditer(text))
    return size // (ESCAPED_BYTES_PER_TOKEN if b"\\u" in text else BYTES_PER_TOKEN)


def _abilities(envelope: json.Envelope, prompt: list[bytes]) -> frozenset[str]:
    found = [name for name, sign in _INPUTS.items() if any(map(sign.search, prompt))]
    if any(bytes(envelope[name]) not in _NONE for name in ("tools", "functions") if name in envelope):
        found.append("tools")
    if any(_SCHEMA.search(envelope[name]) for name in _SCHEMAS if name in envelope):
        found.append("schema")
    return frozenset(found)


def _session(envelope: json.Envelope, metadata: Mapping[str, Any], user: str | None) -> str | None:
    """What requests that go on from one another, or share a prompt, have in common."""
    named = (_text(envelope, "prompt_cache_key"), metadata.get("session_id"), metadata.get("user_id"), user)
    return next((name for name in named if isinstance(name, str) and name), None)


def _metadata(envelope: json.Envelope) -> Mapping[str, Any]:
    value = json.read(envelope, "metadata")
    return value if isinstance(value, dict) else {}


def _tags(metadata: Mapping[str, Any]) -> frozenset[str]:
    tags = metadata.get("tags")
    return frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else frozenset()


def _text(envelope: json.Envelope, key: str) -> str | None:
    value = json.read(envelope, key)
    return value if isinstance(value, str) else None


def _count(envelope: json.Envelope, key: str) -> int:
    """A number that makes no sense is for the provider to refuse."""
    value = json.read(envelope, key)
    return value if type(value) is int and value > 0 else 0


def without_tags(envelope: json.Envelope) -> json.Envelope:
    """The request without the tags in its metadata: they chose a deployment, and no provider knows them."""
    left = {name: value for name, value in _metadata(envelope).items() if name != "tags"}
    rest = {name: value for name, value in envelope.items() if name != "metadata"}
    return {**rest, "metadata": json.raw(left)} if left else rest
