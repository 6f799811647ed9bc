"""Whom a candidate means: its names or ids -> the deployments that serve it; and the lists of providers and models.

A candidate is looked for as `provider/model` in the client's words, then in ours, then as a public name of the gateway that
is served by that provider. What is listed is what this gateway can serve. It chooses nobody: that is the router's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core.errors import DragomanError, ErrorDetail, NotFoundError
from dragoman.dialects.gptrouter.requests import Candidate
from dragoman.dialects.gptrouter.wire import model_id, provider_id
from dragoman.gateway.gptrouter import providers
from dragoman.router.deployment import Deployment
from dragoman.router.policy import Policy


class Listed(Struct, frozen=True, kw_only=True):
    """A model as it is listed: `provider` and `name` are what a request names it by, `group` is our public name."""

    provider: str
    name: str
    group: str

    @property
    def id(self) -> str:
        return model_id(self.provider, self.name)


class Found(Struct, frozen=True, kw_only=True):
    """A candidate found. `provider` and `model` are its names as a client may write them, `group` is our public name.

    `whole`: all deployments of the group are of the candidate's provider, and not a few of them.
    """

    provider: str
    model: str
    group: str
    deployments: tuple[Deployment, ...]
    whole: bool = True


class Directory:
    """`policy` is asked each time, since configurations are reloaded; `started` is the date that lists show, RFC 3339."""

    def __init__(self, policy: Callable[[], Policy], *, started: str) -> None:
        self._policy = policy
        self._started = started
        self._names: tuple[str, ...] | None = None
        self._listed: dict[str, Listed] = {}
        self._groups: frozenset[str] = frozenset()

    # Finding

    def find(self, candidate: Candidate) -> Found:
        """Raises NotFoundError, which names the candidate's place in the request."""
        provider, model = self._named(candidate)
        try:
            found = self._resolve(provider, model)
        except NotFoundError as problem:
            raise _unknown(f"{candidate.path}.modelName: {problem.message}") from None
        return found if provider else replace(found, provider=providers.listed_as(found.deployments[0])[0])

    def _named(self, candidate: Candidate) -> tuple[str, str]:
        """The names of a candidate that is written by ids. An id goes before a name, as it always did."""
        provider, model = candidate.provider, candidate.model
        if candidate.model_id:
            found = self._current().get(candidate.model_id)
            if found is not None:
                return found.provider, found.name
            if not model:
                raise _unknown(f"{candidate.path}.modelId: no model has the id {candidate.model_id[:60]!r}")
        if candidate.provider_id:
            known = {provider_id(name): name for name in self._provider_names()}
            provider = known.get(candidate.provider_id, provider)
            if not provider:
                raise _unknown(f"{candidate.path}.providerId: no provider has the id {candidate.provider_id[:60]!r}")
        return provider, model

    def _resolve(self, provider: str, model: str) -> Found:
        policy = self._policy()
        if not provider:
            return Found(provider="", model=model, group=model, deployments=policy.group(model).deployments)
        self._current()
        ours = providers.ours(provider)
        for name in (f"{provider}/{model}", *(f"{own}/{model}" for own in ours)):
            if name in self._groups:
                return Found(provider=provider, model=model, group=name, deployments=policy.group(name).deployments)
        if model in self._groups:
            there = policy.group(model).deployments
            served = tuple(place for place in there if place.target.provider.name in ours)
            if served:
                whole = len(served) == len(there)
                return Found(provider=provider, model=model, group=model, deployments=served, whole=whole)
        return self._by_pattern(policy, provider, model)

    def _by_pattern(self, policy: Policy, provider: str, model: str) -> Found:
        problem: DragomanError | None = None
        for own in providers.ours(provider):
            name = f"{own}/{providers.RENAMED.get((provider, model), model)}"
            try:
                return Found(provider=provider, model=model, group=name, deployments=policy.group(name).deployments)
            except DragomanError as error:
                problem = problem or error
        near = get_close_matches(model[:80], [listed.name for listed in self._listed.values()], n=3)
        hint = f"; near to it: {', '.join(near)}" if near else ""
        raise _unknown(
            f"{provider!r} serves no {model[:80]!r} here{hint} ({problem.message if problem else 'nobody is asked'})"
        )

    # Lists

    def providers(self) -> list[dict[str, Any]]:
        return [{"id": provider_id(name), "name": name, **self._dates()} for name in self._provider_names()]

    def models(self) -> list[dict[str, Any]]:
        return [self._row(place, listed) for place, listed in enumerate(self._current().values(), 1)]

    def model(self, wanted: str) -> dict[str, Any] | None:
        return next((row for row in self.models() if row["id"] == wanted), None)

    def _row(self, place: int, listed: Listed) -> dict[str, Any]:
        return {
            "id": listed.id,
            "name": listed.name,
            "providerId": provider_id(listed.provider),
            "providerName": listed.provider,
            "inputType": providers.input_type(listed.name),
            "order": place,
            **self._dates(),
        }

    def _dates(self) -> dict[str, str]:
        return {"createdAt": self._started, "updatedAt": self._started}

    def _provider_names(self) -> list[str]:
        return list(dict.fromkeys(listed.provider for listed in self._current().values()))

    def _current(self) -> dict[str, Listed]:
        """By id; made anew when the gateway's names have changed."""
        policy = self._policy()
        if policy.names != self._names:
            self._names = policy.names
            self._groups = frozenset(policy.names)
            self._listed = {}
            self._listed = {listed.id: listed for listed in (*_configured(policy), *self._known())}
        return self._listed

    def _known(self) -> Iterator[Listed]:
        """The names that GPTRouter's clients know, as far as somebody here serves them."""
        for provider, names in providers.KNOWN.items():
            for name in names:
                try:
                    found = self._resolve(provider, name)
                except DragomanError:
                    continue
                yield Listed(provider=provider, name=name, group=found.group)


def _configured(policy: Policy) -> Iterator[Listed]:
    for group in policy.names:
        for deployment in policy.group(group).deployments:
            provider, name = providers.listed_as(deployment)
            yield Listed(provider=provider, name=name, group=group)


def _unknown(message: str) -> NotFoundError:
    return NotFoundError(message, detail=ErrorDetail(message=message, code="model_not_found"), attempts=0)
