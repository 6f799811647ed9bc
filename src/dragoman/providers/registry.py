"""The name of a provider -> its row, and "provider/model" -> a Target that can be asked. Pure; the environment is an argument.

`Registry` is an immutable set of rows; the functions here ask the one of the built-in table and of what `register_provider`
added to it. A provider in `dragoman.custom_provider_map` goes before a row; a name that no row has is looked for among the
entry points "dragoman.providers" of installed packages. Clients and the gateway's configuration call `resolve`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec.structs import replace

from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.core.http import Headers
from dragoman.providers import credentials, custom, table
from dragoman.providers.base import Provider, Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "dragoman.providers"
"""The entry points of packages that bring a provider: its name -> a `Provider`, or a function that makes one."""


class Registry:
    """Rows by name and alias. A name outranks an alias, and of two rows that claim the same the later one has it."""

    def __init__(self, rows: Iterable[Provider] = table.ROWS) -> None:
        self.rows = tuple({row.name: row for row in rows}.values())
        self._index = {alias: row for row in self.rows for alias in row.aliases}
        self._index |= {row.name: row for row in self.rows}

    def with_provider(self, *rows: Provider) -> Registry:
        """A registry with these rows as well; one of the same name is replaced. Raises ConfigurationError for a bad row."""
        return Registry((*self.rows, *(_checked(row, f"the provider {row.name!r}") for row in rows)))

    def get(self, name: str) -> Provider:
        """The row of this name or alias. Raises ConfigurationError with the nearest names."""
        row = self.find(name)
        if row is None:
            raise ConfigurationError(f"no provider is called {name!r}{self._nearest(name)}; {_REMEDY}")
        return row

    def find(self, name: str) -> Provider | None:
        """The row of this name or alias: of a handler, here, or in an installed package; None when there is none."""
        return custom.row(name) or self._index.get(name) or _plugin(name)

    def split(self, model: str, *, provider: str | None = None, base_url: str | None = None) -> tuple[Provider, str]:
        """Who serves `model`, and its name there.

        `provider` decides if given; else what stands before the first slash, if it names one; else the host of `base_url`;
        else how the name begins. Raises ConfigurationError for an unknown provider, BadRequestError for a name that says
        nothing about its provider.
        """
        head, slash, rest = model.partition("/")
        row: Provider | None
        if provider:
            row = self.get(provider)
            name = rest if slash and head in (provider, row.name, *row.aliases) else model
        elif slash and (row := self.find(head)):
            name = rest
        else:
            row, name = self._by_host(base_url) or self._by_prefix(model), model
        if row is None:
            raise self._unknown(model)
        row, name = _over_responses(row, name)
        if not name:
            raise BadRequestError(f"{model!r} names no model: write {row.name}/MODEL", llm_provider=row.name, attempts=0)
        return row, name

    def resolve(
        self,
        model: str,
        *,
        env: Mapping[str, str],
        provider: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        headers: Headers = (),
        secrets: Mapping[str, str] | None = None,
        api_version: str | None = None,
    ) -> Target:
        """The place to send calls of `model` to, with its key, or with what its authorizer is to sign with (`secrets`).

        `env` holds the variables that rows name; `headers` go along with every request; `api_version` goes before the variable
        that names it. Beside the errors of `split`: BadRequestError for a version where requests name none;
        ConfigurationError without a base URL where the provider has none, or for a bad one; AuthenticationError without a key
        where one is needed.
        """
        row, name = self.split(model, provider=provider, base_url=base_url)
        place = credentials.address(row, base_url, env)
        if api_version:
            env = credentials.at_version(row, place.url, api_version, env)
        if secrets:
            credentials.check_signing(row, place, secrets, api_key)
            key = credentials.Key(None)
        else:
            key = credentials.key(row, place, api_key, env, model=name)
        row = _for_model(row, name, bearer=key.bearer)
        if row.paths:
            row = replace(row, paths=credentials.paths(row, place.url, name, env))
        return Target(
            provider=row,
            model=name if "/" in name else row.model_path_prefix + name,
            base_url=f"{row.base_url}/{quote(place.url, safe='')}" if row.handled and not place.own else place.url,
            api_key=key.value,
            headers=credentials.own_headers(row, place, env) + headers,
            secrets=dict(secrets or {}),
        )

    @cached_property
    def _hosts(self) -> dict[Any, Provider]:
        """Origin -> row; of rows that share one, the earlier."""
        return {origin: row for row in reversed(self.rows) for origin in credentials.own_origins(row, {})}

    def _by_host(self, base_url: str | None) -> Provider | None:
        if not base_url:
            return None
        return self._hosts.get(credentials.origin(credentials.checked(base_url, _ANYBODY, "base_url")))

    def _by_prefix(self, model: str) -> Provider | None:
        return next((row for row in self.rows if row.model_prefixes and model.startswith(row.model_prefixes)), None)

    def _unknown(self, model: str) -> ConfigurationError | BadRequestError:
        head, slash, _ = model.partition("/")
        if slash:
            return ConfigurationError(f"{model!r}: no provider is called {head!r}{self._nearest(head)}; {_REMEDY}")
        message = f"{model!r} does not tell who serves it{self._nearest(model)}: write it as provider/model; {_REMEDY}"
        return BadRequestError(message, model=model, attempts=0)

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches  # noqa: PLC0415 - for errors only

        known = [*self._index, *_plugins(), *(prefix for row in self.rows for prefix in row.model_prefixes)]
        near = get_close_matches(name, known, n=3)
        return f" (near to it: {', '.join(near)})" if near else ""


_REMEDY = "for a server of your own in OpenAI's dialect, use the provider custom_openai and a base_url"
_ANYBODY = Provider(name="a server", base_url=None)


_RESPONSES = "responses/"
"""Before a model's name: ask for chat over OpenAI's Responses API, as LiteLLM's "openai/responses/MODEL" does."""


def _over_responses(row: Provider, name: str) -> tuple[Provider, str]:
    """The row speaking Responses for chat too, where it can and the name asks for it."""
    if not name.startswith(_RESPONSES) or "responses" not in row.dialects:
        return row, name
    paths = {"chat": row.paths["responses"]} if "responses" in row.paths else {}
    spoken = {**row.dialects, "chat": row.dialects["responses"]}
    return replace(row, dialects=spoken, paths={**row.paths, **paths}), name.removeprefix(_RESPONSES)


def _for_model(row: Provider, model: str, *, bearer: bool) -> Provider:
    """The row as it holds for one model and one kind of key."""
    for pattern, quirks in row.model_quirks.items():
        if fnmatchcase(model, pattern):
            row = replace(row, quirks=quirks)
            break
    for pattern, dialects in row.model_dialects.items():
        if fnmatchcase(model, pattern):
            row = replace(row, dialects={**row.dialects, **dialects})
            break
    return replace(row, auth="bearer") if bearer else row


def _checked(row: Any, source: str) -> Provider:
    if not isinstance(row, Provider):
        raise ConfigurationError(f"{source}: expected a dragoman Provider, found {type(row).__name__}")
    for name in (row.name, *row.aliases):
        if not name or "/" in name:
            raise ConfigurationError(f"{source}: expected a name without a slash, found {name!r}")
    return row if row.base_url is None else replace(row, base_url=credentials.checked(row.base_url, row, f"{source}, base_url"))


def _plugin(name: str) -> Provider | None:
    """The provider that an installed package brings under this name."""
    found = _plugins().get(name, ())
    if len(found) > 1:
        places = ", ".join(sorted(entry.value for entry in found))
        raise ConfigurationError(f"several packages bring the provider {name!r}: {places}; remove all but one")
    return _load(found[0]) if found else None


def _plugins() -> dict[str, tuple[EntryPoint, ...]]:
    return _entry_points(tuple(sys.path))


@lru_cache(maxsize=1)
def _entry_points(_: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:
    """Read once for each state of the path: it costs milliseconds, and names may come from clients."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - most programs never need it

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=GROUP):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


@cache
def _load(entry: EntryPoint) -> Provider:
    source = f"the entry point {entry.name!r} ({entry.value})"
    try:
        loaded = entry.load()
        row = loaded if isinstance(loaded, Provider) or not callable(loaded) else loaded()
    except Exception as problem:  # other people's code may fail in any way
        raise ConfigurationError(f"{source} cannot be loaded: {type(problem).__name__}: {problem}") from problem
    return _checked(row, source)


DEFAULT = Registry()


def register_provider(*rows: Provider) -> None:
    """From now on the calls of this process know these providers too; one of the same name is replaced.

    For the start of a program: what has been resolved stays as it is. Raises ConfigurationError for a bad row.
    """
    global DEFAULT  # noqa: PLW0603 - the one table of the process; a registry itself never changes
    DEFAULT = DEFAULT.with_provider(*rows)


def split(model: str, *, provider: str | None = None, base_url: str | None = None) -> tuple[Provider, str]:
    """`Registry.split` of the built-in table."""
    return DEFAULT.split(model, provider=provider, base_url=base_url)


def resolve(
    model: str,
    *,
    env: Mapping[str, str],
    provider: str | None = None,
    api_key: str | None = None,
    base_url: str | None = None,
    headers: Headers = (),
    secrets: Mapping[str, str] | None = None,
    api_version: str | None = None,
    extra_providers: Iterable[Provider] = (),
) -> Target:
    """`Registry.resolve` of the built-in table and `extra_providers`."""
    extra = tuple(extra_providers)
    rows = DEFAULT.with_provider(*extra) if extra else DEFAULT
    return rows.resolve(
        model,
        env=env,
        provider=provider,
        api_key=api_key,
        base_url=base_url,
        headers=headers,
        secrets=secrets,
        api_version=api_version,
    )


def for_model(row: Provider, model: str) -> Provider:
    """The row with the quirks and dialects that hold for one of its models."""
    return _for_model(row, model, bearer=False)


def missing_keys(provider: Provider, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables to set before `provider` can be asked; of several that would do, the first."""
    return credentials.missing(provider, env)


def validate_environment(model: str, env: Mapping[str, str]) -> dict[str, Any]:
    """{"keys_in_environment": bool, "missing_keys": [variable, ...]} for the provider of `model`. Errors as `split`."""
    lacking = list(missing_keys(split(model)[0], env))
    return {"keys_in_environment": not lacking, "missing_keys": lacking}
