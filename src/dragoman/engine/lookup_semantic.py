"""Kept answers to nearly the same question: the question embedded, the nearest one found, and now and then a hit checked.

The embedding is a call of its own, on the transport of the call it is for. Where it fails there is no hit, and the log says so.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from dragoman.caching.cache import Cache
from dragoman.caching.keys import digest
from dragoman.caching.semantic import Index, SemanticSettings, cosine, question, text_of, unit
from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.core.http import Timeouts
from dragoman.dialects.embeddings import with_encoding
from dragoman.engine import flow
from dragoman.engine.call import Call, CallOptions
from dragoman.engine.kept import Kept, logger, look
from dragoman.engine.steps import Flow
from dragoman.providers import registry
from dragoman.router.deployment import Deployment
from dragoman.router.retry import RetryPolicy

if TYPE_CHECKING:
    from dragoman.engine.lookup import Lookup

Clock = Callable[[], float]
_OPTIONS = CallOptions(timeouts=Timeouts(connect=2.0, first_token=10.0, total=10.0), retry=RetryPolicy(max_retries=0))
"""A question that takes longer to embed than that is not compared."""
Vector: TypeAlias = "array[float]"


class Compared:
    """A question and those it may be compared with."""

    def __init__(self, index: Index, partition: str, vector: Vector) -> None:
        self.vector = vector
        self._index = index
        self._partition = partition

    def nearest(self, threshold: float) -> str | None:
        """The key of the answer to the question most like this one, if it is enough like it."""
        near = self._index.nearest(self._partition, self.vector)
        return near.key if near is not None and near.similarity >= threshold else None

    def answered(self, key: str) -> None:
        self._index.add(self._partition, key, self.vector)

    def gone(self, key: str) -> None:
        self._index.remove(self._partition, key)


def similar(lookup: Lookup, clock: Clock, wall: Clock) -> Flow[Kept | None]:
    """The kept answer to nearly the same question. Sets what the lookup has `compared`."""
    cache = lookup.cache
    if cache.semantic is None or cache.index is None or not lookup.controls.read:
        return None
    asked = question(lookup.meaning)
    if asked is None:
        return None
    vectors = yield from _vectors(cache, cache.semantic, (asked.text,), clock, wall)
    if vectors is None:
        return None
    partition = digest(lookup.context, asked.rest, asked.numbers)
    lookup.compared = compared = Compared(cache.index, partition, vectors[0])
    key = compared.nearest(cache.semantic.threshold)
    if key is None:
        return None
    (kept,) = yield from look(cache.store, (key,), lookup.controls, wall())
    if kept is None:
        compared.gone(key)
    return kept


def agreement(cache: Cache, kept: Any, said: Any, clock: Clock, wall: Clock) -> Flow[None]:
    """Count whether the provider, asked as well, says nearly what is kept."""
    texts = text_of(kept), text_of(said)
    if cache.semantic is None or not all(texts):
        return
    vectors = yield from _vectors(cache, cache.semantic, texts, clock, wall)
    if vectors is None:
        return
    likeness = cosine(*vectors)
    counts = cache.counts
    counts.checked += 1
    counts.agreed += likeness >= cache.semantic.threshold
    told = "A semantic hit was checked: the answers are %.3f alike; %d of %d agreed"
    logger.info(told, likeness, counts.agreed, counts.checked)


def _vectors(
    cache: Cache, settings: SemanticSettings, texts: tuple[str, ...], clock: Clock, wall: Clock
) -> Flow[list[Vector] | None]:
    """Vectors of length 1, one for each text; None where they cannot be had."""
    body = json.encode({"model": settings.model, "input": texts})
    try:
        call = Call(
            operation="embedding",
            dialect="openai_embeddings",
            model=settings.model,
            body=body,
            options=_OPTIONS,
            deployments=_embedders(cache, settings),
        )
        found = yield from flow.answer(call, clock, wall)
        came = sorted(with_encoding(found.response, None).embeddings, key=lambda embedding: embedding.index)
        vectors = [unit(embedding.vector) for embedding in came]
    except (DragomanError, ValueError) as problem:
        logger.warning("A question could not be embedded, so it was not compared: %s", problem)
        return None
    return vectors if len(vectors) == len(texts) else None


def _embedders(cache: Cache, settings: SemanticSettings) -> tuple[Deployment, ...]:
    if not cache.embedders:
        cache.embedders = (Deployment(registry.resolve(settings.model, env=os.environ)),)
    return cache.embedders
