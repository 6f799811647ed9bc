"""Answers that are kept, so that the same question need not be asked twice. Nothing here calls a model.

A `Cache` is a place to keep answers (memory, a file, Redis) and the rules of it. The engine asks it (`engine.lookup`), once a
client or a gateway was given one; `docs/caching.md` says what is kept and what is not.
"""

from __future__ import annotations

from dragoman.caching.cache import Cache

__all__ = ["Cache"]
