"""A call's wait for its turn, where all that it could be asked of are at a limit or were told to wait. Pure.

Only a call of which nothing was sent yet waits; one that has begun, and tries again, has had its turn. It waits for as long as
the configuration or the request itself says, never beyond its deadline, and not at all where that cannot help. Held by a
`Session` from when there is something to wait for; the order of those who wait is `queue`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from dragoman.router.direct import Wait
from dragoman.router.plan import drop_of, standing_drop
from dragoman.router.queue import Turn
from dragoman.router.state import Group, Node, RequestFacts

if TYPE_CHECKING:
    from dragoman.router.policy import Policy

LOOK = 0.25
"""Seconds between two looks of the first in line where nobody can date what it waits for: other processes tell us nothing."""
LATER = 1.0
"""Seconds after which a call is told to try again, where nobody can date it either."""


class Waiting:
    """`refusal`: why the call waits no longer; "" for as long as it may, or never wanted to."""

    __slots__ = ("_facts", "_group", "_policy", "_turn", "refusal")

    def __init__(self, policy: Policy, group: Group, facts: RequestFacts) -> None:
        self._policy = policy
        self._group = group
        self._facts = facts
        self._turn: Turn | None = None
        self.refusal = ""

    def ahead(self, group: Group, now: float) -> Collection[Node]:
        """Whom of a group others are waiting for. Who comes to its own group when some do stands in line with them."""
        queues = self._policy.queues
        if not queues:
            return ()
        if group is self._group and self._turn is None and queues.length(group.name):
            self._join((group,), now)
        return queues.ahead(group, self._turn if group is self._group else None)

    def step(self, groups: tuple[Group, ...], now: float) -> Wait | None:
        """How long, or until when it is called; None when it does not wait any longer. `groups`: those it has come to."""
        if self._turn is None:
            self._join(groups, now)
        turn, facts = self._turn, self._facts
        if turn is None:
            return None
        turn.wants, turn.called = wanted(groups, facts, now), False
        left = turn.until - now
        date = soonest(turn.wants, facts, now)
        if left <= 0 or not turn.wants or (date is not None and date > left):
            self.refusal = "it has waited for its turn for as long as it may" if left <= 0 else ""
            return None
        first = turn.wants.difference(
            *(self._policy.queues.ahead(group, turn if group is self._group else None) for group in groups)
        )
        look = (soonest(first, facts, now) or LOOK) if first else left
        return Wait(min(left, look), turn)

    def leave(self, *, served: bool = False) -> None:
        if self._turn is not None:
            turn, self._turn = self._turn, None
            self._policy.queues.leave(self._group.name, turn, served=served)

    def _join(self, groups: tuple[Group, ...], now: float) -> None:
        policy, facts = self._policy.settings.queue, self._facts
        given = policy.max_wait if facts.patience is None else facts.patience
        length = self._policy.queues.length(self._group.name)
        if given <= 0 or length >= policy.max_length:
            self.refusal = f"{length} calls wait for it already" if length else ""
            return
        self._turn = Turn(
            tenant=facts.tenant,
            priority=policy.priority if facts.priority is None else facts.priority,
            until=now + given if facts.deadline is None else min(now + given, facts.deadline),
            wants=wanted(groups, facts, now),
        )
        self._policy.queues.join(self._group.name, self._turn)


def wanted(groups: Iterable[Group], facts: RequestFacts, now: float) -> frozenset[Node]:
    """Whom of the groups nothing but limits and health keeps from being asked."""
    drops = ((node, standing_drop(node, facts, now)) for group in groups for node in group.nodes)
    return frozenset(node for node, drop in drops if drop is None or drop.kind == "limit")


def soonest(nodes: Iterable[Node], facts: RequestFacts, now: float) -> float | None:
    """Seconds until one of them may be asked by the mere passing of time; None when that may be at any moment."""
    drops = [drop_of(node, facts, now) for node in nodes]
    dates = [drop.retry_after for drop in drops if drop is not None and drop.retry_after]
    return min(dates) if dates and len(dates) == len(drops) else None
