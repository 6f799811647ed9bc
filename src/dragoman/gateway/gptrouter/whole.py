"""Calls of the face that are answered whole and written by hand: embeddings, images, decisions, the optimizer of prompts.

The engine asks, in the order of the candidates. A client that leaves ends its call, and every call settles.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from time import perf_counter
from typing import Any, NamedTuple, cast

from dragoman.dialects.gptrouter.requests import Candidate
from dragoman.engine.call import Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import answer
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.gptrouter.routing import Place, Wish, make_call


def found(face: Face, candidates: Iterable[Candidate]) -> tuple[Found, ...]:
    return tuple(face.directory.find(candidate) for candidate in candidates)


class Asking(NamedTuple):
    """What is asked of whom. `body` is in the words of `dialect`, without the model."""

    operation: str
    dialect: str
    body: dict[str, Any]
    places: tuple[Found, ...]


async def ask(face: Face, exchange: Exchange, asking: Asking) -> Any:
    """The decoded answer. Raises a DragomanError."""
    places = tuple(Place(found=place, body=asking.body) for place in asking.places)
    wish = Wish(operation=asking.operation, dialect=asking.dialect, places=places)
    call = make_call(wish, face.pipeline.policy, face.options)
    task = asyncio.current_task()
    if task is not None:
        exchange.on_disconnect(cast("Any", task.cancel))
    try:
        answered = await adrive(answer(call, perf_counter, time.time), face.pipeline.transport)
    finally:
        if call.settlement is None:
            call.settle(Settlement(cancelled=True))
        face.note(call)
    return answered.response
