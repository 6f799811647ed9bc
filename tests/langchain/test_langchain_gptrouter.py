"""`GPTRouter`: the documented programs, over a real HTTP server in the recorded shapes and with no server at all."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManager, StreamingStdOutCallbackHandler
from langchain_core.exceptions import ModelAuthenticationError, ModelError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import SecretStr, ValidationError

import dragoman
from dragoman import AsyncClient, Client
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.langchain import GPTRouter, GPTRouterModel
from dragoman.langchain.gptrouter_wire import StreamDecoder, base_url, decode
from dragoman.transport.replay import Answer, AsyncReplayTransport, ReplayTransport
from support.gptrouter_server import GPTRouterServer, gptrouter_server, transcript
from support.langchain import ENV, standard_answers

CLAUDE = GPTRouterModel(name="claude-instant-1.2", provider_name="anthropic")
GPT = GPTRouterModel(name="gpt-4o", provider_name="chat_openai")
MODELS = [GPT, CLAUDE]
SSE = "text/event-stream; charset=utf-8"


@pytest.fixture(scope="module")
def running() -> Iterator[GPTRouterServer]:
    with gptrouter_server() as server:
        yield server


@pytest.fixture
def server(running: GPTRouterServer) -> Iterator[GPTRouterServer]:
    before = running.script
    running.requests.clear()
    yield running
    running.script = before


def over_http(server: GPTRouterServer, *models: Any, **given: Any) -> GPTRouter:
    address = {"gpt_router_api_base": server.url, "gpt_router_api_key": server.key}
    return GPTRouter(**{"models_priority_list": list(models) or [CLAUDE], **address, **given})


def whole(chunks: Any) -> Any:
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


# ------------------------------------------------------------------------------------------------- the documented programs
SAID = [HumanMessage(content="Translate this sentence from English to French. I love programming.")]


@pytest.fixture
def environment(server: GPTRouterServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_ROUTER_API_BASE", server.url)
    monkeypatch.setenv("GPT_ROUTER_API_KEY", server.key)


@pytest.mark.usefixtures("environment")
def test_the_documented_call() -> None:
    chat = GPTRouter(models_priority_list=[GPTRouterModel(name="claude-instant-1.2", provider_name="anthropic")])
    assert isinstance(chat.gpt_router_api_key, SecretStr)
    answer = chat(SAID)
    assert answer.content == "Hello, this is an answer"
    assert {"token_usage", "model", "finish_reason", "model_name"} <= answer.response_metadata.keys()


@pytest.mark.usefixtures("environment")
def test_the_documented_async_call() -> None:
    async def main() -> Any:
        chat = GPTRouter(models_priority_list=[CLAUDE])
        return await chat.agenerate([SAID])

    result = asyncio.run(main())
    assert result.generations[0][0].text == "Hello, this is an answer"
    assert result.llm_output == {}
    assert len(result.run) == 1


@pytest.mark.usefixtures("environment")
def test_the_documented_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(DeprecationWarning, match="callback_manager"):
        chat = GPTRouter(
            models_priority_list=[CLAUDE],
            streaming=True,
            verbose=True,
            callback_manager=CallbackManager([StreamingStdOutCallbackHandler()]),
        )
    chat(SAID)
    assert capsys.readouterr().out == "Hello, this is an answer"


def test_the_old_defaults_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_ROUTER_API_TOKEN", "t")
    chat = GPTRouter(models_priority_list=["openai/gpt-4o", {"name": "claude-2", "provider_name": "anthropic"}, GPT])
    assert (chat.temperature, chat.max_tokens, chat.n, chat.max_retries, chat.streaming) == (0.7, 256, 1, 4, False)
    assert [model.name for model in chat.models_priority_list] == ["gpt-4o", "claude-2", "gpt-4o"]
    assert chat.gpt_router_api_key is not None
    assert chat.gpt_router_api_key.get_secret_value() == "t"
    assert "'t'" not in repr(chat)


def test_a_list_needs_a_model_and_a_key_needs_a_server() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        GPTRouter(models_priority_list=[])
    with pytest.warns(UserWarning, match="not used without gpt_router_api_base"):
        GPTRouter(models_priority_list=[CLAUDE], gpt_router_api_key="k")


# --------------------------------------------------------------------------------------------------------- what is sent
def test_the_request(server: GPTRouterServer) -> None:
    tagged = {"metadata": {"tag": "t"}}
    model = over_http(server, *MODELS, seed=5, request_timeout=3, extra_headers={"X-Team": "red"}, model_kwargs=tagged)
    model.invoke([HumanMessage("hi", name="ann")], stop=["x"])
    headers, body = server.requests[-1]
    parameters = {
        "messages": [{"role": "user", "content": "hi", "name": "ann"}],
        "temperature": 0.7,
        "max_tokens": 256,
        "n": 1,
        "seed": 5,
        "stop": ["x"],
    }
    assert (headers["ws-secret"], headers["x-team"]) == (server.key, "red")
    assert body == {
        "stream": False,
        "timeout": 3000,
        "maxRetries": 4,
        "data": [
            {"modelName": "gpt-4o", "providerName": "chat_openai", "order": 1, "promptParams": parameters},
            {"modelName": "claude-instant-1.2", "providerName": "anthropic", "order": 2, "promptParams": parameters},
        ],
        "metadata": {"tag": "t"},
    }


@pytest.mark.parametrize("tail", ["", "/", "/api", "/api/v1/"])
def test_an_address_with_or_without_its_path(tail: str) -> None:
    assert base_url(f"https://x.test/gpt{tail}") == "https://x.test/gpt"


# ------------------------------------------------------------------------------------------------------- what comes back
def test_an_answer(server: GPTRouterServer) -> None:
    message = over_http(server, *MODELS, include_response_headers=True).invoke("hi")
    told = message.response_metadata
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == 32
    assert (told["model_name"], told["model"], told["finish_reason"]) == ("chat_openai/gpt-4o", "gpt-4o", "stop")
    assert told["headers"]["content-type"] == "application/json"
    assert message.additional_kwargs["provider_specific_fields"]["modelId"]


def test_the_second_candidate_is_reported_as_a_fallback(server: GPTRouterServer) -> None:
    answer = {"id": "i", "model": CLAUDE.name, "choices": [{"index": 0, "text": "Salut", "finish_reason": "stop_sequence"}]}
    flat = {"meta": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
    server.script = lambda _: (200, json.dumps(answer | flat).encode(), "application/json")
    message = over_http(server, *MODELS).invoke("hi")
    told = message.response_metadata
    assert (told["model_name"], told["fallback_used"]) == ("anthropic/claude-instant-1.2", True)
    assert told["finish_reason"] == "stop_sequence"
    assert message.usage_metadata == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def test_a_stream(server: GPTRouterServer) -> None:
    model = over_http(server, *MODELS)
    chunks = list(model.stream("hi"))
    assert len([chunk for chunk in chunks if chunk.content]) > 2
    streamed, once = whole(chunks), model.invoke("hi")
    assert (streamed.content, streamed.usage_metadata) == (once.content, once.usage_metadata)
    assert streamed.response_metadata["finish_reason"] == "stop"
    assert streamed.additional_kwargs["provider_specific_fields"] == {"modelId": "m-1", "providerId": "p-1"}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_tools_both_ways(server: GPTRouterServer) -> None:
    model = over_http(server).bind_tools([add])
    called = model.invoke("add 3 and 3")
    assert called.tool_calls == whole(model.stream("add 3 and 3")).tool_calls
    assert called.tool_calls[0]["args"] == {"a": 3, "b": 3}
    assert model.invoke([HumanMessage("add"), called, ToolMessage("6", tool_call_id=called.tool_calls[0]["id"])]).content


# --------------------------------------------------------------------------------------------------------------- failures
STATUSES = [
    (401, dragoman.AuthenticationError),
    (406, dragoman.ServiceUnavailableError),
    (429, dragoman.RateLimitError),
    (500, dragoman.InternalServerError),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_status_is_an_error_and_asked_once(
    server: GPTRouterServer, status: int, kind: type[Exception], streaming: bool
) -> None:
    server.script = lambda _: (status, b'{"error":"Something went wrong"}', "application/json")
    model = over_http(server)
    with pytest.raises(kind, match="Something went wrong") as caught:
        list(model.stream("hi")) if streaming else model.invoke("hi")
    assert isinstance(caught.value, ModelError)
    assert len(server.requests) == 1


def test_a_bad_key(server: GPTRouterServer) -> None:
    for ask in (lambda model: model.invoke("x"), lambda model: list(model.stream("x"))):
        with pytest.raises(ModelAuthenticationError, match="Unauthorized"):
            ask(over_http(server, gpt_router_api_key="wrong"))


UPDATE = {"id": "c1", "event": "update", "data": {"text": "Hel", "finish_reason": None}}
BROKEN = {
    "an error before the first piece": (transcript({"event": "error", "message": "500 boom"}), dragoman.InternalServerError),
    "no status in its message": (transcript({"event": "error", "message": "No models available"}), dragoman.BadGatewayError),
    "an error after it": (transcript(UPDATE, {"event": "error", "message": "boom"}), dragoman.StreamInterruptedError),
    "no end": (transcript(UPDATE), dragoman.StreamInterruptedError),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_stream_is_an_error(server: GPTRouterServer, case: str) -> None:
    body, kind = BROKEN[case]
    server.script = lambda _: (200, body, SSE)
    with pytest.raises(kind):
        list(over_http(server).stream("hi"))


async def test_async_over_http(server: GPTRouterServer) -> None:
    model = over_http(server)
    assert (await model.ainvoke("hi")).content
    assert "".join([chunk.text async for chunk in model.astream("hi")]) == "Hello, this is an answer"
    server.script = lambda _: (500, b"{}", "application/json")
    with pytest.raises(dragoman.InternalServerError):
        await model.ainvoke("hi")
    with pytest.raises(dragoman.InternalServerError):
        [chunk async for chunk in model.astream("hi")]


def test_nobody_there() -> None:
    with pytest.raises(dragoman.APIConnectionError, match="is gpt_router_api_base right"):
        GPTRouter(models_priority_list=[CLAUDE], gpt_router_api_base="http://127.0.0.1:9").invoke("hi")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 1}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(dragoman.ResponseDecodeError):
        decode(200, {}, body, MODELS)


def test_a_stream_cut_anywhere_reads_the_same() -> None:
    text = "a\u2028b\u0085\u00e9\U0001f600"
    events = [{"id": "c", "event": "update", "data": {"text": piece}} for piece in text]
    data = transcript(*events, {"event": "unknown", "data": {}}, {"event": "end", "data": "end"})
    rng = random.Random(3)
    for _ in range(50):
        decoder = StreamDecoder({}, MODELS)
        cuts = sorted(rng.sample(range(len(data)), 6))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
        decoder.close()
        assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == text


# ------------------------------------------------------------------------------------------------------- in this process
class Upstream:
    """Answers by the standard rules, but fails for some models; remembers who was asked."""

    def __init__(self, **failing: HttpResponse) -> None:
        self.failing = {name.replace("_", "-"): answer for name, answer in failing.items()}
        self.asked: list[str] = []

    def choose(self, request: HttpRequest) -> Answer:
        name = json.loads(request.body)["model"]
        self.asked.append(name)
        return self.failing.get(name) or standard_answers(request)

    def model(self, *models: Any, **given: Any) -> GPTRouter:
        client = Client(transport=ReplayTransport(choose=self.choose), env=ENV)
        async_client = AsyncClient(transport=AsyncReplayTransport(choose=self.choose), env=ENV)
        return GPTRouter(models_priority_list=list(models), client=client, async_client=async_client, **given)


def refusing(status: int, message: str = "no", **more: Any) -> HttpResponse:
    headers = (("content-type", "application/json"), ("retry-after", "0"))
    return HttpResponse(status=status, headers=headers, body=json.dumps({"error": {"message": message, **more}}).encode())


def test_the_first_model_answers_and_nobody_else_is_asked() -> None:
    upstream = Upstream()
    told = upstream.model(GPT, CLAUDE).invoke("hi").response_metadata
    assert upstream.asked == ["gpt-4o"]
    assert (told["model_name"], told["model_provider"], told["attempts"]) == ("chat_openai/gpt-4o", "openai", 1)


FOR_THE_NEXT = [
    refusing(500),
    refusing(429),
    refusing(503),
    refusing(401),
    refusing(404),
    refusing(400, "too long", code="context_length_exceeded"),
]


@pytest.mark.parametrize("answer", FOR_THE_NEXT, ids=lambda answer: str(answer.status))
def test_the_next_model_is_asked_when_one_is_unavailable(answer: HttpResponse) -> None:
    upstream = Upstream(gpt_4o=answer)
    model = upstream.model("openai/gpt-4o", "anthropic/claude-2.1")
    for message in (model.invoke("hi"), whole(model.stream("hi"))):
        told = message.response_metadata
        assert message.content == "Hello, this is an answer"
        assert (told["model_name"], told["model_provider"], told["attempts"], told["fallback_used"]) == (
            "anthropic/claude-2.1",
            "anthropic",
            2,
            True,
        )
    assert upstream.asked == ["gpt-4o", "claude-2.1"] * 2


async def test_the_next_model_is_asked_in_async_too() -> None:
    model = Upstream(gpt_4o=refusing(500)).model("openai/gpt-4o", "anthropic/claude-2.1")
    assert (await model.ainvoke("hi")).response_metadata["model_name"] == "anthropic/claude-2.1"
    chunks = [chunk async for chunk in model.astream("hi")]
    assert whole(chunks).response_metadata["attempts"] == 2


def test_a_wrong_request_is_nobodys_next() -> None:
    upstream = Upstream(gpt_4o=refusing(400, "temperature is out of range"))
    with pytest.raises(dragoman.BadRequestError):
        upstream.model("openai/gpt-4o", "anthropic/claude-2.1").invoke("hi")
    assert upstream.asked == ["gpt-4o"]


def test_the_requests_of_a_call_are_bounded() -> None:
    upstream = Upstream(gpt_4o=refusing(500), o3=refusing(500))
    with pytest.raises(dragoman.InternalServerError):
        upstream.model("openai/gpt-4o", "openai/o3", max_retries=2).invoke("hi")
    assert upstream.asked == ["gpt-4o", "o3", "o3"]


def test_a_calls_own_model() -> None:
    upstream = Upstream()
    message = upstream.model(GPT, CLAUDE).invoke("hi", model="openai/o3")
    assert upstream.asked == ["o3"]
    assert message.response_metadata["model_name"] == "openai/o3"


def test_signed_reasoning_and_a_list_of_several_providers() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    signed = AIMessage("yes", additional_kwargs={"thinking_blocks": blocks}, response_metadata={"model_provider": "anthropic"})
    alone, mixed = Upstream().model(CLAUDE), Upstream().model(CLAUDE, GPT)
    assert alone._providers(alone._asked({})) == {"anthropic"}
    assert mixed._providers(mixed._asked({})) == {"anthropic", "openai"}
    assert mixed.invoke([HumanMessage("x"), signed, HumanMessage("y")]).content


def test_traces_name_the_first_model() -> None:
    told = Upstream().model(GPT)._get_ls_params()
    assert (told["ls_provider"], told["ls_temperature"], told["ls_max_tokens"]) == ("openai", 0.7, 256)
    assert Upstream().model("openai/gpt-4o").profile is not None
