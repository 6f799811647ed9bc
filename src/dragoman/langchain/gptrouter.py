"""`GPTRouter`: a chat model that asks a list of models in order, over GPTRouter's API or in this process with no server.

With `gpt_router_api_base` (or GPT_ROUTER_API_BASE) the list goes to that server, which falls back and retries. Without it the
providers are asked from here: the next one when a model is unavailable, until the first piece of an answer has come. A request
that is wrong is nobody's next: it fails at once.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator

from dragoman.core.errors import DragomanError
from dragoman.langchain import gptrouter_http, gptrouter_wire
from dragoman.langchain.answers import Asked
from dragoman.langchain.base import DragomanChatModel
from dragoman.langchain.gptrouter_models import (
    GPTRouterModel,
    candidate,
    candidates,
    is_for_the_next,
    key_from_env,
    label,
    our_name,
    our_provider,
    retries_left,
    take_names,
)
from dragoman.langchain.profile import profile_of
from dragoman.langchain.serialization import register

__all__ = ["GPTRouter", "GPTRouterModel"]


class GPTRouter(DragomanChatModel):
    """The first model of a list that answers.

        GPTRouter(models_priority_list=[GPTRouterModel(name="claude-instant-1.2", provider_name="anthropic"), "openai/gpt-4o"])

    `max_retries` bounds the requests of one call: one more than that, however many models the list has. A call's own `model`
    ("provider/model") takes the place of the list.
    """

    models_priority_list: list[GPTRouterModel] = Field(min_length=1)
    gpt_router_api_base: str | None = None
    gpt_router_api_key: SecretStr | None = Field(default_factory=key_from_env, repr=False)
    temperature: float | None = Field(0.7, ge=0, le=2)
    max_tokens: int | None = 256
    n: int | None = Field(1, ge=1)
    max_retries: int | None = Field(4, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _take_names(cls, values: Any) -> Any:
        return take_names(values)

    @field_validator("models_priority_list", mode="before")
    @classmethod
    def _take_candidates(cls, given: Any) -> Any:
        return candidates(given)

    @model_validator(mode="after")
    def _tell_idle_key(self) -> GPTRouter:
        if self.gpt_router_api_base is None and "gpt_router_api_key" in self.model_fields_set and self.gpt_router_api_key:
            text = "gpt_router_api_key is not used without gpt_router_api_base: the providers are asked from this process"
            warnings.warn(text, UserWarning, stacklevel=4)
        return self

    @property
    def model(self) -> str:
        """The first model of the list."""
        return label(self.models_priority_list[0])

    @property
    def model_name(self) -> str:
        return self.model

    @property
    def _llm_type(self) -> str:
        return "gpt-router-chat"

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"gpt_router_api_key": "GPT_ROUTER_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        return {"models_priority_list": [model.model_dump() for model in self.models_priority_list]}

    # ---------------------------------------------------------------------------------------------------------- asking
    def _models(self, given: Any) -> list[GPTRouterModel]:
        if given is None:
            return self.models_priority_list
        return [candidate(one) for one in (given if isinstance(given, list) else [given])]

    def _asked(self, overrides: Mapping[str, Any]) -> Asked:
        first = self._models(overrides.get("model") or overrides.get("model_name"))[0]
        provider = our_provider(first) or gptrouter_wire.NAME
        return Asked(model=label(first), provider=provider, headers=self.include_response_headers, routed=True)

    def _providers(self, asked: Asked) -> frozenset[str]:
        listed = [label(model) for model in self.models_priority_list]
        models = self.models_priority_list if asked.model in listed else [candidate(asked.model)]
        return frozenset(our_provider(model) or gptrouter_wire.NAME for model in models)

    def _controls(self) -> dict[str, Any]:
        told = {"timeout": self.request_timeout, "num_retries": self.max_retries, "extra_headers": self.extra_headers}
        return {name: value for name, value in told.items() if value is not None}

    def _request(self, arguments: dict[str, Any], models: list[GPTRouterModel]) -> Any:
        key = self.gpt_router_api_key
        base = gptrouter_wire.base_url(self.gpt_router_api_base or "")
        return gptrouter_wire.encode(base, key.get_secret_value() if key else None, models, arguments)

    def _send(self, arguments: dict[str, Any]) -> Any:
        models = self._models(arguments.pop("model", None))
        if self.gpt_router_api_base is None:
            return self._in_order(models, arguments)
        ask = gptrouter_http.stream if arguments.get("stream") else gptrouter_http.send
        return ask(self._request(arguments, models), models, arguments.get("timeout"))

    async def _asend(self, arguments: dict[str, Any]) -> Any:
        models = self._models(arguments.pop("model", None))
        if self.gpt_router_api_base is None:
            return await self._ain_order(models, arguments)
        ask: Any = gptrouter_http.astream if arguments.get("stream") else gptrouter_http.asend
        return await ask(self._request(arguments, models), models, arguments.get("timeout"))

    # ------------------------------------------------------------------------------------------------- in this process
    def _in_order(self, models: list[GPTRouterModel], arguments: dict[str, Any]) -> Any:
        for tried, model in enumerate(models):
            try:
                answer = self._complete(model=our_name(model), **_for_turn(arguments, tried, len(models)))
            except DragomanError as error:
                if tried + 1 == len(models) or not is_for_the_next(error):
                    raise
            else:
                return _Told(answer, model, tried) if arguments.get("stream") else _tell(answer, model, tried)
        raise AssertionError("the list has at least one model")  # the last candidate returns or raises

    async def _ain_order(self, models: list[GPTRouterModel], arguments: dict[str, Any]) -> Any:
        for tried, model in enumerate(models):
            try:
                answer = await self._acomplete(model=our_name(model), **_for_turn(arguments, tried, len(models)))
            except DragomanError as error:
                if tried + 1 == len(models) or not is_for_the_next(error):
                    raise
            else:
                return _AsyncTold(answer, model, tried) if arguments.get("stream") else _tell(answer, model, tried)
        raise AssertionError("the list has at least one model")  # as above

    # ---------------------------------------------------------------------------------------------------------- telling
    def _combine_llm_outputs(self, _llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        """GPTRouter's class has always told nothing here."""
        return {}

    def _resolve_model_profile(self) -> Any:
        first = self.models_priority_list[0]
        return profile_of(first.name, our_provider(first) or None)


def _for_turn(arguments: dict[str, Any], tried: int, count: int) -> dict[str, Any]:
    left = retries_left(arguments.get("num_retries"), tried, count)
    return arguments | ({} if left is None else {"num_retries": left})


def _tell(answer: Any, model: GPTRouterModel, tried: int) -> Any:
    """The answer, knowing which candidate gave it and how many requests were sent before."""
    hidden = getattr(answer, "_hidden_params", {})
    hidden["answered_by"] = label(model)
    hidden["attempts"] = tried + hidden.get("attempts", 1)
    return answer


class _Told(Iterator[Any]):
    """A stream whose chunks know the same; they share what is hidden, so the first is told."""

    def __init__(self, stream: Any, model: GPTRouterModel, tried: int) -> None:
        self._stream = stream
        self._untold: tuple[GPTRouterModel, int] | None = (model, tried)

    def __next__(self) -> Any:
        chunk = next(self._stream)
        if self._untold is not None:
            chunk, self._untold = _tell(chunk, *self._untold), None
        return chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncTold(AsyncIterator[Any]):
    def __init__(self, stream: Any, model: GPTRouterModel, tried: int) -> None:
        self._stream = stream
        self._untold: tuple[GPTRouterModel, int] | None = (model, tried)

    async def __anext__(self) -> Any:
        chunk = await anext(self._stream)
        if self._untold is not None:
            chunk, self._untold = _tell(chunk, *self._untold), None
        return chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


register(GPTRouter)
