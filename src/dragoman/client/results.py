"""Engine results -> SDK objects. The wire shape has one author, the openai dialect; this file only makes objects of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragoman.client.hidden import Hidden, free, pricer
from dragoman.client.objects import Answer, EmbeddingResponse, ModelResponse, ModelResponseStream
from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, Usage
from dragoman.core.events import Event, ResponseEnd, TextDelta, UsageReport
from dragoman.core.http import Headers
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from dragoman.engine.call import Call
from dragoman.engine.flow import Answer as EngineAnswer
from dragoman.engine.pieces import pieces
from dragoman.engine.prepare import Prepared

if TYPE_CHECKING:
    from dragoman.client.media_objects import SpeechAudio

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
    """Events -> chunk objects, by the openai dialect's own encoder. One for each stream.

    The last chunk has the cost of it all among its `_hidden_params`, where the `call` is known.
    """

    def __init__(
        self,
        shape: ChatRequest,
        hidden: dict[str, Any],
        headers: dict[str, str],
        *,
        now: int,
        call: Call | None = None,
    ) -> None:
        self._encoder = registry.get("openai_chat").stream_encoder(shape, now=now)
        self._hidden = hidden
        self._headers = headers
        self._usage: Usage | None = None
        self._call = call

    def of(self, events: list[Event]) -> list[ModelResponseStream]:
        call = self._call
        if call is not None and len(call.attempts) != self._hidden["attempts"]:  # another one writes the rest
            told = {"attempts": len(call.attempts), "trail": trail(call), "warnings": call.warnings}
            self._hidden = {**self._hidden, **told, "model_id": call.attempts[-1].deployment.id}
        if len(events) == 1 and type(events[0]) is TextDelta:
            return [self._chunk(self._encoder.encode(events[0]))]  # nearly every time
        frames = b"".join(map(self._encoder.encode, events)).split(b"\n\n")
        chunks = [self._chunk(frame) for frame in frames if frame and frame != _DONE]
        for event in events:
            if type(event) is UsageReport:
                self._usage = event.usage
            elif type(event) is ResponseEnd and chunks and call is not None:
                chunks[-1].beside(_priced(self._hidden, call, self._usage, chunks[-1]), self._headers)
        return chunks

    def _chunk(self, frame: bytes) -> ModelResponseStream:
        chunk: ModelResponseStream = ModelResponseStream.of(json.decode(frame[len(_FRAME) :]))
        return chunk.beside(self._hidden, self._headers)


def describe(made: Answer | SpeechAudio, call: Call, prepared: Prepared, headers: Headers) -> None:
    """Hang on a result what people ask of it beside its fields."""
    usage = None if call.settlement is None else call.settlement.usage
    made.beside(_priced(hidden_params(call, prepared, headers), call, usage, made), dict(headers))


def _priced(hidden: dict[str, Any], call: Call, usage: Usage | None, made: Answer | SpeechAudio) -> Hidden:
    fields = made if isinstance(made, Answer) else {}  # sound has none
    return Hidden(hidden, free if hidden["cache_hit"] else pricer(call.shares, usage, fields, pieces(call, usage)))


def hidden_params(call: Call, prepared: Prepared, headers: Headers) -> dict[str, Any]:
    """The keys of LiteLLM's `_hidden_params` that mean something here; `warnings`, `attempts`, `trail`, `drops` are ours."""
    target = prepared.deployment.target
    attempts, lookup = call.attempts, call.lookup
    hops = max(len({attempt.deployment.group for attempt in attempts}) - 1, 0)
    tried = {
        "x-litellm-model-group": call.model,
        "x-litellm-model-id": prepared.deployment.id,
        "x-litellm-attempted-retries": max(len(attempts) - 1, 0) - hops,
        "x-litellm-attempted-fallbacks": hops,
    }
    return {
        "custom_llm_provider": target.provider.name,
        "litellm_model_name": target.model,
        "model_id": prepared.deployment.id,
        "api_base": prepared.base_url or target.base_url,
        "model_group": call.model,
        "additional_headers": {**{f"llm_provider-{name}": value for name, value in headers}, **tried},
        "_response_ms": round(((attempts[-1].ended or attempts[-1].began) - attempts[0].began) * 1000, 3) if attempts else 0.0,
        "attempts": len(attempts),
        "cache_hit": call.kept if lookup is not None and lookup.status else None,
        "cache_key": lookup.key if lookup is not None and lookup.status else None,
        "trail": trail(call),
        "drops": drops(call),
        "warnings": call.warnings,
    }


def trail(call: Call) -> tuple[dict[str, Any], ...]:
    """Each attempt: the deployment's id, its group, seconds, and the class and status of the error it ended in, or None.

    "cancelled" in place of a class where another was quicker.
    """
    return tuple(
        {
            "deployment": attempt.deployment.id,
            "group": attempt.deployment.group,
            "seconds": round((attempt.ended or attempt.began) - attempt.began, 6),
            "error": "cancelled" if attempt.cancelled else None if attempt.error is None else type(attempt.error).__name__,
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
