"""Calls that wait because everybody they could be asked of is at a limit, or was told to wait: whose turn is next. Pure.

By priority, the lowest number first; within one the tenants take turns, and the calls of a tenant keep their order. At a
deployment that it could use nobody who waits is passed, by no newcomer either. So only the first to want a deployment has
anything to do: it is called when there may be room, looks again, and its place going free calls the one behind it. What
a call does while it waits is the engine's. Used by `waiting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from dragoman.router.state import Group, Node


class QueuePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_wait`: seconds that a call waits at most. `max_length`: how many may wait for one group. `priority`: that of a call
    which names none; the lowest goes first.
    """

    max_wait: Annotated[float, Meta(ge=0, le=1e7)] = 10.0
    max_length: Annotated[int, Meta(ge=1)] = 1000
    priority: Annotated[int, Meta(ge=0)] = 100


OFF = QueuePolicy(max_wait=0.0)
"""Nobody waits who does not bring a patience of its own."""


class Turn:
    """A call's place in a queue. `wants`: the deployments that it could be asked of. It gives up at `until`.

    `called`: it is to look again; `wake` is told so, by whichever thread. Who sets `wake` looks at `called` afterwards.
    """

    __slots__ = ("called", "priority", "tenant", "until", "wake", "wants")

    def __init__(self, *, tenant: str, priority: int, until: float, wants: frozenset[Node]) -> None:
        self.tenant = tenant
        self.priority = priority
        self.until = until
        self.wants = wants
        self.called = False
        self.wake: Callable[[], object] | None = None

    def call(self) -> None:
        self.called = True
        wake = self.wake
        if wake is not None:
            with suppress(RuntimeError):  # the loop of who waited has closed: that is no trouble of who calls
                wake()


class FairQueue:
    """The turns of one group; to be iterated in their order."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[str, dict[Turn, None]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Turn]:
        for _, tenants in sorted(self._lines.items()):
            lines = []
            for line in tenants.values():
                turns = iter(line)
                yield next(turns)
                lines.append(turns)
            for round_ in zip_longest(*lines):
                yield from (turn for turn in round_ if turn is not None)

    def join(self, turn: Turn) -> None:
        self._lines.setdefault(turn.priority, {}).setdefault(turn.tenant, {})[turn] = None
        self._count += 1

    def leave(self, turn: Turn, *, served: bool) -> None:
        """`served`: its tenant has had its turn, and goes behind the others."""
        tenants = self._lines[turn.priority]
        line = tenants[turn.tenant]
        del line[turn]
        self._count -= 1
        if served or not line:
            del tenants[turn.tenant]
        if served and line:
            tenants[turn.tenant] = line
        if not tenants:
            del self._lines[turn.priority]

    def ahead(self, turn: Turn | None, nodes: Iterable[Node]) -> set[Node]:
        """Those of `nodes` that somebody before this turn wants; None: that anybody wants."""
        left: set[Node] = set(nodes)
        found: set[Node] = set()
        for other in self:
            if other is turn or not left:
                break
            found |= left & other.wants
            left -= other.wants
        return found

    def call(self, nodes: Iterable[Node]) -> None:
        """There may be room at these: call the first to want each."""
        left = set(nodes)
        for turn in self:
            if not left.isdisjoint(turn.wants):
                turn.call()
                left -= turn.wants
            if not left:
                break


class Queues:
    """The queues of a policy by the name of their group; of those only that somebody waits in."""

    def __init__(self) -> None:
        self._queues: dict[str, FairQueue] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def length(self, group: str) -> int:
        queue = self._queues.get(group)
        return 0 if queue is None else len(queue)

    def join(self, group: str, turn: Turn) -> None:
        self._queues.setdefault(group, FairQueue()).join(turn)

    def leave(self, group: str, turn: Turn, *, served: bool) -> None:
        """Who comes after it is called."""
        queue = self._queues[group]
        queue.leave(turn, served=served)
        if not queue:
            del self._queues[group]
        self.call(turn.wants)

    def ahead(self, group: Group, turn: Turn | None) -> set[Node]:
        """Whom of a group others want before this turn of its queue; None: whom anybody wants, for a call from outside."""
        queue = self._queues.get(group.name)
        return set() if queue is None else queue.ahead(turn, group.nodes)

    def call(self, nodes: Iterable[Node]) -> None:
        """There may be room at these, which calls may want that came for another group."""
        for queue in tuple(self._queues.values()):
            queue.call(nodes)

    def call_all(self) -> None:
        """The deployments are other ones now."""
        for queue in tuple(self._queues.values()):
            for turn in tuple(queue):
                turn.call()
