"""What the hooks of a call are told: LiteLLM's `kwargs`, and the answer as the object that the SDK returns. Made for `hooks`.

Each hook gets a dict of its own. Messages are those of the request as it was written; with `turn_off_message_logging` they and
the answer's texts are left out. Times are `datetime`s in UTC.
"""

from __future__ import annotations

import sys
import traceback
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from dragoman.catalog.cost import minute_of_day
from dragoman.client.arguments import Arguments
from dragoman.client.media_objects import ImageResponse, SpeechAudio, TranscriptionResponse
from dragoman.client.objects import Answer, EmbeddingResponse, ModelResponse
from dragoman.client.operation_objects import DecisionResponse, ModerationResponse, OCRResponse, RerankResponse, TokenCount
from dragoman.core import json
from dragoman.core.errors import APIConnectionError
from dragoman.dialects import registry
from dragoman.engine.call import Call, Settlement
from dragoman.engine.price import answering, price
from dragoman.telemetry.call_facts import first_chunk

REDACTED = "redacted: dragoman.turn_off_message_logging is set"

_CALL_TYPES = {
    "chat": "completion",
    "embedding": "embedding",
    "image": "image_generation",
    "image_edit": "image_edit",
    "image_variation": "image_variation",
    "speech": "speech",
    "transcription": "transcription",
    "translation": "translation",
    "rerank": "rerank",
    "moderation": "moderation",
    "ocr": "ocr",
    "decision": "decision",
    "token_count": "count_tokens",
}
"""Operation -> LiteLLM's name of the call; in an event loop with an `a` before it."""

_KINDS: dict[str, type[Answer]] = {
    "chat": ModelResponse,
    "embedding": EmbeddingResponse,
    "image": ImageResponse,
    "image_edit": ImageResponse,
    "image_variation": ImageResponse,
    "transcription": TranscriptionResponse,
    "translation": TranscriptionResponse,
    "rerank": RerankResponse,
    "moderation": ModerationResponse,
    "ocr": OCRResponse,
    "decision": DecisionResponse,
    "token_count": TokenCount,
}
_CONTENT = ("messages", "input", "prompt", "query", "documents", "document")


class Details:
    """Of one call: `at_the_beginning` before it, `settled` once at its end, then `now` for each hook."""

    def __init__(self, call: Call, said: Arguments, *, awaited: bool) -> None:
        self._call = call
        self._notes = said.notes
        self._awaited = awaited
        self._quiet = bool(vars(sys.modules["dragoman"]).get("turn_off_message_logging"))
        self._began = datetime.now(UTC)
        self._body = self._read_body()
        self._identity = str(said.notes.get("litellm_call_id") or uuid.uuid4())
        self._end: dict[str, Any] = {}

    @property
    def model(self) -> str:
        """The provider's name of the model, once somebody is asked; before that the caller's."""
        attempt = answering(self._call)
        deployments = self._call.deployments
        place = attempt.deployment if attempt else deployments[0] if deployments else None
        return place.target.model if place else self._call.model

    def at_the_beginning(self) -> dict[str, Any]:
        return {**self._known(), "log_event_type": "pre_api_call"}

    def now(self) -> dict[str, Any]:
        return {**self._known(), "end_time": datetime.now(UTC), **self._end}

    def settled(self, call: Call) -> tuple[str, Any]:
        """Whether it is a "success" or a "failure", and the answer as far as there is one."""
        settlement = call.settlement or Settlement(cancelled=True)
        response = answer_object(call, settlement.response)
        error = settlement.error
        if settlement.cancelled and response is None:
            error = APIConnectionError("the caller closed the call before anything had come", attempts=len(call.attempts))
        ended = datetime.now(UTC)
        found = price(call, settlement.usage, minute=minute_of_day(int(ended.timestamp())))
        dollars = 0.0 if call.kept else None if found is None else found.dollars
        waited = first_chunk(call)
        event = "success" if error is None else "failure"
        self._end = {
            "end_time": ended,
            "completion_start_time": ended if waited is None else self._began + timedelta(seconds=waited),
            "response_cost": dollars,
            "cancelled": settlement.cancelled,
            "log_event_type": "successful_api_call" if error is None else "failed_api_call",
        }
        if error is not None:
            self._end |= {"exception": error, "traceback_exception": _traceback(error)}
        if response is not None:
            self._describe(response, dollars)
            if self._quiet:
                response = _without_content(response)
        if call.stream and error is None:
            name = "async_complete_streaming_response" if self._awaited else "complete_streaming_response"
            self._end[name] = response
        self._end["standard_logging_object"] = self._standard(event, settlement, response)
        return event, response

    def _known(self) -> dict[str, Any]:
        """What is known from the beginning, and where the call has come to."""
        call, body = self._call, self._body
        given = {name: body[name] for name in _CONTENT if name in body}
        if self._quiet:
            given = dict.fromkeys(given, REDACTED)
        optional = {name: value for name, value in body.items() if name not in {"model", *_CONTENT}}
        return {
            "model": self.model,
            **given,
            "messages": given.get("messages"),
            "user": body.get("user"),
            "stream": call.stream,
            "call_type": self._call_type(),
            "optional_params": optional,
            "litellm_params": self._params(),
            "litellm_call_id": self._identity,
            "litellm_trace_id": self._notes.get("litellm_trace_id"),
            "custom_llm_provider": self._provider(),
            "cache_hit": call.kept,
            "start_time": self._began,
            "input": given.get("input", given.get("messages")),
            "additional_args": {"api_base": self._base()},
        }

    def _params(self) -> dict[str, Any]:
        given = self._body.get("metadata")  # a parameter of the provider's, who may be sent anything
        said = given if isinstance(given, dict) else {}
        metadata = {**said, **self._notes["litellm_metadata"], "model_group": self._call.model}
        attempt = answering(self._call)
        identity = attempt.deployment.id if attempt else None
        return {
            "metadata": metadata,
            "litellm_metadata": metadata,
            "model_info": {"id": identity},
            "api_base": self._base(),
            "acompletion": self._awaited,
            "litellm_call_id": self._identity,
            "proxy_server_request": None,
        }

    def _describe(self, response: Any, dollars: float | None) -> None:
        attempt = answering(self._call)
        hidden = {
            "custom_llm_provider": self._provider(),
            "model_id": attempt.deployment.id if attempt else None,
            "api_base": self._base(),
            "response_cost": dollars,
            "warnings": self._call.warnings,
        }
        if isinstance(response, Answer | SpeechAudio):
            response.beside(hidden, {})

    def _standard(self, event: str, settlement: Settlement, response: Any) -> dict[str, Any]:
        """LiteLLM's StandardLoggingPayload, as far as its fields mean something here."""
        known, usage, error = self.now(), settlement.usage, settlement.error
        params = known["litellm_params"]
        return {
            "id": (response.get("id") if isinstance(response, dict) else None) or self._identity,
            "trace_id": known["litellm_trace_id"] or self._identity,
            "call_type": known["call_type"],
            "stream": known["stream"],
            "status": event,
            "response_cost": known["response_cost"],
            "custom_llm_provider": known["custom_llm_provider"],
            "prompt_tokens": usage.input_tokens if usage else 0,
            "completion_tokens": usage.output_tokens if usage else 0,
            "total_tokens": usage.total_tokens if usage else 0,
            "startTime": known["start_time"].timestamp(),
            "endTime": known["end_time"].timestamp(),
            "completionStartTime": known["completion_start_time"].timestamp(),
            "model": known["model"],
            "model_id": params["model_info"]["id"],
            "model_group": self._call.model,
            "api_base": known["additional_args"]["api_base"],
            "metadata": params["metadata"],
            "request_tags": params["metadata"].get("tags") or [],
            "end_user": known["user"],
            "cache_hit": known["cache_hit"],
            "messages": known["input"],
            "response": dict(response) if isinstance(response, dict) else None,
            "model_parameters": known["optional_params"],
            "error_str": None if error is None else str(error),
            "error_information": None if error is None else {"error_class": type(error).__name__},
        }

    def _call_type(self) -> str:
        name = _CALL_TYPES.get(self._call.operation, self._call.operation)
        return f"a{name}" if self._awaited else name

    def _provider(self) -> str | None:
        attempt = answering(self._call)
        places = (attempt.deployment,) if attempt else self._call.deployments
        return places[0].target.provider.name if places else None

    def _base(self) -> str | None:
        attempt = answering(self._call)
        return attempt.deployment.target.base_url if attempt else None

    def _read_body(self) -> dict[str, Any]:
        """A form with files has nothing that could be shown."""
        if not self._call.in_json:
            return {}
        body = json.decode(self._call.body)
        return body if isinstance(body, dict) else {}


def answer_object(call: Call, response: Any) -> Any:
    """An answer in the words of `core` as the SDK's object for it; what is one already stays what it is."""
    if response is None:
        return None
    if isinstance(response, Answer):
        return type(response).of(json.decode(json.encode(response)))
    if call.operation == "speech":
        return SpeechAudio(response.audio, response.media_type)
    if call.operation == "token_count":
        return TokenCount(total_tokens=response.input_tokens)
    now = int(datetime.now(UTC).timestamp())
    dialect = registry.get(call.dialect)
    encode = getattr(dialect, "encode_answer", None)
    body = dialect.encode_response(response, now=now) if encode is None else encode(response, call.request, now=now)[0]
    return _KINDS[call.operation].of(json.decode(body))


def _without_content(response: Any) -> Any:
    """A chat answer without what was said; of others only that there was one."""
    if not isinstance(response, ModelResponse):
        return None
    for choice in response.choices or ():
        choice["message"] = type(choice["message"]).of({"role": "assistant", "content": REDACTED})
    return response


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(error))
