"""What a process knows of its deployments: who is in flight, healthy, fast, at its limit. The one mutable thing of the router.

Calls change it through a `Session` alone: an attempt begins, an outcome is taken in. Memory is bounded: some 3 kB for each
deployment, and 8 bytes for each request a minute that its limit allows. Whoever shares it between threads holds a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dragoman.router import health as health_rules
from dragoman.router.affinity import seed_of
from dragoman.router.capability import DEFAULT_TAG, KnownFacts, ModelFacts, Needs
from dragoman.router.continuation import ContinuationPolicy
from dragoman.router.deployment import Deployment
from dragoman.router.fallback import Fallbacks, Hop
from dragoman.router.health import Health, HealthPolicy
from dragoman.router.hedge import HedgePolicy
from dragoman.router.limits import Limited, Limits, LimitsOf
from dragoman.router.outcome import SLOW, SUCCESS, Outcome
from dragoman.router.queue import OFF, QueuePolicy
from dragoman.router.retry import Budget, RetryPolicy
from dragoman.router.speed import Speed
from dragoman.router.throughput import ThroughputGuard

if TYPE_CHECKING:
    from dragoman.router.balance import Strategy

BUSY = 16.0
"""So many requests waiting there double the cost: providers serve many at once, and what that slows down is learnt anyway."""

FactsOf = Callable[[Deployment], ModelFacts | None]


class RequestFacts(Needs, frozen=True, kw_only=True):
    """What policy may know of a request; `now`-like times are of the engine's monotonic clock.

    `session`: requests that go on from one another; `prefix`: a name for the beginning that their prompts share, of
    `prefix_tokens`. `deployment`: only this id. `deadline`: when the caller stops waiting. `retries`, `fallbacks`: the
    request's own, in place of the configured ones. `patience`: seconds it may wait when everybody is at a limit, in place of
    the queue's; there `tenant` is who takes turns with others, and the lowest `priority` goes first.
    """

    group: str
    stream: bool = False
    session: str | None = None
    prefix: str | None = None
    prefix_tokens: int = 0
    deployment: str | None = None
    deadline: float | None = None
    retries: int | None = None
    fallbacks: tuple[Hop, ...] | None = None
    patience: float | None = None
    tenant: str = ""
    priority: int | None = None


class Ask:
    """A request at a moment: what decisions are made by. `tokens`: what it takes of a context window. `demanding`: more than
    that, health and limits may be against a node.
    """

    __slots__ = ("demanding", "facts", "now", "rng", "tokens")

    def __init__(self, facts: RequestFacts, now: float, rng: Random) -> None:
        self.facts = facts
        self.now = now
        self.rng = rng
        self.tokens = facts.input_tokens + facts.output_tokens
        self.demanding = bool(facts.abilities or facts.regions or facts.tags or facts.deployment)


class Settings(Struct, frozen=True, kw_only=True):
    """The policy of a router. `group_retry` and `group_strategy` are for groups by name. `retry_share` and `retry_reserve`:
    see `retry.Budget`. `hedge`, `continuation`, `throughput_guard`: None for never. `queue`: for calls that find everybody at a
    limit. `fixed_windows`: limits by the minute instead of any 60 seconds. `max_parallel`: of a deployment that names none.
    `tag_filtering`: untagged requests go to deployments tagged `default`; `all_tags`: a deployment must have each tag of a
    request, not one.
    """

    strategy: str = "uptime-latency"
    strategy_arguments: dict[str, Any] = {}
    group_strategy: dict[str, str] = {}
    retry: RetryPolicy = RetryPolicy()
    group_retry: dict[str, RetryPolicy] = {}
    retry_share: float = 0.1
    retry_reserve: float = 10.0
    health: HealthPolicy = HealthPolicy()
    fallbacks: Fallbacks = Fallbacks()
    hedge: HedgePolicy | None = None
    continuation: ContinuationPolicy | None = ContinuationPolicy()
    throughput_guard: ThroughputGuard | None = None
    queue: QueuePolicy = OFF
    fixed_windows: bool = False
    tag_filtering: bool = False
    all_tags: bool = False
    max_parallel: int | None = None


class Node:
    """A deployment and what is known of it. `plain`: it has no limit to look at. `window`: tokens that a request may take.
    `silent`: how many of those in flight have no first token yet; `sign`: since when it has given none, while any has not.
    `memory` is the strategy's own.
    """

    __slots__ = (
        "deployment",
        "facts",
        "group",
        "health",
        "in_flight",
        "level",
        "limits",
        "memory",
        "plain",
        "seed",
        "sign",
        "silent",
        "speed",
        "terms",
        "window",
    )

    group: Group
    level: Level
    limits: Limited | None

    def __init__(
        self, deployment: Deployment, facts: ModelFacts | None, settings: Settings, limits_of: LimitsOf = Limits
    ) -> None:
        terms = deployment.terms
        self.deployment = deployment
        self.terms = terms
        self.facts = facts
        window = None if facts is None else facts.context_window
        self.window = float("inf") if window is None else window
        self.seed = seed_of(deployment.id)
        self.health = Health()
        self.speed = Speed()
        self.in_flight = 0
        self.silent = 0
        self.sign = 0.0
        self.memory: Any = None
        self.limit(settings, limits_of)
        self.plain = self.limits is None and not terms.blocked

    def limit(self, settings: Settings, limits_of: LimitsOf) -> None:
        """Count anew, in this way."""
        terms = self.terms
        parallel = settings.max_parallel if terms.max_parallel is None else terms.max_parallel
        limited = not (terms.rpm is None and terms.tpm is None and parallel is None)
        fixed = settings.fixed_windows
        self.limits = (
            limits_of(self.deployment.id, rpm=terms.rpm, tpm=terms.tpm, max_parallel=parallel, fixed=fixed) if limited else None
        )

    @property
    def rates(self) -> tuple[int, int] | None:
        """Nano-dollars per million tokens, in and out; None when no price is known."""
        terms, facts = self.terms, self.facts or _NO_FACTS
        rate_in = facts.input_rate if terms.input_rate is None else terms.input_rate
        rate_out = facts.output_rate if terms.output_rate is None else terms.output_rate
        return None if rate_in is None or rate_out is None else (rate_in, rate_out)

    def __repr__(self) -> str:
        return f"Node({self.deployment.id})"


_NO_FACTS = KnownFacts()


class Level:
    """The nodes of a group with the same `order`. `due`: those that are out, by when they may be probed."""

    __slots__ = ("due", "nodes")

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.due: list[tuple[float, int, Node]] = []
        for node in nodes:
            node.level = self
            if node.health.out:
                self.put_off(node)

    def put_off(self, node: Node) -> None:
        """It is out: to be probed when its time is over."""
        if len(self.due) > 4 * len(self.nodes):  # entries of nodes that came back otherwise
            self.due = [entry for entry in self.due if entry[2].health.out and entry[2].health.until == entry[0]]
            self.due.sort()
        heappush(self.due, (node.health.until, next(_TICKETS), node))

    def first_due(self, now: float) -> Node | None:
        """The node that has been due the longest, left in its place; entries that mean nothing any more are dropped."""
        due = self.due
        while due and due[0][0] <= now:
            until, _, node = due[0]
            if node.health.out and node.health.until == until and node.health.probing is None:
                return node
            heappop(due)
        return None


_TICKETS = count()


class Group:
    """A model group with its policy and budgets. `levels` are by `order`, lowest first."""

    __slots__ = (
        "all_tags",
        "alone",
        "any_default",
        "explore",
        "has_fallback",
        "health",
        "hedge_budget",
        "levels",
        "name",
        "nodes",
        "retry",
        "retry_budget",
        "strategy",
    )

    def __init__(self, name: str, nodes: tuple[Node, ...], settings: Settings, strategy: Strategy) -> None:
        self.name = name
        self.explore = 0.0
        self.configure(nodes, settings, strategy)

    def configure(self, nodes: tuple[Node, ...], settings: Settings, strategy: Strategy) -> None:
        """Take these nodes and settings; the budgets begin anew."""
        self.strategy = strategy
        self.health = settings.health
        self.retry = settings.group_retry.get(self.name, settings.retry)
        self.retry_budget = Budget(share=settings.retry_share, reserve=settings.retry_reserve)
        self.hedge_budget = None if settings.hedge is None else settings.hedge.budget()
        self.has_fallback = bool(settings.fallbacks.of(self.name, None))
        self.all_tags = settings.all_tags
        self.use(nodes, settings)

    def use(self, nodes: tuple[Node, ...], settings: Settings) -> None:
        """Take these nodes in place of what was there. Budgets and what is known of a node that stays are kept."""
        self.nodes = nodes
        orders = sorted({node.terms.order or 0 for node in nodes})
        self.levels = tuple(Level(tuple(node for node in nodes if (node.terms.order or 0) == order)) for order in orders)
        self.any_default = settings.tag_filtering and any(DEFAULT_TAG in node.terms.tags for node in nodes)
        plain_retry = self.retry is settings.retry and not (self.retry.by_kind or self.retry.least)
        trivial = plain_retry and not self.has_fallback and not self.any_default and settings.hedge is None
        lone = len(nodes) == 1 and nodes[0].plain and nodes[0].terms.retries is None
        self.alone = (nodes[0].deployment,) if trivial and lone else None
        for node in nodes:
            node.group = self

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(node.deployment for node in self.nodes)

    def room(self) -> bool:
        """Whether one more may be out by guess. With another group to go to, all may; else one stays in."""
        if self.has_fallback:
            return True
        out = sum(1 for node in self.nodes if node.health.out and not node.health.told)
        return out < int(self.health.most_out * len(self.nodes))


class Attempt:
    """One try of a call. `began` and `first_token` are times; `reserved`: the tokens counted for it beforehand; `risk`: what it
    holds of the retry budget, None if it is no extra. `reason` is why it was made; `changes`: what a fallback of the request's
    own wants different in it. `outcome` is None while it runs.
    """

    __slots__ = ("began", "changes", "first_token", "node", "outcome", "reason", "reserved", "risk")

    def __init__(
        self, node: Node, began: float, *, reserved: int, risk: float | None, reason: str, changes: dict[str, Any] | None = None
    ) -> None:
        self.node = node
        self.began = began
        self.reserved = reserved
        self.risk = risk
        self.reason = reason
        self.changes = changes
        self.first_token: float | None = None
        self.outcome: Outcome | None = None

    @property
    def deployment(self) -> Deployment:
        return self.node.deployment

    def __repr__(self) -> str:
        how = "running" if self.outcome is None else self.outcome.kind
        return f"Attempt({self.node.deployment.id}: {self.reason}; {how})"


def begin_attempt(node: Node, tokens: int, now: float) -> None:
    """Count it: in flight, against the limits, and as the probe if the node is half-open."""
    node.in_flight += 1
    if not node.silent:
        node.sign = now
    node.silent += 1
    if node.limits is not None:
        node.limits.reserve(tokens, now)
    if node.health.out:
        health_rules.begin(node.health, now)


def first_token(attempt: Attempt, now: float) -> None:
    """It has begun to answer: it lives."""
    if attempt.first_token is None:
        attempt.node.silent -= 1
        attempt.node.sign = now
    attempt.first_token = now
    if attempt.node.health.in_a_row:
        health_rules.answered(attempt.node.health, attempt.began)


def usual_seconds(attempt: Attempt, facts: RequestFacts) -> float | None:
    """What such an answer takes there, to its first token or as a whole; None when nothing is known."""
    return attempt.node.speed.expected(facts.input_tokens, facts.stream)


def end_attempt(attempt: Attempt, outcome: Outcome, facts: RequestFacts, now: float) -> bool:
    """Take the outcome in, once. True when it took the deployment out."""
    node, group = attempt.node, attempt.node.group
    attempt.outcome = outcome
    node.in_flight -= 1
    if attempt.first_token is None:
        node.silent -= 1
        node.sign = now
    if node.limits is not None:
        used = outcome.input_tokens + outcome.output_tokens
        node.limits.settle(attempt.reserved, used or attempt.reserved, attempt.began)
    good = outcome.kind == SUCCESS
    room = good or group.room()
    ejected = health_rules.record(
        node.health, group.health, outcome, began=attempt.began, now=now, room=room, base=node.terms.cooldown
    )
    if node.health.out and not node.health.told and node.health.probing is None:
        node.level.put_off(node)
    if good or outcome.kind in ("timeout", SLOW):
        node.speed.learn(
            input_tokens=outcome.input_tokens or facts.input_tokens,
            output_tokens=outcome.output_tokens,
            first_token=outcome.first_token,
            seconds=outcome.seconds,
            now=now,
            good=good,
        )
    group.strategy.record(node, facts, outcome, now)
    return ejected


def eject_credential(nodes: Iterable[Node], refused: Node, now: float) -> None:
    """The credential was refused: all that share it go out with the one that was told so, until its time is over."""
    credential = refused.deployment.credential
    for node in nodes:
        if node is not refused and not node.health.out and node.deployment.credential == credential:
            policy = node.group.health
            health_rules.eject(node.health, policy, "credential", policy.refused_base, now)
            node.level.put_off(node)


def estimated_cost(node: Node, facts: RequestFacts) -> int | None:
    """Nano-dollars of a request there, by its estimates; None when no price is known."""
    rates = node.rates
    if rates is None:
        return None
    return (facts.input_tokens * rates[0] + facts.output_tokens * rates[1]) // 1_000_000


def explain_node(node: Node, now: float) -> dict[str, Any]:
    """One deployment for people and dashboards. Seconds and shares; no credential."""
    health, policy = node.health, node.group.health
    expected = node.speed.expected(0, stream=True)
    return {
        "deployment": node.deployment.id,
        "group": node.group.name,
        "in_flight": node.in_flight,
        "state": _state(health, now),
        "out_because": health.out,
        "returns_in": max(0.0, health.until - now) if health.out else 0.0,
        "ejections_in_a_row": health.strikes,
        "success_rate": round(health_rules.success_rate(health, policy, now), 4),
        "first_token": expected,
        "tokens_per_second": node.speed.rate,
    }


def _state(health: Health, now: float) -> str:
    if not health.out:
        return "in"
    return "out" if now < health.until else "half-open"
