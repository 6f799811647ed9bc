"""The public names of a gateway -> the deployments that serve them. A lookup is one dict access, however many there are.

A name that only a pattern covers (`openai/*`) is resolved once and then kept like the others, up to a bound. Such a name
comes from a client: it chooses a model, and never a host, a header, a key or a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated

from msgspec import Meta, Struct

from dragoman.core.errors import AuthenticationError, BadRequestError, ConfigurationError, ErrorDetail, NotFoundError
from dragoman.core.http import Headers
from dragoman.providers import registry
from dragoman.providers.base import Target
from dragoman.router.deployment import Deployment

MAX_RESOLVED = 10_000
MAX_NAME = 512
"""Characters of a name that a client may ask a pattern for."""

_SHOWN = 80
_Name = Annotated[str, Meta(min_length=1)]


class ModelEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployment as it is configured. `api_base` and `api_key` go together: a key is sent to the host it was given with."""

    name: _Name
    model: _Name
    api_key: str | None = None
    api_base: str | None = None
    headers: dict[str, str] = {}

    def target(self, model: str, env: Mapping[str, str]) -> Target:
        """Where `model` is asked. Raises what `registry.resolve` does."""
        headers: Headers = tuple((name.lower(), value) for name, value in self.headers.items())
        return registry.resolve(model, api_key=self.api_key, base_url=self.api_base, env=env, headers=headers)


Patterns = Mapping[str, tuple[tuple[int, ModelEntry], ...]]
"""A name that ends in `*` -> its entries, each with its place in the configuration."""


class Models:
    """`find` is asked on every request; `names` for `/v1/models`."""

    def __init__(self, *, groups: Mapping[str, tuple[Deployment, ...]], patterns: Patterns, env: Mapping[str, str]) -> None:
        self._groups = dict(groups)
        self._listed = tuple(groups)
        self._patterns = sorted(patterns.items(), key=lambda item: -len(item[0]))
        self._env = env
        self._resolved: dict[str, tuple[Deployment, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return self._listed

    def find(self, name: str) -> tuple[Deployment, ...]:
        """The deployments of `name`, in the order they are asked. Raises NotFoundError with the nearest names."""
        found = self._groups.get(name) or self._resolved.get(name)
        return found if found is not None else self._by_pattern(name)

    def _by_pattern(self, name: str) -> tuple[Deployment, ...]:
        if 0 < len(name) <= MAX_NAME:
            for pattern, entries in self._patterns:
                if name.startswith(pattern[:-1]):
                    return self._keep(name, tuple(self._resolve(name, pattern, index, entry) for index, entry in entries))
        raise self._unknown(name)

    def _keep(self, name: str, found: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
        """Names come from clients, so their number is bounded: the oldest one goes."""
        if len(self._resolved) >= MAX_RESOLVED:
            del self._resolved[next(iter(self._resolved))]
        self._resolved[name] = found
        return found

    def _resolve(self, name: str, pattern: str, index: int, entry: ModelEntry) -> Deployment:
        try:
            target = entry.target(entry.model[:-1] + name.removeprefix(pattern[:-1]), self._env)
        except (ConfigurationError, BadRequestError) as problem:
            raise self._unknown(name, problem.message) from None
        except AuthenticationError as problem:
            problem.message = f"the gateway has no key for {name!r}: {problem.message}"
            raise
        if _is_file(target):
            raise self._unknown(name, "a model file is served only under a name of its own in the configuration")
        return Deployment(target, group=name, id=f"{name}#{index}")

    def _unknown(self, name: str, why: str = "") -> NotFoundError:
        if len(name) > MAX_NAME:
            why, shown = f"it has {len(name)} characters, more than {MAX_NAME}", name[:_SHOWN] + "..."
            close = []
        else:
            shown, close = name, get_close_matches(name, self._listed, n=3, cutoff=0.5)
        there = [*sorted(self._listed)[:20], *(pattern for pattern, _ in self._patterns)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(there)}"
        message = f"no model is called {shown!r}: {why + '; ' if why else ''}{hint}"
        return NotFoundError(message, detail=ErrorDetail(message=message, code="model_not_found", param="model"), attempts=0)


def _is_file(target: Target) -> bool:
    """A client must not make this machine open a file of its choice."""
    return not target.base_url.startswith(("http:", "https:")) and target.model.lower().endswith(".gguf")
