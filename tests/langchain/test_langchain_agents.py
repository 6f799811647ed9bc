"""Agents: `create_agent`, its middleware and strategies, on the demo provider. Needs the package `langchain`."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy

import dragoman
from dragoman.langchain import ChatLiteLLM, GPTRouter

ASK: Any = {"messages": [("human", "the weather and the time, both, in Paris")]}
MODELS = [ChatLiteLLM(model="demo/tools"), GPTRouter(models_priority_list=["demo/tools"])]


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


@tool
def get_time(city: str) -> str:
    """The time of a city."""
    return f"noon in {city}"


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_loop_with_two_tools(model: Any) -> None:
    messages = create_agent(model, [get_weather, get_time]).invoke(ASK)["messages"]
    assert [type(message).__name__ for message in messages] == [
        "HumanMessage",
        "AIMessage",
        "ToolMessage",
        "ToolMessage",
        "AIMessage",
    ]
    assert messages[-1].content == "(demo) The tools say: 18 degrees in Paris; noon in Paris"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_tokens_of_a_graph(model: Any) -> None:
    stream = create_agent(model, [get_weather]).stream(ASK, stream_mode="messages")
    tokens = [message.content for message, _ in stream if type(message).__name__ == "AIMessageChunk" and message.content]
    assert len(tokens) > 3
    assert "".join(tokens) == "(demo) The tools say: 18 degrees in Paris"


@pytest.mark.parametrize("strategy", [Weather, ProviderStrategy(Weather), ToolStrategy(Weather)], ids=["auto", "own", "tool"])
def test_an_answer_in_a_shape(strategy: Any) -> None:
    found = create_agent(ChatLiteLLM(model="demo/canned"), [], response_format=strategy).invoke(ASK)
    assert found["structured_response"] == Weather(city="Paris", degrees=1)


@pytest.mark.parametrize(("status", "requests"), [("401", 1), ("500", 3)])
def test_retries_of_the_middleware_follow_the_kind_of_error(status: str, requests: int) -> None:
    asked = []

    class Counting:
        def completion(self, **given: Any) -> Any:
            asked.append(given["model"])
            return dragoman.completion(**given)

    model = ChatLiteLLM(model=f"demo/echo?fail={status}", max_retries=0, client=Counting())
    again = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, on_failure="error")
    with pytest.raises(dragoman.APIStatusError):
        create_agent(model, [], middleware=[again]).invoke(ASK)
    assert len(asked) == requests


def test_a_fallback_of_the_middleware() -> None:
    broken, good = ChatLiteLLM(model="demo/echo?fail=401", max_retries=0), ChatLiteLLM(model="demo/canned")
    found = create_agent(broken, [], middleware=[ModelFallbackMiddleware(good)]).invoke(ASK)
    assert found["messages"][-1].content.startswith("(demo)")


def test_a_share_of_the_context_window_is_known() -> None:
    SummarizationMiddleware(ChatLiteLLM(model="openai/gpt-4o"), trigger=("fraction", 0.8))
