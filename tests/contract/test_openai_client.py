"""The real `openai` client against the gateway: plain and streamed, sync and async, over both upstream dialects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import openai
import pytest
from pydantic import BaseModel

from support.gateway import RunningGateway

HELLO = [{"role": "user", "content": "hello there, gateway"}]
UPSTREAMS = ["", "claude-"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    city: str
    inhabitants: int


@pytest.fixture
def client(served: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.fixture
async def aclient(served: RunningGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=served.openai_url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_completion(client: openai.OpenAI, upstream: str) -> None:
    answer = client.chat.completions.create(model=f"{upstream}echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello there, gateway"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream(client: openai.OpenAI, upstream: str) -> None:
    chunks = list(client.chat.completions.create(model=f"{upstream}echo", messages=HELLO, stream=True))
    assert all(chunk.choices for chunk in chunks), "nobody asked for the usage chunk"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there, gateway"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert len(chunks) > 3


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream_with_usage(client: openai.OpenAI, upstream: str) -> None:
    options = {"include_usage": True}
    *_, last = client.chat.completions.create(model=f"{upstream}echo", messages=HELLO, stream=True, stream_options=options)
    assert last.choices == []
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_named_tool(client: openai.OpenAI, upstream: str, stream: bool) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    request = {"model": f"{upstream}tools", "messages": HELLO, "tools": [WEATHER], "tool_choice": choice}
    if stream:
        with client.chat.completions.stream(**request) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**request).choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_tool_conversation(client: openai.OpenAI, upstream: str) -> None:
    first = client.chat.completions.create(model=f"{upstream}tools", messages=HELLO, tools=[WEATHER])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    results = [{"role": "tool", "tool_call_id": call.id, "content": "18 degrees"} for call in message.tool_calls]
    second = client.chat.completions.create(model=f"{upstream}tools", messages=[*HELLO, message, *results], tools=[WEATHER])
    assert second.choices[0].message.content
    assert second.choices[0].finish_reason == "stop"


def test_structured_output(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model="json", messages=HELLO, response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="embed", input=["a harbour", "another"])
    assert [item.index for item in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == 256
    assert isinstance(answer.data[0].embedding[0], float)


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"echo", "claude-echo", "embed"} <= names
    assert client.models.retrieve("echo").id == "echo"


def test_who_answered_is_in_the_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="echo", messages=HELLO, extra_headers={"x-request-id": "mine-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-dragoman-deployment"] == "echo#0"
    assert raw.headers["x-dragoman-attempts"] == "1"
    assert "gateway;dur=" in raw.headers["server-timing"]


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("fail-429", openai.RateLimitError, 429),
        ("fail-500", openai.InternalServerError, 500),
        ("fail-401", openai.AuthenticationError, 401),
        ("fail-timeout", openai.InternalServerError, 504),
        ("no-such-model", openai.NotFoundError, 404),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_failures_are_the_clients_own_errors(
    client: openai.OpenAI, upstream: str, model: str, kind: type[openai.APIStatusError], status: int, stream: bool
) -> None:
    with pytest.raises(kind) as failure:
        client.chat.completions.create(model=f"{upstream}{model}", messages=HELLO, stream=stream)
    assert failure.value.status_code == status
    assert failure.value.body["message"]


@pytest.mark.parametrize("fault", ["cut", "garbage", "stall", "error_event"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream_that_breaks_is_an_error_and_never_a_clean_end(client: openai.OpenAI, upstream: str, fault: str) -> None:
    stream = client.chat.completions.create(model=f"{upstream}fail-{fault}", messages=HELLO, stream=True)
    seen = []
    with pytest.raises(openai.APIError) as failure:
        seen.extend(stream)
    assert failure.value.message
    assert seen, "what came before the break is not lost"
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)


async def test_async_completion_and_stream(aclient: openai.AsyncOpenAI) -> None:
    answer = await aclient.chat.completions.create(model="claude-echo", messages=HELLO)
    assert answer.choices[0].message.content == "hello there, gateway"
    pieces = [
        chunk.choices[0].delta.content or ""
        async for chunk in await aclient.chat.completions.create(model="echo", messages=HELLO, stream=True)
    ]
    assert "".join(pieces) == "hello there, gateway"
