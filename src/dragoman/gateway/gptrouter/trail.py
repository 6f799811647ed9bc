"""What an answer tells of its way: every attempt, who answered at last, and what it cost."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from dragoman.core.chat import Usage
from dragoman.dialects.gptrouter.answers import Source
from dragoman.dialects.gptrouter.errors import status_of
from dragoman.dialects.gptrouter.wire import model_id, provider_id
from dragoman.engine.call import Attempt, Call
from dragoman.engine.price import price
from dragoman.gateway.gptrouter.plan import Planned
from dragoman.router.deployment import Deployment

MAX_MESSAGE = 500
HIT = "hit"


def trail(planned: Planned) -> tuple[dict[str, Any], ...]:
    return tuple(_told(attempt, planned) for attempt in planned.call.attempts)


def answered_by(call: Call) -> Deployment:
    """The deployment that was asked last; of an answer out of the cache the first that would have been."""
    return call.attempts[-1].deployment if call.attempts else call.deployments[0]


def source(planned: Planned, usage: Usage | None) -> Source:
    """Who answered."""
    call = planned.call
    choice = planned.choice_of(answered_by(call))
    cost = price(call, usage) if usage is not None else None
    return Source(
        provider=choice.found.provider,
        model=choice.found.model,
        attempts=trail(planned),
        cost=None if cost is None else cost.dollars,
        cached=call.lookup is not None and call.lookup.status == HIT,
        warnings=planned.warnings + call.warnings,
    )


def _told(attempt: Attempt, planned: Planned) -> dict[str, Any]:
    """`latency` is milliseconds until the answer, the first token of a stream, or the failure."""
    choice = planned.choice_of(attempt.deployment)
    provider, model = choice.found.provider, choice.found.model
    ended = perf_counter() if attempt.ended is None else attempt.ended
    told = {
        "order": choice.candidate.order,
        "provider": provider,
        "model": model,
        "providerId": provider_id(provider),
        "modelId": model_id(provider, model),
        "deployment": attempt.deployment.id,
        "latency": round((ended - attempt.began) * 1000, 1),
    }
    if attempt.error is not None:
        error = attempt.error
        told["error"] = {
            "type": error.type,
            "status": error.status_code,
            "statusCode": status_of(error),
            "message": error.message[:MAX_MESSAGE],
        }
    return told
