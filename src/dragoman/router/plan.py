"""Request facts and a group -> who is asked. Every decision can be explained: who was left out, and why.

`choose` is the hot path: one node, in a time that does not grow with the group where the strategy needs but a few. `plan` is
the whole order with its drops, for people and tests. Both judge by `drop_of`. Pure but for a probe's turn; called by sessions.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from dragoman.router import affinity
from dragoman.router.capability import forbids, tags_forbid
from dragoman.router.deployment import Deployment
from dragoman.router.health import admits, success_rate
from dragoman.router.state import BUSY, Ask, Group, Level, Node, RequestFacts

if TYPE_CHECKING:
    from dragoman.router.balance import Strategy


class Drop(Struct, frozen=True, kw_only=True):
    """A deployment that was left out. `retry_after`: seconds until that may change by itself, None when it will not."""

    deployment: str
    reason: str
    retry_after: float | None = None
    kind: str = "other"
    """`health`, `limit`, `window` (too long for the model), `ability`, `tags`, `other`."""


class Candidate(Struct, frozen=True, kw_only=True):
    deployment: Deployment
    reason: str


class Plan(Struct, frozen=True, kw_only=True):
    """Who would be asked, in order, and who would not."""

    attempts: tuple[Candidate, ...]
    drops: tuple[Drop, ...]


def plan(group: Group, facts: RequestFacts, now: float, rng: Random) -> Plan:
    """The order in which a call would ask, if each one failed, and why the others are left out."""
    ask = Ask(facts, now, rng)
    candidates: list[Candidate] = []
    drops: list[Drop] = []
    for level in group.levels:
        left = []
        for node in level.nodes:
            drop = drop_of(node, facts, now)
            if drop is None:
                left.append(node)
            else:
                drops.append(drop)
        while left:
            node = left[0] if len(left) == 1 else group.strategy.choose(left, ask)
            left.remove(node)
            candidates.append(Candidate(deployment=node.deployment, reason=group.strategy.explain(node, ask)))
    return Plan(attempts=tuple(candidates), drops=tuple(drops))


def choose(group: Group, ask: Ask, tried: Collection[Node] = ()) -> Node | None:
    """The node to ask now, none of `tried`; None when nobody fits. A node that is due for its probe has the first turn."""
    for level in group.levels:
        if level.due:
            due = level.first_due(ask.now)
            if due is not None and due not in tried and _fits(due, ask):
                return due
        node = _of_level(level, ask, tried)
        if node is not None:
            return node
    return None


def choose_out(group: Group, ask: Ask, tried: Collection[Node] = ()) -> Node | None:
    """The panic rule: when nobody is in, the least bad of those that are out by our own guess, rather than none."""
    out = [
        node
        for node in group.nodes
        if node.health.out and not node.health.told and node not in tried and standing_drop(node, ask.facts, ask.now) is None
    ]
    return min(out, key=lambda node: _badness(node, ask)) if out else None


def drops_of(group: Group, facts: RequestFacts, now: float) -> tuple[Drop, ...]:
    found = (drop_of(node, facts, now) for node in group.nodes)
    return tuple(drop for drop in found if drop is not None)


def drop_of(node: Node, facts: RequestFacts, now: float) -> Drop | None:
    """Why this node is not asked now; None when it may be."""
    health = node.health
    if health.out and not admits(health, node.group.health, now):
        wait = max(0.0, health.until - now)
        reason = f"out for {wait:.1f} s after {health.out}" if wait else f"out after {health.out}, being probed"
        return Drop(deployment=node.deployment.id, reason=reason, retry_after=wait, kind="health")
    return standing_drop(node, facts, now)


def standing_drop(node: Node, facts: RequestFacts, now: float) -> Drop | None:
    """As `drop_of`, whatever its health: what no panic overrides."""
    name = node.deployment.id
    if node.terms.blocked:
        return Drop(deployment=name, reason="blocked by the configuration")
    if facts.deployment is not None and facts.deployment != name:
        return Drop(deployment=name, reason=f"only {facts.deployment} was asked for")
    against = forbids(node.terms, node.facts, facts)
    if against is not None:
        return Drop(deployment=name, reason=against, kind="window" if against.startswith("context window") else "ability")
    group = node.group
    if facts.tags or group.any_default:
        against = tags_forbid(node.terms, facts, any_default=group.any_default, all_tags=group.all_tags)
        if against is not None:
            return Drop(deployment=name, reason=against, kind="tags")
    return None if node.limits is None else _limit_drop(node, facts, now)


def _limit_drop(node: Node, facts: RequestFacts, now: float) -> Drop | None:
    limits = node.limits
    wait = 0.0 if limits is None else limits.wait(facts.input_tokens + facts.output_tokens, node.in_flight, now)
    if not wait:
        return None
    dated = wait < float("inf")
    reason = f"at its limit for {wait:.1f} s" if dated else f"{node.in_flight} requests in flight, its limit"
    return Drop(deployment=node.deployment.id, reason=reason, retry_after=wait if dated else None, kind="limit")


def _of_level(level: Level, ask: Ask, tried: Collection[Node]) -> Node | None:
    nodes = level.nodes
    key = ask.facts.session or ask.facts.prefix
    strategy = nodes[0].group.strategy
    if strategy.draws is not None and key is None and len(nodes) > strategy.draws:
        drawn = _drawn(nodes, strategy.draws, ask, tried)
        if len(drawn) == strategy.draws:
            return strategy.choose(drawn, ask)
    fit = [node for node in nodes if _fits(node, ask) and node not in tried]
    if len(fit) < 2:
        return fit[0] if fit else None
    if key is not None:
        return _with_key(fit, key, strategy, ask)
    if strategy.draws is not None and len(fit) > strategy.draws:
        fit = ask.rng.sample(fit, strategy.draws)
    return strategy.choose(fit, ask)


def _fits(node: Node, ask: Ask) -> bool:
    """`drop_of` is None, found out quickly where there is little to look at."""
    if node.plain and not ask.demanding and not node.group.any_default and ask.tokens <= node.window:
        return not node.health.out or admits(node.health, node.group.health, ask.now)
    return drop_of(node, ask.facts, ask.now) is None


def _drawn(nodes: tuple[Node, ...], wanted: int, ask: Ask, tried: Collection[Node]) -> list[Node]:
    """So many different nodes by chance that fit; fewer when twice as many draws do not find them."""
    found: list[Node] = []
    chance, count, tokens = ask.rng.random, len(nodes), ask.tokens
    quick = not ask.demanding and not nodes[0].group.any_default
    missing = wanted
    for _ in range(2 * wanted):
        node = nodes[int(chance() * count)]
        if node in found or node in tried:
            continue
        if (quick and node.plain and not node.health.out and tokens <= node.window) or _fits(node, ask):
            found.append(node)
            missing -= 1
            if not missing:
                break
    return found


def _with_key(fit: list[Node], key: str, strategy: Strategy, ask: Ask) -> Node:
    """The key's own node, unless what its cache saves is less than what another node is ahead by."""
    own = affinity.preferred(fit, key)
    others = [node for node in fit if node is not own]
    best = others[0] if len(others) == 1 else strategy.choose(others, ask)
    saved = affinity.saving(ask.facts.input_tokens, ask.facts.prefix_tokens)
    here, elsewhere = _seconds(own, ask.facts), _seconds(best, ask.facts)
    here, elsewhere = here or elsewhere or 1.0, elsewhere or here or 1.0
    stays = affinity.stays(here=here * _crowd(own), elsewhere=elsewhere * _crowd(best), saved=saved)
    return own if stays else best


def _seconds(node: Node, facts: RequestFacts) -> float | None:
    return node.speed.expected(facts.input_tokens, facts.stream)


def _crowd(node: Node) -> float:
    return 1.0 + node.in_flight / BUSY


def _badness(node: Node, ask: Ask) -> tuple[bool, float, float]:
    """A refused credential is worst; then by success rate in steps of a tenth, so that one node does not get it all."""
    rate = success_rate(node.health, node.group.health, ask.now)
    return node.health.out == "credential", -round(rate, 1), ask.rng.random()
