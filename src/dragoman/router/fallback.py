"""Which group is asked when a group cannot answer. Each group at most once in a call, so there are no loops.

The lists are LiteLLM's: `fallbacks`, `context_window_fallbacks`, `content_policy_fallbacks` of {"group": ["b", "c"]} with
"*" for any group, and `default_fallbacks`; a request may bring its own list. Pure; a session holds one `Chain`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.router.outcome import KINDS

Lists = dict[str, tuple[str, ...]]
ANY = "*"


class Fallbacks(Struct, frozen=True, kw_only=True):
    """For each kind of trouble: group -> groups, in order. `most` is how many other groups one call may ask."""

    any: Lists = {}
    context_window: Lists = {}
    content_policy: Lists = {}
    most: int = 5

    def of(self, group: str, kind: str | None) -> tuple[str, ...]:
        """The groups after `group` for a failure of this kind; None: nobody in it could be asked.

        The special list where it has an entry, else the general one: setting a special list takes nothing away.
        """
        special = {"context_window": self.context_window, "content_policy": self.content_policy}.get(kind or "")
        found = _entry(special, group) if special else None
        return found if found is not None else _entry(self.any, group) or ()


class Hop(Struct, frozen=True):
    """The next group to ask. `changes`: what a request's own list wants different there, as {"messages": [...]}."""

    group: str
    changes: dict[str, Any] = {}


class Chain:
    """The groups of one call: where it has been and what comes next. Breadth first; the order of a list is kept."""

    __slots__ = ("_fallbacks", "_own", "_queue", "_seen")

    def __init__(self, fallbacks: Fallbacks, group: str, own: tuple[Hop, ...] | None = None) -> None:
        self._fallbacks = fallbacks
        self._own = own
        self._seen = {group}
        self._queue: deque[Hop] = deque()

    def failed(self, group: str, kind: str | None) -> None:
        """Take in that `group` could not answer: queue what comes after it."""
        if kind is not None and not KINDS[kind].fallback:
            return
        hops = self._own if self._own is not None else map(Hop, self._fallbacks.of(group, kind))
        self._own = () if self._own is not None else None
        for hop in hops:
            if hop.group not in self._seen and len(self._seen) <= self._fallbacks.most:
                self._seen.add(hop.group)
                self._queue.append(hop)

    def next(self) -> Hop | None:
        return self._queue.popleft() if self._queue else None


def read_lists(value: Any, where: str) -> Lists:
    """LiteLLM's [{"a": ["b"]}, ...], or one dict of it. Raises ConfigurationError that names the place."""
    found: Lists = {}
    for index, entry in enumerate([value] if isinstance(value, Mapping) else value or ()):
        if not isinstance(entry, Mapping):
            raise ConfigurationError(f"{where}[{index}]: expected {{group: [groups]}}, found {entry!r}")
        for group, others in entry.items():
            found[group] = read_names(others, f"{where}[{index}].{group}")
    return found


def read_names(value: Any, where: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{where}: expected names of model groups, found {value!r}")
    return names


def read_hops(value: Iterable[Any] | None) -> tuple[Hop, ...] | None:
    """A request's own list: names, or dicts with `model` and what is to differ. Raises BadRequestError that names the place."""
    if value is None:
        return None
    hops = []
    for index, entry in enumerate((value,) if isinstance(value, str) else value):
        if isinstance(entry, str):
            hops.append(Hop(entry))
        elif isinstance(entry, Mapping) and isinstance(entry.get("model"), str):
            hops.append(Hop(entry["model"], {key: item for key, item in entry.items() if key != "model"}))
        else:
            raise BadRequestError(f"fallbacks[{index}]: expected a model's name or a dict with `model`", attempts=0)
    return tuple(hops)


def _entry(lists: Lists, group: str) -> tuple[str, ...] | None:
    """Of the group, of its name without a provider, or of any group."""
    found = lists.get(group)
    if found is None and "/" in group:
        found = lists.get(group.partition("/")[2])
    return lists.get(ANY) if found is None else found
