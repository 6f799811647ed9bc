"""The gateway's cache: whose answers a request may be given, and what it says of the cache in its body and headers.

`cache-control: no-cache` and `no-store`, `x-dragoman-cache: no-cache, ttl=60, namespace=x`, and, from clients of OpenAI's
dialects, LiteLLM's field `cache` of the body. Called by the pipeline before the call is asked; the engine does the rest.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from dragoman.caching.cache import SEMANTIC, Cache
from dragoman.caching.controls import directives
from dragoman.core import json
from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.engine.call import Call
from dragoman.engine.lookup import Lookup
from dragoman.gateway.cache_config import CacheEntry
from dragoman.gateway.exchange import Exchange
from dragoman.providers import registry
from dragoman.router.deployment import Deployment
from dragoman.router.policy import Policy

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

FIELD, HEADER, STANDARD = "cache", b"x-dragoman-cache", b"cache-control"
_OPENAI_SHAPED = ("openai_", "rerank")
_STANDARD = frozenset({"no-cache", "no-store"})
_SHARED_BY = {
    "key": (),
    "user": ("user",),
    "team": ("team",),
    "organization": ("organization", "team"),
}
"""Setting -> whose answers are shared: the first of these that the key is of, else its own."""


class Caching:
    """One for the process."""

    def __init__(self, entry: CacheEntry, policy: Policy) -> None:
        self.cache = _cache(entry, policy)
        self._kinds = _SHARED_BY.get(entry.share)
        self._tagged = policy.settings.tag_filtering

    def use(self, call: Call, who: Identity | None, exchange: Exchange) -> None:
        """Have the call ask the cache. What its body says of that is taken out. Raises BadRequestError."""
        controls = self.cache.controls(None, _words(call, exchange))
        if controls is not None:
            call.lookup = Lookup(self.cache, controls, (self._tenant(who), self._tags(exchange)))

    async def aclose(self) -> None:
        """What is on its way to be kept still is."""
        await asyncio.to_thread(self.cache.close)

    def _tenant(self, who: Identity | None) -> tuple[str, str]:
        if who is None or self._kinds is None:
            return "", ""
        key = who.key
        return next(((kind, id_) for kind in self._kinds if (id_ := getattr(key, kind))), ("key", key.id))

    def _tags(self, exchange: Exchange) -> bytes:
        """What chooses among deployments, where tags do: they are not in the body any more."""
        if not self._tagged:
            return b""
        try:
            return bytes(json.decode_envelope(exchange.body).get("metadata", b""))
        except json.UNREADABLE:
            return b""


def _words(call: Call, exchange: Exchange) -> Any:
    """A header goes before the body."""
    words: Any = None
    if call.in_json and FIELD in call.envelope and call.dialect.startswith(_OPENAI_SHAPED):
        words = json.decode(call.envelope.pop(FIELD))
        call.body = json.encode(call.envelope)
    for name in (STANDARD, HEADER):
        value = exchange.header(name)
        if value is not None and (words is None or isinstance(words, dict)):
            told = directives(value.decode("latin-1"))
            known = told if name is HEADER else {word: told[word] for word in _STANDARD & told.keys()}
            words = {**(words or {}), **known}
    return words


def _cache(entry: CacheEntry, policy: Policy) -> Cache:
    """Raises ConfigurationError."""
    semantic = entry.semantic
    given: dict[str, Any] = {"path": entry.path, "url": entry.url}
    if semantic is not None:
        given |= {
            "similarity_threshold": semantic.threshold,
            "check_share": semantic.check,
            "embedding_model": semantic.model,
        }
    made = Cache(
        entry.type if semantic is None else entry.type + SEMANTIC,
        ttl=entry.ttl,
        max_mb=entry.max_mb,
        namespace=entry.namespace,
        mode="default_on" if entry.by_default else "default_off",
        operations=entry.operations,
        single_flight=entry.single_flight,
        **given,
    )
    if semantic is not None:
        made.embedders = _embedders(semantic.model, policy)
    return made


def _embedders(model: str, policy: Policy) -> tuple[Deployment, ...]:
    """Those of the configuration's model of this name, or the one at a provider."""
    try:
        group = policy.find(model)
        if group is not None:
            return group.deployments
        return (Deployment(registry.resolve(model, env=os.environ)),)
    except DragomanError as problem:
        raise ConfigurationError(f"cache.semantic.model: {problem.message}") from None
