"""What a Router's clients share: its policy behind one lock, and what of a call's keywords is meant for it.

Threads may share it, and event loops: every step of a session holds the lock, which is never held while anything is waited
for. It sends nothing itself; `RoutedClient` and `AsyncRoutedClient` do, as the plain clients would.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from dragoman.client.arguments import CHAT_PARAMETERS, CONTROLS, EMBEDDING_PARAMETERS, PLACE, Arguments
from dragoman.client.caching import package_cache
from dragoman.client.client import AsyncClient, Client
from dragoman.core.errors import BadRequestError
from dragoman.engine.call import Call
from dragoman.engine.request_facts import request_facts
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Sessionlike
from dragoman.router.fallback import Hop, read_hops, read_lists
from dragoman.router.guarded import Guarded
from dragoman.router.policy import Policy
from dragoman.router.queue import QueuePolicy
from dragoman.router.session import Session
from dragoman.router.state import RequestFacts

if TYPE_CHECKING:
    from dragoman.caching import Cache
    from dragoman.client.router_sharing import RouterSharing

_PARAMETERS = CHAT_PARAMETERS | EMBEDDING_PARAMETERS

MINE = frozenset(
    """
    fallbacks disable_fallbacks num_retries max_retries specific_deployment tags litellm_session_id session_id patience priority
    """.split()
)
"""Keywords of a call that are for the router alone."""

_REFUSED = {
    **dict.fromkeys(
        ("context_window_fallbacks", "content_policy_fallbacks", "max_fallbacks"), "give it to the Router, or use fallbacks"
    ),
    **dict.fromkeys(PLACE, "a Router asks its deployments; add one that has it"),
}


class Routing(Struct, frozen=True, kw_only=True):
    """What a call says to the router. `hops` in place of the configured fallbacks; `deployment`: only this id."""

    group: str
    deployment: str | None = None
    retries: int | None = None
    hops: tuple[Hop, ...] | None = None
    tags: frozenset[str] = frozenset()
    session: str | None = None
    patience: float | None = None
    priority: int | None = None


class RouterCore:
    """`controls` and `parameters` are what each call has that says nothing else; `entries`: the model list, by id."""

    def __init__(self, policy: Policy, *, controls: dict[str, Any], parameters: dict[str, Any], env: Mapping[str, str]) -> None:
        self.policy = policy
        self.controls = controls
        self.parameters = parameters
        self.env = env
        self.entries: dict[str, dict[str, Any]] = {}
        self.cache: Cache | None = None
        self.sharing: RouterSharing | None = None
        self.lock = RLock()
        self.rng = Random()  # noqa: S311 - which deployment is asked is no secret

    def routing(self, model: str, given: dict[str, Any]) -> tuple[Routing, dict[str, Any]]:
        """What is for the router, and the rest. Raises BadRequestError that names the keyword, NotFoundError for a group."""
        said = {name: value for name, value in given.items() if value is not None}
        for name in said:
            if name in _REFUSED:
                raise BadRequestError(f"{name}: not with a Router: {_REFUSED[name]}", attempts=0)
        mine = {name: said.pop(name) for name in MINE if name in said}
        metadata, tags = _split_metadata(said.pop("metadata", None))
        if metadata:
            said["metadata"] = metadata
        group, deployment = self.place(model, mine.get("specific_deployment"))
        return Routing(
            group=group,
            deployment=deployment,
            retries=_retries(mine),
            hops=self._hops(group, mine),
            tags=frozenset(_texts(mine.get("tags"), "tags") or tags) if self.policy.settings.tag_filtering else frozenset(),
            session=mine.get("litellm_session_id") or mine.get("session_id"),
            patience=self._patience(mine),
            priority=_whole(mine, "priority"),
        ), said

    def place(self, model: str, specific: Any = None) -> tuple[str, str | None]:
        """(group, id of the only deployment or None). `specific`: True where `model` names a deployment, or the id of one."""
        name = specific if isinstance(specific, str) else model
        with self.lock:
            if not specific and self.policy.find(model) is not None:
                return model, None
            entry = self.entries.get(name) or (self._by_model(name) if specific else None)
            if entry is not None:
                return entry["model_name"], entry["model_info"]["id"]
            if isinstance(specific, str):
                raise BadRequestError(f"specific_deployment: there is no deployment {specific!r}", attempts=0)
            self.policy.group(model)  # raises, with the nearest names
            raise BadRequestError(f"specific_deployment: no deployment has the model {model!r}", attempts=0)

    def begin(self, routing: Routing, call: Call) -> Sessionlike:
        """The session of a call. Of one that has nothing to choose the request is not looked at."""
        if self.sharing is not None:
            self.sharing.join(call)
        own: dict[str, Any] = {"retries": routing.retries, "fallbacks": routing.hops, "deployment": routing.deployment}
        total = call.options.timeouts.total
        own["deadline"] = None if total is None else time.monotonic() + total
        with self.lock:
            if self.policy.alone(routing.group) is not None and routing.hops is None and routing.deployment is None:
                facts = RequestFacts(group=routing.group, **own)
            else:
                own |= {"tags": routing.tags, "patience": routing.patience, "priority": routing.priority}
                envelope = call.envelope if call.in_json else {}
                facts = request_facts(envelope, routing.group, stream=call.stream, session=routing.session, **own)
            session = self.policy.begin(facts, self.rng)
        return Guarded(session, self.lock) if isinstance(session, Session) else session

    def _by_model(self, model: str) -> dict[str, Any] | None:
        return next((entry for entry in self.entries.values() if entry["litellm_params"].get("model") == model), None)

    def _patience(self, mine: Mapping[str, Any]) -> float | None:
        """Seconds of the call's own. One with a priority waits where nothing is configured too, as LiteLLM has it."""
        given = mine.get("patience")
        if given is None and "priority" in mine and not self.policy.settings.queue.max_wait:
            return QueuePolicy().max_wait
        if given is not None and (isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0):
            raise BadRequestError(f"patience: expected seconds from 0, found {given!r}", attempts=0)
        return given

    def _hops(self, group: str, mine: Mapping[str, Any]) -> tuple[Hop, ...] | None:
        if mine.get("disable_fallbacks"):
            return ()
        hops = read_hops(_for_group(mine.get("fallbacks"), group))
        for index, hop in enumerate(hops or ()):
            for name in hop.changes:
                if name in PLACE | CONTROLS | MINE:
                    place = f"fallbacks[{index}].{name}"
                    raise BadRequestError(f"{place}: a fallback changes the request, not who is asked", attempts=0)
            with self.lock:
                self.policy.group(hop.group)
        return hops


def _for_group(value: Any, group: str) -> Any:
    """LiteLLM also takes [{"group": ["b", "c"]}, ...] with a call: then it is the entry of the group asked for."""
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], dict) or "model" in value[0]:
        return value
    lists = read_lists(value, "fallbacks")
    return lists.get(group, lists.get("*", ()))


def _split_metadata(metadata: Any) -> tuple[Any, tuple[str, ...]]:
    """Tags in the metadata are the router's; no provider knows them."""
    if not isinstance(metadata, dict) or "tags" not in metadata:
        return metadata, ()
    return {name: value for name, value in metadata.items() if name != "tags"}, _texts(metadata["tags"], "metadata.tags")


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(text, str) for text in value):
        raise BadRequestError(f"{place}: expected a list of texts, found {value!r}", attempts=0)
    return tuple(value)


def _retries(mine: Mapping[str, Any]) -> int | None:
    return _whole(mine, "num_retries" if "num_retries" in mine else "max_retries")


def _whole(mine: Mapping[str, Any], name: str) -> int | None:
    number = mine.get(name)
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise BadRequestError(f"{name}: expected a whole number from 0, found {number!r}", attempts=0)
    return number


# ------------------------------------------------------------------------------------------------------------ the clients
class _Plain(Protocol):
    """What `_Routed` builds on: the plain clients' own way."""

    def _sorted(self, model: str, parameters: frozenset[str], given: dict[str, Any]) -> Arguments: ...
    def _call(self, model: str, operation: str, said: Arguments, **given: Any) -> Call: ...


class _Routed:
    """Both clients' difference from the plain ones: a session decides who is asked, and the caller names nobody."""

    _core: RouterCore

    def _defaults(self) -> dict[str, Any]:
        return self._core.controls

    def _sorted(self, model: str, parameters: frozenset[str], given: dict[str, Any]) -> Arguments:
        routing, said = self._core.routing(model, given)
        usual = {name: value for name, value in self._core.parameters.items() if name in parameters or name not in _PARAMETERS}
        plain: _Plain = super()  # type: ignore[assignment]  # the client that comes after this class
        return replace(plain._sorted(routing.group, parameters, usual | said), routing=routing)  # noqa: SLF001 - ours

    def _cache(self) -> Cache | None:
        return package_cache() if self._core.cache is None else self._core.cache

    def _places(self, model: str, said: Arguments) -> tuple[Deployment, ...]:  # noqa: ARG002 - as the plain clients
        return ()

    def _call(self, model: str, operation: str, said: Arguments, **given: Any) -> Call:
        plain: _Plain = super()  # type: ignore[assignment]  # as above
        call = plain._call(model, operation, said, **given)  # noqa: SLF001 - ours
        call.session = self._core.begin(said.routing, call)
        return call


class RoutedClient(_Routed, Client):
    def __init__(self, core: RouterCore, **given: Any) -> None:
        super().__init__(env=core.env, **given)
        self._core = core


class AsyncRoutedClient(_Routed, AsyncClient):
    def __init__(self, core: RouterCore, **given: Any) -> None:
        super().__init__(env=core.env, **given)
        self._core = core
