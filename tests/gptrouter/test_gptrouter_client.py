"""Our client of GPTRouter's API against our gateway: plain, streamed, sync and async, and every error by its class."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from dragoman.gptrouter import (
    GenerationParams,
    GPTRouterApiTimeoutError,
    GPTRouterBadRequestError,
    GPTRouterClient,
    GPTRouterConnectionError,
    GPTRouterError,
    GPTRouterMetadata,
    GPTRouterNotAvailableError,
    GPTRouterStreamingError,
    GPTRouterTooManyRequestsError,
    GPTRouterUnauthorizedError,
    ModelGenerationRequest,
    ModelRouterEmbeddingsGenerationParams,
    ModelRouterEmbeddingsGenerationRequest,
    ProvidersEnum,
)
from dragoman.gptrouter.operations import labels
from support.demo_server import demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over
from support.upstream import CHUNKED, LAST_CHUNK, Peer, Upstream, chunk, run

TEXT = "Hello \u2028\u2029\x85 😀 there"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with demo_server() as demo, gptrouter_gateway(models_over(demo.url)) as running:
        yield running


@pytest.fixture
def client(url: str) -> Iterator[GPTRouterClient]:
    with GPTRouterClient(base_url=url, api_key=KEY) as made:
        yield made


def asking(*names: str, **params: Any) -> list[ModelGenerationRequest]:
    told = GenerationParams(messages=[{"role": "user", "content": TEXT}], **params)
    return [
        ModelGenerationRequest(
            model_name=name,
            provider_name=ProvidersEnum.ANTHROPIC if "claude" in name else ProvidersEnum.CHAT_OPENAI,
            order=place,
            prompt_params=told,
        )
        for place, name in enumerate(names, 1)
    ]


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.data["text"] for chunk in chunks if chunk.event == "update")


# -------------------------------------------------------------------------------------------------------------------- answers
def test_an_answer_is_read(client: GPTRouterClient) -> None:
    answer = client.generate(ordered_generation_requests=asking("fail-500", "claude-2.1"))
    choice, meta = answer.choices[0], answer.meta
    assert (choice.text, choice.finish_reason, choice.role) == (TEXT, "end_turn", "assistant")
    assert meta.total_tokens == meta.prompt_tokens + meta.completion_tokens > 0
    assert [attempt["model"] for attempt in meta.attempts] == ["fail-500", "claude-2.1"]
    assert answer.provider == "anthropic"
    assert answer.provider_id
    assert answer.model_id


def test_every_parameter_is_sent(client: GPTRouterClient) -> None:
    answer = client.generate(ordered_generation_requests=asking("gpt-4-0613", stop=["there"], max_tokens=50, seed=3))
    assert answer.choices[0].text == TEXT.removesuffix("there")


def test_a_stream_is_read_whole(client: GPTRouterClient) -> None:
    chunks = list(client.generate(ordered_generation_requests=asking("fail-429", "gpt-4-0613"), is_stream=True))
    assert text_of(chunks) == TEXT
    assert [chunk.event for chunk in chunks if chunk.event != "update"] == ["attempt", "meta", "generation_source"]


def test_async_is_the_same(url: str) -> None:
    async def scenario() -> None:
        async with GPTRouterClient(base_url=f"{url}/api/", api_key=KEY) as client:
            answer = await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"))
            assert answer.choices[0].text == TEXT
            stream = await client.agenerate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True)
            assert text_of([chunk async for chunk in stream]) == TEXT
            many = await asyncio.gather(*(client.agenerate(ordered_generation_requests=asking("gpt-4-0613")) for _ in range(8)))
            assert {one.choices[0].text for one in many} == {TEXT}

    run(scenario())


def test_a_stream_stops_when_it_is_told_to(url: str) -> None:
    async def scenario() -> None:
        stop, seen = asyncio.Event(), []
        async with GPTRouterClient(base_url=url, api_key=KEY) as client:
            stream: AsyncIterator[Any] = await client.agenerate(
                ordered_generation_requests=asking("slow"), is_stream=True, stop_stream_signal=stop
            )
            async for piece in stream:
                seen.append(piece)
                stop.set()
        assert len(seen) == 1

    run(scenario())


def test_embeddings_and_lists(client: GPTRouterClient) -> None:
    request = ModelRouterEmbeddingsGenerationRequest(
        model_name="text-embedding-3-small",
        model_provider="openai_embeddings",
        prompt_params=ModelRouterEmbeddingsGenerationParams(input=["a", "b"]),
    )
    first = client.generate_embeddings(ordered_generation_requests=[request])
    second = client.generate_embeddings_v2(input=["a", "b"], model_name="text-embedding-3-small")
    assert [choice.embedding for choice in first.choices] == [choice.embedding for choice in second.choices]
    assert "chat_openai" in [provider["name"] for provider in client.providers()]
    assert "gpt-4o" in [model["name"] for model in client.models()]
    assert isinstance(client.health("2020-01-01"), list)
    assert isinstance(client.model_usage(), list)


# --------------------------------------------------------------------------------------------------------------------- errors
CASES: list[tuple[str, type[GPTRouterError]]] = [
    ("nope", GPTRouterBadRequestError),
    ("fail-400", GPTRouterBadRequestError),
    ("fail-429", GPTRouterTooManyRequestsError),
    ("fail-500", GPTRouterNotAvailableError),
    ("fail-401", GPTRouterNotAvailableError),
]


@pytest.mark.parametrize(("model", "kind"), CASES)
def test_a_failure_is_an_error_of_its_class(client: GPTRouterClient, model: str, kind: type[GPTRouterError]) -> None:
    with pytest.raises(kind) as failed:
        client.generate(ordered_generation_requests=asking(model))
    assert failed.value.message == failed.value.args[0]["message"]
    assert [attempt["model"] for attempt in failed.value.attempts] == ([] if model == "nope" else [model])
    with pytest.raises(GPTRouterStreamingError) as broke:
        list(client.generate(ordered_generation_requests=asking(model), is_stream=True))
    assert str(broke.value) == failed.value.message


def test_a_stream_that_breaks_keeps_what_had_come(client: GPTRouterClient) -> None:
    seen: list[Any] = []
    stream = client.generate(ordered_generation_requests=asking("fail-cut"), is_stream=True, stream_retry_count=5)
    with pytest.raises(GPTRouterStreamingError) as broke:
        seen.extend(stream)
    assert seen
    assert broke.value.text == text_of(seen)


def test_a_wrong_key(url: str) -> None:
    with GPTRouterClient(base_url=url, api_key="sk-wrong-key-00001") as client:
        with pytest.raises(GPTRouterUnauthorizedError):
            client.generate(ordered_generation_requests=asking("gpt-4-0613"))
        with pytest.raises(GPTRouterStreamingError, match="key is wrong"):
            list(client.generate(ordered_generation_requests=asking("gpt-4-0613"), is_stream=True))


def test_a_key_is_needed_and_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT_ROUTER_API_KEY", raising=False)
    monkeypatch.delenv("GPT_ROUTER_API_TOKEN", raising=False)
    with pytest.raises(ValueError, match="GPT_ROUTER_API_KEY or GPT_ROUTER_API_TOKEN"):
        GPTRouterClient(base_url="http://127.0.0.1:9")
    monkeypatch.setenv("GPT_ROUTER_API_TOKEN", "sk-from-the-environment")
    with GPTRouterClient(base_url="http://127.0.0.1:9") as client:
        assert "environment" not in repr(client)
        with pytest.raises(GPTRouterConnectionError):
            client.providers()


# ------------------------------------------------------------------------------------------------------ servers of other kinds
def exchange(
    script: Callable[[Peer], Coroutine[Any, Any, None]], use: Callable[[GPTRouterClient], Coroutine[Any, Any, Any]]
) -> Any:
    async def scenario() -> Any:
        async with (
            Upstream(script) as upstream,
            GPTRouterClient(upstream.url, "sk-any-key-0000001", request_timeout=5) as client,
        ):
            return await use(client)

    return run(scenario())


def sse(*events: str) -> list[bytes]:
    return [chunk(f"data: {event}\n\n".encode()) for event in events]


UPDATE = '{"event":"update","data":{"text":"x","finish_reason":null}}'


async def collected(client: GPTRouterClient, **more: Any) -> str:
    stream = await client.agenerate(ordered_generation_requests=asking("a", "b"), is_stream=True, **more)
    return text_of([piece async for piece in stream])


def test_a_stream_of_the_old_server_ends_well() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED, *sse(UPDATE, '{"event":"end","data":"end"}'), chunk(b"event: end\ndata: Stream closed\n\n"))
        await peer.left()

    assert exchange(script, collected) == "x"


@pytest.mark.parametrize("last", [LAST_CHUNK, b""])
def test_a_stream_without_its_end_has_broken(last: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED, *sse(UPDATE), last)

    with pytest.raises(GPTRouterStreamingError) as broke:
        exchange(script, collected)
    assert broke.value.text == "x"


def test_a_stream_that_has_not_begun_is_asked_for_again_and_its_text_comes_once() -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.request()
            peer.reset()
            return
        await peer.answer(CHUNKED, *sse(UPDATE, '{"event":"end","data":"end"}'), LAST_CHUNK)

    assert exchange(script, lambda client: collected(client, stream_retry_count=2)) == "x"


def test_candidates_are_exchanged_after_a_timeout() -> None:
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        asked.append(body)
        if len(asked) == 1:
            await peer.send(b"HTTP/1.1 504 Late\r\ncontent-length: 2\r\n\r\n{}")
        else:
            await peer.send(CHUNKED, *sse(UPDATE, '{"event":"end","data":"end"}'), LAST_CHUNK)

    use = lambda client: collected(client, stream_retry_count=2, switch_models_order_on_timeout=True)  # noqa: E731
    assert exchange(script, use) == "x"
    assert asked[0].index(b'"modelName":"a"') < asked[0].index(b'"modelName":"b"')
    assert asked[1].index(b'"modelName":"b"') < asked[1].index(b'"modelName":"a"')


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b'{"message":"m"}', GPTRouterBadRequestError),
        (502, b"<html>gone</html>", GPTRouterNotAvailableError),
        (504, b"", GPTRouterApiTimeoutError),
        (418, b"{}", GPTRouterError),
        (200, b"<html>", GPTRouterError),
        (200, b"null", GPTRouterError),
        (200, b"{}", GPTRouterError),
    ],
)
def test_any_answer_is_an_error_of_ours(status: int, body: bytes, kind: type[GPTRouterError]) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    with pytest.raises(kind):
        exchange(script, lambda client: client.agenerate(ordered_generation_requests=asking("a")))


def test_what_the_call_does_not_say_of_its_owner_stays_as_the_client_has_it() -> None:
    first = GPTRouterMetadata(tag="t", created_by_user_id="u", history_id="h", team="blue")
    then = GPTRouterMetadata(tag="other")
    assert labels(first, then) == {"tag": "other", "createdByUserId": "u", "historyId": "h", "metadata": {"team": "blue"}}
    assert labels(None, None) == {"metadata": {}}
