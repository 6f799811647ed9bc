"""The cost of a streamed answer, on its last chunk, where programs for LiteLLM look for it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import dragoman
from dragoman.client.client import AsyncClient, Client
from dragoman.client.router import Router
from dragoman.core import json
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.calls import HELLO

COST = pytest.approx((1000 * 2.5 + 100 * 10) / 1e6)
"""USD for the usage below at gpt-4o's rates."""


def chunk(**fields: Any) -> bytes:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "gpt-4o", "choices": []}
    return b"data: " + json.encode(head | fields) + b"\n\n"


STREAM = (
    chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]),
    chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    chunk(usage={"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}) + b"data: [DONE]\n\n",
)


def stream(model: str, *pieces: bytes, **given: Any) -> list[Any]:
    client = Client(transport=ReplayTransport(Pieces(pieces=pieces)), env={"OPENAI_API_KEY": "k"})
    return list(client.completion(model, HELLO, stream=True, **given))


@pytest.mark.parametrize("options", [None, {"include_usage": True}])
def test_the_last_chunk_has_the_cost_of_it_all(options: dict[str, bool] | None) -> None:
    *others, last = stream("openai/gpt-4o", *STREAM, stream_options=options)
    assert last._hidden_params["response_cost"] == COST
    assert others
    assert all(other._hidden_params.get("response_cost") is None for other in others)
    assert all(other._hidden_params["model_id"] == last._hidden_params["model_id"] for other in others)


def test_a_copy_has_it_too() -> None:
    (*_, last) = stream("openai/gpt-4o", *STREAM)
    assert copy.deepcopy(last._hidden_params)["response_cost"] == COST


async def test_awaited_streams_have_it() -> None:
    client = AsyncClient(transport=AsyncReplayTransport(Pieces(pieces=STREAM)), env={"OPENAI_API_KEY": "k"})
    chunks = [chunk async for chunk in await client.completion("openai/gpt-4o", HELLO, stream=True)]
    assert chunks[-1]._hidden_params["response_cost"] == COST


def test_without_usage_or_a_price_it_is_none_with_a_reason() -> None:
    for model, pieces in (("openai/gpt-4o", STREAM[:2]), ("openai/nobody-knows-it", STREAM)):
        (*_, last) = stream(model, *pieces, b"data: [DONE]\n\n")
        assert last._hidden_params["response_cost"] is None
        assert last._hidden_params["cost"].reason


def test_mocked_streams_cost_nothing_known() -> None:
    (*_, last) = dragoman.completion("openai/gpt-4o", HELLO, mock_response="hi", stream=True)
    assert last._hidden_params.get("response_cost") is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_price_that_the_router_was_given_goes_before_the_catalogs(stream: bool) -> None:
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    router = Router(model_list=[{"model_name": "m", "litellm_params": {"model": "demo/echo", **prices}}])
    options = {"stream": stream, "stream_options": {"include_usage": True}} if stream else {}
    answer = router.completion("m", [{"role": "user", "content": "one two three"}], **options)
    last = list(answer)[-1] if stream else answer
    used = last["usage"]
    assert last._hidden_params["response_cost"] == pytest.approx((used["prompt_tokens"] + 2 * used["completion_tokens"]) / 1e6)
