"""The `providers` of a configuration, and LiteLLM's `custom_provider_map`: rows and handlers that this process is to know.

    providers:
      acme: {base_url: "https://llm.acme.example/v1", key: ACME_API_KEY, quirks: {drop: [logit_bias]}}
      mine: {handler: my_module.my_llm}        # an object of a class under dragoman.CustomLLM

They are registered for the process before the models are read, which may then name them. A handler's module is looked for
beside the file, then among the installed packages. Called by `config` and `litellm_config`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from dragoman.core.errors import ConfigurationError
from dragoman.dialects import registry as dialects
from dragoman.gateway.yaml_config import Document, convert
from dragoman.providers import custom
from dragoman.providers.base import NO_QUIRKS, OPENAI_SHAPED, Auth, Operation, Provider, Quirks
from dragoman.providers.registry import register_provider
from dragoman.transport.fast_request import check_headers

_Name = Annotated[str, Meta(min_length=1)]
_Names = tuple[_Name, ...]


class QuirksEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `providers.base.Quirks`, less what only code can say."""

    rename: dict[_Name, _Name] = {}
    drop: tuple[_Name, ...] = ()
    map_values: dict[_Name, dict[str, Any]] = {}
    clamp: dict[_Name, tuple[float, float]] = {}
    defaults: dict[_Name, Any] = {}
    stream_usage: bool = True
    relay: bool = True
    reasoning_apart: bool = False

    def quirks(self) -> Quirks:
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return NO_QUIRKS if self == QuirksEntry() else Quirks(**{**fields, "drop": frozenset(self.drop)})


class ProviderEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider: a row (`base_url` and the rest, as `providers.base.Provider` has them), or a `handler` alone.

    `key`: the variable of its key, or several; without one it needs none. `dialects`: operation -> the dialect spoken.
    """

    base_url: Annotated[str, Meta(pattern="^https?://")] | None = None
    key: _Name | _Names | None = None
    base_url_variable: _Name | None = None
    auth: Auth = "bearer"
    key_optional: bool = False
    dialects: dict[Operation, _Name] = {}
    paths: dict[Operation, Annotated[str, Meta(pattern="^/")]] = {}
    headers: dict[_Name, str] = {}
    aliases: _Names = ()
    hosts: _Names = ()
    model_prefixes: _Names = ()
    quirks: QuirksEntry = QuirksEntry()
    handler: _Name | None = None

    def row(self, name: str) -> Provider:
        keys = (self.key,) if isinstance(self.key, str) else self.key or ()
        return Provider(
            name=name,
            base_url=self.base_url,
            key_variables=keys,
            base_url_variables=(self.base_url_variable,) if self.base_url_variable else (),
            auth=self.auth,
            key_optional=self.key_optional or not keys,
            dialects={str(operation): dialect for operation, dialect in self.dialects.items()} or dict(OPENAI_SHAPED),
            paths={str(operation): path for operation, path in self.paths.items()},
            headers=tuple((header.lower(), value) for header, value in self.headers.items()),
            aliases=self.aliases,
            hosts=self.hosts,
            model_prefixes=self.model_prefixes,
            quirks=self.quirks.quirks(),
        )


def register(document: Document, entries: Mapping[str, Any]) -> None:
    """Make the providers known to the process. Raises ConfigurationError that names file, line and key."""
    for name, value in entries.items():
        place = f"providers.{name}"
        entry = convert(document, ProviderEntry, value=value, at=place)
        _check(document, place, entry)
        if entry.handler is not None:
            _add_handler(document, f"{place}.handler", name, entry.handler)
            continue
        try:
            register_provider(entry.row(name))
        except ConfigurationError as problem:
            raise document.error(place, problem.message) from None


def register_map(document: Document, place: str, entries: Any) -> None:
    """As `register`, of LiteLLM's [{"provider": NAME, "custom_handler": "module.object"}]."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise document.error(place, "expected a list of entries with provider and custom_handler")
    for index, entry in enumerate(entries):
        here = f"{place}[{index}]"
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("provider", "custom_handler")):
            raise document.error(here, "expected provider and custom_handler, each a text")
        _add_handler(document, f"{here}.custom_handler", entry["provider"], entry["custom_handler"])


def _check(document: Document, place: str, entry: ProviderEntry) -> None:
    """What the types of the entry do not say."""
    if entry.handler is not None:
        if entry != ProviderEntry(handler=entry.handler):
            raise document.error(f"{place}.handler", "a handler decides all by itself; leave out the other keys")
        return
    if entry.base_url is None and entry.base_url_variable is None:
        raise document.error(place, "expected a base_url, a base_url_variable or a handler")
    for operation, dialect in entry.dialects.items():
        try:
            dialects.get(dialect)
        except ConfigurationError as problem:
            raise document.error(f"{place}.dialects.{operation}", problem.message) from None
    for name, (lowest, highest) in entry.quirks.clamp.items():
        if lowest > highest:
            raise document.error(f"{place}.quirks.clamp.{name}", f"expected [lowest, highest], found [{lowest}, {highest}]")
    if entry.quirks.reasoning_apart and entry.quirks.relay:
        raise document.error(f"{place}.quirks.reasoning_apart", "needs relay: false beside it, for usage to be written anew")
    try:
        check_headers(tuple(entry.headers.items()))
    except ValueError as problem:
        raise document.error(f"{place}.headers", str(problem)) from None


def _add_handler(document: Document, place: str, provider: str, path: str) -> None:
    try:
        custom.add(provider, load_object(path, Path(document.file).parent))
    except ConfigurationError as problem:
        raise document.error(place, problem.message) from None


def load_object(path: str, folder: Path) -> Any:
    """What `module.object` names."""
    module, dot, name = path.rpartition(".")
    if not dot or not module:
        raise ConfigurationError(f"expected module.object, found {path!r}")
    try:
        return getattr(_module(module, folder), name)
    except Exception as problem:  # other people's code may fail in any way
        raise ConfigurationError(f"{path} cannot be loaded: {type(problem).__name__}: {problem}") from problem


def _module(name: str, folder: Path) -> Any:
    """The module beside the file, which need not be on the path; else an installed one."""
    beside = folder.joinpath(*name.split(".")).with_suffix(".py")
    if not beside.is_file():
        return import_module(name)
    spec = spec_from_file_location(name, beside)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{beside} is no Python module")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
