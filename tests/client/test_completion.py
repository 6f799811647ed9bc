"""`completion` and `embedding` from the arguments to the objects: through the demo provider, and on recorded traffic."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

import dragoman
from dragoman import AsyncClient, Client
from dragoman.client import functions
from dragoman.core.http import HttpResponse, TransportFailure
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.calls import DONE, EVENTS, HEL, LO, ROLE, STOP, STREAM, USAGE, completion, fail, respond
from support.recordings import Entry, exchanges

HELLO = [{"role": "user", "content": "hello there"}]
ENV = {f"{name}_API_KEY": f"key-of-{name.lower()}" for name in "OPENAI ANTHROPIC GROQ DEEPSEEK OPENROUTER MISTRAL XAI".split()}


def client(*answers: Any, env: dict[str, str] | None = None, **defaults: Any) -> tuple[Client, ReplayTransport]:
    transport = ReplayTransport(*answers)
    return Client(transport=transport, env=ENV if env is None else env, **defaults), transport


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# ------------------------------------------------------------------------------------------------------------------ the demo
def test_an_answer_of_the_demo() -> None:
    response = dragoman.completion("demo/echo", HELLO)
    assert response.choices[0].message.content == "hello there"
    assert (response.object, response.system_fingerprint, response.choices[0].finish_reason) == (
        "chat.completion",
        "demo",
        "stop",
    )
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens > 0


def test_a_stream_of_the_demo() -> None:
    chunks = list(dragoman.completion("demo/echo", HELLO, stream=True))
    assert text_of(chunks) == "hello there"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert not any("usage" in chunk for chunk in chunks)


def test_usage_of_a_stream_comes_last_and_only_when_asked_for() -> None:
    chunks = list(dragoman.completion("demo/echo", HELLO, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


def test_awaited_answers_of_the_demo() -> None:
    async def main() -> None:
        response = await dragoman.acompletion("demo/echo", HELLO)
        assert response.choices[0].message.content == "hello there"
        stream = await dragoman.acompletion("demo/echo", HELLO, stream=True)
        assert text_of([chunk async for chunk in stream]) == "hello there"
        vectors = await dragoman.aembedding("demo/embed", ["a", "b"], dimensions=4)
        assert [len(item.embedding) for item in vectors.data] == [4, 4]

    asyncio.run(main())


def test_vectors_of_the_demo() -> None:
    vectors = dragoman.embedding("demo/embed", "hello", dimensions=3)
    assert (vectors.object, len(vectors.data), len(vectors.data[0].embedding)) == ("list", 1, 3)
    assert vectors.usage.prompt_tokens > 0


def test_tools_and_schemas_of_the_demo() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    response = dragoman.completion("demo/tools", HELLO, tools=tools)
    call = response.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    answer = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    again = dragoman.completion("demo/tools", [*HELLO, response.choices[0].message, answer], tools=tools)
    assert again.choices[0].finish_reason == "stop"


def test_a_failing_demo_is_asked_as_often_as_it_is_said() -> None:
    with pytest.raises(dragoman.RateLimitError) as caught:
        dragoman.completion("demo/echo?fail=429&retry_after=0", HELLO, num_retries=1)
    assert (caught.value.attempts, caught.value.status_code, caught.value.llm_provider) == (2, 429, "demo")


@pytest.mark.parametrize("fault", ["cut", "error_event", "garbage"])
def test_a_stream_that_breaks_gives_what_came_and_then_an_error(fault: str) -> None:
    stream = dragoman.completion(f"demo/canned?fail={fault}&length=20", HELLO, stream=True)
    chunks = []
    with pytest.raises(dragoman.StreamInterruptedError) as caught:
        chunks.extend(stream)
    assert text_of(chunks)
    assert caught.value.partial.choices[0].parts[0].text == text_of(chunks)
    assert stream.response.choices[0].message.content == text_of(chunks)


def test_a_timeout_says_which() -> None:
    with pytest.raises(dragoman.Timeout) as caught:
        dragoman.completion("demo/echo?fail=timeout", HELLO, timeout=0.02, num_retries=0)
    assert caught.value.phase in ("first_token", "total")


# ------------------------------------------------------------------------------------------------------------------- streams
def test_a_stream_is_closed_by_its_with_block() -> None:
    sdk, _ = client(Pieces(pieces=STREAM))
    with sdk.completion("openai/gpt-4o", HELLO, stream=True) as stream:
        next(stream)
        upstream = stream._state.opened.stream
        assert not upstream.closed
    assert upstream.closed
    assert stream._state.call.settlement.cancelled
    assert list(stream) == []


def test_a_stream_that_was_never_read_is_closed_too() -> None:
    sdk, _ = client(Pieces(pieces=STREAM))
    stream = sdk.completion("openai/gpt-4o", HELLO, stream=True)
    stream.close()
    assert stream._state.opened.stream.closed
    assert stream._state.call.settlement.cancelled


def test_a_stream_that_is_left_in_the_middle_is_closed() -> None:
    sdk, _ = client(Pieces(pieces=STREAM))
    stream = sdk.completion("openai/gpt-4o", HELLO, stream=True)
    upstream = stream._state.opened.stream
    for _ in stream:
        break
    del stream
    gc.collect()
    assert upstream.closed


def test_the_answer_so_far() -> None:
    sdk, _ = client(Pieces(pieces=STREAM))
    stream = sdk.completion("openai/gpt-4o", HELLO, stream=True)
    next(stream)
    assert stream.response.choices[0].message.content == "hel"
    list(stream)
    assert stream.response.choices[0].message.content == "hello"
    assert stream.response.usage.total_tokens == 5


def test_async_streams_are_closed_early_as_well() -> None:
    async def main() -> None:
        for read in (0, 1):
            sdk = AsyncClient(transport=AsyncReplayTransport(Pieces(pieces=STREAM)), env=ENV)
            async with await sdk.completion("openai/gpt-4o", HELLO, stream=True) as stream:
                for _ in range(read):
                    await anext(stream)
            assert stream._state.opened.stream.closed
            assert stream._state.call.settlement.cancelled
            assert [chunk async for chunk in stream] == []

    asyncio.run(main())


def test_one_task_may_close_what_another_waits_for() -> None:
    class Waiting:
        """An upstream that is silent until it is closed."""

        def __init__(self, head: Any) -> None:
            self.head = head
            self._closed = asyncio.Event()
            self.waited_for = asyncio.Event()

        async def read(self) -> bytes:
            self.waited_for.set()
            await self._closed.wait()
            raise TransportFailure("closed", "the stream was closed before its end")

        async def aclose(self) -> None:
            self._closed.set()

    async def main() -> None:
        sdk = AsyncClient(transport=AsyncReplayTransport(Pieces(pieces=(ROLE + HEL,))), env=ENV)
        stream = await sdk.completion("openai/gpt-4o", HELLO, stream=True)
        stream._state.opened.stream = Waiting(stream._state.opened.stream.head)
        seen: list[Any] = []

        async def read() -> None:
            seen.extend([chunk async for chunk in stream])

        task = asyncio.create_task(read())
        await stream._state.opened.stream.waited_for.wait()
        await stream.aclose()
        await task
        assert text_of(seen) == "hel"
        assert stream._state.call.settlement.cancelled

    asyncio.run(main())


def test_a_stream_ends_with_its_last_event_not_with_the_connection() -> None:
    sdk, _ = client(Pieces(pieces=STREAM, failure=TransportFailure("idle", "the provider never closed")))
    assert text_of(list(sdk.completion("openai/gpt-4o", HELLO, stream=True))) == "hello"


def test_a_bad_request_that_the_provider_takes_is_not_refused_here() -> None:
    """The body is the provider's to judge when it speaks OpenAI's dialect, with a stream as without."""
    odd = [{"role": "robot", "content": 7}]
    sdk, transport = client(respond(), Pieces(pieces=STREAM))
    assert sdk.completion("openai/gpt-4o", odd).id == "c1"
    assert text_of(list(sdk.completion("openai/gpt-4o", odd, stream=True))) == "hello"
    assert [json.loads(request.body)["messages"] for request in transport.requests] == [odd, odd]


def test_several_choices_are_streamed() -> None:
    second = b'data: {"id":"c1","choices":[{"index":1,"delta":{"content":"two"},"finish_reason":"stop"}]}\n\n'
    sdk, _ = client(Pieces(pieces=(ROLE, HEL, LO, second, STOP, USAGE, DONE)))
    chunks = list(sdk.completion("openai/gpt-4o", HELLO, stream=True, n=2))
    by_choice = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            by_choice[choice.index] += choice.delta.content or ""
    assert by_choice == {0: "hello", 1: "two"}


# --------------------------------------------------------------------------------------------------------- beside the answer
def test_what_is_beside_a_result() -> None:
    sdk, _ = client(fail(429, retry_after="0"), respond(x_ratelimit_remaining="7"), num_retries=1)
    response = sdk.completion("openai/gpt-4o", HELLO)
    hidden = response._hidden_params
    assert hidden["custom_llm_provider"] == "openai"
    assert hidden["litellm_model_name"] == "gpt-4o"
    assert hidden["model_id"] == "openai/gpt-4o"
    assert hidden["api_base"] == "https://api.openai.com/v1"
    assert hidden["additional_headers"]["llm_provider-x-ratelimit-remaining"] == "7"
    assert hidden["attempts"] == 2
    assert hidden["_response_ms"] >= 0
    assert response._response_headers["x-ratelimit-remaining"] == "7"
    assert "key-of" not in str(hidden)


def test_warnings_are_on_the_result_of_both_kinds() -> None:
    sdk, _ = client(respond({"content": [], "stop_reason": "end_turn"}), Pieces(pieces=STREAM))
    response = sdk.completion("anthropic/claude-x", HELLO, logit_bias={"5": 1})
    assert [warning.field for warning in response.warnings] == ["logit_bias"]
    chunks = list(sdk.completion("mistral/mistral-small", HELLO, logit_bias={"5": 1}, stream=True))
    assert [warning.field for warning in chunks[0].warnings] == ["logit_bias"]


@pytest.mark.parametrize("how", [{"strict": True}, {"drop_params": False}], ids=str)
def test_strict_sends_nothing(how: dict[str, bool]) -> None:
    sdk, transport = client()
    with pytest.raises(dragoman.UnsupportedParamsError, match="logit_bias") as caught:
        sdk.completion("anthropic/claude-x", HELLO, logit_bias={"5": 1}, **how)
    assert transport.requests == []
    assert caught.value.attempts == 0


def test_extra_arguments_reach_the_provider() -> None:
    sdk, transport = client(respond())
    sdk.completion("openai/gpt-4o", HELLO, min_p=0.1, extra_body={"a": [1]}, extra_headers={"X-Mine": "1"})
    (request,) = transport.requests
    assert json.loads(request.body) == {"model": "gpt-4o", "messages": HELLO, "min_p": 0.1, "a": [1]}
    assert ("x-mine", "1") in request.headers


# ----------------------------------------------------------------------------------------------------------------- credentials
def authorization(request: Any) -> str | None:
    return dict(request.headers).get("authorization")


def test_a_key_is_read_when_it_is_needed() -> None:
    env = {"OPENAI_API_KEY": "first"}
    sdk, transport = client(respond(), respond(), respond(), env=env)
    sdk.completion("openai/gpt-4o", HELLO)
    env["OPENAI_API_KEY"] = "second"
    sdk.completion("openai/gpt-4o", HELLO)
    env["OPENAI_BASE_URL"] = "https://proxy.test/v1"
    sdk.completion("openai/gpt-4o", HELLO)
    assert [authorization(request) for request in transport.requests] == ["Bearer first", "Bearer second", "Bearer second"]
    assert transport.requests[2].url.startswith("https://proxy.test/v1/")
    del env["OPENAI_API_KEY"]
    with pytest.raises(dragoman.AuthenticationError, match="OPENAI_API_KEY"):
        sdk.completion("openai/gpt-4o", HELLO)


def test_no_other_providers_key_is_a_substitute() -> None:
    sdk, transport = client(env={"OPENAI_API_KEY": "sk-of-openai"})
    with pytest.raises(dragoman.AuthenticationError, match="GROQ_API_KEY"):
        sdk.completion("groq/llama", HELLO)
    with pytest.raises(dragoman.AuthenticationError):
        sdk.completion("openai/gpt-4o", HELLO, api_base="https://elsewhere.test/v1")
    assert transport.requests == []


def test_a_clients_key_goes_to_the_clients_address_only() -> None:
    sdk, transport = client(respond(), api_key="sk-of-mine", api_base="https://mine.test/v1")
    sdk.completion("openai/gpt-4o", HELLO)
    assert transport.requests[0].url == "https://mine.test/v1/chat/completions"
    assert authorization(transport.requests[0]) == "Bearer sk-of-mine"
    with pytest.raises(dragoman.AuthenticationError):
        sdk.completion("openai/gpt-4o", HELLO, api_base="https://elsewhere.test/v1")


def test_many_models_do_not_fill_the_memory() -> None:
    sdk = Client(transport=ReplayTransport(choose=lambda _: respond()), env=ENV)
    for number in range(1500):
        sdk.completion(f"openai/m-{number}", HELLO)
    assert len(sdk._known) <= 1000


# ------------------------------------------------------------------------------------------------------------- life of clients
def test_a_client_closes_its_transport() -> None:
    sdk, transport = client()
    with sdk:
        assert not transport.closed
    assert transport.closed

    async def main() -> None:
        own = AsyncReplayTransport()
        async with AsyncClient(transport=own):
            assert not own.closed
        assert own.closed

    asyncio.run(main())


def test_the_shared_client_of_a_loop_ends_with_its_loop() -> None:
    async def main() -> Any:
        await dragoman.acompletion("demo/echo", HELLO)
        return await functions._shared_async()

    first, second = asyncio.run(main()), asyncio.run(main())
    assert first is not second
    assert len(functions._async_clients) == 0


def test_an_answer_outlives_a_close() -> None:
    sdk, _ = client(respond(completion("kept")))
    with sdk:
        response = sdk.completion("openai/gpt-4o", HELLO)
    assert response.choices[0].message.content == "kept"


# ------------------------------------------------------------------------------------------------------------------ recordings
PROVIDERS = ("openai", "groq", "deepseek", "openrouter", "mistral", "xai")
recorded = pytest.mark.skipif(not exchanges("chat"), reason="the recordings do not lie beside this checkout")


def sample(kind: str, *, streaming: bool, providers: tuple[str, ...], count: int = 8) -> list[Entry]:
    chosen: list[Entry] = []
    for provider in providers:
        entries = [
            entry
            for entry in exchanges(kind, provider=provider, streaming=streaming, ok=True)
            if not {"stream_error", "error_in_200", "audio_output", "image_output"} & set(entry.kind)
        ]
        chosen += random.Random(provider).sample(entries, min(count, len(entries)))
    return chosen


def by_id(entry: Entry) -> str:
    return entry.id


def arguments_of(entry: Entry) -> dict[str, Any]:
    """The recorded request as keyword arguments."""
    request = dict(entry.load().request_json or {})
    if request.get("messages") is None:
        request["messages"] = HELLO
    return {**request, "model": f"{entry.provider}/{request.get('model') or 'some-model'}"}


def said(content: Any) -> str:
    """The text of a message's content, which Mistral writes as a list when the model thought."""
    if isinstance(content, list):
        return "".join(item["text"] for item in content if item.get("type") == "text")
    return content or ""


@recorded
@pytest.mark.parametrize("entry", sample("chat", streaming=False, providers=PROVIDERS), ids=by_id)
def test_recorded_answers(entry: Entry) -> None:
    exchange = entry.load()
    wire = exchange.response_json
    sdk, transport = client(HttpResponse(status=200, headers=tuple(exchange.headers.items()), body=exchange.response_bytes))
    response = sdk.completion(**arguments_of(entry))
    assert response.id == wire["id"]
    assert response.model == wire.get("model", "")
    for mine, theirs in zip(response.choices, wire["choices"], strict=True):
        message = theirs["message"]
        assert (mine.message.content or "") == said(message.get("content"))
        assert mine.message.refusal == (message.get("refusal") or None)
        calls = [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []
        ]
        assert [(call.id, call.function.name, call.function.arguments) for call in mine.message.tool_calls or []] == calls
        if isinstance(message.get("reasoning_content"), str):
            assert (mine.message.reasoning_content or "") == message["reasoning_content"]
    assert response.usage.prompt_tokens == wire["usage"]["prompt_tokens"]
    check_request(transport.requests[0], entry)


def check_request(request: Any, entry: Entry) -> None:
    assert authorization(request) == f"Bearer {ENV[f'{entry.provider.upper()}_API_KEY']}"
    assert request.url.endswith("/chat/completions")
    recorded_body = entry.load().request_json
    if recorded_body is not None and "messages" in recorded_body:
        assert len(json.loads(request.body)["messages"]) == len(recorded_body["messages"])


def frames(data: bytes) -> list[dict[str, Any]]:
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    return [json.loads(line[5:]) for line in lines if line.startswith(b"data:") and line[5:].strip() not in (b"[DONE]", b"")]


def pieces_of(data: bytes, seed: str) -> tuple[bytes, ...]:
    source = random.Random(seed)
    places = sorted(source.randrange(len(data) + 1) for _ in range(12))
    return tuple(data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True))


def folded(chunks: list[Any]) -> tuple[str, dict[int, str]]:
    """Text of the first choice, and the arguments of its tool calls by index."""
    text, calls = "", dict[int, str]()
    for chunk in chunks:
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            if choice.get("index", 0) == 0:
                text += said(delta.get("content"))
                for position, call in enumerate(delta.get("tool_calls") or []):
                    index = call.get("index")
                    index = position if index is None else index
                    calls[index] = calls.get(index, "") + ((call.get("function") or {}).get("arguments") or "")
    return text, calls


def stream_sync(pieces: tuple[bytes, ...], arguments: dict[str, Any]) -> tuple[list[Any], Any]:
    sdk, _ = client(Pieces(headers=EVENTS, pieces=pieces))
    stream = sdk.completion(**arguments)
    return list(stream), stream.response


def stream_async(pieces: tuple[bytes, ...], arguments: dict[str, Any]) -> tuple[list[Any], Any]:
    async def main() -> tuple[list[Any], Any]:
        sdk = AsyncClient(transport=AsyncReplayTransport(Pieces(headers=EVENTS, pieces=pieces)), env=ENV)
        stream = await sdk.completion(**arguments)
        return [chunk async for chunk in stream], stream.response

    return asyncio.run(main())


both = pytest.mark.parametrize("stream", [stream_sync, stream_async], ids=["sync", "async"])


@recorded
@both
@pytest.mark.parametrize("entry", sample("chat", streaming=True, providers=PROVIDERS, count=6), ids=by_id)
def test_recorded_streams(entry: Entry, stream: Callable[..., Any]) -> None:
    data = entry.load().response_bytes
    wire = frames(data)
    arguments = arguments_of(entry) | {"stream": True, "stream_options": {"include_usage": True}}
    chunks, whole = stream(pieces_of(data, entry.id), arguments)
    text, calls = folded(wire)
    assert folded(chunks)[0] == text
    assert {index: json.loads(call or "{}") for index, call in folded(chunks)[1].items()} == {
        index: json.loads(call or "{}") for index, call in calls.items()
    }
    assert (whole.choices[0].message.content or "") == text
    assert chunks[0].id == next(frame["id"] for frame in wire if frame.get("id"))
    counted = [frame["usage"] for frame in wire if frame.get("usage")]
    if counted:
        assert chunks[-1].usage.prompt_tokens == counted[-1]["prompt_tokens"]


@recorded
@pytest.mark.parametrize("entry", sample("messages", streaming=False, providers=("anthropic",), count=16), ids=by_id)
def test_recorded_answers_of_anthropic(entry: Entry) -> None:
    exchange = entry.load()
    wire = exchange.response_json
    sdk, transport = client(HttpResponse(status=200, headers=tuple(exchange.headers.items()), body=exchange.response_bytes))
    response = sdk.completion("anthropic/claude-x", HELLO)
    message = response.choices[0].message
    assert (message.content or "") == "".join(block["text"] for block in wire["content"] if block["type"] == "text")
    calls = [(block["id"], block["name"], block["input"]) for block in wire["content"] if block["type"] == "tool_use"]
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []] == calls
    counts = wire["usage"]
    cached = (counts.get("cache_read_input_tokens") or 0) + (counts.get("cache_creation_input_tokens") or 0)
    assert response.usage.prompt_tokens == counts["input_tokens"] + cached
    assert response.usage.completion_tokens == counts["output_tokens"]
    headers = dict(transport.requests[0].headers)
    assert headers["x-api-key"] == ENV["ANTHROPIC_API_KEY"]
    assert "authorization" not in headers


@recorded
@both
@pytest.mark.parametrize("entry", sample("messages", streaming=True, providers=("anthropic",), count=12), ids=by_id)
def test_recorded_streams_of_anthropic(entry: Entry, stream: Callable[..., Any]) -> None:
    data = entry.load().response_bytes
    deltas = [frame["delta"] for frame in frames(data) if frame["type"] == "content_block_delta"]
    starts = [frame["content_block"] for frame in frames(data) if frame["type"] == "content_block_start"]
    chunks, _ = stream(pieces_of(data, entry.id), {"model": "anthropic/claude-x", "messages": HELLO, "stream": True})
    begun = "".join(block["text"] for block in starts if block["type"] == "text")
    assert folded(chunks)[0] == begun + "".join(delta.get("text", "") for delta in deltas)
    tools = [block["name"] for block in starts if block["type"] == "tool_use"]
    found = [call.function.name for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert [name for name in found if name] == tools
    thoughts = "".join(delta.get("thinking", "") for delta in deltas)
    assert "".join(choice.delta.reasoning_content or "" for chunk in chunks for choice in chunk.choices) == thoughts


@recorded
@pytest.mark.parametrize("entry", [entry for entry in exchanges("chat", ok=False) if entry.provider in PROVIDERS], ids=by_id)
def test_recorded_failures(entry: Entry) -> None:
    exchange = entry.load()
    failure = HttpResponse(status=entry.status, headers=tuple(exchange.headers.items()), body=exchange.response_bytes)
    sdk, _ = client(failure, num_retries=0)
    with pytest.raises(dragoman.APIStatusError) as caught:
        sdk.completion(f"{entry.provider}/some-model", HELLO)
    assert caught.value.status_code == entry.status
    assert caught.value.llm_provider == entry.provider
    assert caught.value.detail.message in caught.value.message
