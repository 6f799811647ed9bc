"""The `router` of a configuration -> the settings of the router's policy. Pure; called by `config`.

    router: {strategy: uptime-latency, retries: {rate_limit: 1}, fallbacks: {fast: [large, local]}, cooldown: {failures: 5}}

What it names is checked: kinds of failure, strategies, and the groups that fallbacks lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.models import NANO_DOLLARS
from dragoman.gateway.yaml_config import Document
from dragoman.router import balance
from dragoman.router.continuation import ContinuationPolicy
from dragoman.router.fallback import ANY, Fallbacks
from dragoman.router.health import HealthPolicy
from dragoman.router.hedge import HedgePolicy
from dragoman.router.model_list import ModelList
from dragoman.router.outcome import CANCELLED, KINDS, SLOW
from dragoman.router.policy import Policy
from dragoman.router.queue import OFF, QueuePolicy
from dragoman.router.retry import RetryPolicy
from dragoman.router.state import Settings
from dragoman.router.throughput import ThroughputGuard

_Name = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=1000)]
_Seconds = Annotated[float, Meta(ge=0, le=1e7)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Lists = dict[_Name, tuple[_Name, ...]]
_RETRIED = frozenset(KINDS) - {CANCELLED, SLOW, "interrupted"}


class CooldownEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a deployment is not asked for a while; see `router.health.HealthPolicy`. `allowed`: kind of failure -> how many in
    a row are still borne. `seconds` is how long the first time, doubled each time after, up to `longest`.
    """

    enabled: bool = True
    failures: Annotated[int, Meta(ge=1)] = 5
    lowest_rate: _Share = 0.5
    window: Annotated[float, Meta(gt=0, le=1e7)] = 30.0
    seconds: _Seconds = 5.0
    longest: _Seconds = 300.0
    most_out: _Share = 0.75
    allowed: dict[_Name, _Count] = {}


class HedgeEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second attempt beside one that is silent for longer than it usually is; see `router.hedge.HedgePolicy`. `share`: hedges
    per request. `most_cost`: dollars that one may cost by estimate.
    """

    share: _Share = 0.05
    quantile: _Share = 0.95
    at_least: _Seconds = 0.05
    most_cost: Annotated[float, Meta(ge=0, le=1e6)] | None = None


class ContinuationEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who writes the rest of a stream that broke off; see docs/router.md. `most`: further attempts for one answer.
    `instruction`: a last message for models that do not take the beginning of an answer; null asks none of them.
    """

    enabled: bool = True
    most: _Count = 2
    instruction: _Name | None = None


class RouterEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How deployments are chosen, and what is done when one fails; see `router.state.Settings`. Names are of model groups.

    `aliases`: another name -> the group it stands for. `retries`: kind of failure -> how many. `max_wait`: the longest wait in
    seconds that a provider may ask for before a retry. `hedge`, `throughput_guard`: null for never. `queue`: null for none.
    """

    strategy: _Name = "uptime-latency"
    strategy_arguments: dict[str, Any] = {}
    group_strategy: dict[_Name, _Name] = {}
    aliases: dict[_Name, _Name] = {}
    retries: dict[_Name, _Count] = {}
    retry_share: _Share = 0.1
    max_wait: _Seconds = 60.0
    fallbacks: _Lists = {}
    default_fallbacks: tuple[_Name, ...] = ()
    context_window_fallbacks: _Lists = {}
    content_policy_fallbacks: _Lists = {}
    max_fallbacks: _Count = 5
    cooldown: CooldownEntry = CooldownEntry()
    hedge: HedgeEntry | None = None
    continuation: ContinuationEntry = ContinuationEntry()
    throughput_guard: ThroughputGuard | None = None
    queue: QueuePolicy | None = None
    fixed_windows: bool = False
    max_parallel: Annotated[int, Meta(ge=1)] | None = None
    tag_filtering: bool = False
    all_tags: bool = False


def settings(document: Document, entry: RouterEntry, *, retries: int) -> Settings:
    """Raises ConfigurationError that names file, line and key. `retries` is for each kind that `entry` says nothing of."""
    _check_kinds(document, "router.retries", entry.retries)
    _check_kinds(document, "router.cooldown.allowed", entry.cooldown.allowed)
    _check_strategies(document, entry)
    anything = {ANY: entry.default_fallbacks} if entry.default_fallbacks else {}
    return Settings(
        strategy=entry.strategy,
        strategy_arguments=entry.strategy_arguments,
        group_strategy=entry.group_strategy,
        retry=RetryPolicy(max_retries=retries, max_wait=entry.max_wait, by_kind=entry.retries),
        retry_share=entry.retry_share,
        health=_health(entry.cooldown),
        fallbacks=Fallbacks(
            any={**anything, **entry.fallbacks},
            context_window=entry.context_window_fallbacks,
            content_policy=entry.content_policy_fallbacks,
            most=entry.max_fallbacks,
        ),
        hedge=_hedge(entry.hedge),
        continuation=_continuation(entry.continuation),
        throughput_guard=entry.throughput_guard,
        queue=entry.queue or OFF,
        fixed_windows=entry.fixed_windows,
        max_parallel=entry.max_parallel,
        tag_filtering=entry.tag_filtering,
        all_tags=entry.all_tags,
    )


def _health(entry: CooldownEntry) -> HealthPolicy:
    return HealthPolicy(
        enabled=entry.enabled,
        failures=entry.failures,
        lowest_rate=entry.lowest_rate,
        window=entry.window,
        base=entry.seconds,
        longest=entry.longest,
        most_out=entry.most_out,
        allowed=entry.allowed,
    )


def _hedge(entry: HedgeEntry | None) -> HedgePolicy | None:
    if entry is None:
        return None
    cost = None if entry.most_cost is None else round(entry.most_cost * NANO_DOLLARS)
    return HedgePolicy(share=entry.share, quantile=entry.quantile, at_least=entry.at_least, most_cost=cost)


def _continuation(entry: ContinuationEntry) -> ContinuationPolicy | None:
    return ContinuationPolicy(most=entry.most, instruction=entry.instruction) if entry.enabled else None


def written(chosen: Settings, aliases: Mapping[str, str]) -> RouterEntry:
    """As our file would say it, whichever file it came from: the way back of `settings`."""
    lists = {name: others for name, others in chosen.fallbacks.any.items() if name != ANY}
    return RouterEntry(
        strategy=chosen.strategy,
        strategy_arguments=chosen.strategy_arguments,
        group_strategy=chosen.group_strategy,
        aliases=dict(aliases),
        retries=chosen.retry.by_kind,
        retry_share=chosen.retry_share,
        max_wait=chosen.retry.max_wait,
        fallbacks=lists,
        default_fallbacks=chosen.fallbacks.any.get(ANY, ()),
        context_window_fallbacks=chosen.fallbacks.context_window,
        content_policy_fallbacks=chosen.fallbacks.content_policy,
        max_fallbacks=chosen.fallbacks.most,
        cooldown=_cooldown_entry(chosen.health),
        hedge=_hedge_entry(chosen.hedge),
        continuation=_continuation_entry(chosen.continuation),
        throughput_guard=chosen.throughput_guard,
        queue=None if chosen.queue == OFF else chosen.queue,
        fixed_windows=chosen.fixed_windows,
        max_parallel=chosen.max_parallel,
        tag_filtering=chosen.tag_filtering,
        all_tags=chosen.all_tags,
    )


def _cooldown_entry(rules: HealthPolicy) -> CooldownEntry:
    return CooldownEntry(
        enabled=rules.enabled,
        failures=rules.failures,
        lowest_rate=rules.lowest_rate,
        window=rules.window,
        seconds=rules.base,
        longest=rules.longest,
        most_out=rules.most_out,
        allowed=rules.allowed,
    )


def _hedge_entry(rules: HedgePolicy | None) -> HedgeEntry | None:
    if rules is None:
        return None
    cost = None if rules.most_cost is None else rules.most_cost / NANO_DOLLARS
    return HedgeEntry(share=rules.share, quantile=rules.quantile, at_least=rules.at_least, most_cost=cost)


def _continuation_entry(rules: ContinuationPolicy | None) -> ContinuationEntry:
    if rules is None:
        return ContinuationEntry(enabled=False)
    return ContinuationEntry(most=rules.most, instruction=rules.instruction)


def make_policy(models: ModelList, chosen: Settings, names: Iterable[str], *, growing: bool = False) -> Policy:
    """The policy over `names`, one for each deployment. The catalog is loaded only where there is something to choose, or where
    there may be later (`growing`).

    Raises ConfigurationError for a fallback to a name that is not there.
    """
    listed = list(names)
    if len(set(listed)) == len(listed) and not growing and not _any_fallback(chosen.fallbacks):
        return Policy(models, chosen)
    from dragoman.router.catalog_facts import facts_of  # noqa: PLC0415 - 2 MB, which a gateway without choices does not need

    return Policy(models, chosen, facts_of=facts_of)


def _any_fallback(fallbacks: Fallbacks) -> bool:
    return bool(fallbacks.any or fallbacks.context_window or fallbacks.content_policy)


def _check_kinds(document: Document, path: str, given: Mapping[str, int]) -> None:
    for kind in given:
        if kind not in _RETRIED:
            raise document.error(f"{path}.{kind}", f"unknown kind of failure; there are: {', '.join(sorted(_RETRIED))}")


def _check_strategies(document: Document, entry: RouterEntry) -> None:
    named = {"router.strategy": entry.strategy} | {
        f"router.group_strategy.{group}": name for group, name in entry.group_strategy.items()
    }
    for path, name in named.items():
        if name not in balance.STRATEGIES:
            raise document.error(path, f"there is no strategy {name!r}; there are: {', '.join(balance.STRATEGIES)}")
    try:
        balance.strategy(entry.strategy, entry.strategy_arguments)
    except ConfigurationError as problem:
        raise document.error("router.strategy_arguments", problem.message) from None
