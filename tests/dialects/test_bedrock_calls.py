"""Whole calls through the SDK: a model on Bedrock answers a program that speaks OpenAI, by frames and by bodies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dragoman.client.client import AsyncClient, Client
from dragoman.core.errors import RateLimitError
from dragoman.core.http import HttpResponse
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.bedrock import frames

ENV = {"AWS_BEARER_TOKEN_BEDROCK": "the-token", "AWS_REGION": "eu-central-1"}
MODEL = "bedrock/us.amazon.nova-lite-v1:0"
HI: list[Any] = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
STREAM = frames(
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Good "}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "day"}}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": USAGE}),
)
STREAMED = Pieces(
    headers=(("content-type", "application/vnd.amazon.eventstream"), ("x-amzn-requestid", "the-request")),
    pieces=(STREAM[:50], STREAM[50:300], STREAM[300:]),
)


def answer(*content: Any, stop: str = "end_turn") -> HttpResponse:
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, "usage": USAGE}
    headers = (("content-type", "application/json"), ("x-amzn-requestid", "the-request"))
    return HttpResponse(status=200, headers=headers, body=json.dumps(body).encode())


def test_an_answer():
    transport = ReplayTransport(answer({"text": "Good day"}))
    response: Any = Client(transport=transport, env=ENV).completion(MODEL, HI)
    (sent,) = transport.requests
    assert sent.url == "https://bedrock-runtime.eu-central-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"
    assert ("authorization", "Bearer the-token") in sent.headers
    assert json.loads(sent.body) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    assert response.choices[0].message.content == "Good day"
    assert response.usage.total_tokens == 3
    assert (response.id, response.model) == ("the-request", "us.amazon.nova-lite-v1:0"), "which the body does not say"


def test_a_stream():
    transport = ReplayTransport(STREAMED)
    chunks: list[Any] = list(Client(transport=transport, env=ENV).completion(MODEL, HI, stream=True))
    (sent,) = transport.requests
    assert sent.url.endswith("/converse-stream")
    assert ("accept", "application/vnd.amazon.eventstream") in sent.headers
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Good day"
    assert {(chunk.id, chunk.model) for chunk in chunks} == {("the-request", "us.amazon.nova-lite-v1:0")}


def test_a_stream_for_those_who_await():
    async def texts() -> list[str]:
        client = AsyncClient(transport=AsyncReplayTransport(STREAMED), env=ENV)
        stream: Any = await client.completion(MODEL, HI, stream=True)
        return [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]

    assert "".join(asyncio.run(texts())) == "Good day"


def test_a_schema_that_the_model_cannot_be_held_to_is_answered_as_if_it_could():
    called = {"toolUse": {"toolUseId": "t", "name": "dragoman_json_answer", "input": {"city": "Oslo"}}}
    transport = ReplayTransport(answer(called, stop="tool_use"))
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    response: Any = Client(transport=transport, env=ENV).completion(MODEL, HI, response_format=wanted)
    assert json.loads(transport.requests[0].body)["toolConfig"]["toolChoice"] == {"tool": {"name": "dragoman_json_answer"}}
    (choice,) = response.choices
    assert (choice.message.content, choice.finish_reason) == ('{"city":"Oslo"}', "stop")
    assert not choice.message.tool_calls


def test_a_vector():
    transport = ReplayTransport(HttpResponse(status=200, body=b'{"embedding": [1.0, 2.0], "inputTextTokenCount": 4}'))
    response: Any = Client(transport=transport, env=ENV).embedding("bedrock/amazon.titan-embed-text-v2:0", "x")
    assert transport.requests[0].url.endswith("/model/amazon.titan-embed-text-v2%3A0/invoke")
    assert response.data[0].embedding == [1.0, 2.0]
    assert (response.model, response.usage.prompt_tokens) == ("amazon.titan-embed-text-v2:0", 4)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_is_named_by_its_header(stream: bool):
    headers = (("content-type", "application/json"), ("x-amzn-errortype", "ThrottlingException:http://internal.example/"))
    refused = HttpResponse(status=429, headers=headers, body=b'{"message": "Slow down."}')
    with pytest.raises(RateLimitError, match="Slow down") as caught:
        Client(transport=ReplayTransport(refused), env=ENV, max_retries=0).completion(MODEL, HI, stream=stream)
    assert caught.value.detail.type == "ThrottlingException"
    assert "the-token" not in caught.value.message


def test_an_exception_in_the_first_frame_is_an_error_of_the_call():
    refused = Pieces(
        headers=STREAMED.headers, pieces=(frames(("throttlingException", {"message": "Slow down."}), kind="exception"),)
    )
    with pytest.raises(RateLimitError, match="throttlingException: Slow down"):
        Client(transport=ReplayTransport(refused), env=ENV, max_retries=0).completion(MODEL, HI, stream=True)
