"""LangChain's own classes for OpenAI, pointed at the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from support.gateway import RunningGateway

UPSTREAMS = ["", "claude-"]
TEXT = "hello there, gateway"


class City(BaseModel):
    """A city and how many live there."""

    city: str
    inhabitants: int


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"18 degrees in {city}"


@pytest.fixture(scope="module")
def options(served: RunningGateway) -> Iterator[dict[str, Any]]:
    """LangChain keeps its own HTTP clients for ever; a test closes what it opens."""
    with openai.DefaultHttpxClient() as http:
        yield {"base_url": served.openai_url, "api_key": "sk-client", "max_retries": 0, "http_client": http}


@pytest.fixture
async def async_options(options: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async with openai.DefaultAsyncHttpxClient() as http:
        yield options | {"http_async_client": http}


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_invoke(options: dict[str, Any], upstream: str) -> None:
    message = ChatOpenAI(model=f"{upstream}echo", **options).invoke([SystemMessage("Repeat."), HumanMessage(TEXT)])
    assert message.content == TEXT
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.usage_metadata["total_tokens"] > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_stream(options: dict[str, Any], upstream: str) -> None:
    chunks = list(ChatOpenAI(model=f"{upstream}echo", stream_usage=True, **options).stream(TEXT))
    assert len(chunks) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == TEXT
    assert whole.usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
async def test_async(async_options: dict[str, Any], upstream: str) -> None:
    chat = ChatOpenAI(model=f"{upstream}echo", **async_options)
    assert (await chat.ainvoke(TEXT)).content == TEXT
    assert "".join([chunk.content async for chunk in chat.astream(TEXT)]) == TEXT


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_tools(options: dict[str, Any], upstream: str) -> None:
    chat = ChatOpenAI(model=f"{upstream}tools", **options).bind_tools([get_weather])
    asked = HumanMessage("What is the weather?")
    message = chat.invoke([asked])
    (call,) = message.tool_calls
    assert call["name"] == "get_weather"
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert chat.invoke([asked, message, result]).content


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_streamed_tool_call(options: dict[str, Any], upstream: str) -> None:
    chat = ChatOpenAI(model=f"{upstream}tools", **options).bind_tools([get_weather], tool_choice="get_weather")
    whole, *rest = chat.stream("What is the weather?")
    for chunk in rest:
        whole += chunk
    (call,) = whole.tool_calls
    assert set(call["args"]) == {"city"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(options: dict[str, Any], method: str) -> None:
    name = "json" if method == "json_schema" else "tools"
    found = ChatOpenAI(model=name, **options).with_structured_output(City, method=method).invoke("Name a city.")
    assert isinstance(found, City)


def test_structured_output_over_an_anthropic_provider(options: dict[str, Any]) -> None:
    chat = ChatOpenAI(model="claude-tools", **options).with_structured_output(City, method="function_calling")
    assert isinstance(chat.invoke("Name a city."), City)


def test_embeddings(options: dict[str, Any]) -> None:
    embeddings = OpenAIEmbeddings(model="embed", check_embedding_ctx_length=False, **options)
    vectors = embeddings.embed_documents(["a harbour", "another"])
    assert [len(vector) for vector in vectors] == [256, 256]
    assert embeddings.embed_query("a harbour") == pytest.approx(vectors[0])


async def test_embeddings_async(async_options: dict[str, Any]) -> None:
    embeddings = OpenAIEmbeddings(model="embed", check_embedding_ctx_length=False, **async_options)
    assert len(await embeddings.aembed_query("a harbour")) == 256


@pytest.mark.parametrize(
    ("model", "told"),
    [("echo", {"provider": "openai", "model": "echo"}), ("claude-echo", {"provider": "anthropic", "model": "echo"})],
)
def test_the_gateway_tells_tracers_who_answered(options: dict[str, Any], model: str, told: dict[str, str]) -> None:
    chat = ChatOpenAI(model=model, include_response_headers=True, **options)
    first = next(chat.stream(TEXT))
    for message in (chat.invoke(TEXT), first):
        assert json.loads(message.response_metadata["headers"]["x-langsmith-gateway-metadata"]) == told
