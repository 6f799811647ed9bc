"""A call through a cache: the answer that is kept, or the provider's, which then is. Generators, as those of `flow.py`.

A hit costs nothing and uses no tokens; its call settles as a success without attempts. An instant store is asked in the flow
itself, so that in the gateway a hit needs no task; others by a step. Nothing that goes wrong with a cache reaches the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dragoman.caching import entries, keys
from dragoman.caching.cache import Cache
from dragoman.caching.controls import Controls
from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.core.http import HttpResponse
from dragoman.core.unfold import unfold
from dragoman.engine import flow
from dragoman.engine.call import Call, Settlement
from dragoman.engine.flow import Answer, OpenedStream
from dragoman.engine.kept import NOTHING, Join, Kept, look, packed, settled
from dragoman.engine.lookup_embeddings import embeddings
from dragoman.engine.lookup_semantic import Compared, agreement, similar
from dragoman.engine.steps import Flow, Result
from dragoman.router.deployment import Deployment

Clock = Callable[[], float]

HIT, MISS, PARTIAL = "hit", "miss", "partial"


class Lookup:
    """What one call has to do with the cache. `status` is hit, miss, or partial for embeddings of which some were kept; it is
    empty while nothing was looked for, as it stays for a call whose answer is none that a cache may have.

    `scope` is what else must be equal: whose call it is, and what chooses among deployments that answer differently.
    `key` names the answer; `context` is a digest of all that counts beside `meaning`, the request as it is when it is asked.
    """

    __slots__ = ("cache", "compared", "context", "controls", "key", "meaning", "scope", "status")

    def __init__(self, cache: Cache, controls: Controls, scope: tuple[Any, ...]) -> None:
        self.cache = cache
        self.controls = controls
        self.scope = scope
        self.context = self.key = self.status = ""
        self.meaning: Any = None
        self.compared: Compared | None = None

    @property
    def ttl(self) -> float | None:
        return self.cache.ttl if self.controls.ttl is None else self.controls.ttl

    def answer(self, call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
        """As `flow.answer`."""
        if not self._begin(call):
            return flow.providers_answer(call, clock, wall)
        whole = embeddings if call.operation == "embedding" else _answer
        return _settling(call, whole(self, call, clock, wall))

    def open_stream(self, call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
        """As `flow.open_stream`."""
        if not self._begin(call):
            return flow.providers_stream(call, clock, wall)
        return _settling(call, _stream(self, call, clock, wall))

    def _begin(self, call: Call) -> bool:
        """Whether the call's answer may be one that is kept. If so it is named, and will be decoded."""
        if call.operation not in self.cache.operations:
            return False
        try:
            request = call.request
            if not entries.may_ask(request, call.options.extra_body):
                return False
            self.meaning = keys.meaning(request)
            self.context = keys.digest(
                call.operation,
                call.model,
                self.cache.namespace,
                self.controls.namespace,
                self.scope,
                [_place(deployment) for deployment in call.deployments],
                call.options.strict,
                keys.body(call.options.extra_body),
                keys.headers(call.options.extra_headers),
            )
            self.key = keys.digest(self.context, self.meaning)
        except (DragomanError, *json.UNREADABLE, OverflowError, TypeError, ValueError):
            return False  # what is wrong with it is found on its way, or not at all: a relayed request may say anything
        call.options = replace(call.options, relay=False)
        return True

    def was_hit(self) -> None:
        self.status = HIT
        self.cache.counts.hits += 1

    def missed(self, *, partial: bool = False) -> None:
        self.status = PARTIAL if partial else MISS
        self.cache.counts.misses += 1

    def keep(self, data: bytes | None) -> None:
        """The bytes of an answer, unless there are none."""
        if data is not None and self.controls.write:
            self.cache.store.write({self.key: data}, self.ttl)
            if self.compared is not None:
                self.compared.answered(self.key)


def _place(deployment: Deployment) -> tuple[Any, ...]:
    """What of a deployment may change an answer."""
    target = deployment.target
    return target.provider.name, target.model, target.base_url, keys.body(deployment.terms.defaults)


def _settling(call: Call, steps: Flow[Result]) -> Flow[Result]:
    """Whatever ends it before the provider is asked settles the call, as `flow` does from there on."""
    try:
        return (yield from steps)
    except Exception as error:
        call.settle(Settlement(error=error))
        raise
    except BaseException:
        call.settle(Settlement(cancelled=True))
        raise


def _answer(lookup: Lookup, call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    flights = lookup.cache.flights if lookup.controls.read and lookup.controls.write else None
    kept = yield from _exact(lookup, wall)
    if kept is None and flights is not None:
        flight = flights.join(lookup.key)
        if flight is None:
            try:
                return (yield from _asked(lookup, call, clock, wall))
            finally:
                flights.land(lookup.key)
        yield Join(flight)
        kept = yield from _exact(lookup, wall)
    return _replayed(lookup, call, kept) if kept is not None else (yield from _asked(lookup, call, clock, wall))


def _asked(lookup: Lookup, call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """The answer to nearly the same question, or the provider's."""
    near = yield from similar(lookup, clock, wall)
    if near is not None and not _to_be_checked(lookup.cache):
        return _replayed(lookup, call, near)
    lookup.missed()
    found = yield from flow.providers_answer(call, clock, wall)
    lookup.keep(packed(call, found.response, wall()))
    if near is not None:
        yield from agreement(lookup.cache, near.response, found.response, clock, wall)
    return found


def _stream(lookup: Lookup, call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
    kept = (yield from _exact(lookup, wall)) or (yield from similar(lookup, clock, wall))
    if kept is not None:
        found = _replayed(lookup, call, kept)
        return OpenedStream(prepared=found.prepared, events=list(unfold(found.response)))
    lookup.missed()
    opened = yield from flow.providers_stream(call, clock, wall)
    warned = call.warnings

    def ended(call: Call) -> None:
        """What was mended on its way (a rest from elsewhere, an event left out) has been warned of, and is not kept."""
        end = call.settlement
        if end is not None and end.error is None and not end.cancelled and call.warnings == warned:
            lookup.keep(packed(call, end.response, wall()))

    call.watch(ended)
    return opened


def _exact(lookup: Lookup, wall: Clock) -> Flow[Kept | None]:
    if not lookup.controls.read:
        return None
    (kept,) = yield from look(lookup.cache.store, (lookup.key,), lookup.controls, wall())
    return kept


def _to_be_checked(cache: Cache) -> bool:
    return cache.semantic is not None and cache.rng.random() < cache.semantic.check


def _replayed(lookup: Lookup, call: Call, kept: Kept) -> Answer:
    lookup.was_hit()
    lookup.cache.counts.semantic_hits += lookup.compared is not None
    prepared = settled(call, kept.entry, kept.response)
    return Answer(prepared=prepared, raw=HttpResponse(status=200), response=kept.response, usage=NOTHING)
