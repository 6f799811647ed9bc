"""Agents: `create_agent`, its middleware and strategies, on the demo provider. Needs the package `langchain`."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langgraph.graph import START, MessagesState, StateGraph

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


# ----------------------------------------------------------------------------------------------------------- summaries
def history(count: int) -> Any:
    return [kind("words of a turn " * 10) for _ in range(count) for kind in (HumanMessage, AIMessage)]


@pytest.mark.parametrize("trigger", [("fraction", 0.001), ("tokens", 50), ("messages", 4)])
def test_a_long_history_is_summarized(trigger: Any) -> None:
    """By a share of the context window, which the model's profile has to know."""
    judge = ChatLiteLLM(model="demo/canned", base_model="openai/gpt-4o")
    assert judge.profile is not None
    middleware = SummarizationMiddleware(judge, trigger=trigger, keep=("messages", 2))
    agent = create_agent(ChatLiteLLM(model="demo/canned"), [], middleware=[middleware])
    messages = agent.invoke({"messages": [*history(6), HumanMessage("capital of France?")]})["messages"]
    assert len(messages) < 6
    assert "summary" in messages[0].content
    assert messages[-1].content == "Paris"


def test_an_answers_own_usage_is_what_summaries_are_made_by() -> None:
    """It counts where the provider that answered is the one that the model tells: the two are always the same."""
    model = ChatLiteLLM(model="demo/canned")
    message = model.invoke("capital of France?")
    assert message.response_metadata["model_provider"] == model._get_ls_params()["ls_provider"] == "demo"
    assert message.usage_metadata["total_tokens"] > 0


# ------------------------------------------------------------------------------------------------------------ strategies
@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("openai/gpt-4o", True),
        ("gemini/gemini-2.5-pro", True),
        ("anthropic/claude-sonnet-4-5", True),
        ("openai/gpt-3.5-turbo", False),
    ],
)
def test_the_profile_says_who_keeps_a_schema_by_itself(name: str, native: bool) -> None:
    """`create_agent` chooses its strategy by that."""
    profile = ChatLiteLLM(model=name).profile
    assert profile is not None
    assert bool(profile.get("structured_output")) is native


# ------------------------------------------------------------------------------------------------------------- LangGraph
def graph(model: Any) -> Any:
    def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def aspeak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    built = StateGraph(MessagesState)
    built.add_node("speak", RunnableLambda(speak, aspeak))
    built.add_edge(START, "speak")
    return built.compile()


@pytest.mark.parametrize("model", [ChatLiteLLM(model="demo/echo"), GPTRouter(models_priority_list=["demo/echo"])], ids=type)
async def test_a_graph_streams_the_tokens_of_a_model_that_is_only_invoked(model: Any) -> None:
    asked: Any = {"messages": [("human", "hello there")]}
    sync = [message.content for message, _ in graph(model).stream(asked, stream_mode="messages")]
    native = [message.content async for message, _ in graph(model).astream(asked, stream_mode="messages")]
    for tokens in (sync, native):
        assert [token for token in tokens if token] == ["hell", "o", " ther", "e"]


async def test_events_of_a_graph_name_the_model_and_its_usage() -> None:
    asked: Any = {"messages": [("human", "hello there")]}
    events = [event async for event in graph(ChatLiteLLM(model="demo/echo")).astream_events(asked, version="v2")]
    ended = next(event for event in events if event["event"] == "on_chat_model_end")
    assert ended["data"]["output"].usage_metadata["total_tokens"] > 0
    assert ended["metadata"]["ls_provider"] == "demo"
