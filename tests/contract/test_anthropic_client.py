"""The real `anthropic` client against the gateway: plain and streamed, sync and async, over both upstream dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anthropic
import pytest

from support.gateway import RunningGateway

HELLO = [{"role": "user", "content": "hello there, gateway"}]
UPSTREAMS = ["", "claude-"]
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(served: RunningGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.fixture
async def aclient(served: RunningGateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=served.url, api_key="sk-client", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_message(client: anthropic.Anthropic, upstream: str) -> None:
    message = client.messages.create(model=f"{upstream}echo", max_tokens=100, messages=HELLO)
    assert message.content[0].text == "hello there, gateway"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream(client: anthropic.Anthropic, upstream: str) -> None:
    with client.messages.stream(model=f"{upstream}echo", max_tokens=100, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(pieces) == "hello there, gateway"
    assert len(pieces) > 1
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
    assert message.usage.input_tokens > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_named_tool(client: anthropic.Anthropic, upstream: str, stream: bool) -> None:
    request = {
        "model": f"{upstream}tools",
        "max_tokens": 200,
        "messages": HELLO,
        "tools": [WEATHER],
        "tool_choice": {"type": "tool", "name": "get_weather"},
    }
    if stream:
        with client.messages.stream(**request) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**request)
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert call.name == "get_weather"
    assert set(call.input) == {"city"}
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_tool_conversation(client: anthropic.Anthropic, upstream: str) -> None:
    first = client.messages.create(model=f"{upstream}tools", max_tokens=200, messages=HELLO, tools=[WEATHER])
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"} for call in calls]
    turns = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(model=f"{upstream}tools", max_tokens=200, messages=turns, tools=[WEATHER])
    assert calls
    assert second.stop_reason == "end_turn"


def test_signed_thinking_comes_back(client: anthropic.Anthropic) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = client.messages.create(model="claude-reason", max_tokens=2048, messages=HELLO, thinking=thinking)
    block = message.content[0]
    assert block.type == "thinking"
    assert block.signature
    turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": "and now?"}]
    assert client.messages.create(model="claude-reason", max_tokens=2048, messages=turns, thinking=thinking).content


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("fail-429", anthropic.RateLimitError, 429),
        ("fail-500", anthropic.InternalServerError, 500),
        ("fail-401", anthropic.AuthenticationError, 401),
        ("fail-timeout", anthropic.InternalServerError, 504),
        ("no-such-model", anthropic.NotFoundError, 404),
    ],
)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_failures_are_the_clients_own_errors(
    client: anthropic.Anthropic, upstream: str, model: str, kind: type[anthropic.APIStatusError], status: int
) -> None:
    with pytest.raises(kind) as failure:
        client.messages.create(model=f"{upstream}{model}", max_tokens=100, messages=HELLO)
    assert failure.value.status_code == status
    assert failure.value.body["error"]["message"]


@pytest.mark.parametrize("fault", ["cut", "garbage", "stall", "error_event"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream_that_breaks_is_an_error_and_never_a_clean_end(client: anthropic.Anthropic, upstream: str, fault: str) -> None:
    seen = []
    with (
        pytest.raises(anthropic.APIError) as failure,
        client.messages.stream(model=f"{upstream}fail-{fault}", max_tokens=100, messages=HELLO) as stream,
    ):
        seen.extend(stream)
    assert failure.value.message
    assert not any(event.type == "message_stop" for event in seen)


async def test_async_message_and_stream(aclient: anthropic.AsyncAnthropic) -> None:
    message = await aclient.messages.create(model="echo", max_tokens=100, messages=HELLO)
    assert message.content[0].text == "hello there, gateway"
    async with aclient.messages.stream(model="claude-echo", max_tokens=100, messages=HELLO) as stream:
        pieces = [piece async for piece in stream.text_stream]
    assert "".join(pieces) == "hello there, gateway"
