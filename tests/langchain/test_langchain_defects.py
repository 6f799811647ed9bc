"""What went wrong with such classes before, measured or complained of, as far as no other file here asks for the same.

Each test is named for the defect that it would show.
"""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage

import dragoman
from dragoman import Client
from dragoman.client.router import Router
from dragoman.core.chat import ChatResponse, Choice, Finish, Logprobs, TextPart, TokenLogprob
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.langchain import ChatLiteLLM, ChatLiteLLMRouter
from dragoman.transport.replay import Answer, Pieces, ReplayTransport
from support.demo_server import demo_server
from support.langchain import ENV, standard_answers

JSON = (("content-type", "application/json"),)
MODELS = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro", "azure/gpt-4o"]
AZURE = {"azure/gpt-4o": {"api_base": "https://x.openai.azure.com"}}


def whole(chunks: Any) -> Any:
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


def test_keys_of_one_instance_are_not_used_by_another() -> None:
    """langchain-litellm 132: they were written on the module."""
    seen: list[tuple[str, str]] = []

    def choose(request: HttpRequest) -> Answer:
        body = json.loads(request.body)
        seen.append((body["messages"][0]["content"], dict(request.headers)["authorization"]))
        return standard_answers(request)

    client = Client(transport=ReplayTransport(choose=choose), env={})
    models = {name: ChatLiteLLM(model="openai/gpt-4o", api_key=name, client=client) for name in ("red", "blue")}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: models[name].invoke(name), ["red", "blue"] * 10))
    assert set(seen) == {("red", "Bearer red"), ("blue", "Bearer blue")}
    assert len(seen) == 20


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ask", ["invoke", "stream"])
def test_retries_are_not_multiplied_for_any_provider(name: str, ask: str) -> None:
    """litellm 32895, langchain-litellm 252: honoured for some providers, multiplied for others."""
    headers = (*JSON, ("retry-after", "0"))
    transport = ReplayTransport(*[HttpResponse(status=429, headers=headers, body=b'{"error": {"message": "no"}}')] * 9)
    model = ChatLiteLLM(model=name, max_retries=2, client=Client(transport=transport, env=ENV), **AZURE.get(name, {}))
    with pytest.raises(dragoman.RateLimitError):
        list(getattr(model, ask)("x"))
    assert len(transport.requests) == 3


def test_headers_are_there_when_streaming() -> None:
    """litellm 18631."""
    limit = ("x-ratelimit-remaining-requests", "7")

    def choose(request: HttpRequest) -> Answer:
        answer = standard_answers(request)
        return Pieces(pieces=answer.pieces, headers=(*answer.headers, limit)) if isinstance(answer, Pieces) else answer

    client = Client(transport=ReplayTransport(choose=choose), env=ENV)
    model = ChatLiteLLM(model="openai/gpt-4o", client=client, include_response_headers=True)
    assert whole(model.stream("x")).response_metadata["headers"][limit[0]] == "7"


class SerializingCache(BaseCache):
    """Keeps text, as a cache in a database does."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def lookup(self, prompt: str, llm_string: str) -> Any:
        found = self.held.get((prompt, llm_string))
        return None if found is None else [loads(text, allowed_objects="core") for text in json.loads(found)]

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self.held[prompt, llm_string] = json.dumps([dumps(generation) for generation in return_val])

    def clear(self, **_: Any) -> None:
        self.held.clear()


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_a_hit_in_a_cache_of_text_is_a_message_and_no_json() -> None:
    cache, transport = SerializingCache(), ReplayTransport(choose=standard_answers)
    model = ChatLiteLLM(model="openai/gpt-4o", cache=cache, client=Client(transport=transport, env=ENV))
    first, second = model.invoke("x"), model.invoke("x")
    assert len(transport.requests) == 1
    assert second.content == first.content == "Hello, this is an answer"
    assert second.response_metadata == first.response_metadata


def test_a_model_can_be_dumped() -> None:
    model = ChatLiteLLM(model="openai/gpt-4o", api_key="sk-secret", client=Client(env=ENV))
    assert "sk-secret" not in model.model_dump_json()


def test_logprobs_through_a_router_whole_and_streamed() -> None:
    held = Logprobs(content=(TokenLogprob(token="hi", logprob=-0.5),))
    choice = Choice(parts=(TextPart(text="hi"),), finish=Finish(reason="stop"), logprobs=held)
    answer, dialect = ChatResponse(id="a", model="m", choices=(choice,)), registry.get("openai_chat")

    def choose(request: HttpRequest) -> Answer:
        if not json.loads(request.body).get("stream"):
            return HttpResponse(status=200, headers=JSON, body=dialect.encode_response(answer, now=1))
        encoder = dialect.stream_encoder(dialect.decode_request(request.body), now=1)
        return Pieces(pieces=tuple(encoder.encode(event) for event in unfold(answer)))

    entry = {"model_name": "g", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}}
    model = ChatLiteLLMRouter(router=Router(model_list=[entry], transport=ReplayTransport(choose=choose)), logprobs=True)
    for message in (model.invoke("x"), whole(model.stream("x"))):
        assert [token["token"] for token in message.response_metadata["logprobs"]["content"]] == ["hi"]


def test_a_failure_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dragoman.AuthenticationError):
        ChatLiteLLM(model="demo/echo?fail=401", max_retries=0).invoke("x")
    assert capfd.readouterr() == ("", "")


def test_a_routed_call_warns_of_nothing() -> None:
    router = Router(model_list=[{"model_name": "fast", "litellm_params": {"model": "demo/echo"}}])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model = ChatLiteLLMRouter(router=router)
        model.invoke("x")
        list(model.stream("x"))
    assert seen == []


def test_one_model_in_several_loops_leaves_no_connection_open() -> None:
    """litellm 13251 and 24230: unclosed sessions, and loops that were closed before."""
    with demo_server() as demo:
        model = ChatLiteLLM(model="echo", custom_llm_provider="custom_openai", api_base=demo.openai_url, api_key="k")

        async def ask() -> str:
            streamed = [chunk.text async for chunk in model.astream("hello there")]
            return (await model.ainvoke("hello there")).text + "".join(streamed)

        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            for _ in range(3):
                assert asyncio.run(ask()) == "hello there" * 2
                gc.collect()


def test_an_error_keeps_the_answer_that_it_is_made_of() -> None:
    """LangChain's tracers read body and headers of a failure from there."""
    headers = (*JSON, ("x-request-id", "r-1"))
    transport = ReplayTransport(HttpResponse(status=400, headers=headers, body=b'{"error": {"message": "no"}}'))
    with pytest.raises(dragoman.BadRequestError) as caught:
        ChatLiteLLM(model="openai/gpt-4o", client=Client(transport=transport, env=ENV)).invoke([HumanMessage("x")])
    response: Any = caught.value.response
    assert (response.status_code, response.headers["x-request-id"]) == (400, "r-1")
    assert response.json() == {"error": {"message": "no"}}
