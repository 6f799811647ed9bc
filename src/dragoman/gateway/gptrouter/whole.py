"""Calls of the face that are answered whole and written by hand: embeddings, images, decisions, the optimizer of prompts.

The engine asks, in the order of the candidates. A client that leaves ends its call, and every call settles.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from dragoman.dialects.gptrouter.requests import Candidate, Labels
from dragoman.engine.call import Call, Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import Answer as FlowAnswer
from dragoman.engine.flow import answer
from dragoman.engine.price import price
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.gptrouter.governed import Said, admit
from dragoman.gateway.gptrouter.routing import Place, Wish, make_call
from dragoman.gateway.gptrouter.trail import answered_by
from dragoman.gateway.pipeline import cancel_on_disconnect
from dragoman.gateway.request_ids import request_id
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


async def ask(face: Face, exchange: Exchange, asking: Asking) -> Answered:
    """Raises a DragomanError."""
    places = tuple(Place(found=place, body=asking.body) for place in asking.places)
    wish = Wish(operation=asking.operation, dialect=asking.dialect, places=places)
    call = make_call(wish, face.pipeline.policy, face.options)
    cancel_on_disconnect(exchange)
    who, identity = await face.authorised(exchange), request_id(exchange.header(b"x-request-id"))
    guards = face.pipeline.screening(call, exchange, who)
    await admit(face, exchange, call, Said(who, identity, [place.group for place in asking.places], asking.labels))
    try:
        answered = await _answered(call, face.pipeline.transport, guards)
    finally:
        call.settle(Settlement(cancelled=True))
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
