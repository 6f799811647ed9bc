"""The real `google-genai` client against the gateway, over providers that speak OpenAI's and Anthropic's dialects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.gateway import RunningGateway

genai = pytest.importorskip("google.genai")
types = pytest.importorskip("google.genai.types")
UPSTREAMS = ["", "claude-"]


@pytest.fixture
def client(served: RunningGateway) -> Iterator[object]:
    made = genai.Client(api_key="sk-client", http_options=types.HttpOptions(base_url=served.url))
    yield made
    made.close()


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_an_answer(client, upstream: str) -> None:
    answer = client.models.generate_content(model=f"{upstream}echo", contents="hello there, gateway")
    assert answer.text == "hello there, gateway"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_stream(client, upstream: str) -> None:
    pieces = list(client.models.generate_content_stream(model=f"{upstream}echo", contents="hello there, gateway"))
    assert "".join(piece.text or "" for piece in pieces) == "hello there, gateway"
    assert len(pieces) > 3
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_tool_call(client, upstream: str) -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    declared = types.FunctionDeclaration(name="get_weather", description="Weather of a city", parameters_json_schema=city)
    mode = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])], tool_config=mode)
    answer = client.models.generate_content(model=f"{upstream}tools", contents="weather in Oslo?", config=config)
    (call,) = answer.function_calls
    assert call.name == "get_weather"
    assert set(call.args) == {"city"}


def test_an_error_is_the_clients_own_class(client) -> None:
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model="ecko", contents="x")
    assert caught.value.code == 404
    assert "ecko" in caught.value.message
