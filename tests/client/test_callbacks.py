"""Hooks by LiteLLM's API: who is told what of a call, in which order; and that none can change or break one."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import dragoman
from dragoman.caching import Cache
from dragoman.client.objects import EmbeddingResponse, ModelResponse
from dragoman.core.errors import BadRequestError, CallError, ConfigurationError, RateLimitError
from dragoman.integrations.custom_logger import CustomLogger
from support.upstream import run

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture(autouse=True)
def _no_hooks_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        monkeypatch.setattr(dragoman, name, [])
    monkeypatch.setattr(dragoman, "turn_off_message_logging", False)


class Heard(CustomLogger):
    """Writes down everything it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        self.events.append(("before", model, messages, kwargs))

    def log_post_api_call(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("after", kwargs, response_obj, start_time, end_time))

    def log_stream_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("chunk", kwargs, response_obj, start_time, end_time))

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("success", kwargs, response_obj, start_time, end_time))

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("failure", kwargs, response_obj, start_time, end_time))


class HeardAwaited(Heard):
    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("async success", kwargs, response_obj, start_time, end_time))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.events.append(("async failure", kwargs, response_obj, start_time, end_time))


def in_a_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it, and what hooks left to be awaited."""

    async def whole() -> None:
        before = asyncio.all_tasks()
        await main()
        await asyncio.gather(*(asyncio.all_tasks() - before))

    run(whole())


def told(*arguments: Any) -> Any:
    """A call to the demo model with a list of what a function hook was told."""
    heard: list[Any] = []
    return heard, lambda *told: heard.append(told)


def test_a_function_is_told_of_an_answer() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    answer = dragoman.completion("demo/echo", HELLO, temperature=0.5, user="u-1", metadata={"team": "x"}, num_retries=0)
    ((kwargs, response, start, end),) = heard
    assert response == answer
    assert isinstance(response, ModelResponse)
    assert response._hidden_params["response_cost"] == 0.0
    assert start <= end
    expected = {
        "model": "echo",
        "messages": HELLO,
        "input": HELLO,
        "user": "u-1",
        "stream": False,
        "call_type": "completion",
        "custom_llm_provider": "demo",
        "cache_hit": False,
        "response_cost": 0.0,
        "cancelled": False,
        "log_event_type": "successful_api_call",
    }
    assert {name: kwargs[name] for name in expected} == expected
    assert kwargs["optional_params"]["temperature"] == 0.5
    assert kwargs["litellm_params"]["metadata"] == {"team": "x", "model_group": "demo/echo"}
    assert kwargs["litellm_params"]["model_info"] == {"id": "demo/echo"}


def test_the_standard_payload_sums_a_call_up() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    answer = dragoman.completion("demo/echo", HELLO, litellm_metadata={"tags": ["a"]}, litellm_call_id="call-1")
    payload = heard[0][0]["standard_logging_object"]
    assert payload["id"] == answer.id
    assert (payload["status"], payload["model"], payload["model_group"]) == ("success", "echo", "demo/echo")
    assert payload["total_tokens"] == answer.usage.total_tokens
    assert payload["request_tags"] == ["a"]
    assert payload["startTime"] <= payload["completionStartTime"] <= payload["endTime"]
    assert heard[0][0]["litellm_call_id"] == "call-1"


def test_what_is_for_the_hooks_reaches_no_provider() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    notes = {"litellm_metadata": {"secret": "x"}, "litellm_call_id": "c", "litellm_trace_id": "t"}
    dragoman.completion("demo/echo", HELLO, **notes)
    assert not notes.keys() & heard[0][0]["optional_params"].keys()


def test_a_call_may_ask_for_no_log() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    dragoman.completion("demo/echo", HELLO, **{"no-log": True})
    assert heard == []


def test_a_logger_is_told_in_order() -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    dragoman.completion("demo/echo", HELLO)
    assert logger.names == ["before", "after", "success"]
    assert logger.events[0][1:3] == ("echo", HELLO)
    assert logger.events[0][3]["log_event_type"] == "pre_api_call"


def test_a_stream_is_one_success_with_the_assembled_answer() -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    chunks = list(dragoman.completion("demo/echo", HELLO, stream=True))
    assert logger.names == ["before", *["chunk"] * len(chunks), "after", "success"]
    assert [event[2] for event in logger.events if event[0] == "chunk"] == chunks
    kwargs, response = next(event[1:3] for event in logger.events if event[0] == "success")
    assert response.choices[0].message.content == "hello there"
    assert kwargs["complete_streaming_response"] == response
    assert kwargs["start_time"] <= kwargs["completion_start_time"] <= kwargs["end_time"]


def test_a_stream_that_is_closed_early_is_told_with_what_had_come() -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    with dragoman.completion("demo/canned?length=50", HELLO, stream=True) as stream:
        next(iter(stream))
    kwargs, response = logger.events[-1][1:3]
    assert logger.names[-1] == "success"
    assert kwargs["cancelled"] is True
    assert response.choices[0].finish_reason is None


def test_an_error_is_told_once_after_all_attempts() -> None:
    logger, (heard, hook) = Heard(), told()
    dragoman.callbacks, dragoman.failure_callback = [logger], [hook]
    with pytest.raises(RateLimitError) as raised:
        dragoman.completion("demo/echo?fail=429", HELLO, num_retries=0)
    assert logger.names == ["before", "after", "failure"]
    kwargs, response, *_ = heard[0]
    assert kwargs["exception"] is raised.value
    assert "RateLimitError" in kwargs["traceback_exception"]
    assert kwargs["standard_logging_object"]["error_information"] == {"error_class": "RateLimitError"}
    assert response is None


def test_a_stream_that_breaks_is_a_failure_with_what_had_come() -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    with pytest.raises(CallError):
        list(dragoman.completion("demo/echo?fail=cut&fail_after=2&length=9", HELLO, stream=True))
    assert "failure" in logger.names
    assert "success" not in logger.names
    assert logger.events[-1][2].choices[0].message.content


def test_calls_of_a_loop_are_told_to_the_awaited_methods() -> None:
    logger, answers = HeardAwaited(), []
    dragoman.callbacks = [logger]

    async def main() -> None:
        answers.append(await dragoman.acompletion("demo/echo", HELLO))
        with pytest.raises(RateLimitError):
            await dragoman.acompletion("demo/echo?fail=429", HELLO, num_retries=0)

    in_a_loop(main)
    assert sorted(logger.names) == ["after", "after", "async failure", "async success", "before", "before"]
    kwargs, response = next(event[1:3] for event in logger.events if event[0] == "async success")
    assert response == answers[0]
    assert kwargs["call_type"] == "acompletion"
    assert kwargs["litellm_params"]["acompletion"] is True


def test_calls_of_a_loop_fall_back_on_the_other_methods() -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    run(dragoman.acompletion("demo/echo", HELLO))
    assert logger.names[-1] == "success"


def test_a_coroutine_function_is_awaited_beside_the_call() -> None:
    heard = []

    async def hook(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        await asyncio.sleep(0)
        heard.append(response)

    async def main() -> None:
        async for _ in await dragoman.acompletion("demo/echo", HELLO, stream=True):
            pass

    dragoman.success_callback = [hook]
    in_a_loop(main)
    assert heard[0].choices[0].message.content == "hello there"


def test_calls_of_threads_await_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def never_awaited_here(*told: Any) -> None:
        raise AssertionError

    dragoman.success_callback = [never_awaited_here]
    dragoman.completion("demo/echo", HELLO)
    assert "coroutine function" in caplog.text


def test_an_input_hook_is_told_before() -> None:
    heard, hook = told()
    dragoman.input_callback = [hook]
    with pytest.raises(RateLimitError):
        dragoman.completion("demo/echo?fail=429", HELLO, num_retries=0)
    assert [(kwargs["messages"], kwargs["log_event_type"]) for (kwargs,) in heard] == [(HELLO, "pre_api_call")]


def test_a_hook_that_raises_harms_nobody_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    heard, hook = told()

    def raises_here(*told: Any) -> None:
        raise LookupError("broken hook")

    dragoman.success_callback = [raises_here, hook]
    with caplog.at_level(logging.ERROR, logger="dragoman.hooks"):
        for _ in range(3):
            assert dragoman.completion("demo/echo", HELLO).choices[0].message.content == "hello there"
    assert len(heard) == 3
    assert len([record for record in caplog.records if "raises_here" in record.getMessage()]) == 1


def test_a_hook_cannot_edit() -> None:
    def edits(kwargs: Any, response: Any, start: Any, end: Any) -> None:
        kwargs["messages"].clear()
        kwargs.clear()
        response.choices[0].message.content = "edited"

    messages = copy.deepcopy(HELLO)
    dragoman.success_callback = [edits]
    assert dragoman.completion("demo/echo", messages).choices[0].message.content == "hello there"
    assert messages == HELLO


@pytest.mark.parametrize("made", ["text", "object"])
def test_mocks_are_told_like_answers(made: str) -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    mock = "pong" if made == "text" else dragoman.completion("demo/echo", [{"role": "user", "content": "pong"}])
    heard.clear()
    answer = dragoman.completion("openai/any", HELLO, mock_response=mock)
    list(dragoman.completion("openai/any", HELLO, mock_response=mock, stream=True))
    assert [response.choices[0].message.content for _, response, *_ in heard] == ["pong", "pong"]
    assert heard[0][1] is not answer


def test_a_mocked_error_is_a_failure() -> None:
    heard, hook = told()
    dragoman.failure_callback = [hook]
    with pytest.raises(RateLimitError):
        dragoman.completion("openai/any", HELLO, mock_response="litellm.RateLimitError")
    assert isinstance(heard[0][0]["exception"], RateLimitError)


def test_embeddings_and_counts_are_told() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    answer = dragoman.embedding("demo/embed", ["one", "two"])
    assert heard[0][1] == answer
    assert isinstance(heard[0][1], EmbeddingResponse)
    assert (heard[0][0]["call_type"], heard[0][0]["input"]) == ("embedding", ["one", "two"])


def test_a_router_tells_of_one_call_with_its_group() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    entries = [("bad", "demo/echo?fail=500"), ("good", "demo/echo")]
    router = dragoman.Router(
        model_list=[
            {"model_name": name, "litellm_params": {"model": model}, "model_info": {"id": f"{name}-1"}}
            for name, model in entries
        ],
        fallbacks=[{"bad": ["good"]}],
        num_retries=0,
    )
    with router:
        router.completion("bad", HELLO)
    ((kwargs, *_),) = heard
    assert kwargs["litellm_params"]["metadata"]["model_group"] == "bad"
    assert kwargs["litellm_params"]["model_info"] == {"id": "good-1"}


def test_messages_can_be_kept_from_the_hooks() -> None:
    heard, hook = told()
    dragoman.success_callback = [hook]
    dragoman.turn_off_message_logging = True
    answer = dragoman.completion("demo/echo", HELLO)
    assert answer.choices[0].message.content == "hello there"
    assert "hello there" not in str(heard)


def test_a_call_that_cannot_be_made_only_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = Heard()
    dragoman.callbacks = [logger]
    monkeypatch.setattr(dragoman, "cache", Cache())
    with pytest.raises(BadRequestError, match="unknown word"):
        dragoman.completion("demo/echo", HELLO, cache={"nonsense": True})
    assert logger.names == []


def test_metadata_that_is_none_harms_nobody() -> None:
    """It is a parameter of the provider's, who may take it."""
    logger = Heard()
    dragoman.callbacks = [logger]
    dragoman.completion("demo/echo", HELLO, metadata="of my own")
    assert logger.names == ["before", "after", "success"]
    assert logger.events[-1][1]["litellm_params"]["metadata"] == {"model_group": "demo/echo"}


@pytest.mark.parametrize(("hook", "problem"), [("langsmyth", "no hook is called 'langsmyth'"), (17, "a hook is a function")])
def test_what_is_no_hook_is_an_error(hook: Any, problem: str) -> None:
    dragoman.callbacks = [hook]
    with pytest.raises(ConfigurationError, match=problem):
        dragoman.completion("demo/echo", HELLO)


def test_without_hooks_nothing_watches() -> None:
    with dragoman.Client() as client:
        said = client._arguments("demo/echo", "chat", {"messages": HELLO})
        assert client._call("demo/echo", "chat", said).observers == ()
