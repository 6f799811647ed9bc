"""GPTRouter's wire format, as its client speaks it: a request with ordered candidates out, answers in OpenAI's shape back.

Pure: no socket, no clock. Answers are plain dicts, as `answers` reads them. What the server tells beyond the original format
(tool calls, reasoning, attempts) is read where it is there. A stream that ends without its `end` event was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.core import json
from dragoman.core.errors import (
    APIConnectionError,
    CallError,
    ErrorDetail,
    ResponseDecodeError,
    StreamInterruptedError,
    Timeout,
    error_for,
)
from dragoman.core.http import HttpRequest, TransportFailure
from dragoman.core.sse import ServerSentEvent, SSEDecoder
from dragoman.langchain.gptrouter_models import GPTRouterModel, label

NAME = "gptrouter"
_STEERING = frozenset({"model", "stream", "stream_options", "timeout", "num_retries", "extra_headers", "metadata"})
_BESIDE = ("tool_calls", "function_call", "reasoning", "refusal", "audio", "images", "annotations")


def encode(
    base: str, key: str | None, models: Sequence[GPTRouterModel], arguments: Mapping[str, Any], *, path: str = ""
) -> HttpRequest:
    """`arguments` as `completion` takes them; each candidate carries its own copy of messages and parameters.

    `path` is what stands behind /generate.
    """
    parameters = {name: value for name, value in arguments.items() if name not in _STEERING}
    body: dict[str, Any] = {
        "stream": bool(arguments.get("stream")),
        "data": [
            {"modelName": model.name, "providerName": model.provider_name, "order": order, "promptParams": parameters}
            for order, model in enumerate(models, 1)
        ],
        "metadata": arguments.get("metadata") or {},
    }
    if arguments.get("num_retries") is not None:
        body["maxRetries"] = arguments["num_retries"]
    if isinstance(arguments.get("timeout"), int | float):
        body["timeout"] = round(arguments["timeout"] * 1000)
    given = {str(name).lower(): str(value) for name, value in (arguments.get("extra_headers") or {}).items()}
    headers = {**given, "content-type": "application/json", **({"ws-secret": key} if key else {})}
    accept = "text/event-stream" if body["stream"] else "application/json"
    url = f"{base}/api/v1/generate{path}"
    return HttpRequest(method="POST", url=url, headers=(*headers.items(), ("accept", accept)), body=json.encode(body))


def base_url(given: str) -> str:
    """The address without the path that every request adds."""
    return given.rstrip("/").removesuffix("/v1").removesuffix("/api").rstrip("/")


# --------------------------------------------------------------------------------------------------------------- answers
class Answer(dict[str, Any]):
    """An OpenAI-shaped answer or chunk, with what is known beside it under the name that `answers` reads."""

    _hidden_params: dict[str, Any]
    _response_headers: dict[str, str]


def decode(status: int, headers: Mapping[str, str], body: bytes, models: Sequence[GPTRouterModel]) -> Answer:
    """Raises the error that a failing status means, or ResponseDecodeError for a body that is none of this format."""
    if status != 200:
        raise status_error(status, headers, body, models)
    held = _object(body)
    if held is None or not isinstance(held.get("choices"), list):
        raise ResponseDecodeError(f"GPTRouter's answer holds no choices: {_beginning(body)}", llm_provider=NAME)
    meta: dict[str, Any] = held["meta"] if isinstance(held.get("meta"), dict) else {}
    made = Answer(
        id=held.get("id"),
        model=held.get("model"),
        choices=[_choice(choice, index) for index, choice in enumerate(held["choices"])],
        usage=_usage(meta),
    )
    source = {key: held[key] for key in ("providerId", "modelId") if held.get(key)}
    made._hidden_params = _hidden(held, models) | {"attempts": _attempts(meta)}  # noqa: SLF001 - where `answers` looks
    made._response_headers = dict(headers)  # noqa: SLF001 - as above
    if source and made["choices"]:
        made["choices"][0]["message"]["provider_specific_fields"] = source
    return made


def _choice(choice: Mapping[str, Any], index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": choice.get("role") or "assistant", "content": choice.get("text") or ""}
    return {
        "index": choice.get("index", index),
        "message": message | _beside(choice),
        "finish_reason": choice.get("finish_reason") or None,
        "logprobs": choice.get("logprobs"),
    }


def _beside(held: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: held[name] for name in _BESIDE if held.get(name)}
    if "reasoning" in found:
        found["reasoning_content"] = found.pop("reasoning")
    return found


def _usage(meta: Any) -> dict[str, Any] | None:
    """Nested under `usage`, or flat, as the version of the server has it."""
    held = meta.get("usage") if isinstance(meta.get("usage"), dict) else meta
    counts = {key: held[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens") if type(held.get(key)) is int}
    return {**held, **counts} if held is not meta and counts else counts or None


def _attempts(meta: Mapping[str, Any]) -> int | None:
    told = meta.get("attempts")
    return len(told) if isinstance(told, list) else told if isinstance(told, int) else None


def _hidden(held: Mapping[str, Any], models: Sequence[GPTRouterModel]) -> dict[str, Any]:
    """Which candidate answered, as far as its name tells."""
    told = held.get("model")
    found = next((model for model in models if model.name == told), models[0])
    provider = held.get("provider") or found.provider_name or NAME
    return {"custom_llm_provider": provider, "answered_by": label(found)}


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        held = json.decode(body)
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _beginning(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")


# --------------------------------------------------------------------------------------------------------------- failures
def status_error(status: int, headers: Mapping[str, str], body: bytes, models: Sequence[GPTRouterModel]) -> CallError:
    """406 is this format's word for "nobody is available"."""
    held = _object(body) or {}
    error = held.get("error")
    message = held.get("message") or (error if isinstance(error, str) else None) or _beginning(body) or "no message"
    code = error.get("code") if isinstance(error, dict) else None
    context = {"llm_provider": NAME, "model": label(models[0]), "headers": dict(headers), "body": _beginning(body)}
    return error_for(503 if status == 406 else status, ErrorDetail(message=str(message), code=code), **context)


def transport_error(failure: TransportFailure, models: Sequence[GPTRouterModel]) -> CallError:
    where: dict[str, Any] = {"llm_provider": NAME, "model": label(models[0])}
    if failure.kind in ("connect_timeout", "first_token", "idle", "total"):
        return Timeout(f"GPTRouter: {failure.message}", phase=failure.kind.removesuffix("_timeout"), **where)
    return APIConnectionError(f"GPTRouter: {failure.message}; is gpt_router_api_base right, and the server up?", **where)


# ---------------------------------------------------------------------------------------------------------------- streams
class StreamDecoder:
    """Bytes of a stream -> chunks in OpenAI's shape. `close` tells whether the stream came to its end."""

    def __init__(self, headers: Mapping[str, str], models: Sequence[GPTRouterModel]) -> None:
        self._events = SSEDecoder()
        self._headers = dict(headers)
        self._models = models
        self._hidden: dict[str, Any] | None = None
        self._id: Any = None
        self._began = False
        self._ended = False

    def feed(self, data: bytes) -> list[Answer]:
        """Raises the error that the server tells: one before the first piece of the answer may be asked again."""
        return [chunk for event in self._events.feed(data) if (chunk := self._chunk(event)) is not None]

    def close(self) -> None:
        """Raises StreamInterruptedError for a stream that was cut."""
        if not self._ended:
            message = "GPTRouter's stream ended without its end event: the answer may be incomplete"
            raise StreamInterruptedError(message, llm_provider=NAME, model=label(self._models[0]))

    def _chunk(self, event: ServerSentEvent) -> Answer | None:
        held = _object(event.data)
        if held is None:
            return None  # the server's trailer is no JSON
        read = self._READERS.get(str(held.get("event")))
        return read(self, held) if read else None

    def _update(self, held: dict[str, Any]) -> Answer:
        data = held.get("data") or {}
        self._began = True
        self._id = self._id or held.get("id")
        delta = {"content": data.get("text") or ""} | _beside(data)
        return self._made(data, {"choices": [{"index": 0, "delta": delta, "finish_reason": data.get("finish_reason") or None}]})

    def _meta(self, held: dict[str, Any]) -> Answer | None:
        data = held.get("data") or {}
        usage = _usage({key: value for key, value in data.items() if key != "text"})
        return self._made(data, {"choices": [], "usage": usage}) if usage else None

    def _source(self, held: dict[str, Any]) -> Answer:
        data = held.get("data") or {}
        delta = {"provider_specific_fields": {key: data[key] for key in ("providerId", "modelId") if data.get(key)}}
        return self._made(data, {"choices": [{"index": 0, "delta": delta}]})

    def _end(self, _: dict[str, Any]) -> None:
        self._ended = True

    def _error(self, held: dict[str, Any]) -> Answer:
        message = str(held.get("message") or held.get("data") or "the stream failed")
        where = {"llm_provider": NAME, "model": label(self._models[0])}
        if self._began:
            raise StreamInterruptedError(f"GPTRouter: {message}", **where)
        status = int(message[:3]) if message[:3].isdigit() and 400 <= int(message[:3]) < 600 else 502
        raise error_for(status, ErrorDetail(message=message), **where)

    def _made(self, data: Mapping[str, Any], fields: dict[str, Any]) -> Answer:
        if self._hidden is None:
            self._hidden = _hidden({"model": data.get("model"), "provider": data.get("provider")}, self._models)
        made = Answer(id=self._id, model=data.get("model"), **fields)
        made._hidden_params, made._response_headers = self._hidden, self._headers  # noqa: SLF001 - where `answers` looks
        return made

    _READERS = {"update": _update, "meta": _meta, "generation_source": _source, "end": _end, "error": _error}
