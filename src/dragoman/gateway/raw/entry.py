"""The `passthrough` and `files` of a configuration -> the places that may be asked, with what the environment says of them.

    passthrough: {providers: [openai, {name: acme, api_key: os.environ/ACME, api_base: "https://acme.example/v1"}]}
    files: {providers: [openai]}

Both are off by default. What they pass on no guardrail reads, so beside guardrails they want `unguarded: true`. Called
by `gateway.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.gateway.yaml_config import Document, convert
from dragoman.providers import registry
from dragoman.providers.base import Target
from dragoman.transport.fast_request import check_headers

_Name = Annotated[str, Meta(min_length=1)]


class PlaceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider with a key and an address of its own; those of the environment without them."""

    name: _Name
    api_key: str | None = None
    api_base: str | None = None
    headers: dict[str, str] = {}

    def target(self, env: Mapping[str, str]) -> Target:
        """Raises a DragomanError."""
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        try:
            check_headers(headers)
        except ValueError as problem:
            raise ConfigurationError(f"headers: {problem}") from None
        return registry.resolve(f"{self.name}/any", env=env, api_key=self.api_key, base_url=self.api_base, headers=headers)


class RawEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    providers: Annotated[tuple[_Name | PlaceEntry, ...], Meta(min_length=1)]
    unguarded: bool = False

    def targets(self) -> dict[str, Target]:
        """By the names of the providers. Of an entry that has been read: nothing more is taken from the environment."""
        return {place.name: place.target({}) for place in self.providers if isinstance(place, PlaceEntry)}


def read(document: Document, value: Any, place: str, env: Mapping[str, str], *, guarded: bool) -> RawEntry:
    """The entry with all that it takes from the environment. Raises ConfigurationError that names file, line and key."""
    entry = convert(document, RawEntry, value=value, at=place)
    if guarded and not entry.unguarded:
        raise document.error(place, "no guardrail reads what is passed on; write `unguarded: true` if that is meant to be")
    places: dict[str, PlaceEntry] = {}
    for index, given in enumerate(entry.providers):
        asked = PlaceEntry(name=given) if isinstance(given, str) else given
        at = f"{place}.providers[{index}]"
        try:
            target = asked.target(env)
        except DragomanError as problem:
            raise document.error(at, problem.message) from None
        if not target.base_url.startswith(("http://", "https://")):
            raise document.error(at, f"{asked.name} has no address that anything could be passed on to")
        if asked.name in places:
            raise document.error(at, f"{asked.name} stands there twice")
        found = {"api_key": target.api_key, "api_base": target.base_url, "headers": dict(target.headers)}
        places[asked.name] = replace(asked, **found)
    return replace(entry, providers=tuple(places.values()))
