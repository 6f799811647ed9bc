"""POST /generate/system-one: questions with probabilities for answers, by models made for that, or by any chat model.

What a chat model says of its own probabilities is a guess: the answer then says `calibrated: false`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.operations import DecisionRequest, DecisionResponse
from dragoman.dialects.chat_decisions import judged
from dragoman.dialects.gptrouter.answers import Source
from dragoman.dialects.gptrouter.decisions import DIALECT, NAME, write
from dragoman.dialects.gptrouter.requests import read_generation
from dragoman.dialects.openai_chat.reader import refuse
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.directory import Found
from dragoman.gateway.gptrouter.face import Answer, Face
from dragoman.gateway.gptrouter.whole import Asking, ask, found


async def system_one(face: Face, exchange: Exchange) -> Answer:
    """All candidates are asked the same: what is asked of the first."""
    candidates = read_generation(exchange.body, needs=_needs_questions).candidates
    for candidate in candidates:
        if candidate.params != candidates[0].params:
            refuse(f"{candidate.path}.promptParams", "differ from those of the first candidate")
    body = candidates[0].params
    request = DIALECT.decode_request(json.encode({**body, "model": candidates[0].model or "any"}))
    places = found(face, candidates)
    response = await _decided(face, exchange, body, request, places)
    source = Source(provider=places[0].provider, model=places[0].model)
    return 200, write(response, source, request)


async def _decided(
    face: Face, exchange: Exchange, body: dict[str, Any], request: DecisionRequest, places: tuple[Found, ...]
) -> DecisionResponse:
    return judged(await ask(face, exchange, Asking("decision", NAME, body, places)), request)


def _needs_questions(params: dict[str, Any], path: str) -> None:
    if not params.get("questions"):
        refuse(path, "no candidate has questions: give them in promptParams.questions")
