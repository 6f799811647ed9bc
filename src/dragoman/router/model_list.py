"""LiteLLM's model_list, as it is, -> deployments. Pure; the environment is an argument.

    [{"model_name": "fast", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "os.environ/KEY", "rpm": 60}}, ...]

Two identical entries are two deployments. What it does not know it does not swallow: a key that looks like a slip, or that
nothing here would obey, is a ConfigurationError which names the entry and the key. Called by `Router` and the gateway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.core.http import Headers
from dragoman.providers import credentials, registry
from dragoman.providers.credentials import SIGNED_WITH
from dragoman.router.deployment import Deployment, Terms

Resolver = Callable[[str], tuple[Deployment, ...]]
"""A name that a pattern may cover -> its deployments; empty when it does not, or the model cannot be resolved."""


class ModelList(Struct, frozen=True, kw_only=True):
    """`patterns`: pattern -> resolver, the closest first. `aliases`: name -> group. `hidden`: aliases that are not listed.
    `skipped`: why entries were left out, where the caller allowed that. `warnings`: what is not obeyed. `entries`: each as
    it was given, by its id, which stands in it; with one for each organization of a list.
    """

    groups: dict[str, tuple[Deployment, ...]] = {}
    patterns: tuple[tuple[str, Resolver], ...] = ()
    aliases: dict[str, str] = {}
    hidden: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    entries: dict[str, dict[str, Any]] = {}


class _Entry(Struct, frozen=True, kw_only=True):
    place: str
    group: str
    params: dict[str, Any]
    info: dict[str, Any]


def read_model_list(
    entries: Sequence[Any],
    *,
    env: Mapping[str, str],
    aliases: Mapping[str, Any] | None = None,
    skip_invalid: bool = False,
) -> ModelList:
    """Raises ConfigurationError naming index and key, as "model_list[2].litellm_params.api_key: ...".

    `aliases` is model_group_alias: name -> group, or {"model": group, "hidden": bool}. With `skip_invalid` a bad entry is
    left out and told in `skipped`.
    """
    plain: dict[str, list[Deployment]] = {}
    patterns: dict[str, list[_Entry]] = {}
    skipped: list[str] = []
    warnings: list[str] = []
    told: dict[str, dict[str, Any]] = {}
    ids = _Ids()
    for index, raw in enumerate(entries):
        try:
            for entry in _entries(raw, f"model_list[{index}]", env):
                if "*" in entry.group:
                    patterns.setdefault(entry.group, []).append(_checked_pattern(entry))
                    name = ids.of(entry)
                else:
                    deployment = _deployment(entry, env, ids)
                    plain.setdefault(entry.group, []).append(deployment)
                    name = deployment.id
                told[name] = _as_given(raw, entry, name)
                warnings += [f"{entry.place}.litellm_params.{key} is not obeyed: {_NOT_OBEYED[key]}" for key in _idle(entry)]
        except ConfigurationError as problem:
            if not skip_invalid:
                raise
            skipped.append(problem.message)
    names, hidden = _aliases(aliases or {})
    return ModelList(
        groups={name: tuple(group) for name, group in plain.items()},
        patterns=tuple((name, _resolver(name, patterns[name], env)) for name in sorted(patterns, key=_closeness)),
        aliases=names,
        hidden=hidden,
        skipped=tuple(skipped),
        warnings=tuple(warnings),
        entries=told,
    )


def read_entry(given: Mapping[str, Any]) -> tuple[dict[str, Any], Terms]:
    """Of one of a list's `entries`: its terms, and the parameters that say where it is asked, or nothing here."""
    (entry,) = _entries(given, "model_list", {})
    terms = _terms(entry, "model_list")
    return {key: entry.params[key] for key in entry.params if key not in _OF_TERMS and key not in terms.defaults}, terms


def has_own_id(given: Mapping[str, Any]) -> bool:
    """Whether one of a list's `entries` brought its id, and did not get it here."""
    group, name = given["model_name"], given["model_info"]["id"]
    return not (name.startswith(group) and _MADE.fullmatch(name, len(group)))


_MADE = re.compile(r":[0-9a-f]{8}(-\d+)?")


def _as_given(raw: Mapping[str, Any], entry: _Entry, name: str) -> dict[str, Any]:
    params = {**{key: raw[key] for key in ("rpm", "tpm") if key in raw}, **raw["litellm_params"]}
    if "organization" in params:
        params["organization"] = entry.params.get("organization")
    return {"model_name": entry.group, "litellm_params": params, "model_info": {**(raw.get("model_info") or {}), "id": name}}


def _idle(entry: _Entry) -> list[str]:
    return [key for key in entry.params if key in _NOT_OBEYED and not (key == "api_version" and _has_version(entry))]


def _has_version(entry: _Entry) -> bool:
    params = entry.params
    base_url = params.get("api_base") or params.get("base_url")
    try:
        row, _ = registry.split(params["model"], provider=params.get("custom_llm_provider"), base_url=base_url)
    except DragomanError:
        return False
    return credentials.has_version(row, base_url)


class _Ids:
    """Ids that are the same each time the list is read, hold no secret, and are never given twice."""

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()
        self._given: dict[str, str] = {}

    def of(self, entry: _Entry) -> str:
        given = entry.info.get("id")
        if given is not None:
            return self._own(str(given), entry.place)
        shown = {key: value for key, value in entry.params.items() if not _secret(key)}
        digest = blake2b(json.encode([entry.group, sorted(shown.items(), key=str)]), digest_size=4).hexdigest()
        while True:
            self._made[digest] += 1
            number = self._made[digest]
            name = f"{entry.group}:{digest}" + (f"-{number}" if number > 1 else "")
            if name not in self._given:
                return name

    def _own(self, given: str, place: str) -> str:
        if given in self._given:
            raise ConfigurationError(f"{place}.model_info.id: {given!r} is the id of {self._given[given]} too; ids are unique")
        self._given[given] = place
        return given


def _entries(raw: Any, place: str, env: Mapping[str, str]) -> Iterable[_Entry]:
    """The entry, checked and filled in; one for each organization where it has a list of them."""
    if not isinstance(raw, Mapping):
        raise ConfigurationError(f"{place}: expected a dict with model_name and litellm_params, found {type(raw).__name__}")
    for key in raw:
        if key not in _ENTRY_KEYS:
            raise ConfigurationError(f"{place}.{key}: unknown key{_nearest(str(key), _ENTRY_KEYS)}")
    group = raw.get("model_name")
    if not isinstance(group, str) or not group:
        raise ConfigurationError(f"{place}.model_name: expected the name that clients ask for, found {group!r}")
    params = raw.get("litellm_params")
    if not isinstance(params, Mapping) or not isinstance(params.get("model"), str) or not params["model"]:
        raise ConfigurationError(f"{place}.litellm_params.model: expected provider/model as text")
    outer = {key: raw[key] for key in ("rpm", "tpm") if key in raw and key not in params}
    filled = _filled({**outer, **params}, f"{place}.litellm_params", env)
    info = _filled(dict(raw.get("model_info") or {}), f"{place}.model_info", env)
    organizations = filled.get("organization")
    for one in organizations if isinstance(organizations, list | tuple) else (organizations,):
        own = {**filled, "organization": one} if one else {key: filled[key] for key in filled if key != "organization"}
        yield _Entry(place=place, group=group, params=own, info=info)


def _deployment(entry: _Entry, env: Mapping[str, str], ids: _Ids) -> Deployment:
    params = entry.params
    place = f"{entry.place}.litellm_params"
    terms = _terms(entry, place)
    overlay = {_VARIABLES[key]: str(value) for key, value in params.items() if key in _VARIABLES and value}
    headers: Headers = tuple(
        (str(name).lower(), str(value))
        for key in ("headers", "extra_headers")
        for name, value in (params.get(key) or {}).items()
    )
    if params.get("organization"):
        headers += (("openai-organization", str(params["organization"])),)
    try:
        target = registry.resolve(
            params["model"],
            env={**env, **overlay} if overlay else env,
            provider=params.get("custom_llm_provider"),
            api_key=params.get("api_key"),
            base_url=params.get("api_base") or params.get("base_url"),
            headers=headers,
            secrets={key: _secret_text(params[key]) for key in _SIGNING if params.get(key)},
            api_version=str(params["api_version"]) if params.get("api_version") and _has_version(entry) else None,
        )
    except DragomanError as problem:
        raise ConfigurationError(f"{place}: {problem.message}") from None
    return Deployment(target, group=entry.group, id=ids.of(entry), terms=terms)


def _terms(entry: _Entry, place: str) -> Terms:
    params, info = entry.params, entry.info
    defaults = {}
    for key, value in params.items():
        if key in _REFUSED or key.startswith(_REFUSED_PREFIXES):
            remedy = _REFUSED.get(key, "give it to the provider through the environment")
            raise ConfigurationError(f"{place}.{key}: a deployment cannot have this here: {remedy}")
        if key not in _KNOWN and key not in _VARIABLES and key not in _NOT_OBEYED:
            near = get_close_matches(key, _KNOWN, n=1, cutoff=0.84)
            if near:
                raise ConfigurationError(f"{place}.{key}: unknown key; did you mean {near[0]}?")
            defaults[key] = value
    numbers = {name: _number(params, key, place, read) for name, (key, read) in _NUMBERS.items()}
    rates = {name: _rate(params, info, key, place) for name, key in _RATES.items()}
    retries = params.get("num_retries", params.get("max_retries"))
    return Terms(
        **numbers,
        **rates,
        retries=None if retries is None else _whole(retries, f"{place}.num_retries"),
        tags=frozenset(_names(params.get("tags"), f"{place}.tags")),
        region=params.get("region_name"),
        blocked=bool(info.get("blocked", False)),
        defaults=defaults,
        info={key: value for key, value in info.items() if key != "id"},
    )


def _whole(value: Any, place: str) -> int:
    number = _real(value, place)
    if number != int(number):
        raise ConfigurationError(f"{place}: expected a whole number, found {value!r}")
    return int(number)


def _real(value: Any, place: str) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"{place}: expected a number from 0 up, found {value!r}")
    return number


_NUMBERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "weight": ("weight", _real),
    "order": ("order", _whole),
    "rpm": ("rpm", _whole),
    "tpm": ("tpm", _whole),
    "max_parallel": ("max_parallel_requests", _whole),
    "cooldown": ("cooldown_time", _real),
    "timeout": ("timeout", _real),
    "stream_timeout": ("stream_timeout", _real),
}
_RATES = {"input_rate": "input_cost_per_token", "output_rate": "output_cost_per_token"}
_NANO_DOLLARS_PER_MILLION = 1e15
"""Dollars per token -> nano-dollars per million tokens."""

_ENTRY_KEYS = ("model_name", "litellm_params", "model_info", "rpm", "tpm")
_PLACE_KEYS = ("model", "api_key", "api_base", "base_url", "custom_llm_provider", "organization", "headers", "extra_headers")
_SIGNING = tuple(name for names in SIGNED_WITH.values() for group in names for name in group)
"""Secrets that an authorizer signs with, for this deployment alone."""
_OF_TERMS = frozenset(
    {"tags", "region_name", "num_retries", "max_retries"} | {key for key, _ in _NUMBERS.values()} | set(_RATES.values())
)
_KNOWN = frozenset({*_PLACE_KEYS, *_SIGNING}) | _OF_TERMS
_VARIABLES = {
    "aws_region_name": "AWS_REGION",
    "vertex_project": "VERTEXAI_PROJECT",
    "vertex_location": "VERTEXAI_LOCATION",
}
"""Parameters that stand for a variable which the provider's row looks up, for this deployment alone."""

_REFUSED = {
    "litellm_credential_name": "write its api_key and api_base here",
    "tag_regex": "use tags",
    "max_budget": "budgets are the gateway's",
    "budget_duration": "budgets are the gateway's",
    "rpd": "limits are by the minute: rpm",
    "tpd": "limits are by the minute: tpm",
    "itpm": "limits are for input and output together: tpm",
    "otpm": "limits are for input and output together: tpm",
    "mock_response": "name a model that answers by itself, such as demo/canned",
}
_NOT_OBEYED = {
    "api_version": "requests to this provider name none",
    "drop_params": "what a provider does not take is left out with a warning; strict makes an error of it",
    "use_in_pass_through": "nothing is passed through by its path",
    "timeout_by_service_tier": "use timeout",
    "merge_reasoning_content_in_choices": "reasoning stays in its own field",
    "configurable_clientside_auth_params": "a caller never chooses where a key goes",
}
"""What LiteLLM's entries may have and nobody here acts on: told, and kept from the provider."""

_REFUSED_PREFIXES = ("aws_session_name", "aws_role", "aws_profile", "auto_router_", "complexity_router_")


def _number(params: Mapping[str, Any], key: str, place: str, read: Callable[[Any, str], Any]) -> Any:
    value = params.get(key)
    return None if value is None else read(value, f"{place}.{key}")


def _rate(params: Mapping[str, Any], info: Mapping[str, Any], key: str, place: str) -> int | None:
    value = params.get(key, info.get(key))
    return None if value is None else round(_real(value, f"{place}.{key}") * _NANO_DOLLARS_PER_MILLION)


def _names(value: Any, place: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    if not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{place}: expected texts, found {value!r}")
    return names


def _filled(value: Any, place: str, env: Mapping[str, str]) -> Any:
    """`os.environ/NAME` anywhere in it -> what the variable holds. A missing or empty one is an error, not an empty key."""
    if isinstance(value, Mapping):
        return {key: _filled(item, f"{place}.{key}", env) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, f"{place}[{index}]", env) for index, item in enumerate(value)]
    if isinstance(value, str) and value.startswith(_ENVIRONMENT):
        name = value.removeprefix(_ENVIRONMENT)
        if not env.get(name, "").strip():
            raise ConfigurationError(f"{place}: the environment variable {name} is {'empty' if name in env else 'not set'}")
        return env[name]
    return value


_ENVIRONMENT = "os.environ/"


def _secret(key: str) -> bool:
    return any(part in key for part in ("key", "secret", "token", "password", "headers", "credentials"))


def _secret_text(value: Any) -> str:
    """An account of Google's may be given as the object that its file holds."""
    return json.encode(value).decode() if isinstance(value, Mapping) else str(value)


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; the keys here are: {', '.join(names)}"


def _aliases(given: Mapping[str, Any]) -> tuple[dict[str, str], frozenset[str]]:
    names: dict[str, str] = {}
    hidden = set()
    for name, value in given.items():
        group = value.get("model") if isinstance(value, Mapping) else value
        if not isinstance(group, str) or not group:
            raise ConfigurationError(f"model_group_alias.{name}: expected a group's name, or a dict with `model`")
        names[name] = group
        if isinstance(value, Mapping) and value.get("hidden"):
            hidden.add(name)
    for name in names:
        _check_ends(name, names)
    return names, frozenset(hidden)


def _check_ends(name: str, names: Mapping[str, str]) -> None:
    """Aliases of aliases are fine, as long as they come to an end."""
    seen, at = {name}, names[name]
    while at in names:
        if at in seen:
            raise ConfigurationError(f"model_group_alias.{name}: it leads back to itself, by way of {at}")
        seen.add(at)
        at = names[at]


def _checked_pattern(entry: _Entry) -> _Entry:
    model = entry.params["model"]
    if entry.group.count("*") != 1 or model.count("*") > 1:
        raise ConfigurationError(f"{entry.place}.model_name: {entry.group!r}: a pattern has one *, and its model one at most")
    _terms(entry, f"{entry.place}.litellm_params")
    secret = any(entry.params.get(name) for name in ("api_key", "headers", "extra_headers", "organization"))
    if "/" not in model and secret and not entry.params.get("api_base"):
        raise ConfigurationError(
            f"{entry.place}.litellm_params.model: {model!r} may be any provider, so its key would go to whichever a caller "
            "names: name the provider, as in openai/*, or give api_base too"
        )
    return entry


def _closeness(pattern: str) -> tuple[int, str]:
    return -len(pattern), pattern


def _resolver(pattern: str, entries: Sequence[_Entry], env: Mapping[str, str]) -> Resolver:
    before, _, after = pattern.partition("*")

    def resolve(name: str) -> tuple[Deployment, ...]:
        rest = len(name) - len(before) - len(after)
        if rest < 1 or not (name.startswith(before) and name.endswith(after)):
            return ()
        part = name[len(before) : len(before) + rest]
        ids = _Ids()
        found = tuple(_deployment(_instance(entry, name, part), env, ids) for entry in entries)
        return tuple(deployment for deployment in found if not _is_file(deployment))

    return resolve


def _instance(entry: _Entry, name: str, part: str) -> _Entry:
    """The entry for one name that its pattern covers. An id of the configuration is that of the pattern."""
    model = entry.params["model"].replace("*", part)
    info = {**entry.info, "id": f"{entry.info['id']}/{name}"} if "id" in entry.info else entry.info
    return replace(entry, group=name, params={**entry.params, "model": model}, info=info)


def _is_file(deployment: Deployment) -> bool:
    """The name comes from a client, who must not make this machine open a file of its choice."""
    target = deployment.target
    return not target.base_url.startswith(("http:", "https:")) and target.model.lower().endswith(".gguf")
