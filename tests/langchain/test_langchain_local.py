"""The built-in local model as a LangChain chat model: real answers in a shape. Needs the extra `local` beside `langchain`."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

pytest.importorskip("xllamacpp")

from dragoman.langchain import ChatLiteLLM, ChatLiteLLMRouter
from support.local_model import local_weights

NAME = "local/smollm2-135m"


class Review(BaseModel):
    """How somebody liked something."""

    sentiment: Literal["negative", "neutral", "positive"]
    food: str


@pytest.fixture(scope="module", autouse=True)
def weights() -> Any:
    return local_weights()


MODELS = [
    lambda: ChatLiteLLM(model=NAME, temperature=0, max_tokens=60),
    lambda: ChatLiteLLMRouter(
        model_list=[{"model_name": "here", "litellm_params": {"model": NAME}}], temperature=0, max_tokens=60
    ),
]


@pytest.mark.parametrize("make", MODELS, ids=["direct", "routed"])
def test_an_answer_in_a_shape(make: Any) -> None:
    found = make().with_structured_output(Review).invoke("Review: the soup was wonderful. Its sentiment and the food:")
    assert isinstance(found, Review)


def test_it_speaks_and_streams() -> None:
    model = ChatLiteLLM(model=NAME, temperature=0, max_tokens=20)
    chunks = [chunk.text for chunk in model.stream("What is the capital of France?") if chunk.text]
    assert len(chunks) > 1
    assert "Paris" in "".join(chunks)


def test_an_agent_answers_in_a_shape() -> None:
    agents = pytest.importorskip("langchain.agents")
    strategies = pytest.importorskip("langchain.agents.structured_output")
    agent = agents.create_agent(
        ChatLiteLLM(model=NAME, temperature=0, max_tokens=60), [], response_format=strategies.ProviderStrategy(Review)
    )
    found = agent.invoke({"messages": [("human", "Review: the soup was wonderful. Its sentiment and the food:")]})
    assert isinstance(found["structured_response"], Review)
