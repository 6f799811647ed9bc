"""The `cache` of a configuration. Pure; `caching` does what it says, and `litellm_cache` reads LiteLLM's.

cache:
  type: memory              # or disk, redis
  ttl: 3600                 # seconds; null: until there is no more room
  max_mb: 256
  semantic: {threshold: 0.98, check: 0.02}
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Operation = Literal[
    "chat", "responses", "completion", "embedding", "rerank", "moderation", "decision", "transcription", "translation", "speech"
]
_Share = Annotated[float, Meta(ge=0, le=1)]


class SemanticEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers to nearly the same question. `model`: who embeds questions, one of `models` or provider/model; `threshold`: the
    cosine from which two are one; `check`: the share of such hits at which the provider is asked as well.
    """

    model: Annotated[str, Meta(min_length=1)] = "local/use-multilingual-v3"
    threshold: _Share = 0.98
    check: _Share = 0.0


class CacheEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path` is the file of a disk cache, `url` the address of Redis. `share`: who may be given whose answers: those of the
    same key, user, team or organization, or everyone's. `by_default: false`: only for requests that ask for it. `operations`:
    whose answers are kept; null: all that can be. `single_flight`: of equal requests at one time one is sent.
    """

    type: Literal["memory", "disk", "redis"] = "memory"
    ttl: Annotated[float, Meta(gt=0, le=1e9)] | None = 3600.0
    max_mb: Annotated[float, Meta(gt=0, le=1e6)] = 64.0
    path: Annotated[str, Meta(min_length=1)] | None = None
    url: Annotated[str, Meta(pattern="^(rediss?|unix)://")] | None = None
    namespace: str = ""
    share: Literal["key", "user", "team", "organization", "everyone"] = "key"
    by_default: bool = True
    operations: tuple[_Operation, ...] | None = None
    single_flight: bool = False
    semantic: SemanticEntry | None = None
