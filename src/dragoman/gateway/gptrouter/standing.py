"""Whom to ask in which order: as the request says, but those that real traffic shows slow after the others, and those that are
down last. Nobody is refused: where all are down the best of them is asked all the same. Pure; called by `routing`.
"""

from __future__ import annotations

from collections.abc import Iterable

from dragoman.router.deployment import Deployment
from dragoman.router.policy import Policy
from dragoman.router.speed import Speed
from dragoman.router.state import Node

SLOW = 4.0
"""Seconds to the first token from which a model was refused in the original."""
FRESH = 300.0
"""Seconds after which a deployment that nobody asked counts as unknown, and so as good as any."""

GOOD, SLOWER, DOWN = range(3)


def standing(policy: Policy, group: str, deployments: Iterable[Deployment], now: float) -> int:
    """Of the best of these deployments. `now` is the engine's clock."""
    ids = {deployment.id for deployment in deployments}
    return min((_of(node, now) for node in policy.group(group).nodes if node.deployment.id in ids), default=GOOD)


def _of(node: Node, now: float) -> int:
    if node.health.out and now < node.health.until:
        return DOWN
    return SLOWER if _slow(node.speed, now) else GOOD


def _slow(speed: Speed, now: float) -> bool:
    """Streams alone tell: a whole answer may be long because much was asked."""
    if speed.seen is None or now - speed.seen > FRESH or speed.quantile(0.5, stream=True) is None:
        return False
    expected = speed.expected(0, stream=True)
    return expected is not None and expected > SLOW
