"""What the chat models have in common: parameters, the four ways LangChain asks, tools, structured output, serialization.

A subclass says who is asked (`_asked`), with which controls (`_controls`), and sends (`_send`, `_asend`). Requests are made
here and nowhere else, retried by nobody but the engine. Async calls run natively on the caller's loop.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream, generate_from_stream
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

import dragoman
from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.langchain.answers import Asked, StreamReader, chat_result
from dragoman.langchain.arguments import canonical, sorted_arguments
from dragoman.langchain.errors import typed_errors
from dragoman.langchain.loading import load_engine
from dragoman.langchain.messages import to_openai
from dragoman.langchain.profile import profile_of
from dragoman.langchain.standard import ensure_translator
from dragoman.langchain.tools import openai_tool_choice, openai_tools, unforced
from dragoman.providers import registry

PARAMETERS = tuple(
    """
    temperature top_p top_k n max_tokens max_completion_tokens num_ctx stop seed presence_penalty frequency_penalty logit_bias
    logprobs top_logprobs parallel_tool_calls service_tier user response_format modalities audio reasoning_effort reasoning
    thinking extra_body
    """.split()
)
"""Fields that are sent under their own names when they are set."""

for _row in registry.DEFAULT.rows:
    ensure_translator(_row.name)


class DragomanChatModel(BaseChatModel):
    """Base of the chat models. `request_timeout` is seconds, or (connect, read) seconds; `max_retries` how often a failed
    request is sent again; `stream_usage` asks for token counts of streams; `include_response_headers` puts them into
    `response_metadata["headers"]`. `client` and `async_client` may be a `dragoman.Client` and `AsyncClient` of your own.
    Unknown keywords go to the provider, with a warning.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=(), hide_input_in_errors=True)

    client: Any = Field(None, exclude=True, repr=False)
    async_client: Any = Field(None, exclude=True, repr=False)
    streaming: bool = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, gt=0)
    n: int | None = Field(None, ge=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    num_ctx: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool | None = None
    service_tier: str | None = None
    user: str | None = None
    response_format: Any = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    stream_options: dict[str, Any] | None = None
    stream_usage: bool = True
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    extra_headers: dict[str, str] | None = Field(None, repr=False, exclude=True)
    request_timeout: float | tuple[float, float] | None = None
    max_retries: int | None = Field(2, ge=0)
    include_response_headers: bool = False

    _held: ClassVar[tuple[str, ...]] = ("client", "async_client")
    """Fields with live objects (clients, routers): shared by copies, left out of pickles."""

    @model_validator(mode="before")
    @classmethod
    def _sort_arguments(cls, values: Any) -> Any:
        return sorted_arguments(values, cls.model_fields) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _set_dragoman_version(self) -> Self:
        self._add_version("dragoman", dragoman.__version__)
        return self

    @model_validator(mode="after")
    def _load_engine(self) -> Self:
        load_engine()
        return self

    # ------------------------------------------------------------------------------------------------ for the subclass
    @abstractmethod
    def _asked(self, overrides: Mapping[str, Any]) -> Asked:
        """Who is asked; `overrides` are the arguments of the call."""

    @abstractmethod
    def _controls(self) -> dict[str, Any]:
        """What goes along beside the parameters: model, place, timeouts, retries."""

    @abstractmethod
    def _send(self, arguments: dict[str, Any]) -> Any:
        """An answer in OpenAI's shape; with `stream` an iterator of chunks."""

    @abstractmethod
    async def _asend(self, arguments: dict[str, Any]) -> Any:
        """The same on the event loop; with `stream` an asynchronous iterator."""

    def _complete(self, **arguments: Any) -> Any:
        return (dragoman if self.client is None else self.client).completion(**arguments)

    async def _acomplete(self, **arguments: Any) -> Any:
        ask = dragoman.acompletion if self.async_client is None else self.async_client.completion
        return await ask(**arguments)

    def _providers(self, asked: Asked) -> frozenset[str]:
        """Who may answer: signed reasoning is given back to its issuer only."""
        return frozenset({asked.provider})

    # ---------------------------------------------------------------------------------------------------------- asking
    def _arguments(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any], asked: Asked, *, stream: bool
    ) -> dict[str, Any]:
        """The model's parameters, overlaid by `model_kwargs`, overlaid by those of the call. None means "not said"."""
        own = {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}
        call = {name: value for name, value in canonical(given).items() if value is not None}
        if "request_timeout" in call:
            call["timeout"] = call.pop("request_timeout")
        said = {**own, **self._controls(), **self.model_kwargs, **call, **({"stop": stop} if stop else {})}
        if not said.get("stop"):
            said.pop("stop", None)
        if not said.get("tools"):
            for name in ("tools", "tool_choice", "parallel_tool_calls"):
                said.pop(name, None)
        usage = said.pop("stream_usage", self.stream_usage)
        said = unforced(said, asked.model)
        said["messages"] = to_openai(messages, self._providers(asked))
        return said | self._stream_arguments(said, usage=usage) if stream else said

    def _stream_arguments(self, said: Mapping[str, Any], *, usage: bool) -> dict[str, Any]:
        if (said.get("n") or 1) > 1:
            raise BadRequestError(
                f"n={said['n']}: LangChain shows one choice of a stream; use n=1, or invoke without streaming"
            )
        options = said.get("stream_options") or self.stream_options or ({"include_usage": True} if usage else None)
        return {"stream": True} | ({"stream_options": options} if options else {})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if stream:
            return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))
        with typed_errors():
            asked = self._asked(kwargs)
            return chat_result(self._send(self._arguments(messages, stop, kwargs, asked, stream=False)), asked)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        stream: bool | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if stream:
            return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))
        with typed_errors():
            asked = self._asked(kwargs)
            return chat_result(await self._asend(self._arguments(messages, stop, kwargs, asked, stream=False)), asked)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        kwargs.pop("stream", None)
        with typed_errors():
            asked = self._asked(kwargs)
            reader = StreamReader(asked)
            answer = self._send(self._arguments(messages, stop, kwargs, asked, stream=True))
            try:
                for chunk in answer:
                    for made in reader.read(chunk):
                        if run_manager is not None:
                            run_manager.on_llm_new_token(made.text, chunk=made)
                        yield made
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        kwargs.pop("stream", None)
        with typed_errors():
            asked = self._asked(kwargs)
            reader = StreamReader(asked)
            answer = await self._asend(self._arguments(messages, stop, kwargs, asked, stream=True))
            try:
                async for chunk in answer:
                    for made in reader.read(chunk):
                        if run_manager is not None:
                            await run_manager.on_llm_new_token(made.text, chunk=made)
                        yield made
            finally:
                close = getattr(answer, "aclose", None)
                if close is not None:
                    await close()

    def __call__(
        self, messages: LanguageModelInput, stop: list[str] | None = None, callbacks: Callbacks = None, **kwargs: Any
    ) -> AIMessage:
        """`invoke`, as programs written for LangChain 0.1 call it."""
        return self.invoke(messages, {"callbacks": callbacks} if callbacks is not None else None, stop=stop, **kwargs)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        """Token counts of a batch, added up."""
        told = [output for output in llm_outputs if output]
        if not told:
            return {}
        total: dict[str, int] = {}
        for output in told:
            for name, count in (output.get("token_usage") or {}).items():
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        return {"token_usage": total, "model_name": told[0].get("model_name")}

    # ------------------------------------------------------------------------------------------ tools and structure
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools. `tool_choice`: a tool's name, "any" or "required" or True, "auto", "none", or OpenAI's dict.

        `strict=True` makes the provider keep to the tools' schemas. Raises ValueError for the name of no tool.
        """
        bound = openai_tools(tools, strict=strict)
        choice = openai_tool_choice(tool_choice, bound)
        asked = {"tools": bound or None, "tool_choice": choice, "parallel_tool_calls": parallel_tool_calls}
        return super().bind(**{key: value for key, value in asked.items() if value is not None}, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: str | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model answering in the shape of `schema`: a pydantic class, a TypedDict, a JSON schema or an OpenAI function.

        `method` None is json_schema, or function_calling where the catalog knows that the model has no such thing. `strict`
        None is as strict as the schema allows. `tools` may be called instead of answering. `include_raw` gives a dict of raw,
        parsed and parsing_error. Raises ValueError for another method.
        """
        from dragoman.langchain import structured  # noqa: PLC0415 - its parsers cost a third of all the rest to load

        chosen = self._method() if method in (None, "auto") else str(method)
        if chosen not in structured.BUILDERS:
            raise ValueError(f"method: expected one of {', '.join(structured.METHODS)}, found {method!r}")
        if schema is None and chosen != "json_mode":
            raise ValueError(f"schema: {chosen} needs one")
        bound, parser = structured.BUILDERS[chosen](schema, strict=strict)
        told = {"kwargs": {"method": chosen, "strict": strict}, "schema": schema or {"type": "object"}}
        every = [*([schema] if chosen == "function_calling" else []), *(tools or ())]
        if tools and chosen == "function_calling":
            bound["tool_choice"] = "any"
        model = self.bind_tools(every, **bound, ls_structured_output_format=told, **kwargs)
        return structured.parsed(model, parser, include_raw=include_raw)

    def _method(self) -> str:
        known = self.profile or {}
        native = known.get("structured_output") is not False or not known.get("tool_calling")
        return "json_schema" if native else "function_calling"

    # ---------------------------------------------------------------------------------------------------------- telling
    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What traces may show: no address, header or key."""
        shown = {name: getattr(self, name) for name in PARAMETERS if name != "extra_body"}
        model = self._asked({}).model
        return {"model": model, "model_name": model, **{name: value for name, value in shown.items() if value is not None}}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        asked = self._asked(kwargs)
        told = super()._get_ls_params(stop=stop or self._stops(), **kwargs)
        told["ls_provider"], told["ls_model_name"] = asked.provider, self._plain_name(asked)
        return told

    def _stops(self) -> list[str] | None:
        return [self.stop] if isinstance(self.stop, str) else self.stop

    def _plain_name(self, asked: Asked) -> str:
        """The model's name as its provider lists it."""
        return asked.model.removeprefix(f"{asked.provider}/")

    def _resolve_model_profile(self) -> ModelProfile | None:
        asked = self._asked({})
        found: ModelProfile | None = profile_of(asked.model, asked.provider if "/" not in asked.model else None)
        return found

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The cache's key: everything that decides on an answer, of what is secret only a digest."""
        secret = json.encode([repr(self._secrets()), self.extra_headers])
        return f"{super()._get_llm_string(stop=stop, **kwargs)}---{hashlib.sha256(secret).hexdigest()}"

    def _secrets(self) -> dict[str, str]:
        """Keys that were given, by field."""
        found = {name: getattr(self, name, None) for name in self.lc_secrets}
        return {name: value.get_secret_value() for name, value in found.items() if isinstance(value, SecretStr)}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    def get_num_tokens(self, text: str) -> int:
        """Counted with the model's tokenizer, or estimated where that is not known."""
        from dragoman.client.helpers import token_counter  # noqa: PLC0415 - tokenizers are loaded by who counts

        return token_counter(self._asked({}).model, text=text)

    def get_num_tokens_from_messages(self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        from dragoman.client.helpers import token_counter  # noqa: PLC0415 - as above

        bound = openai_tools(tools) if tools else None
        return token_counter(self._asked({}).model, messages=to_openai(messages), tools=bound)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy asks through the same connections."""
        shared = {} if memo is None else memo
        for name in self._held:
            value = getattr(self, name)
            shared[id(value)] = value
        return super().__deepcopy__(shared)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = {name: value for name, value in state["__dict__"].items() if name not in ("_serialized", *self._held)}
        return {**state, "__dict__": fields | dict.fromkeys(self._held)}
