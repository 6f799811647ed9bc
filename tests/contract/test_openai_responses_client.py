"""The real `openai` client's Responses API against the gateway, over providers that have only a chat endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from support.gateway import RunningGateway

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class City(BaseModel):
    city: str
    inhabitants: int


@pytest.fixture
def client(served: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0) as made:
        yield made


def test_an_answer(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="claude-echo", input="hello there, gateway", store=False)
    assert answer.output_text == "hello there, gateway"
    assert answer.status == "completed"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_a_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="claude-echo", input="hello there, gateway", store=False, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "hello there, gateway"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "hello there, gateway"


@pytest.mark.parametrize("stream", [False, True])
def test_a_named_tool(client: openai.OpenAI, *, stream: bool) -> None:
    request = {"model": "claude-tools", "input": "weather in Oslo?", "tools": [WEATHER], "store": False}
    request["tool_choice"] = {"type": "function", "name": "get_weather"}
    if stream:
        with client.responses.stream(**request) as events:
            answer = events.get_final_response()
    else:
        answer = client.responses.create(**request)
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert set(json.loads(call.arguments)) == {"city"}


def test_a_structured_answer(client: openai.OpenAI) -> None:
    answer = client.responses.parse(model="claude-json", input="a city", text_format=City, store=False)
    assert isinstance(answer.output_parsed, City)


def test_an_error_is_the_clients_own_class(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="claude-ecko", input="x")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="input"):
        client.responses.create(model="claude-echo", input=7)
