"""`Router`: one model name, several deployments. LiteLLM's class, over the policy of `dragoman.router`.

    router = Router(model_list=[{"model_name": "fast", "litellm_params": {"model": "openai/gpt-4o-mini"}}, ...])
    router.completion("fast", [{"role": "user", "content": "hello"}])

It decides nothing: `router.policy` does, and `router_core` holds it. What of LiteLLM's arguments is not obeyed is told by a
warning, what nobody knows is an error. Threads may share a Router, and several event loops, one after the other or at once.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dragoman.client.arguments import CONTROLS, PLACE
from dragoman.client.caching import router_cache
from dragoman.client.per_loop import PerLoop
from dragoman.client.router_calls import RouterCalls
from dragoman.client.router_core import AsyncRoutedClient, RoutedClient, RouterCore
from dragoman.client.router_views import DeploymentEntry, ModelGroupInfo, OwnStrategy, deployment_entry, group_info
from dragoman.core.errors import ConfigurationError
from dragoman.router.balance import Strategy
from dragoman.router.catalog_facts import facts_of
from dragoman.router.litellm_settings import RouterArguments, read_arguments
from dragoman.router.model_list import ModelList, read_model_list
from dragoman.router.plan import Plan
from dragoman.router.policy import Policy
from dragoman.router.session import nobody
from dragoman.router.state import RequestFacts
from dragoman.transport.background import BackgroundTransport
from dragoman.transport.base import AsyncTransport, Transport
from dragoman.transport.by_scheme import AsyncSchemeTransport, SchemeTransport

if TYPE_CHECKING:
    from dragoman.client.router_sharing import RouterSharing


class Router(RouterCalls):
    """See the module. Arguments are LiteLLM's (`routing_strategy`, `num_retries`, `fallbacks`, `cooldown_time` ...); see
    docs/router.md for each. `env`: where keys are looked up; the transports are for tests and networks of one's own.

    Raises ConfigurationError that names the argument, or entry and key of the model list.
    """

    def __init__(
        self,
        model_list: list[Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        async_transport: AsyncTransport | None = None,
        **given: Any,
    ) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._arguments = self._read(self._given)
        self._env = os.environ if env is None else env
        self._custom: Strategy | None = None
        models = self._listed([deployment_entry(entry) for entry in model_list or ()])
        controls, parameters = _call_defaults(self._arguments)
        self._core = RouterCore(self._policy(models), controls=controls, parameters=parameters, env=self._env)
        self._core.entries = models.entries
        self._core.cache = router_cache(self._arguments.rest)
        self._core.sharing = self._shared()
        self._client = RoutedClient(self._core, transport=_beside(transport, async_transport))
        self._clients = PerLoop(lambda: AsyncRoutedClient(self._core, transport=async_transport))

    # ---------------------------------------------------------------------------------------------------------- model list
    @property
    def model_list(self) -> list[dict[str, Any]]:
        """Its entries as they were given, each with its id in `model_info`. A copy: change it by the methods below."""
        with self._core.lock:
            return [DeploymentEntry.of(entry) for entry in self._core.entries.values()]

    def set_model_list(self, model_list: list[Any]) -> None:
        """Take this list in place of the one before. What is known of a deployment that stays the same is kept."""
        self._use([deployment_entry(entry) for entry in model_list])

    def add_deployment(self, deployment: Any) -> DeploymentEntry:
        """Add one entry (a dict, or an object with `model_name` and `litellm_params`). Returns it with its id."""
        with self._core.lock:
            before = set(self._core.entries)
            self._use([*self._core.entries.values(), deployment_entry(deployment)])
            return self._entry(next(name for name in self._core.entries if name not in before))

    def upsert_deployment(self, deployment: Any) -> DeploymentEntry:
        """Add it, or put it in place of the one with its id."""
        entry = deployment_entry(deployment)
        name = (entry.get("model_info") or {}).get("id")
        with self._core.lock:
            if name is None or name not in self._core.entries:
                return self.add_deployment(entry)
            self._use([entry if known == name else other for known, other in self._core.entries.items()])
            return self._entry(name)

    def delete_deployment(self, id: str) -> DeploymentEntry | None:  # noqa: A002 - LiteLLM's name
        """Take one away; calls that are at it finish there. None when there is none of this id."""
        with self._core.lock:
            if id not in self._core.entries:
                return None
            gone = self._entry(id)
            self._use([entry for name, entry in self._core.entries.items() if name != id])
            return gone

    def get_model_list(self, model_name: str | None = None) -> list[dict[str, Any]]:
        """The entries of a group, or all. Those of an alias come under its name."""
        entries = self.model_list
        if model_name is None:
            return entries
        group = self._models.aliases.get(model_name, model_name)
        return [{**entry, "model_name": model_name} for entry in entries if entry["model_name"] == group]

    def get_model_names(self) -> list[str]:
        """Groups, patterns, and aliases that are not hidden."""
        names = dict.fromkeys(entry["model_name"] for entry in self.model_list)
        return [*names, *(alias for alias in self._models.aliases if alias not in self._models.hidden)]

    def get_model_ids(self, model_name: str | None = None) -> list[str]:
        return [entry["model_info"]["id"] for entry in self.get_model_list(model_name)]

    def get_deployment(self, model_id: str) -> DeploymentEntry | None:
        with self._core.lock:
            return self._entry(model_id) if model_id in self._core.entries else None

    def get_deployment_by_model_group_name(self, model_group_name: str) -> DeploymentEntry | None:
        """The first of a group."""
        names = self.get_model_ids(model_group_name)
        return self.get_deployment(names[0]) if names else None

    def get_model_group_info(self, model_group: str) -> ModelGroupInfo | None:
        """What a group can do, by the catalog and its limits; None for an unknown one."""
        with self._core.lock:
            group = self._core.policy.find(model_group)
            return None if group is None else group_info(model_group, [node.deployment for node in group.nodes])

    # ------------------------------------------------------------------------------------------------------------ decisions
    def get_available_deployment(
        self,
        model: str,
        messages: list[Any] | None = None,  # noqa: ARG002 - LiteLLM's signature
        input: Any = None,  # noqa: A002, ARG002 - as above
        specific_deployment: bool | None = False,  # noqa: FBT001, FBT002 - as above
        request_kwargs: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> DeploymentEntry:
        """The entry that a request would be sent to now. Raises NoDeploymentError with the reasons."""
        planned = self.plan(model, specific_deployment=specific_deployment)
        if not planned.attempts:
            waits = [drop.retry_after for drop in planned.drops if drop.retry_after is not None]
            raise nobody(model, planned.drops, min(waits, default=None))
        chosen = planned.attempts[0].deployment
        known = self.get_deployment(chosen.id)
        if known is not None:
            return known
        params = {"model": f"{chosen.target.provider.name}/{chosen.target.model}"}
        found: DeploymentEntry = DeploymentEntry.of(
            {"model_name": chosen.group, "litellm_params": params, "model_info": {"id": chosen.id}}
        )
        return found

    async def async_get_available_deployment(self, model: str, *given: Any, **named: Any) -> DeploymentEntry:
        return self.get_available_deployment(model, *given, **named)

    def plan(self, model: str, *, specific_deployment: bool | None = False) -> Plan:
        """Who would be asked, in order, and who would not, with the reasons."""
        group, deployment = self._core.place(model, specific_deployment)
        with self._core.lock:
            facts = RequestFacts(group=group, deployment=deployment)
            return self._core.policy.plan(facts, time.monotonic(), self._core.rng)

    def explain(self) -> list[dict[str, Any]]:
        """Each deployment's state: in or out and why, in flight, success rate, seconds to the first token, waiting."""
        with self._core.lock:
            return self._core.policy.explain(time.monotonic())

    def set_custom_routing_strategy(self, CustomRoutingStrategy: Any) -> None:  # noqa: N803 - LiteLLM's name
        """A `dragoman.router.balance.Strategy`, or LiteLLM's kind: `get_available_deployment(...)` gives an entry of the list.

        One that gives a deployment which cannot be asked now is overruled by chance among those that can.
        """
        own = CustomRoutingStrategy
        self._custom = own if isinstance(own, Strategy) else OwnStrategy(own, self.get_deployment)
        with self._core.lock:
            self._core.policy.set_strategy(self._custom)

    # ------------------------------------------------------------------------------------------------------------- settings
    def get_settings(self) -> dict[str, Any]:
        """The arguments as they hold now, by LiteLLM's names."""
        settings = self._arguments.settings
        usual = {
            "routing_strategy": settings.strategy,
            "routing_strategy_args": settings.strategy_arguments,
            "num_retries": settings.retry.max_retries,
            "retry_after": settings.retry.least,
            "allowed_fails": settings.health.failures - 1,
            "cooldown_time": settings.health.base,
            "max_fallbacks": settings.fallbacks.most,
        }
        return usual | self._given

    def update_settings(self, **given: Any) -> None:
        """Change arguments while running. What is known of the deployments is kept. Raises ConfigurationError."""
        changed = {**self._given, **given}
        arguments = self._read({name: value for name, value in changed.items() if value is not None})
        with self._core.lock:
            self._core.policy.configure(arguments.settings)
            if "routing_strategy" in given:
                self._custom = None
                self._core.policy.set_strategy(None)
            self._given, self._arguments = changed, arguments
            self._core.controls, self._core.parameters = _call_defaults(arguments)
            if given.keys() & {"model_group_alias", "default_litellm_params"}:
                self._use(list(self._core.entries.values()))

    def reset(self) -> None:
        """Forget what is known of the deployments: cooldowns, latencies, counts."""
        with self._core.lock:
            self._core.policy = self._policy(self._models)
            if self._core.sharing is not None:
                self._core.sharing.use(self._core.policy)

    def flush_cache(self) -> None:
        """LiteLLM's name for `reset`."""
        self.reset()

    # ------------------------------------------------------------------------------------------------------------------ end
    def close(self) -> None:
        """Close the connections of sync calls and to Redis, and the router's own cache. Those of a loop close with it."""
        self._client.close()
        if self._core.sharing is not None:
            self._core.sharing.close()
        if self._core.cache is not None:
            self._core.cache.close()

    discard = close

    async def aclose(self) -> None:
        self.close()
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --------------------------------------------------------------------------------------------------------------- inside
    def _read(self, given: Mapping[str, Any]) -> RouterArguments:
        if "model_list" in given:
            raise ConfigurationError("model_list: use set_model_list")
        arguments = read_arguments(given)
        for text in arguments.warnings:
            warnings.warn(text, stacklevel=4)
        return arguments

    def _listed(self, entries: list[dict[str, Any]]) -> ModelList:
        rest = self._arguments.rest
        usual = {name: value for name, value in (rest.get("default_litellm_params") or {}).items() if name in PLACE}
        models = read_model_list(
            [_filled(entry, usual) for entry in entries] if usual else entries,
            env=self._env,
            aliases=rest.get("model_group_alias"),
            skip_invalid=bool(rest.get("ignore_invalid_deployments")),
        )
        for text in (*models.skipped, *models.warnings):
            warnings.warn(f"Router: {text}", stacklevel=5)
        self._models = models
        return models

    def _shared(self) -> RouterSharing | None:
        if not any(name.startswith("redis_") for name in self._arguments.rest):
            return None
        from dragoman.client.router_sharing import RouterSharing  # noqa: PLC0415 - who is alone does not pay for it

        return RouterSharing(self._arguments.rest, self._env, self._core.policy, self._core.lock)

    def _policy(self, models: ModelList) -> Policy:
        return Policy(models, self._arguments.settings, facts_of=facts_of, strategy=self._custom)

    def _use(self, entries: list[dict[str, Any]]) -> None:
        with self._core.lock:
            models = self._listed(entries)
            self._core.policy.use(models)
            self._core.entries = models.entries

    def _entry(self, name: str) -> DeploymentEntry:
        found: DeploymentEntry = DeploymentEntry.of(self._core.entries[name])
        return found


def _beside(transport: Transport | None, async_transport: AsyncTransport | None) -> Transport:
    """For sync calls; hedged ones need an event loop, and a transport of one's own says itself what carries them there."""
    if transport is not None and async_transport is None:
        return transport
    make = AsyncSchemeTransport if async_transport is None else lambda: async_transport
    return BackgroundTransport(transport or SchemeTransport(), make)


def _filled(entry: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """With the router's own place, where the entry names none. One that is malformed is left for its reader to refuse."""
    params = entry.get("litellm_params")
    return {**entry, "litellm_params": {**usual, **params}} if isinstance(params, Mapping) else entry


def _call_defaults(arguments: RouterArguments) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each call has that says nothing else: its controls, and its parameters."""
    rest = arguments.rest
    usual = {name: value for name, value in (rest.get("default_litellm_params") or {}).items() if name not in PLACE}
    controls = {name: value for name, value in usual.items() if name in CONTROLS}
    controls |= {name: rest[name] for name in ("timeout", "stream_timeout") if name in rest}
    return controls, {name: value for name, value in usual.items() if name not in CONTROLS}
