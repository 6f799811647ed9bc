"""LiteLLM's config.yaml, as it is, -> what this gateway's own file would say. Pure but for the log.

Read are model_list, router_settings, litellm_settings, general_settings and environment_variables. What the tables here do
not obey is named in the log at the start, never swallowed; what is wrong is a ConfigurationError with file, line and key.
Called by `config` for a file that has a model_list.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import ValidationError, convert, structs

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import (
    Config,
    GovernanceEntry,
    ServerEntry,
    SharedEntry,
    TimeoutsEntry,
    check_cheaper,
    check_key,
    with_governance,
)
from dragoman.gateway.observing import litellm as observing
from dragoman.gateway.provider_config import register_map
from dragoman.gateway.router_config import make_policy
from dragoman.gateway.yaml_config import Document
from dragoman.gateway.yaml_config import convert as convert_at
from dragoman.router.litellm_settings import RouterArguments, read_arguments
from dragoman.router.model_list import ModelList, read_model_list
from dragoman.router.policy import Policy

logger = logging.getLogger("dragoman.gateway")

_SECTIONS = ("model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables", "governance")
_FOR_THE_ROUTER = (
    "num_retries",
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "allowed_fails",
    "cooldown_time",
)
"""Fields of litellm_settings that stand for the router's of the same name."""

_LITELLM_SETTINGS = observing.SETTINGS | {
    *_FOR_THE_ROUTER,
    "request_timeout",
    "drop_params",
    "custom_provider_map",
    "cache",
    "cache_params",
}
_GENERAL_SETTINGS = observing.GENERAL_SETTINGS | {"master_key", "max_request_size_mb"}
_ROUTER_ONLY = {
    "stream_timeout": "give stream_timeout to the deployments",
    "model_list": "it stands beside router_settings",
    "cache_responses": "set litellm_settings.cache",
    "cache_kwargs": "set litellm_settings.cache_params",
}
_END_USERS = {"max_end_user_budget": "max_budget", "max_end_user_budget_id": "budget_id"}
"""Fields of litellm_settings -> of `governance.end_users`, which such a file may have beside LiteLLM's own sections."""
_OWN_DATABASE = "write `governance: {database: URL}` beside it for keys, budgets and a ledger; take a database of their own"
_WANTS_GOVERNANCE = {
    "general_settings.database_url": _OWN_DATABASE,
    **{f"litellm_settings.{name}": "it needs a `governance` in this file" for name in _END_USERS},
}
_HARMLESS = frozenset({"set_verbose", "telemetry"})
"""How LiteLLM itself talks: nothing is lost without them."""


def read(document: Document, env: Mapping[str, str]) -> tuple[Config, Policy]:
    """Raises ConfigurationError. What is not obeyed is logged, one warning each."""
    sections = {name: _section(document, name) for name in _SECTIONS[1:]}
    if (handlers := sections["litellm_settings"].get("custom_provider_map")) is not None:
        register_map(document, "litellm_settings.custom_provider_map", handlers)
    given = _router_arguments(sections)
    arguments = _arguments(document, given)
    models = _models(document, arguments, {**env, **sections["environment_variables"]})
    config, uncached = _with_cache(_config(document, arguments, sections), document, sections, env)
    config = _shared(config, document, arguments, {**env, **sections["environment_variables"]})
    config, unseen = _observed(config, document, sections, env)
    config = _governed(config, document, sections)
    try:
        policy = make_policy(models, arguments.settings, _names(models))
    except ConfigurationError as problem:
        raise document.error("router_settings", problem.message) from None
    check_cheaper(document, config, policy)
    for told in (
        *models.skipped,
        *models.warnings,
        *arguments.warnings,
        *uncached,
        *unseen,
        *_not_obeyed(document.value, sections),
    ):
        logger.warning("%s: %s", document.file, told)
    return config, policy


def _section(document: Document, name: str) -> dict[str, Any]:
    value = document.value.get(name)
    if value is not None and not isinstance(value, dict):
        raise document.error(name, f"expected keys and values, found {type(value).__name__}")
    return value or {}


def _router_arguments(sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The router's arguments: its own section goes before litellm_settings."""
    general = sections["litellm_settings"]
    usual = {name: general[name] for name in _FOR_THE_ROUTER if name in general}
    if "request_timeout" in general:
        usual["timeout"] = general["request_timeout"]
    own = {name: value for name, value in sections["router_settings"].items() if name not in _ROUTER_ONLY}
    return usual | own


def _arguments(document: Document, given: Mapping[str, Any]) -> RouterArguments:
    try:
        return read_arguments(given)
    except ConfigurationError as problem:
        raise _placed(document, problem.message) from None


def _models(document: Document, arguments: RouterArguments, env: Mapping[str, str]) -> ModelList:
    entries, usual = document.value["model_list"], arguments.rest.get("default_litellm_params") or {}
    if not isinstance(entries, list) or not entries:
        raise document.error("model_list", "expected a list of models, with at least one")
    try:
        return read_model_list(
            [_with_defaults(entry, usual) for entry in entries],
            env=env,
            aliases=arguments.rest.get("model_group_alias"),
            skip_invalid=bool(arguments.rest.get("ignore_invalid_deployments")),
        )
    except ConfigurationError as problem:
        raise _placed(document, problem.message) from None


def _with_defaults(entry: Any, usual: Mapping[str, Any]) -> Any:
    params = entry.get("litellm_params") if isinstance(entry, dict) else None
    return {**entry, "litellm_params": {**usual, **params}} if usual and isinstance(params, dict) else entry


def _names(models: ModelList) -> list[str]:
    return [entry["model_name"] for entry in models.entries.values()]


def _config(document: Document, arguments: RouterArguments, sections: Mapping[str, dict[str, Any]]) -> Config:
    general, litellm = sections["general_settings"], sections["litellm_settings"]
    key = general.get("master_key")
    if key is not None:
        key = _text(document, "general_settings.master_key", key)
    check_key(document, "general_settings.master_key", key)
    seconds = arguments.rest.get("timeout")
    server, usual = ServerEntry(api_key=key), TimeoutsEntry()
    if "max_request_size_mb" in general:
        size = _number(document, "general_settings.max_request_size_mb", general["max_request_size_mb"], most=4096)
        server = ServerEntry(api_key=key, max_body_mb=size)
    if seconds is not None:
        limit = _number(document, "router_settings.timeout", seconds, most=1e7)
        usual = TimeoutsEntry(first_token=limit, idle=limit)
    strict = litellm.get("drop_params") is False
    guards: tuple[Any, ...] = ()
    if document.value.get("guardrails"):
        from dragoman.gateway.guardrails import litellm as guardrails  # noqa: PLC0415 - many files have none

        guards = guardrails.read(document, document.value["guardrails"])
    return Config(
        providers={
            entry["provider"]: {"handler": entry["custom_handler"]} for entry in litellm.get("custom_provider_map") or ()
        },
        guardrails=guards,
        server=server,
        timeouts=usual,
        retries=arguments.settings.retry.max_retries,
        strict=strict,
    )


def _with_cache(
    config: Config, document: Document, sections: Mapping[str, dict[str, Any]], env: Mapping[str, str]
) -> tuple[Config, tuple[str, ...]]:
    """The configuration with its cache, and what of that is not obeyed."""
    settings = sections["litellm_settings"]
    if not settings.get("cache"):
        return config, ()
    from dragoman.gateway.litellm_cache import from_litellm  # noqa: PLC0415 - many files have none

    cache, told = from_litellm(document, settings.get("cache_params") or {}, {**env, **sections["environment_variables"]})
    return structs.replace(config, cache=cache), told


def _shared(config: Config, document: Document, arguments: RouterArguments, env: Mapping[str, str]) -> Config:
    """The router's Redis is what our workers share too."""
    place = {name.removeprefix("redis_"): value for name, value in arguments.rest.items() if name.startswith("redis_")}
    if not place:
        return config
    from dragoman.caching.cache import redis_url  # noqa: PLC0415 - many files have none

    try:
        return structs.replace(config, shared=convert({"url": redis_url(place, env)}, SharedEntry))
    except ValidationError:
        raise document.error(
            "router_settings.redis_url", "expected redis://HOST:PORT/DATABASE, rediss:// or unix://PATH"
        ) from None


def _observed(
    config: Config, document: Document, sections: Mapping[str, dict[str, Any]], env: Mapping[str, str]
) -> tuple[Config, tuple[str, ...]]:
    """The configuration with whatever watches it, and what of that is not obeyed."""
    variables = {**env, **sections["environment_variables"]}
    entries, told = observing.from_litellm(document, sections["litellm_settings"], sections["general_settings"], variables)
    return structs.replace(config, **entries), told


def _governed(config: Config, document: Document, sections: Mapping[str, dict[str, Any]]) -> Config:
    """The file may have our own `governance` beside LiteLLM's sections, to which belongs what those say of end users."""
    if document.value.get("governance") is None:
        return config
    entry = convert_at(document, GovernanceEntry, value=sections["governance"], at="governance")
    said: dict[str, Any] = {}
    for name, field in _END_USERS.items():
        if (value := sections["litellm_settings"].get(name)) is not None:
            at = f"litellm_settings.{name}"
            said[field] = _number(document, at, value, most=1e9) if field == "max_budget" else _text(document, at, value)
    if entry.end_users is None or isinstance(entry.end_users, dict):
        entry = structs.replace(entry, end_users={**said, **(entry.end_users or {})} or None)
    return with_governance(document, structs.replace(config, governance=entry), "general_settings.master_key")


def _text(document: Document, path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise document.error(path, "expected text")
    return value


def _number(document: Document, path: str, value: Any, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise document.error(path, f"expected a number above 0, at most {most:g}, found {value!r}")
    return float(value)


def _not_obeyed(whole: Mapping[str, Any], sections: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    for name in whole:
        if name not in (*_SECTIONS, "guardrails"):
            yield f"{name} is not obeyed: this gateway has no such section"
    for name in sections["router_settings"].keys() & _ROUTER_ONLY.keys():
        yield f"router_settings.{name} is not obeyed: {_ROUTER_ONLY[name]}"
    for section, obeyed in (("litellm_settings", _LITELLM_SETTINGS), ("general_settings", _GENERAL_SETTINGS)):
        for name in sections[section]:
            known = obeyed | _HARMLESS | (_END_USERS.keys() if whole.get("governance") is not None else set())
            if name not in known:
                reason = _WANTS_GOVERNANCE.get(f"{section}.{name}", "there is no such setting here")
                yield f"{section}.{name} is not obeyed: {reason}"


_PLACE = re.compile(r"^((?:model_list\[\d+\]|model_group_alias)[\w.\[\]-]*): (.*)$", re.DOTALL)


def _placed(document: Document, message: str) -> ConfigurationError:
    """The error with the line of what it names."""
    found = _PLACE.match(message)
    if found is None:
        return document.error("router_settings", message.removeprefix("Router: "))
    path, problem = found.groups()
    return document.error(path if path.startswith("model_list") else f"router_settings.{path}", problem)
