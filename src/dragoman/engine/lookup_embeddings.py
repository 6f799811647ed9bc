"""Embeddings through a cache, input by input: only those that are not kept are asked for, and the order stays.

The usage of an answer is that of what was asked. Inputs that stand twice in a request are asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dragoman.caching.keys import digest
from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.http import HttpResponse
from dragoman.core.operations import Embedding, EmbeddingResponse
from dragoman.engine import flow
from dragoman.engine.call import Call, Settlement
from dragoman.engine.flow import Answer
from dragoman.engine.kept import NOTHING, Kept, look, packed, settled
from dragoman.engine.steps import Flow

if TYPE_CHECKING:
    from dragoman.engine.lookup import Lookup

Clock = Callable[[], float]


def embeddings(lookup: Lookup, call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """The answer, of kept and of new vectors."""
    inputs, store = call.request.input, lookup.cache.store
    keys = [digest(lookup.context, replace(lookup.meaning, input=(item,))) for item in inputs]
    kept: list[Kept | None] = [None] * len(keys)
    if lookup.controls.read:
        kept = yield from look(store, keys, lookup.controls, wall())
    missing = [place for place, found in enumerate(kept) if found is None]
    if not missing:
        return _hit(lookup, call, [found for found in kept if found is not None])
    lookup.missed(partial=len(missing) < len(inputs))
    call.clock = clock  # it is read by whoever is told of the end; the attempts may be a part's
    part = call if len(missing) == len(inputs) else _part(call, missing)
    answer = yield from flow.providers_answer(part, clock, wall)
    new = _in_order(answer, len(missing))
    if new is not None and lookup.controls.write:
        pieces = [packed(part, _one(answer.response, vector), wall()) for vector in new]
        store.write({keys[place]: data for place, data in zip(missing, pieces, strict=True) if data}, lookup.ttl)
    if part is call:
        return answer
    if new is None:
        raise ResponseDecodeError(f"{len(missing)} inputs were embedded and {len(answer.response.embeddings)} vectors came")
    return _merged(call, part, answer, kept, dict(zip(missing, new, strict=True)))


def _part(call: Call, places: list[int]) -> Call:
    """A call for some of the inputs, with the session of the whole and its attempts."""
    wanted = [call.request.input[place] for place in places]
    part = call.reworded({**call.envelope, "input": json.raw(wanted)})
    part.session, part.rng, part.attempts = call.session, call.rng, call.attempts
    return part


def _in_order(answer: Answer, count: int) -> list[Embedding] | None:
    """The vectors by the place of their input; None where there is not one for each."""
    vectors = sorted(answer.response.embeddings, key=lambda embedding: embedding.index)
    return vectors if [embedding.index for embedding in vectors] == list(range(count)) else None


def _one(response: EmbeddingResponse, vector: Embedding) -> EmbeddingResponse:
    return EmbeddingResponse(model=response.model, embeddings=(replace(vector, index=0),), warnings=response.warnings)


def _hit(lookup: Lookup, call: Call, kept: list[Kept]) -> Answer:
    vectors = tuple(replace(found.response.embeddings[0], index=place) for place, found in enumerate(kept))
    response = EmbeddingResponse(model=kept[0].response.model, embeddings=vectors, usage=NOTHING)
    lookup.was_hit()
    prepared = settled(call, kept[0].entry, response)
    return Answer(prepared=prepared, raw=HttpResponse(status=200), response=response, usage=NOTHING)


def _merged(call: Call, part: Call, answer: Answer, kept: list[Kept | None], new: dict[int, Embedding]) -> Answer:
    vectors = tuple(
        replace(new[place] if found is None else found.response.embeddings[0], index=place) for place, found in enumerate(kept)
    )
    response = replace(answer.response, embeddings=vectors)
    call.warnings = call.notes + part.warnings
    usage = None if part.settlement is None else part.settlement.usage  # with that of attempts whose answers nobody got
    call.settle(Settlement(usage=usage, response=response))
    return Answer(prepared=answer.prepared, raw=answer.raw, response=response, usage=answer.usage)
