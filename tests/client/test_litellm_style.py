"""Programs written for LiteLLM, with `import dragoman as litellm` at their top: calls, controls, settings, exceptions."""

from __future__ import annotations

import json
from typing import Any

import pytest

import dragoman as litellm
from dragoman.client import functions
from dragoman.transport.replay import ReplayTransport
from support.calls import fail, respond

MESSAGES = [{"role": "user", "content": "Hey, how's it going?"}]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attributes of the package as they were, and an environment without keys."""
    for name in functions._SETTINGS:
        monkeypatch.setattr(litellm, name, None)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> ReplayTransport:
    """What `completion` is answered with; its `requests` are what was sent."""
    transport = ReplayTransport(choose=lambda _: respond())
    client = functions._PackageClient(transport=transport)
    monkeypatch.setattr(functions, "_shared", lambda: client)
    return transport


def test_the_hello_world_of_every_tutorial(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    response = litellm.completion(model="openai/gpt-4o", messages=MESSAGES)
    assert response["choices"][0]["message"]["content"] == response.choices[0].message.content == "hi"
    assert response.json()["usage"]["total_tokens"] == 5
    assert json.loads(response.model_dump_json())["object"] == "chat.completion"
    assert dict(upstream.requests[0].headers)["authorization"] == "Bearer sk-mine"


def test_a_bare_model_name(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    litellm.completion("gpt-4o-mini", MESSAGES)
    assert json.loads(upstream.requests[0].body)["model"] == "gpt-4o-mini"


def test_an_address_of_ones_own(upstream: ReplayTransport) -> None:
    litellm.completion(
        "custom-model", MESSAGES, custom_llm_provider="openai", api_base="http://localhost:8000/v1", api_key="none", timeout=30
    )
    assert upstream.requests[0].url == "http://localhost:8000/v1/chat/completions"


def test_hidden_parameters(upstream: ReplayTransport) -> None:
    hidden = litellm.completion("openai/gpt-4o", MESSAGES, api_key="k")._hidden_params
    assert (hidden["custom_llm_provider"], hidden["model_id"]) == ("openai", "openai/gpt-4o")
    assert hidden["api_base"] == "https://api.openai.com/v1"
    assert isinstance(hidden["additional_headers"], dict)


def test_embeddings() -> None:
    response = litellm.embedding(model="demo/embed", input=["good morning from litellm"])
    assert response["data"][0]["embedding"] == response.data[0].embedding
    assert response.usage.prompt_tokens > 0


def test_streaming() -> None:
    text = ""
    for part in litellm.completion(model="demo/echo", messages=MESSAGES, stream=True):
        text += part.choices[0].delta.content or ""
    assert text == MESSAGES[0]["content"]


def test_exceptions_have_the_attributes_that_are_read(upstream: ReplayTransport) -> None:
    upstream._choose = lambda _: fail(429, "slow down", retry_after="120")
    with pytest.raises(litellm.RateLimitError) as caught:
        litellm.completion("openai/gpt-4o", MESSAGES, api_key="k")
    error = caught.value
    assert (error.status_code, error.llm_provider, error.model) == (429, "openai", "gpt-4o")
    assert "slow down" in error.message
    assert error.retry_after == 120
    assert error.headers["retry-after"] == "120"


def test_the_context_window() -> None:
    with pytest.raises(litellm.ContextWindowExceededError) as caught:
        litellm.completion("x/y", MESSAGES, mock_response="litellm.ContextWindowExceededError")
    assert isinstance(caught.value, litellm.BadRequestError)


# ---------------------------------------------------------------------------------------------------------------- settings
def test_num_retries_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "num_retries", 0)
    with pytest.raises(litellm.InternalServerError) as caught:
        litellm.completion("demo/echo?fail=500", MESSAGES)
    assert caught.value.attempts == 1


def test_request_timeout_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "request_timeout", 0.02)
    with pytest.raises(litellm.Timeout):
        litellm.completion("demo/echo?fail=timeout", MESSAGES, num_retries=0)


def test_drop_params_for_all_calls(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setattr(litellm, "drop_params", False)
    with pytest.raises(litellm.UnsupportedParamsError):
        litellm.completion("anthropic/claude-x", MESSAGES, logit_bias={"5": 1})
    assert upstream.requests == []
    upstream._choose = lambda _: respond({"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"})
    assert litellm.completion("anthropic/claude-x", MESSAGES, logit_bias={"5": 1}, drop_params=True).warnings


def test_a_key_for_all_calls_must_say_where_it_belongs(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise go to every provider that is asked: here to two of them."""
    monkeypatch.setattr(litellm, "api_key", "sk-for-one-of-them")
    for model, variable in (("openai/gpt-4o", "OPENAI_API_KEY"), ("groq/llama", "GROQ_API_KEY")):
        with pytest.raises(litellm.ConfigurationError, match=variable):
            litellm.completion(model, MESSAGES)
    assert upstream.requests == []


def test_a_key_and_an_address_for_all_calls(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "api_key", "sk-of-the-proxy")
    monkeypatch.setattr(litellm, "api_base", "https://proxy.test/v1")
    litellm.completion("openai/gpt-4o", MESSAGES)
    litellm.completion("openai/gpt-4o", MESSAGES, api_base="https://other.test/v1", api_key="sk-of-the-other")
    sent = [(request.url.split("/")[2], dict(request.headers)["authorization"]) for request in upstream.requests]
    assert sent == [("proxy.test", "Bearer sk-of-the-proxy"), ("other.test", "Bearer sk-of-the-other")]
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion("openai/gpt-4o", MESSAGES, api_base="https://other.test/v1")


def test_a_call_goes_before_a_setting(upstream: ReplayTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "num_retries", 5)
    upstream._choose = lambda _: fail(500)
    with pytest.raises(litellm.InternalServerError):
        litellm.completion("openai/gpt-4o", MESSAGES, api_key="k", max_retries=0)
    assert len(upstream.requests) == 1


# ------------------------------------------------------------------------------------------------------- what is done otherwise
def test_a_missing_key_is_an_authentication_error_before_any_request(upstream: ReplayTransport) -> None:
    with pytest.raises(litellm.AuthenticationError, match="OPENAI_API_KEY") as caught:
        litellm.completion("openai/gpt-4o", MESSAGES)
    assert (caught.value.status_code, caught.value.attempts, upstream.requests) == (401, 0, [])


@pytest.mark.parametrize("control", ["fallbacks", "cache_key", "model_list", "api_version"])
def test_a_control_that_does_not_exist_here_is_not_ignored(control: str, upstream: ReplayTransport) -> None:
    with pytest.raises(litellm.BadRequestError, match=control):
        litellm.completion("openai/gpt-4o", MESSAGES, api_key="k", **{control: ["x"]})
    assert upstream.requests == []


@pytest.mark.parametrize("version", [{}, {"api_version": "2024-06-01"}])
def test_the_version_of_an_api_of_azure(version: dict[str, str]) -> None:
    transport = ReplayTransport(choose=lambda _: respond())
    client = litellm.Client(transport=transport, env={"AZURE_API_VERSION": "2024-10-01"})
    client.completion("azure/gpt-4o", MESSAGES, api_base="https://x.openai.azure.com", api_key="k", **version)
    asked = version.get("api_version", "2024-10-01")
    assert transport.requests[0].url.endswith(f"/openai/deployments/gpt-4o/chat/completions?api-version={asked}")


def test_an_unknown_provider_is_told_the_nearest(upstream: ReplayTransport) -> None:
    with pytest.raises(litellm.ConfigurationError, match="openai"):
        litellm.completion("opnai/gpt-4o", MESSAGES)


def test_controls_never_reach_a_body(upstream: ReplayTransport) -> None:
    controls: dict[str, Any] = {
        "timeout": 5,
        "num_retries": 1,
        "drop_params": True,
        "api_key": "k",
        "extra_headers": {"a": "b"},
    }
    litellm.completion("openai/gpt-4o", MESSAGES, repetition_penalty=1.1, **controls)
    assert json.loads(upstream.requests[0].body).keys() == {"model", "messages", "repetition_penalty"}
