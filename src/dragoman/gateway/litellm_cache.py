"""LiteLLM's `litellm_settings.cache` and `cache_params` -> our `cache`. Pure. Called by `litellm_config` where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dragoman.caching.cache import SEMANTIC, operations_of, redis_url
from dragoman.gateway.cache_config import CacheEntry
from dragoman.gateway.yaml_config import Document

_KINDS = {"local": "memory", "memory": "memory", "disk": "disk", "redis": "redis", "valkey": "redis"}
_PLACE = frozenset({"url", "redis_url", "host", "port", "password", "username", "db", "ssl"})
_SEMANTIC = {
    "similarity_threshold": "threshold",
    "redis_semantic_cache_embedding_model": "model",
    "valkey_semantic_cache_embedding_model": "model",
}
_OURS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ttl": ("ttl", lambda value: value),
    "namespace": ("namespace", lambda value: value),
    "disk_cache_dir": ("path", lambda value: f"{value}/answers.sqlite"),
    "mode": ("by_default", lambda value: value != "default_off"),
    "supported_call_types": ("operations", lambda value: sorted(operations_of(value))),
}
"""Field of LiteLLM's cache_params -> ours, and what becomes of its value."""


_PARAMS = "litellm_settings.cache_params"


def from_litellm(document: Document, params: Any, env: Mapping[str, str]) -> tuple[CacheEntry | None, tuple[str, ...]]:
    """The cache of `cache_params`, and what of them is not obeyed. Raises ConfigurationError with the line."""
    if not isinstance(params, dict):
        raise document.error(_PARAMS, f"expected keys and values, found {type(params).__name__}")
    name = str(params.get("type", "local"))
    kind, semantic = _KINDS.get(name.removesuffix(SEMANTIC)), name.endswith(SEMANTIC)
    if kind is None:
        return None, (f"{_PARAMS}.type: {name} is not obeyed, so there is no cache: they are {', '.join(_KINDS)} here",)
    obeyed = {"type", *_OURS, *(_PLACE if kind == "redis" else ()), *(_SEMANTIC if semantic else ())}
    told = tuple(f"{_PARAMS}.{key} is not obeyed: there is no such setting here" for key in sorted(params.keys() - obeyed))
    return _entry(document, kind, params, env, semantic=semantic), told


def _entry(document: Document, kind: str, params: Mapping[str, Any], env: Mapping[str, str], *, semantic: bool) -> CacheEntry:
    try:
        fields = {_OURS[key][0]: _OURS[key][1](value) for key, value in params.items() if key in _OURS}
        if kind == "redis":
            fields["url"] = redis_url({("url" if key == "redis_url" else key): value for key, value in params.items()}, env)
        if semantic:
            fields["semantic"] = {_SEMANTIC[key]: value for key, value in params.items() if key in _SEMANTIC}
        return msgspec.convert({"type": kind, **fields}, CacheEntry, strict=False)
    except (msgspec.ValidationError, TypeError, AttributeError) as problem:
        raise document.error(_PARAMS, str(problem)) from None
