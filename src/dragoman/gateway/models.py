"""The `models` of a configuration -> deployments and patterns for the router's policy, which alone looks names up.

A name that only a pattern covers (`openai/*`) comes from a client: it chooses a model, and never a host, a header, a key or
a file. All that can be checked without such a name is checked here, at the start. Called by `config`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from dragoman.core.errors import AuthenticationError, BadRequestError, ConfigurationError, DragomanError
from dragoman.core.http import Headers
from dragoman.gateway.yaml_config import Document
from dragoman.providers import registry
from dragoman.providers.base import Target
from dragoman.router.deployment import NO_TERMS, Deployment, Terms
from dragoman.router.model_list import ModelList, Resolver
from dragoman.transport.fast_request import check_headers

_Name = Annotated[str, Meta(min_length=1)]
_Seconds = Annotated[float, Meta(gt=0, le=1e7)]
_Count = Annotated[int, Meta(ge=1)]
_Price = Annotated[float, Meta(ge=0, le=1e6)]

NANO_DOLLARS = 1_000_000_000


class ModelEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployment as it is configured. `api_base` and `api_key` go together: a key is sent to the host it was given with.

    The rest are its terms, as `router.deployment.Terms` has them; prices are dollars per million tokens. `base_model` is what
    the catalog calls the model, where its name here does not tell; `prefill`: whether it writes on where the last message, an
    assistant's, stops, if the catalog should not decide that.
    """

    name: _Name
    model: _Name
    api_key: str | None = None
    api_base: str | None = None
    headers: dict[str, str] = {}
    id: _Name | None = None
    weight: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    order: Annotated[int, Meta(ge=0)] | None = None
    rpm: _Count | None = None
    tpm: _Count | None = None
    max_parallel: _Count | None = None
    tags: tuple[_Name, ...] = ()
    region: str | None = None
    input_price: _Price | None = None
    output_price: _Price | None = None
    cooldown: _Seconds | None = None
    timeout: _Seconds | None = None
    stream_timeout: _Seconds | None = None
    retries: Annotated[int, Meta(ge=0, le=100)] | None = None
    blocked: bool = False
    defaults: dict[str, Any] = {}
    base_model: str | None = None
    prefill: bool | None = None

    def target(self, model: str, env: Mapping[str, str]) -> Target:
        """Where `model` is asked. Raises what `registry.resolve` does."""
        headers: Headers = tuple((name.lower(), value) for name, value in self.headers.items())
        return registry.resolve(model, api_key=self.api_key, base_url=self.api_base, env=env, headers=headers)

    def terms(self) -> Terms:
        info = {"base_model": self.base_model, "supports_assistant_prefill": self.prefill}
        said = Terms(
            weight=self.weight,
            order=self.order,
            rpm=self.rpm,
            tpm=self.tpm,
            max_parallel=self.max_parallel,
            tags=frozenset(self.tags),
            region=self.region,
            input_rate=_rate(self.input_price),
            output_rate=_rate(self.output_price),
            cooldown=self.cooldown,
            timeout=self.timeout,
            stream_timeout=self.stream_timeout,
            retries=self.retries,
            blocked=self.blocked,
            defaults=self.defaults,
            info={name: value for name, value in info.items() if value is not None},
        )
        return NO_TERMS if said == NO_TERMS else said


def _rate(price: float | None) -> int | None:
    return None if price is None else round(price * NANO_DOLLARS)


def read_models(
    document: Document, entries: Sequence[ModelEntry], aliases: Mapping[str, str], env: Mapping[str, str]
) -> ModelList:
    """Every entry resolved, so that a missing key or a wrong name is seen at the start and not at the first call."""
    groups: dict[str, list[Deployment]] = {}
    patterns: dict[str, list[tuple[int, ModelEntry]]] = {}
    ids: dict[str, int] = {}
    for index, entry in enumerate(entries):
        try:
            _check_headers(entry)
            name = entry_id(entry, index, entry.name)
            if ids.setdefault(name, index) != index:
                raise ConfigurationError(f"id: {name!r} is that of models[{ids[name]}] too; ids are unique")
            if "*" in entry.name or "*" in entry.model:
                _check_pattern(entry, env)
                patterns.setdefault(entry.name, []).append((index, entry))
            else:
                groups.setdefault(entry.name, []).append(_deployment(entry, entry.target(entry.model, env), name, entry.name))
        except DragomanError as problem:
            raise document.error(f"models[{index}]", problem.message) from None
    return ModelList(
        groups={name: tuple(group) for name, group in groups.items()},
        patterns=tuple((name, _resolver(name, patterns[name], env)) for name in sorted(patterns, key=len, reverse=True)),
        aliases=dict(aliases),
    )


def entry_id(entry: ModelEntry, index: int, name: str) -> str:
    """Of a pattern's deployment it has the name in it that was asked for."""
    if entry.id is None:
        return f"{name}#{index}"
    return entry.id if name == entry.name else f"{entry.id}/{name}"


def _deployment(entry: ModelEntry, target: Target, name: str, group: str) -> Deployment:
    return Deployment(target, group=group, id=name, terms=entry.terms())


def _check_headers(entry: ModelEntry) -> None:
    try:
        check_headers(tuple(entry.headers.items()))
    except ValueError as problem:
        raise ConfigurationError(f"headers: {problem}") from None


def _check_pattern(entry: ModelEntry, env: Mapping[str, str]) -> None:
    """A pattern that names its provider must find it, and its key. One that does not must not hold what is meant for one."""
    for name, value in (("name", entry.name), ("model", entry.model)):
        if value.count("*") != 1 or not value.endswith("*"):
            raise ConfigurationError(f"{name}: {value!r}: a pattern has one * at its end, in name and model alike")
    if "/" in entry.model:
        entry.target(entry.model[:-1] + "any", env)
    elif (entry.api_key or entry.headers) and not entry.api_base:
        raise ConfigurationError(
            f"model: {entry.model!r} may be any provider, so a key or headers here would go to whichever a client names: "
            "name the provider, as in openai/*, or give api_base too"
        )


def _resolver(pattern: str, entries: Sequence[tuple[int, ModelEntry]], env: Mapping[str, str]) -> Resolver:
    beginning = pattern[:-1]

    def resolve(name: str) -> tuple[Deployment, ...]:
        if not name or not name.startswith(beginning):
            return ()
        rest = name.removeprefix(beginning)
        return tuple(
            _deployment(entry, _target(entry, name, rest, env), entry_id(entry, index, name), name) for index, entry in entries
        )

    return resolve


def _target(entry: ModelEntry, name: str, rest: str, env: Mapping[str, str]) -> Target:
    """Raises ConfigurationError where the client's part of the name leads nowhere, AuthenticationError without a key."""
    try:
        target = entry.target(entry.model[:-1] + rest, env)
    except BadRequestError as problem:
        raise ConfigurationError(problem.message) from None
    except AuthenticationError as problem:
        problem.message = f"the gateway has no key for {name!r}: {problem.message}"
        raise
    if _is_file(target):
        raise ConfigurationError("a model file is served only under a name of its own in the configuration")
    return target


def _is_file(target: Target) -> bool:
    """A client must not make this machine open a file of its choice."""
    return not target.base_url.startswith(("http:", "https:")) and target.model.lower().endswith(".gguf")
