"""The router's policy of one process: its groups, its settings, and `begin`, which starts a call's session.

It resolves public names (exact, alias, pattern), and is changed while calls run: what is known of a deployment that stays
is kept. It raises for unknown names and bad settings; everything else is the session's. Held by the gateway and by `Router`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from random import Random
from typing import Any

from msgspec.structs import replace

from dragoman.core.errors import ConfigurationError, DragomanError, ErrorDetail, NotFoundError
from dragoman.router import balance
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Direct
from dragoman.router.limits import Limits, LimitsOf
from dragoman.router.model_list import ModelList, Resolver
from dragoman.router.plan import Plan, plan
from dragoman.router.queue import Queues
from dragoman.router.retry import RetryPolicy
from dragoman.router.session import Session
from dragoman.router.state import FactsOf, Group, Node, RequestFacts, Settings, eject_credential, explain_node

MAX_RESOLVED = 1000
"""Names kept that only a pattern covers: they come from clients, so their number is bounded."""
MAX_NAME = 512
"""Characters of a name that a pattern may cover."""


class Policy:
    """See the module. `facts_of` tells what is known of a deployment's model; None where nothing is."""

    def __init__(
        self,
        models: ModelList,
        settings: Settings | None = None,
        *,
        facts_of: FactsOf | None = None,
        strategy: balance.Strategy | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._facts_of = facts_of
        self._own_strategy = strategy
        self._limits_of: LimitsOf = Limits
        self._nodes: dict[str, Node] = {}
        self._groups: dict[str, Group] = {}
        self._resolved: dict[str, Group] = {}
        self._behind: dict[str, Node] = {}
        self._aliases: dict[str, str] = {}
        self._patterns: tuple[tuple[str, Resolver], ...] = ()
        self.queues = Queues()
        balance.strategy(self.settings.strategy, self.settings.strategy_arguments)
        self.use(models)

    # Calls

    def begin(self, facts: RequestFacts, rng: Random) -> Session | Direct:
        """The session of one call. Raises NotFoundError with the nearest names. A lone plain deployment costs nothing."""
        group = self._groups.get(facts.group) or self.group(facts.group)
        if group.alone is not None and facts.fallbacks is None and facts.deployment is None:
            return Direct(group.alone, group.retry if facts.retries is None else self.retry_of(group, facts), rng)
        group.retry_budget.add_request()
        if group.hedge_budget is not None:
            group.hedge_budget.add_request()
        return Session(self, group, facts, rng)

    def alone(self, name: str) -> tuple[Deployment, ...] | None:
        """The deployment of a group that needs no session: there is one, without limits, fallbacks or hedges. One lookup."""
        group = self._groups.get(name) or self._resolved.get(name)
        return None if group is None else group.alone

    def find(self, name: str) -> Group | None:
        """As `begin` finds it; None where that would raise."""
        try:
            return self.group(name)
        except NotFoundError:
            return None

    def group(self, name: str) -> Group:
        """The group of a public name: its own, its alias's, or that of the pattern that covers it most closely.

        Raises NotFoundError with the nearest names.
        """
        found = self._groups.get(name) or self._resolved.get(name)
        if found is not None:
            return found
        if name in self._aliases:
            return self.group(self._aliases[name])
        if len(name) > MAX_NAME:
            raise self._unknown(name, f"it has {len(name)} characters, more than {MAX_NAME}; ")
        for _, resolve in self._patterns:
            try:
                deployments = resolve(name)
            except ConfigurationError as problem:
                raise self._unknown(name, f"{problem.message}; ") from None
            if deployments:
                return self._keep(name, deployments)
        raise self._unknown(name)

    def retry_of(self, group: Group, facts: RequestFacts) -> RetryPolicy:
        """The group's policy, with the number of retries that its first deployment or the request itself says."""
        told = facts.retries
        if told is None and group.nodes:
            told = group.nodes[0].terms.retries
        if told is None:
            return group.retry
        return replace(group.retry, max_retries=told, by_kind={})

    def refuse_credential(self, node: Node, now: float) -> None:
        eject_credential(self._all(), node, now)

    # Changes

    def use(self, models: ModelList) -> None:
        """Take this list in place of the one before. Raises ConfigurationError, and then nothing has changed."""
        self._check(self.settings, lambda name: _serves(models, name), models.groups)
        self.models = models
        """The list that was taken last."""
        self._aliases = dict(models.aliases)
        self._patterns = tuple(models.patterns)
        names, self._behind = tuple(self._resolved), {node.deployment.id: node for node in self._all()}
        self._resolved.clear()
        nodes = {}
        for deployments in models.groups.values():
            for deployment in deployments:
                nodes[deployment.id] = self._node(deployment)
        self._nodes = nodes
        self._groups = {
            name: self._group(name, tuple(nodes[deployment.id] for deployment in deployments))
            for name, deployments in models.groups.items()
        }
        for name in names:  # what stands behind patterns, with what is known of it
            with suppress(DragomanError):
                self.group(name)
        self._behind = {}
        self.queues.call_all()

    def configure(self, settings: Settings) -> None:
        """Take these settings in place of the ones before. What is known is kept, but for counts when limits change.

        Raises ConfigurationError, and then nothing has changed.
        """
        balance.strategy(settings.strategy, settings.strategy_arguments)
        self._check(settings, lambda name: self.find(name) is not None, self._groups)
        before, self.settings = self.settings, settings
        self._resolved.clear()
        if (before.max_parallel, before.fixed_windows) != (settings.max_parallel, settings.fixed_windows):
            self._nodes = {
                name: Node(node.deployment, node.facts, settings, self._limits_of) for name, node in self._nodes.items()
            }
        for group in self._groups.values():
            nodes = tuple(self._nodes[node.deployment.id] for node in group.nodes)
            group.configure(nodes, settings, self._strategy(group.name))
        self.queues.call_all()

    def share(self, limits_of: LimitsOf) -> None:
        """Have the limits of deployments counted in this way from now on, together with other processes; `Limits`: alone."""
        self._limits_of = limits_of
        for node in self._all():
            node.limit(self.settings, limits_of)

    def add(self, deployment: Deployment) -> None:
        """Add one, or put it in place of the one with its id."""
        self.remove(deployment.id)
        node = self._nodes[deployment.id] = self._node(deployment)
        there = self._groups.get(deployment.group)
        self._groups[deployment.group] = self._group(deployment.group, (*(there.nodes if there else ()), node))
        self.queues.call_all()

    def remove(self, deployment_id: str) -> Deployment | None:
        """Take one away; calls that are at it finish there. None when there is none of this id."""
        node = self._nodes.pop(deployment_id, None)
        if node is None:
            return None
        name = node.deployment.group
        left = tuple(other for other in self._groups[name].nodes if other is not node)
        if left:
            self._groups[name] = self._group(name, left)
        else:
            del self._groups[name]
        self.queues.call_all()
        return node.deployment

    # For people

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._groups)

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(node.deployment for node in self._nodes.values())

    def plan(self, facts: RequestFacts, now: float, rng: Random) -> Plan:
        """Who would be asked, in order, and why not the others."""
        return plan(self.group(facts.group), facts, now, rng)

    def explain(self, now: float) -> list[dict[str, Any]]:
        """Every deployment as `state.explain_node` tells it, with how many calls are `waiting` for its group."""
        return [{**explain_node(node, now), "waiting": self.queues.length(node.group.name)} for node in self._all()]

    # Inside

    def _all(self) -> Iterable[Node]:
        yield from self._nodes.values()
        for group in self._resolved.values():
            yield from group.nodes

    def _node(self, deployment: Deployment) -> Node:
        """What is known is kept while the target and terms are the same."""
        known = self._nodes.get(deployment.id) or self._behind.get(deployment.id)
        if known is not None and known.deployment.target == deployment.target and known.terms == deployment.terms:
            return known
        return Node(deployment, self._facts_of(deployment) if self._facts_of else None, self.settings, self._limits_of)

    def _group(self, name: str, nodes: tuple[Node, ...]) -> Group:
        known = self._groups.get(name)
        if known is not None:
            known.use(nodes, self.settings)
            return known
        return Group(name, nodes, self.settings, self._strategy(name))

    def _strategy(self, name: str) -> balance.Strategy:
        if self._own_strategy is not None:
            return self._own_strategy
        special = self.settings.group_strategy.get(name)
        return (
            balance.strategy(special) if special else balance.strategy(self.settings.strategy, self.settings.strategy_arguments)
        )

    def set_strategy(self, strategy: balance.Strategy | None) -> None:
        """A strategy of your own, for all groups; None: that of the settings again."""
        self._own_strategy = strategy
        for group in (*self._groups.values(), *self._resolved.values()):
            group.strategy = self._strategy(group.name)

    def _keep(self, name: str, deployments: tuple[Deployment, ...]) -> Group:
        if len(self._resolved) >= MAX_RESOLVED:
            del self._resolved[next(iter(self._resolved))]
        nodes = tuple(self._node(deployment) for deployment in deployments)
        group = self._resolved[name] = Group(name, nodes, self.settings, self._strategy(name))
        return group

    def _check(self, settings: Settings, serves: Callable[[str], bool], names: Iterable[str]) -> None:
        """A fallback to a name that does not exist is found out now, not in the outage."""
        if settings.throughput_guard is not None and settings.continuation is None:
            raise ConfigurationError("throughput_guard: it hands over by continuation, which is off: turn that on")
        fallbacks = settings.fallbacks
        for kind, lists in (
            ("fallbacks", fallbacks.any),
            ("context_window_fallbacks", fallbacks.context_window),
            ("content_policy_fallbacks", fallbacks.content_policy),
        ):
            for group, others in lists.items():
                for other in others:
                    if not serves(other):
                        raise ConfigurationError(f"{kind}: {group}: {self._unknown(other, names=names).message}")

    def _unknown(self, name: str, why: str = "", names: Iterable[str] | None = None) -> NotFoundError:
        listed = list(self._groups if names is None else names)
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
        close = get_close_matches(name, listed, n=3, cutoff=0.5) if len(name) <= _SHOWN else []
        there = [*sorted(listed)[:20], *(pattern for pattern, _ in self._patterns)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(there)}"
        message = f"no model is called {shown!r}: {why}{hint}"
        return NotFoundError(message, detail=ErrorDetail(message=message, code="model_not_found", param="model"), attempts=0)


def _serves(models: ModelList, name: str) -> bool:
    """Whether a list has this name, in whichever way."""
    if name in models.groups:
        return True
    if name in models.aliases:
        return _serves(models, models.aliases[name])
    return any(_resolves(resolve, name) for _, resolve in models.patterns)


def _resolves(resolve: Resolver, name: str) -> bool:
    try:
        return bool(resolve(name))
    except DragomanError:
        return False


_SHOWN = 80
