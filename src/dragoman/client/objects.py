"""What the SDK returns: OpenAI-shaped objects, read by attribute and by item.

    response.choices[0].message.content      response["choices"][0]["message"]["content"]

Each object is a dict, so it goes back into a request, into JSON or a pickle as it is, and keeps fields nobody foresaw; the
annotations name the usual ones, which read as None when the answer has not got them.
Field reference: https://platform.openai.com/docs/api-reference/chat/object and its chunk object.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from dragoman.core import json
from dragoman.core.chat import Warning


class OpenAIObject(dict[str, Any]):
    """Access by attribute or item. `model_dump()` gives builtins (`json()` too, as in LiteLLM), `model_dump_json()` text."""

    _nested: ClassVar[dict[str, type[OpenAIObject]]] = {}
    _known: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls._known = cls._known | {name for name in cls.__annotations__ if not name.startswith("_")}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Any:
        """Plain JSON data as objects, the nested ones too."""
        made = cls(data)
        for name, kind in cls._nested.items():
            if name not in data:
                continue
            value = data[name]
            if type(value) is list:
                made[name] = list(map(kind.of, value))
            elif type(value) is dict:
                made[name] = kind.of(value)
        return made

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in self._known:
                return None
            raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has: {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"{type(self).__name__} has no field {name!r} to delete")
        del self[name]

    def model_dump(self, *, exclude_none: bool = False, **idle: Any) -> dict[str, Any]:
        """Builtins all the way down. `exclude_none` leaves out nulls; pydantic's options without effect are taken."""
        if not idle.keys() <= _IDLE:
            raise TypeError(f"model_dump takes exclude_none, and no {', '.join(sorted(idle.keys() - _IDLE))}")
        dumped: dict[str, Any] = _plain(self, exclude_none=exclude_none)
        return dumped

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The same as JSON text, compact unless `indent` says otherwise."""
        text = json.encode(self.model_dump(**options))
        return (json.pretty(text, indent) if indent else text).decode()

    to_dict = dict = json = model_dump
    to_json = model_dump_json


_IDLE = frozenset({"mode", "exclude_unset", "exclude_defaults", "by_alias", "round_trip", "warnings"})
"""Options of pydantic that make no difference here: what is unset is absent, and every value is JSON."""


def _plain(value: Any, *, exclude_none: bool) -> Any:
    if isinstance(value, dict):
        items = ((key, item) for key, item in value.items() if item is not None or not exclude_none)
        return {key: _plain(item, exclude_none=exclude_none) for key, item in items}
    if isinstance(value, list):
        return [_plain(item, exclude_none=exclude_none) for item in value]
    return value


class Function(OpenAIObject):
    name: str | None
    arguments: str


class ToolCall(OpenAIObject):
    """In a finished message `index` is absent; in a chunk only what is new is there."""

    id: str | None
    type: str | None
    function: Function
    index: int
    _nested = {"function": Function}


class Message(OpenAIObject):
    """An assistant's message. `thinking_blocks` must be sent back unchanged for signed reasoning."""

    role: str
    content: str | None
    tool_calls: list[ToolCall] | None
    refusal: str | None
    reasoning_content: str | None
    thinking_blocks: list[dict[str, Any]] | None
    annotations: list[dict[str, Any]] | None
    audio: dict[str, Any] | None
    images: list[dict[str, Any]] | None
    function_call: dict[str, Any] | None
    provider_specific_fields: dict[str, Any] | None
    _nested = {"tool_calls": ToolCall}


class Delta(Message):
    """What is new in a chunk; the fields of a Message."""


class Choices(OpenAIObject):
    index: int
    message: Message
    finish_reason: str | None
    logprobs: Any
    _nested = {"message": Message}


class StreamingChoices(OpenAIObject):
    index: int
    delta: Delta
    finish_reason: str | None
    logprobs: Any
    _nested = {"delta": Delta}


class PromptTokensDetails(OpenAIObject):
    cached_tokens: int
    cache_creation_tokens: int
    audio_tokens: int
    image_tokens: int


class CompletionTokensDetails(OpenAIObject):
    reasoning_tokens: int
    audio_tokens: int
    image_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(OpenAIObject):
    """Token counts; `prompt_tokens` includes cache reads and writes, `completion_tokens` includes reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None
    completion_tokens_details: CompletionTokensDetails | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None
    server_tool_use: dict[str, int] | None
    _nested = {"prompt_tokens_details": PromptTokensDetails, "completion_tokens_details": CompletionTokensDetails}


_BESIDE = frozenset({"_hidden_params", "_response_headers"})


class Answer(OpenAIObject):
    """What every result has beside its fields: `warnings`, `_hidden_params` (as LiteLLM users read it), `_response_headers`."""

    _hidden_params: dict[str, Any]
    _response_headers: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name in _BESIDE:  # nothing was put there: made when first looked at, for there are many chunks
            self.__dict__[name] = made = {}  # type: ignore[var-annotated]  # of either kind
            return made
        return super().__getattr__(name)

    def beside(self, hidden: dict[str, Any], headers: dict[str, str]) -> Self:
        """The same object with these beside its fields."""
        beside = self.__dict__
        beside["_hidden_params"], beside["_response_headers"] = hidden, headers
        return self

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What was asked for and could not be said to this provider, or was changed on the way."""
        found: tuple[Warning, ...] = self._hidden_params.get("warnings", ())
        return found


class ModelResponse(Answer):
    """A chat completion. `created` is a Unix time in seconds."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choices]
    usage: Usage | None
    system_fingerprint: str | None
    service_tier: str | None
    _nested = {"choices": Choices, "usage": Usage}


class ModelResponseStream(Answer):
    """One chunk of a streamed chat completion. Usage, if asked for, comes in the last chunk, whose choices are empty."""

    id: str
    object: str
    created: int
    model: str
    choices: list[StreamingChoices]
    usage: Usage | None
    system_fingerprint: str | None
    service_tier: str | None
    _nested = {"choices": StreamingChoices, "usage": Usage}


class EmbeddingItem(OpenAIObject):
    """One vector: floats, or base64 text (little-endian float32) when that was asked for."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingResponse(Answer):
    object: str
    model: str
    data: list[EmbeddingItem]
    usage: Usage | None
    _nested = {"data": EmbeddingItem, "usage": Usage}
