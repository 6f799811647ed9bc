"""The models of the gateway as each API lists them, and only those that whoever asks may use. Pure.

Anthropic's and Google's clients ask at OpenAI's path too, and are known by headers that they alone send. Called by `pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

Header = Callable[[bytes], bytes | None]
Shape = Callable[[str, int], dict[str, Any]]
"""Name of a model and Unix seconds -> one model of a list."""


def usable(names: Iterable[str], who: Identity | None) -> list[str]:
    """Of these models those that whoever asks may use, and the names of its own for them. None: everybody may use all."""
    if who is None:
        return list(names)
    found = [name for name in names if who.may_use(name)]
    own = [alias for alias, model in who.aliases.items() if alias not in found and who.may_use(model)]
    return found + sorted(own)


def openai(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "dragoman"}


def anthropic(name: str, created: int) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": f"{datetime.fromtimestamp(created, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def gemini(name: str, _: int) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }


_SENT_BY = ((b"anthropic-version", anthropic), (b"x-goog-api-key", gemini), (b"x-goog-api-client", gemini))


def shape(header: Header) -> Shape:
    """That of the client who asks at /v1/models."""
    return next((one for name, one in _SENT_BY if header(name) is not None), openai)


def listed(names: list[str], created: int, one: Shape) -> dict[str, Any]:
    """All on one page."""
    models = [one(name, created) for name in names]
    if one is gemini:
        return {"models": models}
    if one is anthropic:
        ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
        return {"data": models, "has_more": False, **ends}
    return {"object": "list", "data": models}
