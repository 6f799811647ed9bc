"""The SDK's side of caches: which one a call asks, and the package's own, under LiteLLM's names.

    dragoman.cache = dragoman.caching.Cache(type="disk")    or    dragoman.enable_cache(type="disk")

What is in `caching` is loaded when there is a cache.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dragoman.client.arguments import Arguments
from dragoman.core.errors import ConfigurationError
from dragoman.engine.call import Call

if TYPE_CHECKING:
    from dragoman.caching import Cache


def attach(call: Call, said: Arguments, cache: Cache | None) -> None:
    """Have the call ask the cache, as it says itself. Raises ConfigurationError where it wants one and there is none."""
    if cache is None:
        if said.caching:
            raise ConfigurationError("caching: there is no cache; call dragoman.enable_cache(), or give one to the client")
        return
    controls = cache.controls(said.caching, said.cache)
    if controls is not None:
        from dragoman.engine.lookup import Lookup  # noqa: PLC0415 - see the module

        routing = said.routing
        call.lookup = Lookup(cache, controls, () if routing is None else (sorted(routing.tags), routing.deployment))


def package_cache() -> Cache | None:
    """`dragoman.cache`, as it is set now."""
    cache: Cache | None = vars(sys.modules["dragoman"]).get("cache")
    return cache


def router_cache(arguments: Mapping[str, Any]) -> Cache | None:
    """The cache of a Router with `cache_responses`; its `cache_kwargs` are further arguments of `Cache`."""
    if not arguments.get("cache_responses"):
        return None
    from dragoman.caching import Cache  # noqa: PLC0415 - see the module

    place = {name.removeprefix("redis_"): value for name, value in arguments.items() if name.startswith("redis_")}
    return Cache(**{"type": "redis" if place else "local", **place, **arguments.get("cache_kwargs", {})})


def enable_cache(type: str = "local", **arguments: Any) -> None:  # noqa: A002 - LiteLLM's name
    """Answer calls of this package from a cache, where it can; see `dragoman.caching.Cache` for the arguments.

    Where there is a cache already, that one stays.
    """
    if package_cache() is None:
        update_cache(type, **arguments)


def update_cache(type: str = "local", **arguments: Any) -> None:  # noqa: A002 - as above
    """As `enable_cache`, in place of the cache that there is."""
    from dragoman.caching import Cache  # noqa: PLC0415 - see the module

    made = Cache(type, **arguments)
    disable_cache()
    _set(made)


def disable_cache() -> None:
    """Ask providers for everything again. What is on disk or in Redis stays there."""
    cache = package_cache()
    _set(None)
    if cache is not None:
        cache.close()


def _set(cache: Cache | None) -> None:
    sys.modules["dragoman"].cache = cache  # type: ignore[attr-defined]  # an attribute of the package
