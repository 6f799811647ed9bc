"""Strategies: which of several deployments that could all answer. One class each, and one table of names at the end.

They choose among nodes that `plan` has found fit, never look at cooldowns or limits themselves, and learn from outcomes
through `record`. A strategy of your own is a `Strategy` with a `choose`. The names are LiteLLM's, the algorithms its
documented ones; the default is `uptime-latency`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from itertools import compress
from random import Random
from typing import Any

from dragoman.core.errors import ConfigurationError
from dragoman.router.health import success_rate
from dragoman.router.limits import Amounts
from dragoman.router.outcome import SUCCESS, Outcome
from dragoman.router.speed import place_of
from dragoman.router.state import BUSY, Ask, Node, RequestFacts

Weight = Callable[[Node], float | None]


class Strategy(ABC):
    """`draws`: it is shown no more than so many, drawn by chance, so a decision costs the same however many there are."""

    draws: int | None = None

    @abstractmethod
    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        """One of `nodes`, which are at least one. `ask.now` is in seconds."""

    def record(self, node: Node, facts: RequestFacts, outcome: Outcome, now: float) -> None:  # noqa: B027 - most remember nothing
        """An attempt at `node` has ended."""

    def explain(self, node: Node, ask: Ask) -> str:  # noqa: ARG002 - for strategies that need it
        """What it sees in this node, for people."""
        return f"{node.in_flight} in flight"


class SimpleShuffle(Strategy):
    """By chance, in proportion to weight, else rpm, else tpm: the first of these that any of the nodes has."""

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        for measure in _SHARES:
            weights = [measure(node) or 0.0 for node in nodes]
            if any(weights):
                return ask.rng.choices(nodes, weights)[0]
        return nodes[int(ask.rng.random() * len(nodes))]

    def explain(self, node: Node, ask: Ask) -> str:  # noqa: ARG002 - as the strategies that need it
        return f"weight {node.terms.weight}, rpm {node.terms.rpm}, tpm {node.terms.tpm}"


_SHARES: tuple[Weight, ...] = (lambda node: node.terms.weight, lambda node: node.terms.rpm, lambda node: node.terms.tpm)


class LeastBusy(Strategy):
    """The fewest requests in flight; of several such, by chance."""

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        fewest = min(node.in_flight for node in nodes)
        return _any([node for node in nodes if node.in_flight == fewest], ask.rng)


class LatencyBased(Strategy):
    """The lowest average of the last answers, in seconds per token (streams: seconds to the first token); those within
    `lowest_latency_buffer` of it, as a share, by chance. Who was not used within `ttl` seconds counts as zero.
    """

    penalty = 1000.0

    def __init__(self, *, ttl: float = 3600.0, lowest_latency_buffer: float = 0.0, max_latency_list_size: int = 10) -> None:
        self._ttl = ttl
        self._buffer = lowest_latency_buffer
        self._size = max_latency_list_size

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        averages = [self._average(node, ask) for node in nodes]
        most = min(averages) * (1.0 + self._buffer)
        return _any([node for node, average in zip(nodes, averages, strict=True) if average <= most], ask.rng)

    def record(self, node: Node, facts: RequestFacts, outcome: Outcome, now: float) -> None:
        if outcome.kind not in (SUCCESS, "timeout"):
            return
        if node.memory is None:
            node.memory = (deque(maxlen=self._size), deque(maxlen=self._size))
        if outcome.kind == "timeout":
            sample = self.penalty
        elif outcome.first_token is not None:
            sample = outcome.first_token
        else:
            sample = outcome.seconds / max(1, outcome.output_tokens)
        node.memory[facts.stream].append((now, sample))

    def explain(self, node: Node, ask: Ask) -> str:
        return f"average {self._average(node, ask):.3f} s"

    def _average(self, node: Node, ask: Ask) -> float:
        kept = [sample for at, sample in node.memory[ask.facts.stream] if ask.now - at < self._ttl] if node.memory else []
        return sum(kept) / len(kept) if kept else 0.0


class UsageBased(Strategy):
    """The fewest tokens in the last minute; of several such, by chance. Limits are exact, see `limits`."""

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        used = [_tokens(node).used(ask.now) for node in nodes]
        fewest = min(used)
        return _any([node for node, amount in zip(nodes, used, strict=True) if amount == fewest], ask.rng)

    def record(self, node: Node, facts: RequestFacts, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - as above
        _tokens(node).add(outcome.input_tokens + outcome.output_tokens, now)

    def explain(self, node: Node, ask: Ask) -> str:
        return f"{_tokens(node).used(ask.now)} tokens in the last minute"


class CostBased(Strategy):
    """The lowest sum of the rates in and out; of several such, by chance. Who has no known price comes last."""

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        rates = [_rate(node) for node in nodes]
        lowest = min(rates)
        return _any([node for node, rate in zip(nodes, rates, strict=True) if rate == lowest], ask.rng)

    def explain(self, node: Node, ask: Ask) -> str:  # noqa: ARG002 - as the strategies that need it
        return "no price known" if node.rates is None else f"{_rate(node) / 1e9:.3f} dollars per million tokens in and out"


class UptimeLatency(Strategy):
    """The best of a few drawn by chance, by what a request there is expected to cost: its time, or how long the place has given
    no sign of life, more the more requests wait there for their first token, divided by a power of the success rate, which
    charges what a failure costs. Of nearly equal ones, by chance: `equal` is a share of the best one's time to begin, since
    what the answer takes from there is much the same everywhere.

    Who is unknown is explored, by one request at a time. Who was not heard of for `stale` seconds is tried again by one
    decision in `explore_every`: a share of the requests, because whoever is sent to look at a slower place pays for it.
    """

    draws = 3

    def __init__(
        self, *, stale: float = 20.0, explore_every: int = 256, uptime_power: float = 3.0, equal: float = 0.05
    ) -> None:
        self._stale = stale
        self._explore = 1.0 / explore_every
        self._power = uptime_power
        self._equal = equal

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        typical = 0.0
        for node in nodes:
            if node.speed.seen is None:
                new = [node for node in nodes if node.speed.seen is None and self._new(node, ask)]
                if new:
                    return _any(new, ask.rng)
                typical = _typical(nodes, ask)
                break
        costs, near = self._weighed(nodes, ask, typical)
        equal = list(compress(nodes, map(near.__ge__, costs)))
        if len(equal) < len(nodes):
            group = nodes[0].group
            if group.explore < 1.0:
                group.explore += self._explore
            elif (explored := self._explored(nodes, costs, near, ask)) is not None:
                group.explore = 0.0
                return explored
        return equal[0] if len(equal) == 1 else equal[int(ask.rng.random() * len(equal))]

    def _weighed(self, nodes: Sequence[Node], ask: Ask, unknown: float = 0.0) -> tuple[list[float], float]:
        """The cost of each in seconds, as it were, and up to which one they are as good as the best.

        `unknown` stands for the expected time where nothing is known. One loop, because it is what a decision spends most on.
        """
        facts, now = ask.facts, ask.now
        place = place_of(facts.input_tokens, facts.stream)
        output_tokens = facts.output_tokens if facts.stream else 0
        costs: list[float] = []
        best, begins = _NEVER, None
        for node in nodes:
            speed, health, weight = node.speed, node.health, node.terms.weight
            expected = speed.values[place]
            if expected is None:
                expected = speed.nearest(place)
            seconds = unknown if expected is None else expected
            if node.silent:
                quiet = now - node.sign
                if quiet > seconds:  # noqa: PLR1730 - `max` costs more, three times a decision
                    seconds = quiet
                seconds *= 1.0 + node.silent / BUSY
            if output_tokens and speed.rate:
                seconds += output_tokens / speed.rate
            if health.bad or health.old_bad:
                seconds /= success_rate(health, node.group.health, now) ** self._power
            if weight is not None:
                seconds = seconds / weight if weight > 0 else _NEVER
            costs.append(seconds)
            if seconds < best:
                best, begins = seconds, expected
        return costs, best + self._equal * (best if begins is None else begins)

    def explain(self, node: Node, ask: Ask) -> str:
        return f"cost {self._weighed((node,), ask)[0][0]:.3f} s, success {self._rate(node, ask.now):.3f}"

    def _explored(self, nodes: Sequence[Node], costs: list[float], near: float, ask: Ask) -> Node | None:
        """One of the worse ones whose figures are old."""
        for place, node in enumerate(nodes):
            if not node.in_flight and near < costs[place] < _NEVER and ask.now - (node.speed.seen or ask.now) >= self._stale:
                return node
        return None

    def _new(self, node: Node, ask: Ask) -> bool:
        """Nothing is known of it, nobody is finding out, and it has not only failed."""
        return not node.in_flight and self._rate(node, ask.now) > _DOUBTFUL

    @staticmethod
    def _rate(node: Node, now: float) -> float:
        return success_rate(node.health, node.group.health, now)


_DOUBTFUL = 0.6
"""Who has only failed twice is no unknown any more."""

_NEVER = float("inf")


def _typical(nodes: Sequence[Node], ask: Ask) -> float:
    """What to expect of one that is being found out: twice of those that are known; a second when nobody is."""
    facts = ask.facts
    known = [node.speed.expected(facts.input_tokens, facts.stream) for node in nodes]
    found = [seconds for seconds in known if seconds is not None]
    return 2.0 * sum(found) / len(found) if found else 1.0


def _any(nodes: list[Node], rng: Random) -> Node:
    return nodes[0] if len(nodes) == 1 else nodes[int(rng.random() * len(nodes))]


def _rate(node: Node) -> float:
    return _NEVER if node.rates is None else sum(node.rates)


def _tokens(node: Node) -> Amounts:
    if node.memory is None:
        node.memory = Amounts()
    found: Amounts = node.memory
    return found


STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "simple-shuffle": SimpleShuffle,
    "least-busy": LeastBusy,
    "latency-based-routing": LatencyBased,
    "usage-based-routing": UsageBased,
    "usage-based-routing-v2": UsageBased,
    "cost-based-routing": CostBased,
    "uptime-latency": UptimeLatency,
}


def strategy(name: str, arguments: dict[str, Any] | None = None) -> Strategy:
    """A new one of this name. Raises ConfigurationError for an unknown name or argument."""
    made = STRATEGIES.get(name)
    if made is None:
        raise ConfigurationError(f"routing_strategy: there is no {name!r}; there are: {', '.join(STRATEGIES)}")
    try:
        return made(**arguments or {})
    except TypeError as problem:
        raise ConfigurationError(f"routing_strategy_args: {name} does not take them: {problem}") from None
