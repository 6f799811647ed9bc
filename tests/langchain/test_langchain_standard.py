"""LangChain's own standard tests, every flag on: the same suite that it holds its own integrations to.

They need the package `langchain-tests` with its plugins (run with `-p no:asyncio`, because anyio's plugin runs ours); without
it they are left out. The upstreams are those of `support.langchain`: strict about what they are sent, in three dialects.
Media are downloaded by the suite; here they come from a table. A table of the results stands at the end of the run, and a
test that is skipped and may not be fails: see the conftest.
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

from dragoman.client.router import Router
from dragoman.langchain import (
    ChatLiteLLM,
    ChatLiteLLMRouter,
    GPTRouter,
    GPTRouterModel,
    LiteLLMEmbeddings,
    LiteLLMEmbeddingsRouter,
)
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport
from support.gptrouter_server import GPTRouterServer, gptrouter_server
from support.langchain import ENV, clients, standard_answers

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


# ------------------------------------------------------------------------------------------------------------- upstreams
class OnOpenAI:
    """`model_override_value` is no part of the default name. `details`: what the upstream counts apart."""

    model_name = "openai/gpt-4o"
    model_override_value = "openai/o3"
    details: ClassVar[list[str]] = [
        "audio_input",
        "audio_output",
        "reasoning_output",
        "cache_read_input",
        "cache_creation_input",
    ]


class OnAnthropic:
    """Anthropic counts neither sound nor thinking apart."""

    model_name = "anthropic/claude-sonnet-4-5"
    model_override_value = "anthropic/claude-opus-4-1"
    details: ClassVar[list[str]] = ["cache_read_input", "cache_creation_input"]


class OnGemini:
    """Gemini counts what it writes into its cache apart from calls."""

    model_name = "gemini/gemini-2.5-pro"
    model_override_value = "gemini/gemini-2.5-flash"
    details: ClassVar[list[str]] = ["audio_input", "reasoning_output", "cache_read_input"]


# --------------------------------------------------------------------------------------------------------------- classes
class Direct(Flags):
    model_name: str
    model_override_value: Any
    details: ClassVar[list[str]]

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": self.details, "stream": self.details}

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


class Routed(Direct):
    """A group of two deployments behind a router, and another group to be named by a call.

    Their model is unknown to the catalog: of a known one the router would not ask what it cannot do (gpt-4o hears nothing).
    """

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLiteLLMRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        model, other = self.model_name.partition("/")[0] + "/of-the-house", self.model_override_value
        groups = [
            {"model_name": "first", "litellm_params": {"model": model, "api_key": "key-one"}},
            {"model_name": "first", "litellm_params": {"model": model, "api_key": "key-two"}},
            {"model_name": other, "litellm_params": {"model": other}},
        ]
        return {"router": router(groups), "model_name": "first"}


class InProcess(Direct):
    """GPTRouter's class with no server."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return GPTRouter

    @property
    def chat_model_params(self) -> dict[str, Any]:
        client, async_client = clients()
        models = [self.model_name, GPTRouterModel(name="claude-2.1", provider_name="anthropic")]
        return {"models_priority_list": models, "client": client, "async_client": async_client}


class OverHTTP(Direct):
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


def router(groups: list[dict[str, Any]]) -> Router:
    transports = ReplayTransport(choose=standard_answers), AsyncReplayTransport(choose=standard_answers)
    return Router(model_list=groups, env=ENV, transport=transports[0], async_transport=transports[1])


# ----------------------------------------------------------------------------------------------------------------- suites
class TestUnitChat(OnOpenAI, Direct, ChatModelUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "k"}, {"model": "openai/gpt-4o"}, {"openai_api_key": "k"}


class TestUnitRouter(OnOpenAI, Routed, ChatModelUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """The keys of a router's deployments are written down as the names of variables, and read from those."""
        return {"OPENAI_API_KEY": "k"}, self.chat_model_params, {"model": "first"}


class TestUnitGPTRouter(OnOpenAI, OverHTTP, ChatModelUnitTests):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"gpt_router_api_base": "http://127.0.0.1:9"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        variables = {"GPT_ROUTER_API_KEY": "k", "GPT_ROUTER_API_BASE": "http://127.0.0.1:9"}
        expected = {"gpt_router_api_key": "k", "gpt_router_api_base": "http://127.0.0.1:9"}
        return variables, {"models_priority_list": ["openai/gpt-4o"]}, expected


class TestChatOnOpenAI(OnOpenAI, Direct, ChatModelIntegrationTests):
    pass


class TestChatOnAnthropic(OnAnthropic, Direct, ChatModelIntegrationTests):
    pass


class TestChatOnGemini(OnGemini, Direct, ChatModelIntegrationTests):
    pass


class TestRouterOnOpenAI(OnOpenAI, Routed, ChatModelIntegrationTests):
    pass


class TestRouterOnAnthropic(OnAnthropic, Routed, ChatModelIntegrationTests):
    pass


class TestRouterOnGemini(OnGemini, Routed, ChatModelIntegrationTests):
    pass


class TestGPTRouterOnOpenAI(OnOpenAI, InProcess, ChatModelIntegrationTests):
    pass


class TestGPTRouterOnAnthropic(OnAnthropic, InProcess, ChatModelIntegrationTests):
    pass


class TestGPTRouterOnGemini(OnGemini, InProcess, ChatModelIntegrationTests):
    pass


class TestGPTRouterOverHTTP(OnOpenAI, OverHTTP, ChatModelIntegrationTests):
    pass


# ------------------------------------------------------------------------------------------------------------- embeddings
class Embeddings:
    name = "openai/text-embedding-3-small"

    @property
    def embeddings_class(self) -> type[LiteLLMEmbeddings]:
        return LiteLLMEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        client, async_client = clients()
        return {"model": self.name, "client": client, "async_client": async_client}


class EmbeddingsRouted(Embeddings):
    @property
    def embeddings_class(self) -> type[LiteLLMEmbeddings]:
        return LiteLLMEmbeddingsRouter

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        groups = [{"model_name": "vectors", "litellm_params": {"model": self.name}}]
        return {"model": "vectors", "router": router(groups)}


class TestUnitEmbeddings(Embeddings, EmbeddingsUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": "k"}, {"model": "openai/text-embedding-3-small"}, {"api_key": "k"}


class TestUnitEmbeddingsRouter(EmbeddingsRouted, EmbeddingsUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """As for the chat model: keys are the router's to read."""
        return {"OPENAI_API_KEY": "k"}, self.embedding_model_params, {"model": "vectors"}


class TestEmbeddingsOnOpenAI(Embeddings, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsOnGemini(Embeddings, EmbeddingsIntegrationTests):
    name = "gemini/gemini-embedding-001"


class TestEmbeddingsRouterOnOpenAI(EmbeddingsRouted, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsRouterOnGemini(EmbeddingsRouted, EmbeddingsIntegrationTests):
    name = "gemini/gemini-embedding-001"
