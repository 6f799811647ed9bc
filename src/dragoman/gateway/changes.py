"""Two configurations -> what is different between them, said without any secret. Pure; called by `dragoman diff`.

Deployments are matched by their ids, so that one more at the top of the list is one line and not all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.gateway.config import Config
from dragoman.gateway.models import entry_id

_SECRET = re.compile(
    r"(?<!by_)key|secret|password|(?<!first_)token\b|database|url|headers|dsn|credential|slack|webhook", re.IGNORECASE
)
_NEEDS_RESTART = re.compile(r"server\.(host|port|workers)$")
"""What the process that listens has decided: all else is read anew by the workers that a reload starts."""


class Change(Struct, frozen=True, kw_only=True):
    """`before` and `after` are JSON, None where there is nothing. `restart`: a reload does not take it up."""

    path: str
    before: str | None
    after: str | None
    restart: bool

    def __str__(self) -> str:
        note = "   (needs a restart)" if self.restart else ""
        if self.before is None:
            return f"+ {self.path}: {self.after}{note}"
        if self.after is None:
            return f"- {self.path}: {self.before}{note}"
        return f"~ {self.path}: {self.before} -> {self.after}{note}"


def changes(before: Config, after: Config) -> tuple[Change, ...]:
    """In the order of the paths."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return tuple(
        Change(
            path=path,
            before=_shown(path, old.get(path)),
            after=_shown(path, new.get(path)),
            restart=_NEEDS_RESTART.match(path) is not None,
        )
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _flat(config: Config) -> Iterator[tuple[str, Any]]:
    for index, entry in enumerate(config.models):
        yield from _leaves(f"models[{entry_id(entry, index, entry.name)}]", msgspec.to_builtins(entry))
    for name, value in msgspec.to_builtins(config).items():
        if name != "models":
            yield from _leaves(name, value)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What says nothing is left out, so that a key which was not written and one with its default are alike."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{item.get('name', index)}]", item)
    elif value not in (None, [], ""):
        yield path, value


def _shown(path: str, value: Any) -> str | None:
    if value is None:
        return None
    return "(hidden)" if _SECRET.search(path.rpartition("]")[2]) else json.encode(value).decode()
