"""Engine results -> SDK objects. The wire shape has one author, the openai dialect; this file only makes objects of it."""

from __future__ import annotations

from typing import Any

from dragoman.client.hidden import Hidden, pricer
from dragoman.client.objects import Answer, EmbeddingResponse, ModelResponse, ModelResponseStream
from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.events import Event
from dragoman.core.http import Headers
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from dragoman.engine.call import Call
from dragoman.engine.flow import Answer as EngineAnswer
from dragoman.engine.prepare import Prepared

_FRAME = b"data: "
_DONE = b"data: [DONE]"


def model_response(response: ChatResponse, *, now: int) -> ModelResponse:
    made: ModelResponse = ModelResponse.of(json.decode(registry.get("openai_chat").encode_response(response, now=now)))
    return made


def embedding_response(answer: EngineAnswer, request: EmbeddingRequest, *, now: int) -> EmbeddingResponse:
    body, _ = registry.get("openai_embeddings").encode_answer(answer.response, request, now=now)
    made: EmbeddingResponse = EmbeddingResponse.of(json.decode(body))
    return made


class Chunks:
    """Events -> chunk objects, by the openai dialect's own encoder. One for each stream."""

    def __init__(self, shape: ChatRequest, hidden: dict[str, Any], headers: dict[str, str], *, now: int) -> None:
        self._encoder = registry.get("openai_chat").stream_encoder(shape, now=now)
        self._hidden = hidden
        self._headers = headers

    def of(self, events: list[Event]) -> list[ModelResponseStream]:
        data: bytes = b"".join(map(self._encoder.encode, events))
        frames = data.split(b"\n\n")
        return [self._chunk(frame) for frame in frames if frame and frame != _DONE]

    def _chunk(self, frame: bytes) -> ModelResponseStream:
        chunk: ModelResponseStream = ModelResponseStream.of(json.decode(frame[len(_FRAME) :]))
        return chunk.beside(self._hidden, self._headers)


def describe(made: Answer, call: Call, prepared: Prepared, headers: Headers) -> None:
    """Hang on a result what people ask of it beside its fields."""
    target = prepared.deployment.target
    usage = None if call.settlement is None else call.settlement.usage
    tier, created = made.get("service_tier"), made.get("created")
    price = pricer(target.provider.name, target.model, usage, service_tier=tier, created=created)
    made.beside(Hidden(hidden_params(call, prepared, headers), price), dict(headers))


def hidden_params(call: Call, prepared: Prepared, headers: Headers) -> dict[str, Any]:
    """The keys of LiteLLM's `_hidden_params` that mean something here; `warnings`, `attempts`, `trail`, `drops` are ours."""
    target = prepared.deployment.target
    first, last = call.attempts[0], call.attempts[-1]
    hops = len({attempt.deployment.group for attempt in call.attempts}) - 1
    tried = {
        "x-litellm-model-group": call.model,
        "x-litellm-model-id": prepared.deployment.id,
        "x-litellm-attempted-retries": len(call.attempts) - 1 - hops,
        "x-litellm-attempted-fallbacks": hops,
    }
    return {
        "custom_llm_provider": target.provider.name,
        "litellm_model_name": target.model,
        "model_id": prepared.deployment.id,
        "api_base": target.base_url,
        "model_group": call.model,
        "additional_headers": {**{f"llm_provider-{name}": value for name, value in headers}, **tried},
        "_response_ms": round(((last.ended or last.began) - first.began) * 1000, 3),
        "attempts": len(call.attempts),
        "trail": trail(call),
        "drops": drops(call),
        "warnings": call.warnings,
    }


def trail(call: Call) -> tuple[dict[str, Any], ...]:
    """Each attempt: the deployment's id, its group, seconds, and the class and status of the error it ended in, or None."""
    return tuple(
        {
            "deployment": attempt.deployment.id,
            "group": attempt.deployment.group,
            "seconds": round((attempt.ended or attempt.began) - attempt.began, 6),
            "error": None if attempt.error is None else type(attempt.error).__name__,
            "status_code": None if attempt.error is None else attempt.error.status_code,
        }
        for attempt in call.attempts
    )


def drops(call: Call) -> tuple[dict[str, Any], ...]:
    """Who of the groups the call has come to cannot be asked now, and why; who was asked is in the trail."""
    if call.session is None or call.clock is None:
        return ()
    asked = {attempt.deployment.id for attempt in call.attempts}
    left_out = call.session.drops(call.clock())
    return tuple({"deployment": drop.deployment, "reason": drop.reason} for drop in left_out if drop.deployment not in asked)
