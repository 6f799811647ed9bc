"""Entries of the database, opened, -> what the router may serve. The reading is that of a configuration's model_list. Pure.

Whoever may write models must not learn a key that somebody else stored, so a key stays with the address it was given for: a
model that uses a credential names no address of its own, and where an address changes the secrets are given anew. A value is
never taken from the environment, and no file of this machine is named. Called by `serving` and the admin API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dragoman.core import json
from dragoman.core.errors import BadRequestError, ConfigurationError, DragomanError, ErrorDetail
from dragoman.gateway.store.base import Entry
from dragoman.providers import registry
from dragoman.providers.base import Target
from dragoman.providers.credentials import SIGNED_WITH
from dragoman.router.deployment import Deployment
from dragoman.router.model_list import ModelList, Resolver, read_model_list
from dragoman.transport.fast_request import check_headers

MODEL, CREDENTIAL = "model", "credential"
MASK = "********"
"""What is shown for a text that may be secret. Given back it stands for what is stored."""
NAMED = "litellm_credential_name"
_SHORTEST = 8
"""Characters of a secret; what is shorter would hide words."""

_ADDRESS = ("api_base", "base_url")
_MOVES = ("model", "custom_llm_provider", NAMED, *_ADDRESS)
"""Fields that say where a secret goes."""
_HEADERS = ("headers", "extra_headers")
_TEXTS = (*_ADDRESS, "api_key", "api_version", "model", "custom_llm_provider", "organization", "region_name", NAMED)
_PLACES = ("aws_region_name", "vertex_project", "vertex_location")
_SHOWN = frozenset({*_TEXTS, *_PLACES, "tags"}) - {"api_key"}
"""Texts that are no secret. All other texts are masked, since nobody knows what a provider's own parameter holds."""
_ACCOUNT = "vertex_credentials"
_SIGNING = tuple(name for names in SIGNED_WITH.values() for group in names for name in group)
_CREDENTIAL = frozenset({*_ADDRESS, *_HEADERS, *_PLACES, *_SIGNING, "api_key", "api_version", "organization"})
_TOKENS = "https://oauth2.googleapis.com/token"
_FROM_ENVIRONMENT = "os.environ/"
_CONFINING = frozenset({"team_id", "team_public_model_name", "access_groups", "access_windows"})
"""Parts of LiteLLM's model_info that would confine who may ask. Here `models` of keys, users and teams do that."""


class Opened(NamedTuple):
    """An entry with its secrets: the litellm_params of a model, the credential_values of a credential."""

    entry: Entry
    values: dict[str, Any]

    @property
    def words(self) -> Iterator[str]:
        """Every text in it that is masked."""
        for name, value in self.values.items():
            if _is_secret(name, value):
                yield from _texts(value)


def read(model: Opened, credentials: Mapping[str, Opened], env: Mapping[str, str]) -> ModelList:
    """What one model adds. Raises ConfigurationError that names the field, and shows nothing of what is secret."""
    credential = _credential(model.values, credentials)
    try:
        return _read(model, credential, env)
    except DragomanError as problem:
        message = problem.message.removeprefix("model_list[0].")
        words = {*model.words, *(credential.words if credential else ())}
        for word in sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True):
            message = message.replace(word, MASK)
        raise ConfigurationError(message) from None


def _credential(params: Mapping[str, Any], credentials: Mapping[str, Opened]) -> Opened | None:
    name = params.get(NAMED)
    if name is not None and name not in credentials:
        raise ConfigurationError(f"litellm_params.{NAMED}: there is no credential {name!r}")
    return None if name is None else credentials[name]


def _read(model: Opened, credential: Opened | None, env: Mapping[str, str]) -> ModelList:
    params = {name: value for name, value in model.values.items() if name != NAMED}
    provider = ""
    if credential is not None:
        _check_apart(params, credential)
        params = {**credential.values, **params}
        provider = str(credential.entry.plain["credential_info"].get("custom_llm_provider") or "")
    _check(params, provider)
    given = {"model_name": model.entry.plain["model_name"], "litellm_params": params, "model_info": _info(model.entry)}
    if any(text.startswith(_FROM_ENVIRONMENT) for text in _texts(given)):
        raise ConfigurationError(
            "model_info: the gateway's environment is for the configuration file alone: give the value itself"
        )
    found = read_model_list([given], env=env)
    targets = [deployment.target for group in found.groups.values() for deployment in group]
    if any(_is_file(target) for target in targets):
        raise ConfigurationError("litellm_params.model: a model file is served from the configuration file alone")
    return found


def joined(base: ModelList, stored: Iterable[ModelList]) -> ModelList:
    """The configuration's list with what is stored behind it, in order."""
    groups = {name: list(group) for name, group in base.groups.items()}
    patterns: dict[str, list[Resolver]] = {}
    for models in (base, *stored):
        for name, group in models.groups.items() if models is not base else ():
            groups.setdefault(name, []).extend(group)
        for pattern, resolver in models.patterns:
            patterns.setdefault(pattern, []).append(resolver)
    return ModelList(
        groups={name: tuple(group) for name, group in groups.items()},
        patterns=tuple((name, _one_after_another(patterns[name])) for name in sorted(patterns, key=len, reverse=True)),
        aliases=base.aliases,
        hidden=base.hidden,
    )


def _one_after_another(resolvers: list[Resolver]) -> Resolver:
    """All that any of them has: what one cannot resolve is no trouble of the others."""

    def resolve(name: str) -> tuple[Deployment, ...]:
        found: list[Deployment] = []
        problems: list[DragomanError] = []
        for resolver in resolvers:
            try:
                found += resolver(name)
            except DragomanError as problem:
                problems.append(problem)
        if problems and not found:
            raise problems[0]
        return tuple(found)

    return resolve


def _info(entry: Entry) -> dict[str, Any]:
    return {**entry.plain["model_info"], "id": entry.id}


def _check(params: Mapping[str, Any], provider: str) -> None:
    """What the reading of a model_list leaves to others. `provider`: the only one that a credential is for."""
    headers = [pair for name in _HEADERS for pair in params.get(name, {}).items()]
    headers += [("openai-organization", params["organization"])] if params.get("organization") else []
    try:
        check_headers(tuple(headers))
    except ValueError as problem:
        raise ConfigurationError(f"litellm_params.headers: {problem}") from None
    if not provider:
        return
    told = {"provider": params.get("custom_llm_provider"), "base_url": params.get("api_base") or params.get("base_url")}
    row, _ = registry.split(params["model"], **told)
    if row.name != registry.DEFAULT.get(provider).name:
        raise ConfigurationError(f"litellm_params.{NAMED}: this credential is for {provider}, not for {row.name}")


_SECRET = _CREDENTIAL - _SHOWN


def _is_file(target: Target) -> bool:
    return not target.base_url.startswith(("http:", "https:")) and target.model.lower().endswith(".gguf")


def _check_apart(params: Mapping[str, Any], credential: Opened) -> None:
    """A credential goes where it says itself, or else to its vendor."""
    for name in (*_ADDRESS, *credential.values):
        if params.get(name) is not None:
            raise ConfigurationError(
                f"litellm_params.{name}: beside a credential this stands in the credential alone, so its key goes nowhere else"
            )
    own = next((name for name in _SECRET if params.get(name) is not None), None)
    if own is not None and any(credential.values.get(name) for name in _ADDRESS):
        raise ConfigurationError(f"litellm_params.{own}: this would go to the address of the credential: give it there")


# ------------------------------------------------------------------------------------------------ what is asked
def check_params(values: Mapping[str, Any], place: str) -> None:
    """Raises BadRequestError for what is no value of its field, whatever it comes to."""
    for name, value in values.items():
        here = f"{place}.{name}"
        if name in (*_TEXTS, *_PLACES, *_SIGNING) and not isinstance(value, str):
            raise wrong(here, f"expected text, found {type(value).__name__}")
        if name in _HEADERS and not (isinstance(value, dict) and all(isinstance(text, str) for text in value.values())):
            raise wrong(here, "expected names and texts")
        if any(text.startswith(_FROM_ENVIRONMENT) for text in _texts(value)):
            raise wrong(here, "the gateway's environment is for the configuration file alone: give the value itself")
        if MASK in _texts(value):
            raise wrong(here, "this is the mask of a secret, and nothing is stored that it could stand for")
    if _ACCOUNT in values:
        _check_account(values[_ACCOUNT], f"{place}.{_ACCOUNT}")


def _check_account(text: str, place: str) -> None:
    """Other kinds of accounts name files, programs and addresses that the library would use."""
    try:
        account = json.decode(text.encode())
    except (json.DecodeError, UnicodeError, RecursionError):
        account = None
    if not isinstance(account, dict):
        raise wrong(place, "expected the JSON text of a service account, and no path")
    if account.get("type") != "service_account" or account.get("token_uri", _TOKENS) != _TOKENS:
        raise wrong(place, f"expected a service_account whose token_uri is {_TOKENS}")


def check_info(info: Mapping[str, Any]) -> None:
    for name in info:
        if name in _CONFINING:
            raise wrong(f"model_info.{name}", "this is not supported here: say in `models` of keys and teams who may ask")


def check_credential(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in _CREDENTIAL:
            known = ", ".join(sorted(_CREDENTIAL))
            raise wrong(f"credential_values.{name}", f"no model could be served with this; there are: {known}")


def merged(old: Mapping[str, Any], given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Values with what was given in their place: null takes one away, the mask leaves it.

    Raises BadRequestError where a secret that stays would go to another address.
    """
    said = {name: value for name, value in given.items() if value != MASK or name not in old}
    new = with_given(old, said)
    moved = next((name for name in _MOVES if _where(name, old) != _where(name, new)), None)
    if moved is not None:
        check_given(new, said, f"{place}.{moved}")
    return new


def check_given(values: Mapping[str, Any], said: Mapping[str, Any], moved: str) -> None:
    """Raises BadRequestError for a secret that is not among what was said anew, where the field `moved` takes it elsewhere."""
    kept = [name for name, value in values.items() if name not in said and _is_secret(name, value)]
    if kept:
        raise wrong(moved, f"a stored secret goes only where it was given for: give {', '.join(kept)} anew beside it, or null")


def with_given(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**old, **given}.items() if value is not None}


def _where(name: str, values: Mapping[str, Any]) -> Any:
    """Of a model's name, the provider in it."""
    value = values.get(name)
    head, slash, _ = value.partition("/") if name == "model" and isinstance(value, str) else (value, "", "")
    return head if slash else value


def addresses(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and URL of each address in it."""
    yield from ((name, values[name]) for name in _ADDRESS if values.get(name))


def masked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if _is_secret(name, value) else value for name, value in values.items()}


def _is_secret(name: str, value: Any) -> bool:
    return name not in _SHOWN and next(_texts(value), None) is not None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def wrong(field: str, message: str) -> BadRequestError:
    return BadRequestError(f"{field}: {message}", detail=ErrorDetail(message=message, param=field), attempts=0)


def refused(problem: DragomanError) -> BadRequestError:
    """A problem of reading as the answer to who gave it."""
    field, found, message = problem.message.partition(": ")
    return wrong(field, message) if found and " " not in field else BadRequestError(problem.message, attempts=0)
