"""`Cache`: a store, and the rules of its use. The name and its arguments are LiteLLM's, where it has them.

    dragoman.cache = Cache()                                   this process, 64 MB, an hour
    Cache(type="disk", disk_cache_dir=".cache", ttl=86400)     a file, shared by the processes of a machine
    Cache(type="redis", host="cache.internal", ttl=600)        Redis or Valkey, shared by machines
    Cache(type="local-semantic", similarity_threshold=0.97)    also an answer to nearly the same question

It asks nobody: `engine.lookup` does. It may be shared by threads, event loops and clients.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from dragoman.caching.controls import Controls, controls
from dragoman.caching.entries import OPERATIONS
from dragoman.caching.flights import Flights
from dragoman.caching.memory import MemoryStore
from dragoman.caching.semantic import Index, SemanticSettings
from dragoman.caching.store import Store
from dragoman.core.errors import ConfigurationError

HOUR = 3600.0
MEGABYTE = 1024 * 1024
SEMANTIC = "-semantic"
KINDS = ("memory", "disk", "redis")
_ALIASES = {"local": "memory", "valkey": "redis"}


class Counts(Struct):
    """What became of the requests that asked the cache, since it was made.

    `semantic_hits` are among the hits. `checked` were asked of the provider as well, and `agreed` said nearly the same.
    """

    hits: int = 0
    misses: int = 0
    semantic_hits: int = 0
    checked: int = 0
    agreed: int = 0


class Cache:
    """`type` is one of local (or memory), disk and redis, alone or with `-semantic` behind it; LiteLLM's other arguments by
    its names; `store` in place of all that is a store of your own.

    `ttl`: seconds an answer is kept; None: until there is no more room. `max_mb` bounds memory and file. `mode`: default_on,
    or default_off for a cache that is used where a call asks for it. `namespace`: answers are shared within it only.
    `operations`: whose answers are kept. `single_flight`: of equal calls at one time one asks the provider, the others wait.
    `similarity_threshold`, `embedding_model` and `check_share` are those of `semantic.SemanticSettings`.
    Raises ConfigurationError that names the argument.
    """

    def __init__(
        self,
        type: str = "local",  # noqa: A002 - LiteLLM's name
        *,
        ttl: float | None = HOUR,
        max_mb: float = 64.0,
        mode: str = "default_on",
        namespace: str | None = None,
        supported_call_types: list[str] | None = None,
        operations: Iterable[str] | None = None,
        single_flight: bool = False,
        store: Store | None = None,
        env: Mapping[str, str] = os.environ,
        **given: Any,
    ) -> None:
        kind = str(getattr(type, "value", type))
        semantic = kind.endswith(SEMANTIC)
        said = _known({name: value for name, value in given.items() if value is not None}, semantic=semantic)
        self.ttl = _positive("ttl", ttl)
        self.namespace = namespace or ""
        self.by_default = _mode(mode)
        self.operations = operations_of(supported_call_types) if operations is None else frozenset(operations) & OPERATIONS
        self.flights = Flights() if single_flight else None
        self.counts = Counts()
        self.rng = Random()  # noqa: S311 - which hits are checked is no secret
        self.semantic = _semantic(said) if semantic else None
        self.index = Index(self.semantic.most) if self.semantic else None
        self.embedders: tuple[Any, ...] = ()
        """Deployments that embed questions; where there are none `semantic.model` is resolved."""
        self.store = _store(kind.removesuffix(SEMANTIC), said, max_mb=max_mb, env=env) if store is None else store

    def controls(self, caching: bool | None, given: Any) -> Controls | None:  # noqa: FBT001 - LiteLLM's `caching=`
        """What a call's `caching` and `cache` come to; None: the cache is not used for it. Raises BadRequestError."""
        said = controls(given)
        wanted = next((word for word in (caching, said.wanted) if word is not None), self.by_default)
        return said if wanted and (said.read or said.write) else None

    def flush_cache(self) -> None:
        """Forget every answer."""
        self.store.clear()
        if self.index is not None:
            self.index.clear()

    def close(self) -> None:
        """What is on its way to be kept still is; nothing is after this."""
        self.store.close()

    def __repr__(self) -> str:
        return f"Cache({self.store.__class__.__name__}, ttl={self.ttl}{', semantic' if self.semantic else ''})"


# ------------------------------------------------------------------------------------------------------------- arguments
_OF_SEMANTIC = {
    "similarity_threshold": "threshold",
    "embedding_model": "model",
    "redis_semantic_cache_embedding_model": "model",
    "valkey_semantic_cache_embedding_model": "model",
    "check_share": "check",
    "most_questions": "most",
}
_OF_STORES = frozenset({"url", "redis_url", "host", "port", "password", "username", "db", "ssl", "disk_cache_dir", "path"})
_RENAMED = {"redis_url": "url"}
_NOT_OBEYED = {
    **dict.fromkeys(("default_in_memory_ttl", "default_in_redis_ttl"), "give ttl"),
    **dict.fromkeys(("redis_flush_size", "redis_semantic_cache_index_name"), "it is decided here"),
    **dict.fromkeys(("redis_startup_nodes", "sentinel_nodes", "service_name"), "one address of Redis is asked; see url"),
    "max_connections": "connections are opened as they are needed",
}


def _known(given: dict[str, Any], *, semantic: bool) -> dict[str, Any]:
    known = _OF_STORES | _OF_SEMANTIC.keys() | _NOT_OBEYED.keys()
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise ConfigurationError(f"Cache: unknown argument {name!r}{f'; did you mean {near[0]}?' if near else ''}")
        if name in _NOT_OBEYED:
            warnings.warn(f"Cache: {name} is not obeyed: {_NOT_OBEYED[name]}", stacklevel=4)
        if name in _OF_SEMANTIC and not semantic:
            raise ConfigurationError(f"Cache: {name} is for a semantic cache; use type='local-semantic' or 'redis-semantic'")
    return {_RENAMED.get(name, name): value for name, value in given.items()}


def _store(kind: str, said: Mapping[str, Any], *, max_mb: float, env: Mapping[str, str]) -> Store:
    kind = _ALIASES.get(kind, kind)
    if kind not in KINDS:
        names = ", ".join([*_ALIASES, *KINDS])
        raise ConfigurationError(f"Cache: type: expected one of {names}, or with {SEMANTIC} behind it; found {kind!r}")
    _positive("max_mb", max_mb)
    max_bytes = int(max_mb * MEGABYTE)
    if kind == "memory":
        return MemoryStore(max_bytes=max_bytes)
    if kind == "disk":
        from dragoman.caching.disk import DiskStore  # noqa: PLC0415 - sqlite3 is for who asks for it

        return DiskStore(_path(said, env), max_bytes=max_bytes)
    from dragoman.caching.redis import RedisStore  # noqa: PLC0415 - an extra

    return RedisStore(redis_url(said, env))


def _path(said: Mapping[str, Any], env: Mapping[str, str]) -> Path:
    if "path" in said:
        return Path(said["path"])
    home = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dragoman"
    return Path(said.get("disk_cache_dir") or home) / "answers.sqlite"


def redis_url(said: Mapping[str, Any], env: Mapping[str, str]) -> str:
    """A URL as it is given; else one made of the parts, each from its argument or REDIS_HOST, REDIS_PORT, REDIS_PASSWORD."""
    parts = {name: said.get(name, env.get(f"REDIS_{name.upper()}")) for name in ("url", "host", "port", "password", "username")}
    if "url" in said or ("host" not in said and parts["url"]):
        return str(parts["url"])
    scheme = "rediss" if said.get("ssl") else "redis"
    user, password = (quote(str(parts[name] or ""), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if user or password else ""
    return f"{scheme}://{login}{parts['host'] or '127.0.0.1'}:{parts['port'] or 6379}/{said.get('db', 0)}"


def _semantic(said: Mapping[str, Any]) -> SemanticSettings:
    settings = SemanticSettings(**{_OF_SEMANTIC[name]: value for name, value in said.items() if name in _OF_SEMANTIC})
    shares: dict[str, Any] = {"similarity_threshold": settings.threshold, "check_share": settings.check}
    for name, value in shares.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigurationError(f"Cache: {name}: expected a number from 0 to 1, found {value!r}")
    return settings


def _mode(mode: Any) -> bool:
    name = str(getattr(mode, "value", mode))
    if name not in {"default_on", "default_off"}:
        raise ConfigurationError(f"Cache: mode: expected default_on or default_off, found {name!r}")
    return name == "default_on"


def _positive(name: str, value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise ConfigurationError(f"Cache: {name}: expected a number above 0, found {value!r}")
    return value


_CALL_TYPES = {
    "text_completion": "completion",
    "completion": "chat",
    "anthropic_messages": "chat",
    "image_generation": "image",
}
"""LiteLLM's name of a call, without the `a` of its awaited twin -> our operation, where it has another name here."""


def operations_of(call_types: Iterable[str] | None) -> frozenset[str]:
    """LiteLLM's names of calls as our operations; those whose answers are not kept are left out."""
    if call_types is None:
        return OPERATIONS
    plain = {name if name.startswith("anthropic") else name.removeprefix("a") for name in call_types}
    return frozenset(_CALL_TYPES.get(name, name) for name in plain) & OPERATIONS
