"""Two configurations -> what is different between them, said without any secret. Pure; called by `dragoman diff`.

Either may be of our kind or LiteLLM's. Deployments are matched by their ids, and where a file gives none by what they say, so
that one more at the top of the list is one deployment more and not all of them.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from dragoman.core import json
from dragoman.gateway import comparable
from dragoman.gateway.comparable import Deployed
from dragoman.gateway.config import Config
from dragoman.router.policy import Policy

_SECRET = re.compile(
    r"(?<!by_)key|secret|password|(?<!first_)token\b|database|url|headers|dsn|credential|slack|webhook|\bauth|bearer",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\[[^\]]*\]")
_IN_URL = re.compile(r'(?<=://)[^/@\s]+(?=@)|(?<=\?)[^\s"]+')
"""What may be secret in the address of a provider: who asks, and how."""
_NEEDS_RESTART = re.compile(r"server\.(host|port|workers)$")
"""What the process that listens has decided: all else is read anew by the workers that a reload starts."""

Read = tuple[Config, Policy]
"""What `config.load` makes of a file."""
Said = Mapping[str, Any]


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


def changes(before: Read, after: Read) -> tuple[Change, ...]:
    """In the order of the paths. A deployment is called as in the file after, one that is gone as in the file before."""
    found = list(_between("", comparable.settings(*before), comparable.settings(*after)))
    for label, old, new in _pairs(comparable.deployments(*before), comparable.deployments(*after)):
        found += _between(f"models[{label}]", old, new)
    return tuple(sorted(found, key=lambda change: change.path))


def _between(path: str, before: Said, after: Said) -> Iterator[Change]:
    old, new = dict(_leaves(path, before)), dict(_leaves(path, after))
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            restart = _NEEDS_RESTART.match(name) is not None
            yield Change(path=name, before=_shown(name, old.get(name)), after=_shown(name, new.get(name)), restart=restart)


# ---------------------------------------------------------------------------------------------------------------- matching
_MARKS: tuple[Callable[[Deployed], Any], ...] = (
    lambda one: one.id,
    lambda one: json.encode(one.said),
    lambda one: tuple(one.said.get(name) for name in ("name", "model", "api_base")),
    lambda one: one.said["name"],
)
"""By which two deployments are held to be one: the surest first."""


def _pairs(before: Sequence[Deployed], after: Sequence[Deployed]) -> Iterator[tuple[str, Said, Said]]:
    """The label of each deployment, what was said of it and what is; nothing where it is not."""
    left, rest = list(before), list(after)
    for mark in _MARKS:
        waiting: dict[Any, deque[Deployed]] = defaultdict(deque)
        for old in left:
            waiting[mark(old)].append(old)
        taken, unmatched = set(), []
        for new in rest:
            key = mark(new)
            if key is None or not waiting[key]:
                unmatched.append(new)
                continue
            old = waiting[key].popleft()
            taken.add(id(old))
            yield new.label, old.said, new.said
        left, rest = [old for old in left if id(old) not in taken], unmatched
    yield from ((old.label, old.said, {}) for old in left)
    yield from ((new.label, {}, new.said) for new in rest)


# ------------------------------------------------------------------------------------------------------------------ values
def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What says nothing is left out, so that a key which was not written and one with its default are alike."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{item.get('name', index)}]", item)
    elif value not in (None, [], ""):
        yield path, value


def _shown(path: str, value: Any) -> str | None:
    if value is None:
        return None
    if _SECRET.search(_PLACE.sub("", path)):
        return "(hidden)"
    text = json.encode(value).decode()
    return _IN_URL.sub("(hidden)", text) if "://" in text else text
