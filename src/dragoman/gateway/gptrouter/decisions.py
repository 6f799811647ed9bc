"""POST /generate/system-one: questions with probabilities for answers, by models made for that, or by any chat model.

What a chat model says of its own probabilities is a guess: the answer then says `calibrated: false`.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.dialects.chat_decisions import judged
from dragoman.dialects.gptrouter.answers import Source
from dragoman.dialects.gptrouter.decisions import DIALECT, NAME, write
from dragoman.dialects.gptrouter.requests import read_generation
from dragoman.dialects.openai_chat.reader import refuse
from dragoman.gateway.gptrouter.face import Answer
from dragoman.gateway.gptrouter.visits import Visit
from dragoman.gateway.gptrouter.whole import Asking, ask, found


async def system_one(visit: Visit) -> Answer:
    """All candidates are asked the same: what is asked of the first."""
    generation = read_generation(visit.exchange.body, needs=_needs_questions)
    candidates = generation.candidates
    for candidate in candidates:
        if candidate.params != candidates[0].params:
            refuse(f"{candidate.path}.promptParams", "differ from those of the first candidate")
    body = candidates[0].params
    request = DIALECT.decode_request(json.encode({**body, "model": candidates[0].model or "any"}))
    asking = Asking("decision", NAME, body, found(visit.face, candidates), generation.labels)
    answered = await ask(visit, asking)
    source = Source(provider=answered.by.provider, model=answered.by.model)
    return 200, write(judged(answered.response, request), source, request)


def _needs_questions(params: dict[str, Any], path: str) -> None:
    if not params.get("questions"):
        refuse(path, "no candidate has questions: give them in promptParams.questions")
