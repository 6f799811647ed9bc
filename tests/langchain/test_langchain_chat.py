"""`ChatLiteLLM` as a program uses it: the documented lines, arguments in both spellings, keys, errors, caches, copies."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelRateLimitError,
)
from langchain_core.load import dumps, load, loads
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import SecretStr, ValidationError

import dragoman
from dragoman import AsyncClient, Client, Router
from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure
from dragoman.langchain import ChatLiteLLM, ChatLiteLLMRouter, GPTRouter
from dragoman.transport.replay import Answer, AsyncReplayTransport, ReplayTransport
from support.langchain import standard_answers

ENV = {"OPENAI_API_KEY": "key-of-the-environment", "ANTHROPIC_API_KEY": "key-of-anthropic", "XAI_API_KEY": "key-of-xai"}
JSON = (("content-type", "application/json"),)


class Wire:
    """A client whose requests can be looked at. `answers` in order; by default the standard rules."""

    def __init__(self, *answers: Answer) -> None:
        self.transport = ReplayTransport(*answers) if answers else ReplayTransport(choose=standard_answers)
        self.client = Client(transport=self.transport, env=ENV)

    def model(self, name: str = "openai/gpt-4o", **given: Any) -> ChatLiteLLM:
        return ChatLiteLLM(model=name, client=self.client, **given)

    @property
    def requests(self) -> list[HttpRequest]:
        return self.transport.requests

    @property
    def body(self) -> dict[str, Any]:
        """What was sent last."""
        held: dict[str, Any] = json.loads(self.requests[-1].body)
        return held

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.requests[-1].headers)


def failure(status: int, message: str = "no", **more: Any) -> HttpResponse:
    return HttpResponse(status=status, headers=JSON, body=json.dumps({"error": {"message": message, **more}}).encode())


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


# ------------------------------------------------------------------------------------------------- the documented programs
PROGRAMS = {
    "invoke": """
from dragoman.langchain import ChatLiteLLM
llm = ChatLiteLLM(model="demo/canned", temperature=0.1)
answer = llm.invoke([
    ("system", "You are a helpful assistant that translates English to French. Translate the user sentence."),
    ("human", "I love programming."),
])
print(answer.content)
""",
    "ainvoke": """
import asyncio
from dragoman.langchain import ChatLiteLLM
async def main():
    llm = ChatLiteLLM(model="demo/canned", temperature=0.1)
    answer = await llm.ainvoke("Classify the text into neutral, negative or positive. "
                               "Text: I think the food was okay. Sentiment:")
    print(answer.content, sorted({"token_usage", "model", "finish_reason", "model_name"} & answer.response_metadata.keys()),
          answer.usage_metadata["total_tokens"] > 0)
asyncio.run(main())
""",
    "astream": """
import asyncio
from dragoman.langchain import ChatLiteLLM
async def main():
    llm = ChatLiteLLM(model="demo/canned", temperature=0.1)
    async for token in llm.astream("Hello, please tell me about the capital of France"):
        print(token.text, end="|" if token.text else "")
asyncio.run(main())
""",
    "router": """
from dragoman.langchain import ChatLiteLLMRouter
from dragoman import Router
model_list = [
    {"model_name": "gpt-4.1", "litellm_params": {"model": "azure/gpt-4.1", "api_key": "<your-api-key>",
     "api_version": "2024-10-21", "api_base": "https://<your-endpoint>.openai.azure.com/"}},
    {"model_name": "gpt-4o", "litellm_params": {"model": "azure/gpt-4o", "api_key": "<your-api-key>",
     "api_version": "2024-10-21", "api_base": "https://<your-endpoint>.openai.azure.com/"}},
]
litellm_router = Router(model_list=model_list)
llm = ChatLiteLLMRouter(router=litellm_router, model_name="gpt-4.1", temperature=0.1)
print(llm.model_name, llm.profile["max_input_tokens"])
""",
    "call": """
from langchain_core.messages import HumanMessage
from dragoman.langchain import ChatLiteLLM
chat = ChatLiteLLM(model="demo/canned")
print(chat([HumanMessage(content="Translate from English to French. I love programming.")]).content)
""",
}
PRINTED = {
    "invoke": "J'adore programmer.",
    "ainvoke": "Neutral ['finish_reason', 'model', 'model_name', 'token_usage'] True",
    "astream": "Paris|",
    "router": "gpt-4.1 1047576",
    "call": "J'adore programmer.",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_documented_program(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PROGRAMS[program], program, "exec"), {})
    assert capsys.readouterr().out.strip().replace("Pari|s|", "Paris|") == PRINTED[program]


def test_in_a_chain_and_a_batch() -> None:
    chain = ChatPromptTemplate.from_messages([("human", "say {x}")]) | ChatLiteLLM(model="demo/echo")
    assert [message.content for message in chain.batch([{"x": "a"}, {"x": "b"}])] == ["say a", "say b"]


# --------------------------------------------------------------------------------------------------------------- arguments
SENT = {
    "temperature": (0.5, 0.5),
    "top_p": (0.5, 0.5),
    "top_k": (3, 3),
    "max_tokens": (7, 7),
    "max_completion_tokens": (7, 7),
    "seed": (1, 1),
    "stop": (["x"], ["x"]),
    "presence_penalty": (0.1, 0.1),
    "frequency_penalty": (0.1, 0.1),
    "logit_bias": ({"1": 2}, {"1": 2}),
    "logprobs": (True, True),
    "top_logprobs": (2, 2),
    "n": (2, 2),
    "user": ("u", "u"),
    "service_tier": ("flex", "flex"),
    "reasoning_effort": ("low", "low"),
    "modalities": (["text"], ["text"]),
    "audio": ({"voice": "alloy", "format": "wav"}, {"voice": "alloy", "format": "wav"}),
    "response_format": ({"type": "json_object"}, {"type": "json_object"}),
}


@pytest.mark.parametrize("name", SENT)
def test_a_parameter_of_the_constructor_is_sent_and_one_of_the_call_wins(name: str) -> None:
    given, sent = SENT[name]
    wire = Wire()
    wire.model(**{name: given}).invoke("x")
    assert wire.body[name] == sent
    wire.model(**{name: given}).invoke("x", **{name: None})
    assert wire.body[name] == sent, "None means: not said"


CLASSES: dict[str, Callable[..., Any]] = {
    "ChatLiteLLM": partial(ChatLiteLLM, model="demo/echo"),
    "ChatLiteLLMRouter": partial(
        ChatLiteLLMRouter, router=Router(model_list=[{"model_name": "fast", "litellm_params": {"model": "demo/echo"}}])
    ),
    "GPTRouter": partial(GPTRouter, models_priority_list=["demo/echo"]),
}


@pytest.mark.parametrize(
    ("second", "field", "value"),
    [
        ("timeout", "request_timeout", 3.0),
        ("stop_sequences", "stop", ["x"]),
        ("default_headers", "extra_headers", {"a": "b"}),
        ("num_retries", "max_retries", 5),
        ("include_usage", "stream_usage", False),
    ],
)
@pytest.mark.parametrize("name", CLASSES)
def test_both_spellings(name: str, second: str, field: str, value: Any) -> None:
    assert getattr(CLASSES[name](**{second: value}), field) == value
    assert getattr(CLASSES[name](**{field: value}), field) == value


@pytest.mark.parametrize(
    ("second", "field", "value"), [("model_name", "model", "openai/o3"), ("base_url", "api_base", "https://x.test/v1")]
)
def test_both_spellings_of_who_is_asked(second: str, field: str, value: Any) -> None:
    assert getattr(ChatLiteLLM(**{second: value}), field) == value
    assert getattr(ChatLiteLLM(**{field: value}), field) == value


def test_an_effort_may_be_told_as_reasoning() -> None:
    wire = Wire()
    wire.model(reasoning={"effort": "low"}).invoke("x")
    assert (wire.body["reasoning_effort"], "reasoning" in wire.body) == ("low", False)
    wire.model(reasoning_effort="low").invoke("x", reasoning={"effort": "high"})
    assert wire.body["reasoning_effort"] == "high"
    assert ChatLiteLLM(reasoning={"effort": "low"}, reasoning_effort="high").reasoning_effort == "high"
    more = {"effort": "low", "summary": "auto"}
    assert ChatLiteLLM(reasoning=more).reasoning == more


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, True), ({"stream_usage": False}, False), ({"stream_options": {"include_usage": False}}, False)],
)
def test_a_stream_tells_its_usage_unless_that_is_not_wanted(given: dict[str, Any], told: bool) -> None:
    assert any(chunk.usage_metadata for chunk in Wire().model(**given).stream("x")) is told
    assert any(chunk.usage_metadata for chunk in Wire().model().stream("x", **given)) is told
    assert Wire().model().invoke("x", **given).usage_metadata


def test_model_name_wins_over_model_and_is_the_same() -> None:
    model = ChatLiteLLM(model="openai/a", model_name="openai/b")
    assert (model.model, model.model_name) == ("openai/b", "openai/b")
    model.model_name = "openai/c"
    assert model.model == "openai/c"


@pytest.mark.parametrize("name", CLASSES)
def test_an_unknown_keyword_goes_to_the_provider_with_a_warning_that_names_its_neighbour(name: str) -> None:
    with pytest.warns(UserWarning, match=r"temprature is no field \(did you mean temperature\?\)"):
        model = CLASSES[name](temprature=0.3)
    assert model.model_kwargs == {"temprature": 0.3}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"proxy_base_url": "x"}, "proxy_base_url is not read here: pass api_base"),
        ({"seed_x": 1, "model_kwargs": {"seed_x": 2}}, "given twice"),
        ({"temperature": 3}, "less than or equal to 2"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"model": "anthropic/claude-sonnet-4-5", "use_responses_api": True}, "anthropic offers no Responses API"),
    ],
)
def test_arguments_that_make_no_sense(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ChatLiteLLM(**{"model": "openai/gpt-4o", **given})


RESPONSE = {
    "id": "resp-1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o-2024-08-06",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        *(
            {
                "type": "message",
                "id": f"msg_{text}",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
            for text in ("one", "two")
        ),
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"model": "openai/gpt-4o"}, "https://api.openai.com/v1/responses"),
        ({"model": "gpt-4o", "custom_llm_provider": "openai"}, "https://api.openai.com/v1/responses"),
        (
            {"model": "azure/gpt-4o", "api_base": "https://x.openai.azure.com", "api_key": "k"},
            "https://x.openai.azure.com/openai/v1/responses",
        ),
    ],
)
def test_over_the_responses_api_an_answer_is_one_message(given: dict[str, Any], url: str) -> None:
    wire = Wire(*[HttpResponse(status=200, headers=JSON, body=json.dumps(RESPONSE).encode())] * 2)
    for model, asked in (
        (ChatLiteLLM(client=wire.client, use_responses_api=True, **given), {}),
        (ChatLiteLLM(client=wire.client, **given), {"use_responses_api": True}),
    ):
        message = model.invoke("x", **asked)
        assert wire.requests[-1].url == url
        assert message.text == "onetwo"
        assert message.content_blocks[0]["type"] == "reasoning"
        assert message.response_metadata["model_name"] == given["model"]


def test_callback_manager_of_older_programs(capsys: pytest.CaptureFixture[str]) -> None:
    from langchain_core.callbacks import CallbackManager, StreamingStdOutCallbackHandler

    manager = CallbackManager([StreamingStdOutCallbackHandler()])
    with pytest.warns(DeprecationWarning, match="callback_manager"):
        model = ChatLiteLLM(model="demo/echo", streaming=True, verbose=False, callback_manager=manager)
    assert model.invoke("hello there").content == "hello there"
    assert capsys.readouterr().out == "hello there"


def test_timeouts() -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "x"}}], "model": "m", "id": "i"}
    seen: list[Any] = []

    class Spy:
        def completion(self, **given: Any) -> Any:
            seen.append(given["timeout"])
            return answer

    ChatLiteLLM(model="openai/gpt-4o", client=Spy(), timeout=(1, 9)).invoke("x")
    ChatLiteLLM(model="openai/gpt-4o", client=Spy(), request_timeout=5).invoke("x")
    assert (seen[0].connect, seen[0].first_token, seen[1]) == (1, 9, 5)


def test_stop_of_the_call_and_of_the_model() -> None:
    wire = Wire()
    assert wire.model(stop=["is"]).invoke("x").content == "Hello, th"
    assert wire.model(stop=["is"]).invoke("x", stop=["an"]).content == "Hello, this is "
    wire.model(stop=[]).invoke("x")
    assert "stop" not in wire.body


# -------------------------------------------------------------------------------------------------------------------- keys
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"api_key": "a", "openai_api_key": "b"}, "a"),
        ({"model_kwargs": {"api_key": "a"}, "openai_api_key": "b"}, "a"),
        ({"openai_api_key": "b"}, "b"),
        ({"anthropic_api_key": "c"}, "key-of-the-environment"),
        ({}, "key-of-the-environment"),
    ],
)
def test_whose_key_is_sent(given: dict[str, Any], sent: str) -> None:
    wire = Wire()
    wire.model(**given).invoke("x")
    assert wire.headers["authorization"] == f"Bearer {sent}"


def test_a_calls_own_model_gets_its_providers_key() -> None:
    wire = Wire()
    model = wire.model(openai_api_key="a", anthropic_api_key="c")
    message = model.invoke("x", model="anthropic/claude-sonnet-4-5")
    assert wire.headers["x-api-key"] == "c"
    assert message.response_metadata["model_name"] == "anthropic/claude-sonnet-4-5"
    assert message.response_metadata["model_provider"] == "anthropic"


def test_a_key_of_the_environment_is_not_sent_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-environment")
    wire = Wire(failure(401))
    model = wire.model(api_base="https://elsewhere.test/v1")
    assert model.openai_api_key is not None
    with pytest.raises(dragoman.AuthenticationError):
        model.invoke("x")
    assert not any("key-of-the-environment" in str(request.headers) for request in wire.requests)


def test_no_key_is_shown() -> None:
    model = ChatLiteLLM(model="openai/gpt-4o", api_key="sk-secret", extra_headers={"x-key": "sk-secret"})
    traced = (repr(model), str(model._identifying_params), str(model._get_ls_params()), dumps(model), str(model.model_dump()))
    assert "sk-secret" not in "".join(traced)
    assert isinstance(model.api_key, SecretStr)


def test_no_key_is_shown_by_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        ChatLiteLLM(api_key="sk-secret", proxy_base_url="x")
    assert "sk-secret" not in str(caught.value)


def test_the_version_of_azures_api_is_asked_for() -> None:
    wire = Wire()
    wire.model("azure/gpt-4o", api_base="https://x.openai.azure.com", api_key="k", api_version="2024-06-01").invoke("x")
    assert wire.requests[-1].url.endswith("/deployments/gpt-4o/chat/completions?api-version=2024-06-01")


def test_organization_and_headers_are_sent() -> None:
    wire = Wire()
    wire.model(organization="org-1", extra_headers={"X-Team": "red"}).invoke("x")
    assert (wire.headers["openai-organization"], wire.headers["x-team"]) == ("org-1", "red")


# ------------------------------------------------------------------------------------------------------------------ errors
ERRORS = [
    (failure(401), dragoman.AuthenticationError, ModelAuthenticationError, False),
    (failure(400), dragoman.BadRequestError, ModelInvalidRequestError, False),
    (
        failure(400, "too long", code="context_length_exceeded"),
        dragoman.ContextWindowExceededError,
        ContextOverflowError,
        False,
    ),
    (failure(429), dragoman.RateLimitError, ModelRateLimitError, True),
    (failure(500), dragoman.InternalServerError, ModelAPIError, True),
    (failure(503), dragoman.ServiceUnavailableError, ModelAPIError, True),
    (TransportFailure("connect", "refused", sent=False), dragoman.APIConnectionError, ModelConnectionError, True),
]


@pytest.mark.parametrize(("answer", "ours", "theirs", "retryable"), ERRORS)
def test_an_error_is_ours_and_langchains(
    answer: Answer, ours: type[Exception], theirs: type[ModelError], retryable: bool
) -> None:
    for ask in (lambda model: model.invoke("x"), lambda model: list(model.stream("x"))):
        with pytest.raises(ours) as caught:
            ask(Wire(answer).model(max_retries=0))
        assert isinstance(caught.value, theirs)
        assert caught.value.is_retryable is retryable
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is ours
        assert str(again) == str(caught.value)


@pytest.mark.parametrize(("given", "requests"), [({"max_retries": 2}, 3), ({"max_retries": 0}, 1), ({"num_retries": 1}, 2)])
def test_retries_have_one_owner(given: dict[str, Any], requests: int) -> None:
    refused = failure(429)
    wire = Wire(*(HttpResponse(status=429, headers=(*JSON, ("retry-after", "0")), body=refused.body) for _ in range(9)))
    with pytest.raises(dragoman.RateLimitError):
        wire.model(**given).invoke("x")
    assert len(wire.requests) == requests


def test_fallbacks_and_with_retry() -> None:
    broken, good = Wire(*[failure(401)] * 4).model(), ChatLiteLLM(model="demo/echo")
    assert broken.with_fallbacks([good]).invoke("hello").content == "hello"
    assert broken.bind_tools([]).with_fallbacks([good]).invoke("hello").content == "hello"
    flaky = Wire(failure(500), *[standard_answers(HttpRequest(method="POST", url="x/chat/completions", body=ASK))] * 2)
    again = flaky.model(max_retries=0).with_retry(retry_if_exception_type=(ModelAPIError,), wait_exponential_jitter=False)
    assert again.invoke("x").content


ASK = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'


def test_a_stream_that_breaks_tells_so() -> None:
    with pytest.raises(dragoman.StreamInterruptedError) as caught:
        list(ChatLiteLLM(model="demo/echo?fail=cut&length=40").stream("x"))
    assert isinstance(caught.value, ModelError)


def test_several_choices_cannot_be_streamed() -> None:
    with pytest.raises(dragoman.BadRequestError, match="n=2"):
        list(ChatLiteLLM(model="demo/echo", n=2).stream("x"))


# ----------------------------------------------------------------------------------------------------- caches and callbacks
def test_models_that_differ_share_no_cached_answer() -> None:
    cache, wire = InMemoryCache(), Wire()
    variants: list[dict[str, Any]] = [
        {},
        {"max_tokens": 5},
        {"model_kwargs": {"min_p": 0.1}},
        {"api_base": "https://api.openai.com/v1/"},
        {"api_key": "other"},
        {"extra_headers": {"x-team": "red"}},
        {"seed": 1},
    ]
    for given in variants * 2:
        wire.model(**{"cache": cache, "api_key": "k", **given}).invoke("x")
    assert len(wire.requests) == len(variants)


def test_a_cached_answer_is_the_answer() -> None:
    cache, wire = InMemoryCache(), Wire()
    model = wire.model(cache=cache)
    first, second = model.invoke("x"), model.invoke("x")
    assert len(wire.requests) == 1
    assert second.content == first.content
    assert second.usage_metadata["total_cost"] == 0


def test_callbacks_see_tokens_usage_and_no_double() -> None:
    class Seen(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tokens: list[str] = []

        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            self.tokens.append(token)

    seen, usage = Seen(), UsageMetadataCallbackHandler()
    list(ChatLiteLLM(model="demo/echo").stream("hello there", config={"callbacks": [seen, usage]}))
    assert "".join(seen.tokens) == "hello there"
    assert list(usage.usage_metadata) == ["demo/echo"]


def test_a_rate_limiter_is_asked() -> None:
    limiter = InMemoryRateLimiter(requests_per_second=1000, check_every_n_seconds=0.001, max_bucket_size=1)
    assert ChatLiteLLM(model="demo/echo", rate_limiter=limiter).invoke("hello").content == "hello"


def test_streaming_false_is_not_said_unless_said() -> None:
    assert len([chunk for chunk in ChatLiteLLM(model="demo/echo").stream("hello there") if chunk.content]) > 1
    assert len([chunk for chunk in ChatLiteLLM(model="demo/echo", streaming=False).stream("hi there") if chunk.content]) >= 1


# -------------------------------------------------------------------------------------------------------------- telling
def test_traces_name_the_real_provider() -> None:
    told = ChatLiteLLM(model="anthropic/claude-sonnet-4-5", temperature=0.2, max_tokens=9, stop=["x"])._get_ls_params()
    assert told == {
        "ls_provider": "anthropic",
        "ls_model_name": "claude-sonnet-4-5",
        "ls_model_type": "chat",
        "ls_temperature": 0.2,
        "ls_max_tokens": 9,
        "ls_stop": ["x"],
    }
    assert ChatLiteLLM(model="openai/gpt-4o")._get_ls_params(model="xai/grok-4")["ls_provider"] == "xai"


def test_profile_comes_from_the_catalog() -> None:
    profile = ChatLiteLLM(model="openai/gpt-4o").profile
    assert profile is not None
    assert profile["max_input_tokens"] == 128_000
    assert profile["tool_calling"]
    assert profile["structured_output"]
    assert profile["image_inputs"]
    assert ChatLiteLLM(model="openai/no-such-model").profile is None
    assert ChatLiteLLM(model="azure/my-deployment", base_model="openai/gpt-4o").profile == profile


def test_tokens_are_counted_without_a_download() -> None:
    model = ChatLiteLLM(model="openai/gpt-4o")
    assert model.get_num_tokens("hello there") > 0
    assert model.get_num_tokens_from_messages([HumanMessage("hello there")]) > model.get_num_tokens("hello there")


# ------------------------------------------------------------------------------------------------------------------ copies
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_a_model_survives_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    model = ChatLiteLLM(model="openai/gpt-4o", temperature=0.3, api_key="given", stop=["x"], model_kwargs={"min_p": 0.1})
    again: Any = load(
        json.loads(dumps(model)), valid_namespaces=["dragoman"], allowed_objects=[ChatLiteLLM], secrets_from_env=True
    )
    assert again._identifying_params == model._identifying_params
    assert again.model_kwargs == {"min_p": 0.1}
    assert again.api_key.get_secret_value() == "from-the-environment"


def test_a_model_survives_copies_and_pickles() -> None:
    wire = Wire()
    model = wire.model(temperature=0.3, api_key="given")
    model.invoke("x")
    assert copy.deepcopy(model).client is wire.client
    again = pickle.loads(pickle.dumps(model))
    assert again._identifying_params == model._identifying_params
    assert again.api_key == model.api_key
    assert again.client is None


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_a_bound_model_survives_json() -> None:
    bound: Any = loads(
        dumps(ChatLiteLLM(model="demo/echo").bind(stop=["b"])), valid_namespaces=["dragoman"], allowed_objects="all"
    )
    assert bound.invoke("a b c").content == "a "


# ------------------------------------------------------------------------------------------------------------------- async
async def test_async_calls_use_the_async_client() -> None:
    transport = AsyncReplayTransport(choose=standard_answers)
    model = ChatLiteLLM(model="openai/gpt-4o", async_client=AsyncClient(transport=transport, env=ENV))
    assert (await model.ainvoke("x")).content
    assert [chunk async for chunk in model.astream("x")]
    assert (await model.agenerate([[HumanMessage("x")]])).generations[0][0].text
    assert len(transport.requests) == 3


def test_langchain_is_optional_and_named() -> None:
    hide = (
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'langchain_core' else real(name, *a)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"{hide}import dragoman.langchain"], capture_output=True, text=True, check=False
    )
    assert "pip install 'dragoman[langchain]'" in run.stderr
    light = "import sys, dragoman; dragoman.completion; print([n for n in sys.modules if n.startswith('langchain')])"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True).stdout.strip() == "[]"
