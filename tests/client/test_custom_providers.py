"""A provider of one's own in Python: `CustomLLM` and `custom_provider_map`, in the SDK, the Router, and `register_provider`."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

import dragoman as litellm
from dragoman.providers import registry

MESSAGES = [{"role": "user", "content": "Hello"}]
LITELLMS_ARGUMENTS = {
    "completion": """model messages api_base custom_prompt_dict model_response print_verbose encoding api_key logging_obj
                     optional_params acompletion litellm_params logger_fn headers timeout client""",
    "embedding": "model input model_response print_verbose logging_obj optional_params api_key api_base timeout litellm_params",
    "image_generation": "model prompt api_key api_base model_response optional_params logging_obj timeout client",
}


def piece(text: str = "", **fields: Any) -> dict[str, Any]:
    return {"text": text, "is_finished": False, "finish_reason": "", "usage": None, "index": 0, "tool_use": None, **fields}


class Noting(litellm.CustomLLM):
    """Answers what LiteLLM's own would, and keeps what it was called with."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.threads: list[threading.Thread] = []

    def _filled(self, asked: dict[str, Any]) -> Any:
        self.asked = asked
        answer = asked["model_response"]
        answer.choices[0].message.content = "Hi!"
        answer.usage = litellm.Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
        return answer

    def completion(self, *args: Any, **asked: Any) -> Any:
        self.threads.append(threading.current_thread())
        return self._filled(asked)

    async def acompletion(self, *args: Any, **asked: Any) -> Any:
        self.threads.append(threading.current_thread())
        return self._filled(asked)

    def streaming(self, *args: Any, **asked: Any) -> Iterator[Any]:
        yield from (piece("Hi"), piece("!"))
        yield piece(is_finished=True, finish_reason="length", usage={"prompt_tokens": 1, "completion_tokens": 2})

    async def astreaming(self, *args: Any, **asked: Any) -> AsyncIterator[Any]:
        for each in self.streaming():
            yield each

    def embedding(self, *args: Any, **asked: Any) -> Any:
        self.asked = asked
        asked["model_response"].data = [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]
        return asked["model_response"]

    async def aimage_generation(self, *args: Any, **asked: Any) -> Any:
        self.asked = asked
        return litellm.ImageResponse(created=1, data=[litellm.ImageObject(url="https://images.example/1")])


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Noting:
    made = Noting()
    use(monkeypatch, made)
    return made


def use(monkeypatch: pytest.MonkeyPatch, made: litellm.CustomLLM) -> None:
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "my-llm", "custom_handler": made}])


# ------------------------------------------------------------------------------------------------------------------- calls
def test_a_completion(handler: Noting) -> None:
    response = litellm.completion("my-llm/small", MESSAGES)
    assert response.choices[0].message.content == "Hi!"
    assert response.usage.total_tokens == 7
    assert (response.model, response._hidden_params["custom_llm_provider"]) == ("small", "my-llm")


def test_a_handler_is_called_with_litellms_arguments(handler: Noting) -> None:
    litellm.completion(
        "my-llm/small", MESSAGES, temperature=0.5, own=[1], api_key="a-key", extra_headers={"X-A": "b"}, timeout=9
    )
    assert set(handler.asked) == set(LITELLMS_ARGUMENTS["completion"].split())
    assert handler.asked["optional_params"] == {"temperature": 0.5, "own": [1]}
    assert (handler.asked["model"], handler.asked["messages"]) == ("small", MESSAGES)
    assert (handler.asked["api_key"], handler.asked["headers"], handler.asked["timeout"]) == ("a-key", {"x-a": "b"}, 9.0)
    assert handler.asked["acompletion"] is False
    handler.asked["print_verbose"]("nothing is printed")
    handler.asked["logging_obj"].post_call(original_response="nor logged")
    litellm.embedding("my-llm/small", ["a"])
    assert set(handler.asked) == set(LITELLMS_ARGUMENTS["embedding"].split())


def test_an_address_is_told_to_the_handler_and_not_asked(handler: Noting) -> None:
    litellm.completion("my-llm/small", MESSAGES, api_base="https://host.example/v1")
    assert handler.asked["api_base"] == "https://host.example/v1"


def test_streams(handler: Noting) -> None:
    chunks = list(litellm.completion("my-llm/small", MESSAGES, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hi!"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 2


async def test_the_awaited_calls(handler: Noting) -> None:
    answer = await litellm.acompletion("my-llm/small", MESSAGES)
    assert (answer.choices[0].message.content, handler.asked["acompletion"]) == ("Hi!", True)
    stream = await litellm.acompletion("my-llm/small", MESSAGES, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hi!"
    image = await litellm.aimage_generation(prompt="a lake", model="my-llm/small", size="1x1")
    assert image.data[0].url == "https://images.example/1"
    assert set(handler.asked) == set(LITELLMS_ARGUMENTS["image_generation"].split())
    assert (handler.asked["prompt"], handler.asked["optional_params"]) == ("a lake", {"size": "1x1"})


async def test_a_plain_method_runs_in_a_thread_of_its_own_where_the_awaited_one_is_not_written(handler: Noting) -> None:
    found = await litellm.aembedding("my-llm/small", ["a"])
    assert found.data[0].embedding == [0.5, 1.0]
    await litellm.acompletion("my-llm/small", MESSAGES)
    assert handler.threads == [threading.current_thread()]


def test_what_a_handler_cannot_do_is_an_error_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Chatting(litellm.CustomLLM):
        def completion(self, *args: Any, **asked: Any) -> Any:
            return asked["model_response"]

    use(monkeypatch, Chatting())
    with pytest.raises(litellm.BadRequestError, match="my-llm offers no embedding; it offers: chat"):
        litellm.embedding("my-llm/small", ["a"])


def test_a_method_that_is_not_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Awaited(litellm.CustomLLM):
        async def acompletion(self, *args: Any, **asked: Any) -> Any:
            return asked["model_response"]

    use(monkeypatch, Awaited())
    with pytest.raises(litellm.BadRequestError, match="Awaited has no method completion"):
        litellm.completion("my-llm/small", MESSAGES)


def test_without_a_stream_of_its_own_an_answer_is_streamed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Chatting(litellm.CustomLLM):
        def completion(self, *args: Any, **asked: Any) -> Any:
            return {"choices": [{"message": {"role": "assistant", "content": "Hi!"}}]}

    use(monkeypatch, Chatting())
    chunks = list(litellm.completion("my-llm/small", MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hi!"


def test_a_handler_may_hand_on_what_another_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nested(litellm.CustomLLM):
        def completion(self, *args: Any, **asked: Any) -> Any:
            return litellm.completion("demo/echo", asked["messages"])

        def streaming(self, *args: Any, **asked: Any) -> Iterator[Any]:
            return iter(litellm.completion("demo/echo", asked["messages"], stream=True))

    use(monkeypatch, Nested())
    assert litellm.completion("my-llm/x", MESSAGES).choices[0].message.content == "Hello"
    chunks = list(litellm.completion("my-llm/x", MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks].count("stop") == 1


def test_tool_calls_in_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"id": "call_1", "type": "function", "index": 0, "function": {"name": "look", "arguments": '{"at": 1}'}}

    class Calling(litellm.CustomLLM):
        def streaming(self, *args: Any, **asked: Any) -> Iterator[Any]:
            yield piece(tool_use=call)

    use(monkeypatch, Calling())
    whole = litellm.stream_chunk_builder(list(litellm.completion("my-llm/x", MESSAGES, stream=True)))
    assert whole.choices[0].message.tool_calls[0].function.arguments == '{"at": 1}'
    assert whole.choices[0].finish_reason == "tool_calls"


# ------------------------------------------------------------------------------------------------------------------ errors
class Failing(litellm.CustomLLM):
    """Fails so often, and then answers."""

    def __init__(self, error: Exception, times: int = 99) -> None:
        self.error, self.left = error, times

    def completion(self, *args: Any, **asked: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return {"choices": [{"message": {"role": "assistant", "content": "at last"}}]}

    def streaming(self, *args: Any, **asked: Any) -> Iterator[Any]:
        raise self.error
        yield


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (litellm.CustomLLMError(429, "too fast"), litellm.RateLimitError),
        (litellm.CustomLLMError(status_code=401, message="no key"), litellm.AuthenticationError),
        (litellm.CustomLLMError(400, "maximum context length is 9"), litellm.ContextWindowExceededError),
        (litellm.NotFoundError("no such model"), litellm.NotFoundError),
        (ValueError("a bug"), litellm.exceptions.APIConnectionError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failures_are_told_as_any_providers(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[Exception], stream: bool
) -> None:
    use(monkeypatch, Failing(raised))
    with pytest.raises(kind, match=str(raised)) as caught:
        litellm.completion("my-llm/x", MESSAGES, stream=stream, num_retries=0)
    assert caught.value.llm_provider == "my-llm"


def test_the_cause_of_a_bug_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = ValueError("a bug")
    use(monkeypatch, Failing(bug))
    with pytest.raises(openai.APIConnectionError) as caught:
        litellm.completion("my-llm/x", MESSAGES, num_retries=0)
    assert caught.value.__cause__.__cause__ is bug


def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Failing(litellm.CustomLLMError(503, "loading"), times=1))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert litellm.completion("my-llm/x", MESSAGES).choices[0].message.content == "at last"


def test_a_stream_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(litellm.CustomLLM):
        def streaming(self, *args: Any, **asked: Any) -> Iterator[Any]:
            yield piece("half")
            raise ValueError("gone")

    use(monkeypatch, Breaking())
    with pytest.raises(litellm.StreamInterruptedError, match="gone"):
        list(litellm.completion("my-llm/x", MESSAGES, stream=True))


class Hanging(litellm.CustomLLM):
    """Says something and then nothing for ever; `ended` when it was stopped."""

    def __init__(self, said: int) -> None:
        self.said, self.ended, self.silent = said, False, asyncio.Event()

    async def acompletion(self, *args: Any, **asked: Any) -> Any:
        await asyncio.Event().wait()

    async def astreaming(self, *args: Any, **asked: Any) -> AsyncIterator[Any]:
        try:
            for _ in range(self.said):
                yield piece("x")
            self.silent.set()
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.mark.parametrize("stream", [False, True])
async def test_a_handler_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    use(monkeypatch, Hanging(0))
    limits = litellm.Timeouts(first_token=0.02)
    with pytest.raises(litellm.Timeout) as caught:
        await litellm.acompletion("my-llm/x", MESSAGES, stream=stream, timeout=limits, num_retries=0)
    assert caught.value.phase == "first_token"


async def test_a_stream_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Hanging(2)
    use(monkeypatch, hanging)
    stream = await litellm.acompletion("my-llm/x", MESSAGES, stream=True, timeout=litellm.Timeouts(idle=0.02))
    with pytest.raises(litellm.StreamInterruptedError, match="idle"):
        [chunk async for chunk in stream]
    assert hanging.ended


async def test_closing_a_stream_ends_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Hanging(1)
    use(monkeypatch, hanging)
    stream = await litellm.acompletion("my-llm/x", MESSAGES, stream=True)
    reading = asyncio.ensure_future(_last(stream))
    await hanging.silent.wait()
    await stream.aclose()
    await reading
    assert hanging.ended


async def _last(stream: Any) -> None:
    async for _ in stream:
        pass


# ----------------------------------------------------------------------------------------------------------------- the map
@pytest.mark.parametrize(
    ("held", "problem"),
    [
        ({"my-llm": Noting()}, "custom_provider_map: expected a list, found dict"),
        ([Noting()], r"custom_provider_map\[0\]: expected a dict with provider and custom_handler, found Noting"),
        ([{"provider": "a/b", "custom_handler": Noting()}], r"\[0\].provider: expected a name without a slash, found 'a/b'"),
        ([{"provider": "a", "custom_handler": print}], r"\[0\].custom_handler: expected a dragoman.CustomLLM, found"),
    ],
)
def test_a_wrong_map(monkeypatch: pytest.MonkeyPatch, held: Any, problem: str) -> None:
    monkeypatch.setattr(litellm, "custom_provider_map", held)
    with pytest.raises(litellm.ConfigurationError, match=problem):
        litellm.completion("my-llm/x", MESSAGES)


def test_a_handler_that_was_taken_out_is_missed(monkeypatch: pytest.MonkeyPatch, handler: Noting) -> None:
    router = litellm.Router(model_list=[{"model_name": "own", "litellm_params": {"model": "my-llm/small"}}])
    router.completion("own", MESSAGES)
    monkeypatch.setattr(litellm, "custom_provider_map", [])
    with pytest.raises(litellm.ConfigurationError, match="no handler for 'my-llm' any more"):
        router.completion("own", MESSAGES)


def test_a_router_asks_handlers(handler: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Failing(litellm.CustomLLMError(401, "no")))
    litellm.custom_provider_map.append({"provider": "other", "custom_handler": handler})
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": {"model": "my-llm/a"}},
            {"model_name": "second", "litellm_params": {"model": "other/b", "api_key": "k"}},
        ],
        fallbacks=[{"first": ["second"]}],
    )
    assert router.completion("first", MESSAGES).choices[0].message.content == "Hi!"
    assert handler.asked["api_key"] == "k"


def test_get_llm_provider_and_prices(handler: Noting) -> None:
    assert litellm.get_llm_provider("my-llm/small")[:2] == ("small", "my-llm")
    litellm.register_model({"my-llm/priced": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}})
    assert litellm.completion("my-llm/priced", MESSAGES)._hidden_params["response_cost"] == pytest.approx(11e-6)


def test_the_class_names_the_methods_that_litellm_has() -> None:
    names = {name for name in vars(litellm.CustomLLM) if not name.startswith("_")}
    plain = {"completion", "streaming", "embedding", "image_generation"}
    assert names == plain | {f"a{name}" for name in plain}
    assert inspect.iscoroutinefunction(litellm.CustomLLM.acompletion)


# --------------------------------------------------------------------------------------------------------------- registering
def test_a_registered_row_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEFAULT", registry.DEFAULT)
    with pytest.raises(litellm.ConfigurationError, match="no provider is called 'acme'"):
        litellm.get_llm_provider("acme/small")
    litellm.register_provider(litellm.Provider(name="acme", base_url="https://llm.acme.example/v1", aliases=("ac",)))
    assert litellm.get_llm_provider("ac/small") == ("small", "acme", None, "https://llm.acme.example/v1")


def test_a_row_that_is_replaced_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEFAULT", registry.DEFAULT)
    client = litellm.Client(env={})
    for host in ("one", "two"):
        row = litellm.Provider(name="acme", base_url=f"https://{host}.example", key_optional=True)
        litellm.register_provider(row)
        place = {"provider": None, "api_key": None, "base_url": None}
        assert client._deployment("acme/small", place).target.base_url == f"https://{host}.example"
