"""LangChain's own standard tests, every flag on: the same suite that it holds its own integrations to.

They need the package `langchain-tests` with its plugins (run with `-p no:asyncio`, because anyio's plugin runs ours); without
it they are left out. The upstream is the demo provider, which keeps what an API promises: a forced tool is called, a schema
is kept. Media are downloaded by the suite; here they come from a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

pytest.importorskip("langchain_tests")

from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from dragoman.langchain import (
    ChatLiteLLM,
    ChatLiteLLMRouter,
    GPTRouter,
    GPTRouterModel,
    LiteLLMEmbeddings,
    LiteLLMEmbeddingsRouter,
)
from support.gptrouter_server import GPTRouterServer, gptrouter_server
from support.langchain import SmallRouter, clients

pytestmark = [
    pytest.mark.filterwarnings("ignore::langchain_core._api.deprecation.LangChainDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*LANGCHAIN_TESTS_USER_AGENT:UserWarning"),
]


class Downloaded:
    content = b"a picture, a sound or a document"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        get = staticmethod(lambda *_, **__: Downloaded)

    monkeypatch.setattr(suite, "httpx", Library)


@pytest.fixture(autouse=True, scope="module")
def gptrouter() -> Iterator[None]:
    with gptrouter_server() as server:
        OverHTTP.server = server
        yield


class Flags:
    """Everything that the suite can test."""

    has_structured_output = True
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_video_inputs = True
    returns_usage_metadata = True
    supports_anthropic_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_model_override = True
    structured_output_kwargs: dict[str, Any] = {"method": "json_schema"}

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        every = ["audio_input", "audio_output", "reasoning_output", "cache_read_input", "cache_creation_input"]
        return {"invoke": every, "stream": every}


class OpenAIShaped(Flags):
    """`model_override_value` is no part of the default name."""

    model_name = "openai/gpt-4o"
    model_override_value = "openai/o3"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLiteLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        client, async_client = clients()
        return {"model": self.model_name, "client": client, "async_client": async_client}

    def invoke_with_any_details(self, *, stream: bool = False) -> Any:
        model: Any = self.chat_model_class(**self.chat_model_params)
        if not stream:
            return model.invoke("Hello")
        chunks = list(model.stream("Hello"))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return whole

    invoke_with_audio_input = invoke_with_any_details
    invoke_with_audio_output = invoke_with_any_details
    invoke_with_reasoning_output = invoke_with_any_details
    invoke_with_cache_read_input = invoke_with_any_details
    invoke_with_cache_creation_input = invoke_with_any_details


class AnthropicShaped(OpenAIShaped):
    model_name = "anthropic/claude-sonnet-4-5"
    model_override_value = "anthropic/claude-opus-4-1"


class GeminiShaped(OpenAIShaped):
    model_name = "gemini/gemini-2.5-pro"
    model_override_value = "gemini/gemini-2.5-flash"


class Routed(OpenAIShaped):
    """A group of two deployments behind a router, and another group to be named by a call."""

    model_override_value = "other-group"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLiteLLMRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"router": SmallRouter(MODEL_LIST, *clients()), "model_name": "gpt-4.1"}


MODEL_LIST = [
    {"model_name": "gpt-4.1", "litellm_params": {"model": "openai/gpt-4.1", "api_key": "key-one"}},
    {"model_name": "gpt-4.1", "litellm_params": {"model": "openai/gpt-4.1-mini", "api_key": "key-two"}},
    {"model_name": "other-group", "litellm_params": {"model": "openai/o3"}},
]


class InProcess(OpenAIShaped):
    """GPTRouter's class with no server."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return GPTRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        client, async_client = clients()
        models = ["openai/gpt-4o", GPTRouterModel(name="claude-2.1", provider_name="anthropic")]
        return {"models_priority_list": models, "client": client, "async_client": async_client}


class OverHTTP(OpenAIShaped):
    """GPTRouter's class with a server."""

    server: ClassVar[GPTRouterServer]

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return GPTRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        server = self.server
        models = [GPTRouterModel(name="gpt-4o", provider_name="chat_openai"), "anthropic/claude-2.1"]
        return {"models_priority_list": models, "gpt_router_api_base": server.url, "gpt_router_api_key": server.key}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        params = super().standard_chat_model_params
        params.pop("api_key", None)
        return params


class TestUnitChat(OpenAIShaped, ChatModelUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "k"}, {"model": "openai/gpt-4o"}, {"openai_api_key": "k"}


class TestUnitRouter(Routed, ChatModelUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """The keys of a router's deployments are written down as the names of variables, and read from those."""
        return {"OPENAI_API_KEY": "k"}, self.chat_model_params, {"model": "gpt-4.1"}


class TestUnitGPTRouter(OverHTTP, ChatModelUnitTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"gpt_router_api_base": "http://127.0.0.1:9"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        variables = {"GPT_ROUTER_API_KEY": "k", "GPT_ROUTER_API_BASE": "http://127.0.0.1:9"}
        expected = {"gpt_router_api_key": "k", "gpt_router_api_base": "http://127.0.0.1:9"}
        return variables, {"models_priority_list": ["openai/gpt-4o"]}, expected


class TestOnOpenAI(OpenAIShaped, ChatModelIntegrationTests):
    pass


class TestOnAnthropic(AnthropicShaped, ChatModelIntegrationTests):
    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        """Anthropic counts neither sound nor thinking apart."""
        every = ["cache_read_input", "cache_creation_input"]
        return {"invoke": every, "stream": every}


class TestOnGemini(GeminiShaped, ChatModelIntegrationTests):
    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        """Gemini counts what it writes into its cache apart from calls."""
        every = ["audio_input", "reasoning_output", "cache_read_input"]
        return {"invoke": every, "stream": every}


class TestRouted(Routed, ChatModelIntegrationTests):
    pass


class TestGPTRouterInProcess(InProcess, ChatModelIntegrationTests):
    pass


class TestGPTRouterOverHTTP(OverHTTP, ChatModelIntegrationTests):
    pass


class Embeddings:
    @property
    def embeddings_class(self) -> type[LiteLLMEmbeddings]:
        return LiteLLMEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        client, async_client = clients()
        return {"model": "openai/text-embedding-3-small", "client": client, "async_client": async_client}


class EmbeddingsRouted:
    @property
    def embeddings_class(self) -> type[LiteLLMEmbeddings]:
        return LiteLLMEmbeddingsRouter

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        groups = [{"model_name": "vectors", "litellm_params": {"model": "openai/text-embedding-3-small"}}]
        return {"model": "vectors", "router": SmallRouter(groups, *clients())}


class TestUnitEmbeddings(Embeddings, EmbeddingsUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "k"}, {"model": "openai/text-embedding-3-small"}, {"api_key": "k"}


class TestUnitEmbeddingsRouter(EmbeddingsRouted, EmbeddingsUnitTests):
    pass


class TestEmbeddings(Embeddings, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsRouter(EmbeddingsRouted, EmbeddingsIntegrationTests):
    pass
