"""`GPTRouterDecisionModel`: typed questions with probabilities for answers, from the first model of a list that answers.

With `gpt_router_api_base` (or GPT_ROUTER_API_BASE) the questions go to that server's system-one; without it models are asked
from this process, made for such questions or plain chat models, whose probabilities are a guess. Boxes in pictures are refused,
and so are pictures outside of messages, and sound: neither API has words for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Self

from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import ConfigDict, Field, SecretStr, ValidationError, model_validator

from dragoman.client.operations import adecision, decision
from dragoman.core import json
from dragoman.core.errors import BadRequestError, DragomanError, ResponseDecodeError
from dragoman.langchain import gptrouter_http, gptrouter_pictures, gptrouter_wire
from dragoman.langchain.arguments import canonical
from dragoman.langchain.blocks import items
from dragoman.langchain.errors import ModelRefusalError, typed_errors
from dragoman.langchain.gptrouter_models import (
    GPTRouterModel,
    candidates,
    is_for_the_next,
    key_from_env,
    label,
    our_name,
    our_provider,
    retries_left,
    take_names,
)
from dragoman.langchain.loading import load_engine
from dragoman.langchain.messages import to_openai
from dragoman.langchain.serialization import register
from dragoman.langchain.usage import usage_metadata

try:
    decisions: Any = import_module("langchain_core.decisions")
except ImportError as missing:
    raise ImportError("GPTRouterDecisionModel needs langchain_core.decisions: pip install -U langchain-core") from missing

Questions = dict[str, Any]
"""Name -> one of LangChain's Noul, Choice, Score and Box."""

_MEDIA = frozenset({"image", "image_url", "audio", "input_audio", "video", "video_url", "file"})


class GPTRouterDecisionModel(decisions.BaseDecisionModel):  # type: ignore[misc]  # some versions of langchain-core lack it
    """Answers `Noul`, `Choice` and `Score` questions about a state: text, JSON or messages.

        GPTRouterDecisionModel(models_priority_list=["typesafe/jev-1.13.0", "openai/gpt-4o"])

    `model` may stand for a list of one. `request_timeout` is seconds; `max_retries` bounds the requests of one call.
    Raises BadRequestError for what this API cannot ask, ModelRefusalError where a question was refused.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), hide_input_in_errors=True)

    models_priority_list: list[GPTRouterModel] = Field(min_length=1)
    gpt_router_api_base: str | None = None
    gpt_router_api_key: SecretStr | None = Field(default_factory=key_from_env, repr=False)
    request_timeout: float | None = None
    max_retries: int | None = Field(4, ge=0)
    client: Any = Field(None, exclude=True, repr=False)
    async_client: Any = Field(None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _take_names(cls, values: Any) -> Any:
        given = take_names(canonical(values))
        listed = candidates(given.get("models_priority_list"))
        first = label(listed[0]) if isinstance(listed, list) and listed else ""
        return given | {"models_priority_list": listed, "model": first}

    @model_validator(mode="after")
    def _load_engine(self) -> Self:
        load_engine()
        return self

    @property
    def _provider(self) -> str:
        return our_provider(self.models_priority_list[0]) or gptrouter_wire.NAME

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"gpt_router_api_key": "GPT_ROUTER_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        return {"models_priority_list": [model.model_dump() for model in self.models_priority_list]}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    # ---------------------------------------------------------------------------------------------------------- asking
    def _classify(self, state: Any, questions: Questions) -> Any:
        models = self.models_priority_list
        with typed_errors():
            if self.gpt_router_api_base is None:
                return _read(_told(self._in_order(_here(state, questions))), questions)
            request = self._request({"state": _state(state), "questions": _written(questions)})
            return _read(gptrouter_http.send(request, models, self.request_timeout, _decode), questions)

    async def _aclassify(self, state: Any, questions: Questions) -> Any:
        models = self.models_priority_list
        with typed_errors():
            if self.gpt_router_api_base is None:
                return _read(_told(await self._ain_order(_here(state, questions))), questions)
            request = self._request({"state": _state(state), "questions": _written(questions)})
            return _read(await gptrouter_http.asend(request, models, self.request_timeout, _decode), questions)

    def _request(self, params: dict[str, Any]) -> Any:
        key = self.gpt_router_api_key
        base = gptrouter_wire.base_url(self.gpt_router_api_base or "")
        controls = {"num_retries": self.max_retries, "timeout": self.request_timeout}
        secret = key.get_secret_value() if key else None
        return gptrouter_wire.encode(base, secret, self.models_priority_list, params | controls, path="/system-one")

    def _in_order(self, asked: dict[str, Any]) -> Any:
        ask = decision if self.client is None else self.client.decision
        for tried, model in enumerate(self.models_priority_list):
            try:
                return ask(our_name(model), **asked, **self._controls(tried))
            except DragomanError as error:
                if self._is_last(tried) or not is_for_the_next(error):
                    raise
        raise AssertionError("the list has at least one model")  # the last candidate returns or raises

    async def _ain_order(self, asked: dict[str, Any]) -> Any:
        ask = adecision if self.async_client is None else self.async_client.decision
        for tried, model in enumerate(self.models_priority_list):
            try:
                return await ask(our_name(model), **asked, **self._controls(tried))
            except DragomanError as error:
                if self._is_last(tried) or not is_for_the_next(error):
                    raise
        raise AssertionError("the list has at least one model")  # as above

    def _is_last(self, tried: int) -> bool:
        return tried + 1 == len(self.models_priority_list)

    def _controls(self, tried: int) -> dict[str, Any]:
        left = retries_left(self.max_retries, tried, len(self.models_priority_list))
        return {"num_retries": left, "timeout": self.request_timeout}


# -------------------------------------------------------------------------------------------------------------- questions
def _written(questions: Questions) -> dict[str, Any]:
    if not questions:
        raise BadRequestError("questions: there are none; ask at least one")
    return {name: _WRITERS[type(question)](question, name) for name, question in questions.items()}


def _noul(question: Any, name: str) -> dict[str, Any]:
    told = question.criteria.model_dump(exclude_none=True) if question.criteria else {}
    return _asking(question, name) | ({"criteria": told} if told else {})


def _choice(question: Any, name: str) -> dict[str, Any]:
    options = [{"value": value} | _described(told) for value, told in question.criteria.items()]
    return _asking(question, name) | {"options": options}


def _score(question: Any, name: str) -> dict[str, Any]:
    """A level that is no text is called by its number."""
    levels = [
        {"label": told} if isinstance(told, str) else {"label": str(level)} | _described(told)
        for level, told in enumerate(question.criteria)
    ]
    return _asking(question, name) | {"levels": levels}


def _box(_: Any, name: str) -> dict[str, Any]:
    raise BadRequestError(f"questions.{name}: GPTRouter's API finds no boxes in pictures; ask a model that does")


def _asking(question: Any, name: str) -> dict[str, Any]:
    return {"type": question.type, "instructions": _plain(question.instructions, f"questions.{name}.instructions")}


def _described(told: Any) -> dict[str, Any]:
    return {} if told is None else {"description": told}


_WRITERS: dict[type[Any], Callable[[Any, str], dict[str, Any]]] = {
    decisions.Noul: _noul,
    decisions.Choice: _choice,
    decisions.Score: _score,
    decisions.Box: _box,
}


# ------------------------------------------------------------------------------------------------------------------ state
def _here(state: Any, questions: Questions) -> dict[str, Any]:
    said = [state] if isinstance(state, BaseMessage) else state
    written = _written(questions)
    if gptrouter_pictures.has_media(said):
        return gptrouter_pictures.asked(said, written)
    return {"state": _plain(said, "state"), "questions": written}


def _state(state: Any) -> dict[str, Any]:
    """As the API has it: text, JSON, or what a user said."""
    if isinstance(state, str):
        return {"kind": "text", "text": state}
    said = [state] if isinstance(state, BaseMessage) else state
    if isinstance(said, Sequence) and said and all(isinstance(one, HumanMessage) for one in said):
        return {"kind": "messages", "messages": [{"role": "user", "content": _content(one.content)} for one in said]}
    return {"kind": "json", "value": _plain(said, "state")}


def _content(content: Any) -> Any:
    written = items(content)
    return written if isinstance(written, str) else [_part(item) for item in written]


def _part(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] == "text":
        return {"type": "input_text", "text": item["text"]}
    if item["type"] == "image_url":
        return {"type": "input_image", "image_url": item["image_url"]["url"]}
    raise BadRequestError(f"state: a decision is made about text and pictures; it holds {item['type']}")


def _plain(value: Any, path: str) -> Any:
    """JSON, with messages in OpenAI's shape. Raises BadRequestError for media, which would be read as text."""
    if isinstance(value, BaseMessage):
        return _plain(to_openai([value])[0], path)
    if isinstance(value, Mapping):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _MEDIA:
            raise BadRequestError(
                f"{path}: pictures are read in a state of messages, by a GPTRouter server in human ones alone; found {kind}"
            )
        return {key: _plain(held, path) for key, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(held, path) for held in value]
    return value


# ---------------------------------------------------------------------------------------------------------------- answers
def _decode(status: int, headers: Mapping[str, str], body: bytes, models: Sequence[GPTRouterModel]) -> gptrouter_wire.Answer:
    if status != 200:
        raise gptrouter_wire.status_error(status, headers, body, models)
    try:
        held = json.decode(body)
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise ResponseDecodeError("GPTRouter's answer is no JSON object", llm_provider=gptrouter_wire.NAME)
    return gptrouter_wire.Answer(held | {"request_id": headers.get("x-request-id")})


def _told(found: Any) -> Any:
    """In System One's form, whichever it was asked in."""
    return gptrouter_pictures.answered(found) if isinstance(found.get("answers"), list) else found


def _read(found: Any, questions: Questions) -> Any:
    """The answers under the names of their questions."""
    answers = found.get("answers") or {}
    told = {name: _answer(answers.get(name), question, name) for name, question in questions.items()}
    usage = found.get("usage") or usage_metadata((found.get("meta") or {}).get("usage"))
    fields = {"model": found.get("model"), "answers": told, "usage": usage, "request_id": found.get("request_id")}
    try:
        return decisions.ClassifierResponse.model_validate(fields)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ResponseDecodeError(f"the answer makes no sense at {where}: {first['msg']}") from None


def _answer(answer: Any, question: Any, name: str) -> Any:
    """A score's legend is the rubric that was asked by."""
    if not isinstance(answer, Mapping):
        raise ResponseDecodeError(f"there is no answer to the question {name!r}")
    if answer.get("type") == "refusal":
        raise ModelRefusalError(f"the model refused to answer {name!r}", raw_message=None)
    return dict(answer) | ({"legend": dict(enumerate(question.criteria))} if isinstance(question, decisions.Score) else {})


register(GPTRouterDecisionModel)
