"""Providers that a handler in this process answers for: `dragoman.custom_provider_map`, as programs for LiteLLM set it.

    dragoman.custom_provider_map = [{"provider": "my-llm", "custom_handler": MyLLM()}]

The map is read when a provider is looked for, so it may change at any time. A handler is asked through its `Bridge`, by
`transport.custom`; `registry` makes the row. Nothing here calls a handler.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol
from urllib.parse import quote

from msgspec import Struct

from dragoman.core.errors import ConfigurationError
from dragoman.providers.base import Provider, Quirks

SCHEME = "custom"
MAP = "custom_provider_map"
_DIALECTS = {"chat": "openai_chat", "embedding": "openai_embeddings", "image": "openai_images"}


class Asked(Struct, frozen=True, kw_only=True):
    """One request: `body` is OpenAI's, decoded; `api_base` and `api_key` what the caller gave; `timeout` in seconds."""

    operation: str
    body: dict[str, Any]
    headers: dict[str, str]
    api_key: str | None = None
    api_base: str | None = None
    timeout: float | None = None


class Bridge(Protocol):
    """What a handler's own methods are called through. Answers are bodies and events of OpenAI's, as bytes.

    A handler that has no way to stream gives None for the stream. What its methods raise is raised.
    """

    operations: frozenset[str]

    def answer(self, asked: Asked) -> bytes: ...

    async def aanswer(self, asked: Asked) -> bytes: ...

    def stream(self, asked: Asked) -> Iterator[bytes] | None: ...

    def astream(self, asked: Asked) -> AsyncIterator[bytes] | None: ...


def add(provider: str, handler: Any) -> None:
    """Put a handler into the map, in place of one of the same name. Raises ConfigurationError for what is none."""
    kept = [entry for entry in _map() if entry.get("provider") != provider]
    entry = {"provider": provider, "custom_handler": handler}
    _read(entry, MAP)
    setattr(sys.modules["dragoman"], MAP, [*kept, entry])


def row(provider: str) -> Provider | None:
    """The row of a provider that the map has a handler for, with the operations that it can do."""
    found = bridge(provider)
    if found is None:
        return None
    return Provider(
        name=provider,
        base_url=f"{SCHEME}://{quote(provider, safe='')}",
        handled=True,
        key_optional=True,
        dialects={operation: _DIALECTS[operation] for operation in _DIALECTS if operation in found.operations},
        quirks=Quirks(stream_usage=False, relay=False),  # its answers are whatever its author makes
    )


def bridge(provider: str) -> Bridge | None:
    """The way to the provider's handler. Raises ConfigurationError for a map that is none."""
    for index, entry in enumerate(_map()):
        name, made = _read(entry, f"{MAP}[{index}]")
        if name == provider:
            return made
    return None


def _map() -> list[Any]:
    held = vars(sys.modules["dragoman"]).get(MAP)
    if held is not None and not isinstance(held, list | tuple):
        raise ConfigurationError(f"{MAP}: expected a list, found {type(held).__name__}")
    return list(held or ())


def _read(entry: Any, place: str) -> tuple[str, Bridge]:
    if not isinstance(entry, dict) or not {"provider", "custom_handler"} <= entry.keys():
        raise ConfigurationError(f"{place}: expected a dict with provider and custom_handler, found {type(entry).__name__}")
    name, make = entry["provider"], getattr(entry["custom_handler"], "_bridge", None)
    if not isinstance(name, str) or not name or "/" in name:
        raise ConfigurationError(f"{place}.provider: expected a name without a slash, found {name!r}")
    if not callable(make):
        found = type(entry["custom_handler"]).__name__
        raise ConfigurationError(f"{place}.custom_handler: expected a dragoman.CustomLLM, found {found}")
    made: Bridge = make()
    return name, made
