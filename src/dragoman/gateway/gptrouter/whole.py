"""A call of a visit: embeddings, images, decisions, the optimizer of prompts. The engine asks, in the candidates' order."""

from __future__ import annotations

import time
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from dragoman.core.errors import DragomanError
from dragoman.dialects.gptrouter.requests import Candidate, Labels
from dragoman.engine.call import Call
from dragoman.engine.drive import adrive
from dragoman.engine.flow import Answer as FlowAnswer
from dragoman.engine.flow import answer
from dragoman.engine.price import price
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.gptrouter.governed import Said, admit
from dragoman.gateway.gptrouter.routing import Place, Wish, make_call
from dragoman.gateway.gptrouter.trail import answered_by
from dragoman.gateway.gptrouter.visits import Visit
from dragoman.transport.base import AsyncTransport

if TYPE_CHECKING:
    from dragoman.gateway.guardrails.screening import Screening


def found(face: Face, candidates: Iterable[Candidate]) -> tuple[Found, ...]:
    return tuple(face.directory.find(candidate) for candidate in candidates)


class Answered(NamedTuple):
    """The decoded answer, who gave it, and what it cost in USD, where that is known."""

    response: Any
    by: Found
    cost: float | None


class Asking(NamedTuple):
    """What is asked of whom. `body` is in the words of `dialect`, without the model."""

    operation: str
    dialect: str
    body: dict[str, Any]
    places: tuple[Found, ...]
    labels: Labels = Labels()


async def ask(visit: Visit, asking: Asking) -> Answered:
    """Raises a DragomanError."""
    face = visit.face
    places = tuple(Place(found=place, body=asking.body) for place in asking.places)
    wish = Wish(operation=asking.operation, dialect=asking.dialect, places=places)
    call = make_call(wish, face.pipeline.policy, face.options)
    visit.calls.append(call)
    said = Said(visit.who, visit.identity, [place.group for place in asking.places], asking.labels)
    try:
        guards = face.pipeline.screening(call, visit.exchange, visit.who)
        await admit(face, visit.exchange, call, said)
        answered = await _answered(call, face.pipeline.transport, guards)
    except DragomanError as problem:
        visit.refused(problem, call)
        raise
    visit.prepared = answered.prepared
    asked = answered_by(call).id
    by = next(place for place in asking.places if any(one.id == asked for one in place.deployments))
    cost = price(call, answered.usage)
    return Answered(answered.response, by, cost.dollars if cost and cost.lines else None)


async def _answered(call: Call, transport: AsyncTransport, guards: Screening | None) -> FlowAnswer:
    flow = answer(call, perf_counter, time.time)
    if guards is None:
        return await adrive(flow, transport)
    async with guards:
        await guards.before()
        return await guards.after(await guards.alongside(adrive(flow, transport)))
