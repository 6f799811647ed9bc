"""Cooldowns between workers: who takes a deployment out tells the others, and they leave it alone as long.

An observer of calls: when one has ended after a failure it looks whether the router has taken the deployment out. What others
say is applied as if it had happened here: a refused credential takes all with it, and of guesses no more are heeded than the
group's cap allows. Each worker lets it in again by itself. Nothing is lost but knowledge when a message is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.engine.call import Call
from dragoman.router.health import hear
from dragoman.router.policy import Policy
from dragoman.router.state import Node
from dragoman.shared.valkey import Valkey

logger = logging.getLogger("dragoman.gateway")

CHANNEL = "cooldowns"
MAX_KNOWN = 10_000


class Cooldown(Struct, frozen=True, kw_only=True):
    """`why` is a kind of the router's outcomes; `told`: the provider named the time. `seconds` from now."""

    worker: str
    group: str
    deployment: str
    why: str
    seconds: float
    told: bool = False


class Cooldowns:
    """`observe` is for the observers of calls. `clock` is the engine's; `lock`: held while the policy is looked at."""

    def __init__(
        self,
        valkey: Valkey,
        policy: Policy,
        worker: str,
        *,
        clock: Callable[[], float] = perf_counter,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.policy = policy
        self._valkey = valkey
        self._worker = worker
        self._clock = clock
        self._lock = lock or nullcontext()
        self._known: dict[str, float] = {}
        valkey.hear(CHANNEL, self._heard)

    def observe(self, call: Call) -> None:
        for attempt in call.attempts:
            if attempt.error is not None:
                with self._lock:
                    node = self._node(attempt.deployment.group, attempt.deployment.id)
                    if node is not None:
                        self._look(node)

    def _look(self, node: Node) -> None:
        health, now = node.health, self._clock()
        name = node.deployment.id
        if not health.out or health.until <= now or self._known.get(name) == health.until:
            return
        self._know(name, health.until)
        cooldown = Cooldown(
            worker=self._worker,
            group=node.group.name,
            deployment=name,
            why=health.out,
            seconds=health.until - now,
            told=health.told,
        )
        self._valkey.begin(self._valkey.publish(CHANNEL, msgspec.json.encode(cooldown)))

    def _heard(self, message: bytes) -> None:
        try:
            cooldown = msgspec.json.decode(message, type=Cooldown)
        except msgspec.MsgspecError:
            logger.warning("A message about a cooldown could not be read; are all workers of one version?")
            return
        if cooldown.worker == self._worker:
            return
        with self._lock:
            node = self._node(cooldown.group, cooldown.deployment)
            if node is not None:
                self._apply(node, cooldown, self._clock())

    def _apply(self, node: Node, cooldown: Cooldown, now: float) -> None:
        health, why = node.health, cooldown.why
        if not hear(health, why, told=cooldown.told, seconds=cooldown.seconds, now=now, room=node.group.room()):
            return
        self._know(node.deployment.id, health.until)
        if not cooldown.told:
            node.level.put_off(node)
        if why == "credential":
            self.policy.refuse_credential(node, now)

    def _node(self, group: str, deployment: str) -> Node | None:
        found = self.policy.find(group)
        return next((node for node in found.nodes if node.deployment.id == deployment), None) if found else None

    def _know(self, name: str, until: float) -> None:
        """Not to be told again."""
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[name] = until
