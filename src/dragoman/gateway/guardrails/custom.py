"""Guards that are Python classes of the operator's own, with the hooks of LiteLLM's `CustomGuardrail`.

    class NoCake(CustomGuardrail):
        async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type): ...

A hook is shown chat in OpenAI's words: `data` is a request's body, `response` an answer or a stream's chunks, as dicts whose
fields are attributes too. What it raises is its reason to block. A class that has a hook for streams edits them as they come.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse
from dragoman.core.errors import GuardrailRejectedError
from dragoman.core.sse import SSEDecoder
from dragoman.dialects import registry
from dragoman.gateway.guardrails.base import Asked, Events, Guard, Stage, Terms, rejected

_HOOKS: dict[Stage, str] = {"before": "async_pre_call_hook", "during": "async_moderation_hook"}


class CustomGuardrail:
    """Hooks that do nothing. Yours overrides those it needs; what it is given as keywords are the options of its entry."""

    def __init__(self, guardrail_name: str | None = None, **options: Any) -> None:
        self.guardrail_name = guardrail_name
        self.optional_params = options

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> Exception | str | dict[str, Any] | None:
        """The body to send, None for `data` as it is now, a text for the reason not to send it; or raise."""

    async def async_moderation_hook(self, data: dict[str, Any], user_api_key_dict: Any, call_type: str) -> Any:
        """Beside the call: raise to keep the answer from the client."""

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> Any:
        """The answer to give, None for `response` as it is now; or raise."""


class Attributes(dict[str, Any]):
    """A dict whose fields are attributes as well, all the way down. A field that is not there is None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return dict(self)


def attributes(value: Any) -> Any:
    if isinstance(value, dict):
        return Attributes({key: attributes(held) for key, held in value.items()})
    return [attributes(item) for item in value] if isinstance(value, list) else value


class CustomGuard(Guard):
    """`hooks` is an instance of the operator's class."""

    def __init__(self, terms: Terms, hooks: Any) -> None:
        super().__init__(terms)
        self._hooks = hooks
        self._chat = registry.get("openai_chat")

    async def request(self, request: Any, asked: Asked, stage: Stage) -> Any:
        hook = getattr(self._hooks, _HOOKS[stage], None)
        if hook is None or not isinstance(request, ChatRequest):
            return request
        data = self._body(request, asked)
        before = json.encode(data["messages"])
        who, kind = _key(asked), "acompletion"
        if stage == "during":
            await self._asking(hook(data=data, user_api_key_dict=who, call_type=kind), "request")
            return request
        found = await self._asking(hook(user_api_key_dict=who, cache=None, data=data, call_type=kind), "request")
        if isinstance(found, str | Exception):
            raise rejected(self.terms, "request", _reason(found))
        data = data if found is None else found
        if json.encode(data["messages"]) == before:
            return request
        asked.changed(self.terms, "messages", "what its class says")
        made = self._chat.decode_request(json.encode({"model": request.model, "messages": data["messages"]}))
        return msgspec.structs.replace(request, messages=made.messages)

    async def response(self, response: Any, asked: Asked) -> Any:
        hook = getattr(self._hooks, "async_post_call_success_hook", None)
        if hook is None or not isinstance(response, ChatResponse):
            return response
        body = self._chat.encode_response(response, now=int(time.time()))
        shown = attributes(json.decode(body))
        data = self._body(asked.call.request, asked)
        found = await self._asking(hook(data=data, user_api_key_dict=_key(asked), response=shown), "answer")
        made = json.encode(shown if found is None else found)
        if made == body:
            return response
        asked.changed(self.terms, "answer", "what its class says")
        return msgspec.structs.replace(self._chat.decode_response(made), warnings=response.warnings, usage=response.usage)

    async def stream(self, events: Events, asked: Asked) -> Events:
        hook = getattr(self._hooks, "async_post_call_streaming_iterator_hook", None)
        if hook is None:
            async for batch in super().stream(events, asked):
                yield batch
            return
        decoder = self._chat.stream_decoder()
        data = self._body(asked.call.request, asked)
        chunks = hook(user_api_key_dict=_key(asked), response=self._chunks(events, asked), request_data=data)
        try:
            async for chunk in chunks:
                yield decoder.feed(b"data: " + json.encode(chunk) + b"\n\n")
        except Exception as problem:
            raise _refused(self.terms, "answer", problem) from problem
        yield decoder.feed(b"data: [DONE]\n\n") + decoder.close()

    async def _chunks(self, events: Events, asked: Asked) -> AsyncIterator[Any]:
        """The events as OpenAI's chunks."""
        request = msgspec.structs.replace(asked.call.request, include_usage=True)
        encoder, reader = self._chat.stream_encoder(request, now=int(time.time())), SSEDecoder()
        async with aclosing(events) as held:
            async for batch in held:
                for event in batch:
                    for told in reader.feed(encoder.encode(event)):
                        if told.data != b"[DONE]":
                            yield attributes(json.decode(told.data))

    async def _asking(self, work: Any, where: str) -> Any:
        try:
            return await work
        except Exception as problem:
            raise _refused(self.terms, where, problem) from problem

    def _body(self, request: ChatRequest, asked: Asked) -> dict[str, Any]:
        body = json.decode(json.encode(self._chat.encode_request(request).body))
        return {**body, "metadata": request.metadata or {}, "litellm_call_id": str(id(asked.call))}


def _refused(terms: Terms, where: str, problem: Exception) -> GuardrailRejectedError:
    if isinstance(problem, GuardrailRejectedError):
        return problem
    return rejected(terms, where, _reason(problem))


def _reason(problem: str | Exception) -> str:
    """What a hook says; of an HTTPException its detail."""
    said = getattr(problem, "detail", None) or problem
    return (json.encode(said).decode() if isinstance(said, dict) else str(said))[:300] or type(problem).__name__


def _key(asked: Asked) -> Attributes:
    return Attributes(metadata=Attributes(), end_user_id=getattr(asked.call.request, "user", None))
