"""`completion`, `acompletion`, `embedding`, `aembedding`: one call to any model.

They share one client a process (and one for each event loop), made at the first call. Settings of the package are read at
each call: `dragoman.drop_params`, `num_retries`, `request_timeout`, `cache`, `api_base` and, only together with that,
`api_key`.
"""

from __future__ import annotations

import atexit
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from dragoman.client.caching import package_cache
from dragoman.client.client import AsyncClient, Client
from dragoman.client.objects import EmbeddingResponse, ModelResponse
from dragoman.client.per_loop import PerLoop
from dragoman.client.streams import AsyncCompletionStream, CompletionStream

if TYPE_CHECKING:
    from dragoman.caching import Cache

_SETTINGS = {
    "drop_params": "drop_params",
    "num_retries": "num_retries",
    "request_timeout": "timeout",
    "api_key": "api_key",
    "api_base": "api_base",
}
"""Attribute of the package -> the argument it is the default of. A key counts only together with an address."""


class CallControls(TypedDict, total=False):
    """What steers a call. `timeout` is seconds or a `dragoman.Timeouts`; `num_retries` is how often a failed request is sent
    again (default 2; `max_retries` is the same). `strict=True`, or `drop_params=False`, makes an error of a parameter that
    the provider does not take; otherwise it is left out and stands in `response.warnings`. `api_version` is for providers
    whose requests name one (Azure). `caching` and `cache` say what this call does with `dragoman.cache`.
    """

    api_key: str
    api_base: str
    base_url: str
    api_version: str
    custom_llm_provider: str
    timeout: Any
    stream_timeout: Any
    num_retries: int
    max_retries: int
    drop_params: bool
    strict: bool
    headers: dict[str, str]
    extra_headers: dict[str, str]
    extra_body: dict[str, Any]
    caching: bool
    cache: dict[str, Any]


class CompletionArguments(CallControls, total=False):
    """The parameters of a chat completion, as https://platform.openai.com/docs/api-reference/chat/create defines them.

    `thinking` is Anthropic's ({"type": "enabled", "budget_tokens": 2048}); `response_format` may be a pydantic class;
    `mock_response` answers without a request.
    """

    temperature: float
    top_p: float
    top_k: int
    n: int
    stream_options: dict[str, Any]
    stop: str | list[str]
    max_completion_tokens: int
    max_tokens: int
    modalities: list[str]
    prediction: dict[str, Any]
    audio: dict[str, Any]
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[str, float]
    user: str
    reasoning_effort: str
    verbosity: str
    response_format: Any
    seed: int
    tools: list[Any]
    tool_choice: Any
    logprobs: bool
    top_logprobs: int
    parallel_tool_calls: bool
    web_search_options: dict[str, Any]
    safety_identifier: str
    service_tier: str
    store: bool
    metadata: dict[str, Any]
    prompt_cache_key: str
    prompt_cache_retention: str
    functions: list[Any]
    function_call: Any
    thinking: dict[str, Any]
    mock_response: Any


class EmbeddingArguments(CallControls, total=False):
    dimensions: int
    encoding_format: str
    user: str


@overload
def completion(
    model: str, messages: list[Any], *, stream: Literal[False] | None = None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse: ...
@overload
def completion(
    model: str, messages: list[Any], *, stream: Literal[True], **arguments: Unpack[CompletionArguments]
) -> CompletionStream: ...
@overload
def completion(
    model: str, messages: list[Any], *, stream: bool | None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse | CompletionStream: ...
def completion(
    model: str, messages: list[Any], *, stream: bool | None = None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse | CompletionStream:
    """Ask `model` ("provider/model") to answer `messages`, in OpenAI's shapes, whoever the provider is.

    Returns a ModelResponse, or with `stream=True` a CompletionStream of chunks. Raises the errors of `dragoman.core.errors`,
    which are also those of `openai` where that is imported. A parameter OpenAI does not know goes to the provider as it is.
    """
    return _shared().completion(model, messages, stream=stream, **arguments)


@overload
async def acompletion(
    model: str, messages: list[Any], *, stream: Literal[False] | None = None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse: ...
@overload
async def acompletion(
    model: str, messages: list[Any], *, stream: Literal[True], **arguments: Unpack[CompletionArguments]
) -> AsyncCompletionStream: ...
@overload
async def acompletion(
    model: str, messages: list[Any], *, stream: bool | None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse | AsyncCompletionStream: ...
async def acompletion(
    model: str, messages: list[Any], *, stream: bool | None = None, **arguments: Unpack[CompletionArguments]
) -> ModelResponse | AsyncCompletionStream:
    """`completion`, awaited; with `stream=True` an AsyncCompletionStream."""
    client = await _shared_async()
    return await client.completion(model, messages, stream=stream, **arguments)


def embedding(model: str, input: Any, **arguments: Unpack[EmbeddingArguments]) -> EmbeddingResponse:  # noqa: A002 - OpenAI's name
    """Vectors for `input`: a text, a list of texts, or token lists. `dimensions` is the wanted length of each vector."""
    return _shared().embedding(model, input, **arguments)


async def aembedding(
    model: str,
    input: Any,  # noqa: A002 - OpenAI's name
    **arguments: Unpack[EmbeddingArguments],
) -> EmbeddingResponse:
    """`embedding`, awaited."""
    client = await _shared_async()
    return await client.embedding(model, input, **arguments)


def _settings() -> dict[str, Any]:
    package = vars(sys.modules["dragoman"])
    return {argument: package[name] for name, argument in _SETTINGS.items() if package.get(name) is not None}


class _PackageClient(Client):
    def _defaults(self) -> dict[str, Any]:
        return _settings()

    def _cache(self) -> Cache | None:
        return package_cache()


class _AsyncPackageClient(AsyncClient):
    def _defaults(self) -> dict[str, Any]:
        return _settings()

    def _cache(self) -> Cache | None:
        return package_cache()


@cache
def _shared() -> Client:
    client = _PackageClient()
    atexit.register(client.close)
    return client


_async_clients = PerLoop(_AsyncPackageClient)
_shared_async = _async_clients.get
