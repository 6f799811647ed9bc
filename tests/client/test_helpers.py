"""The helper functions, as programs written for LiteLLM use them: `import dragoman as litellm`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import dragoman as litellm
from dragoman import utils
from dragoman.catalog import lookup, tokenizer
from dragoman.catalog.bill import bill
from dragoman.core.chat import Usage

HELLO = [{"role": "user", "content": "hello"}]
needs_tokenizer = pytest.mark.skipif(not tokenizer.available(), reason="the extra `tokens` is not installed")


@pytest.fixture(autouse=True)
def _same_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(lookup, "_current", lookup.current())


# ----------------------------------------------------------------------------------------------------------------- cost
def test_cost_per_token_is_what_litellm_gives_for_the_same() -> None:
    assert litellm.cost_per_token("gpt-4o", prompt_tokens=1000, completion_tokens=100) == (0.0025, 0.001)


@pytest.mark.parametrize(
    ("arguments", "prompt", "completion"),
    [
        ({"model": "claude-sonnet-4-6", "prompt_tokens": 1000, "completion_tokens": 10}, 0.003, 0.00015),
        ({"model": "claude-sonnet-4-6", "prompt_tokens": 1000, "cache_read_input_tokens": 900}, 0.00057, 0.0),
        ({"model": "claude-sonnet-4-6", "prompt_tokens": 1000, "cache_creation_input_tokens": 1000}, 0.00375, 0.0),
        ({"model": "gpt-5", "prompt_tokens": 1000, "service_tier": "priority"}, 0.0025, 0.0),
        (
            {
                "model": "llama",
                "custom_llm_provider": "groq",
                "prompt_tokens": 10,
                "custom_cost_per_token": {"input_cost_per_token": 1e-3},
            },
            0.01,
            0.0,
        ),
        ({"model": "gpt-4o", "usage_object": {"prompt_tokens": 1000, "completion_tokens": 100}}, 0.0025, 0.001),
    ],
)
def test_cost_per_token(arguments: dict[str, Any], prompt: float, completion: float) -> None:
    assert litellm.cost_per_token(**arguments) == (prompt, completion)


def test_the_cost_of_an_answer() -> None:
    answer = litellm.completion("gpt-4o", HELLO, mock_response="yes")  # 10 tokens in, 20 out
    assert litellm.completion_cost(answer) == 0.000225
    assert litellm.completion_cost(answer, model="claude-sonnet-4-6") == 0.00033
    assert litellm.completion_cost(answer.model_dump()) == 0.000225


def test_the_cost_of_a_text_that_is_counted() -> None:
    cost = litellm.completion_cost(model="gpt-4o", prompt="hello " * 1000, completion="bye")
    assert cost == pytest.approx(1000 * 2.5e-6, rel=0.05)
    assert litellm.completion_cost(model="gpt-4o", messages=HELLO) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "openai/no-such-model", "prompt": "x"}, "nothing is known of the model 'openai/no-such-model'"),
        ({"prompt": "x"}, "names no model"),
        ({"completion_response": 3}, "expected an answer of a call, found int"),
        ({"model": "x", "custom_cost_per_token": {"price": 1}}, "custom_cost_per_token: expected"),
        ({"model": "gpt-4o", "prompt": "x", "service_tier": "turbo"}, "in the tier 'turbo'"),
    ],
)
def test_what_has_no_price_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(litellm.BadRequestError, match=message):
        litellm.completion_cost(**arguments)


def test_an_answer_carries_its_cost() -> None:
    answer = litellm.completion("demo/echo", HELLO)
    hidden = answer._hidden_params
    assert "response_cost" in hidden
    assert hidden["response_cost"] == hidden.get("response_cost") == 0.0
    assert hidden["cost"].reason == "demo runs inside this process"
    assert hidden.get("no such thing", 1) == 1
    with pytest.raises(KeyError):
        hidden["no such thing"]


def test_what_an_answer_carries_can_be_copied_and_pickled() -> None:
    hidden = litellm.completion("demo/echo", HELLO)._hidden_params
    for other in (copy.deepcopy(hidden), pickle.loads(pickle.dumps(hidden))):
        assert other["response_cost"] == 0.0
        assert other["custom_llm_provider"] == "demo"


def test_a_price_that_was_inferred_says_so() -> None:
    made = bill("azure", "gpt-4o", Usage(input_tokens=1000))
    assert made.nano_dollars == 2_500_000
    assert made.notes == ("taken from openai, which azure is taken to charge the same as",)


# ---------------------------------------------------------------------------------------------------------------- facts
def test_model_info() -> None:
    info = litellm.get_model_info("gpt-4o")
    assert info["litellm_provider"] == "openai"
    assert info["mode"] == "chat"
    assert (info["max_input_tokens"], info["max_output_tokens"], info["max_tokens"]) == (128_000, 16_384, 16_384)
    assert (info["input_cost_per_token"], info["output_cost_per_token"]) == (2.5e-06, 1e-05)
    assert info["supports_function_calling"] is True
    assert "temperature" in info["supported_openai_params"]
    assert litellm.get_max_tokens("gpt-4o") == 16_384


@pytest.mark.parametrize("name", ["get_model_info", "get_max_tokens"])
def test_an_unknown_model_is_an_error(name: str) -> None:
    with pytest.raises(litellm.BadRequestError, match="nothing is known of the model 'nobody/x'"):
        getattr(litellm, name)("nobody/x")


@pytest.mark.parametrize(
    ("question", "yes", "no"),
    [
        ("supports_function_calling", "gpt-4o", "text-embedding-3-small"),
        ("supports_parallel_function_calling", "gpt-4o", "o3"),
        ("supports_tool_choice", "gpt-4o", "gpt-3.5-turbo-instruct"),
        ("supports_vision", "claude-sonnet-4-5", "gpt-3.5-turbo"),
        ("supports_pdf_input", "claude-sonnet-4-5", "gpt-3.5-turbo"),
        ("supports_audio_input", "gemini/gemini-2.5-flash", "gpt-4o"),
        ("supports_video_input", "gemini/gemini-2.5-flash", "gpt-4o"),
        ("supports_response_schema", "gpt-4o", "gpt-4"),
        ("supports_reasoning", "o3", "gpt-4o"),
        ("supports_prompt_caching", "claude-sonnet-4-5", "gpt-4"),
        ("supports_web_search", "claude-sonnet-4-5", "groq/openai/gpt-oss-20b"),
        ("supports_assistant_prefill", "claude-sonnet-4-5", "claude-sonnet-4-6"),
        ("supports_system_messages", "gpt-4o", "o1-mini"),
    ],
)
def test_abilities(question: str, yes: str, no: str) -> None:
    ask = getattr(litellm, question)
    assert ask.__name__ == question
    assert (ask(yes), ask(model=no), ask("nobody/x")) == (True, False, False)


def test_audio_comes_out_of_no_text_model() -> None:
    assert litellm.supports_audio_output("gpt-4o") is False


def test_abilities_at_a_named_provider() -> None:
    assert litellm.supports_vision("gpt-4o", custom_llm_provider="azure")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"model": "gpt-4o"}, ("gpt-4o", "openai", None)),
        ({"model": "groq/llama-3"}, ("llama-3", "groq", None)),
        ({"model": "llama-3", "custom_llm_provider": "groq"}, ("llama-3", "groq", None)),
        ({"model": "claude-x", "api_key": "given"}, ("claude-x", "anthropic", "given")),
    ],
)
def test_the_provider_of_a_name(asked: dict[str, str], found: tuple[str, str, str | None]) -> None:
    assert litellm.get_llm_provider(**asked)[:3] == found


def test_the_address_of_a_provider() -> None:
    assert litellm.get_llm_provider("groq/x")[3] == "https://api.groq.com/openai/v1"
    assert litellm.get_llm_provider("groq/x", api_base="http://localhost:1")[3] == "http://localhost:1"


def test_parameters_that_reach_a_model() -> None:
    assert "temperature" in (litellm.get_supported_openai_params("gpt-4o") or [])
    assert "temperature" not in (litellm.get_supported_openai_params("o3") or [])
    claude = litellm.get_supported_openai_params("claude-sonnet-4-5") or []
    assert {"temperature", "tools", "stop"} <= set(claude)
    assert not {"seed", "logit_bias", "n"} & set(claude)
    assert "dimensions" in (litellm.get_supported_openai_params("text-embedding-3-small", request_type="embeddings") or [])
    assert litellm.get_supported_openai_params("anthropic/x", request_type="embeddings") == []
    assert litellm.get_supported_openai_params("nobody/x") is None
    with pytest.raises(litellm.BadRequestError, match="request_type"):
        litellm.get_supported_openai_params("gpt-4o", request_type="poem")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    assert litellm.validate_environment("groq/x") == {"keys_in_environment": False, "missing_keys": ["GROQ_API_KEY"]}
    assert litellm.validate_environment("groq/x", api_key="k") == {"keys_in_environment": True, "missing_keys": []}
    monkeypatch.setenv("GROQ_API_KEY", "k")
    assert litellm.validate_environment("groq/x") == {"keys_in_environment": True, "missing_keys": []}
    assert litellm.validate_environment("demo/echo") == {"keys_in_environment": True, "missing_keys": []}


# ---------------------------------------------------------------------------------------------------------- registering
def test_a_model_is_registered() -> None:
    told = litellm.register_model(
        {"groq/mine": {"input_cost_per_token": 1e-7, "output_cost_per_token": 2e-7, "max_tokens": 99, "supports_vision": True}}
    )
    assert told is litellm.model_cost
    assert litellm.cost_per_token("groq/mine", 10, 10) == (1e-6, 2e-6)
    assert litellm.get_max_tokens("groq/mine") == 99
    assert litellm.supports_vision("groq/mine")


def test_a_registered_price_goes_before_the_shipped_one_and_the_rest_stays() -> None:
    litellm.register_model({"gpt-4o": {"input_cost_per_token": 1e-6}})
    assert litellm.cost_per_token("gpt-4o", 1000, 100) == (0.001, 0.001)
    assert litellm.supports_vision("gpt-4o")


@pytest.mark.parametrize("name", ["my-model", "a house/model"])
def test_a_name_without_a_provider(name: str) -> None:
    litellm.register_model({name: {"input_cost_per_token": 1e-6}})
    assert litellm.cost_per_token(name, 1000) == (0.001, 0.0)


def test_providers_are_called_what_calls_call_them() -> None:
    litellm.register_model({"zz": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 1e-6}})
    assert litellm.cost_per_token("bedrock/zz", 1000) == (0.001, 0.0)


def test_a_price_that_is_not_understood_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"groq/x\.input_cost_per_furlong: this price is not understood"):
        litellm.register_model({"groq/x": {"input_cost_per_furlong": 1.0}})


@pytest.mark.parametrize("given", ["https://example.org/prices.json", {"x": 3}, {"x": {"input_cost_per_token": "free"}}])
def test_what_cannot_be_registered(given: Any) -> None:
    with pytest.raises(litellm.BadRequestError):
        litellm.register_model(given)


def test_model_cost_is_a_mapping_of_all() -> None:
    assert "gpt-4o" in litellm.model_cost
    assert "no/such" not in litellm.model_cost
    assert litellm.model_cost["groq/openai/gpt-oss-20b"]["litellm_provider"] == "groq"
    assert len(litellm.model_cost) > 2000
    assert next(iter(litellm.model_cost)) in litellm.model_cost


# --------------------------------------------------------------------------------------------------------------- tokens
def test_tokens_of_messages() -> None:
    assert litellm.token_counter("gpt-4o", messages=HELLO) == 8
    assert litellm.token_counter("gpt-4o", messages=HELLO, count_response_tokens=True) == 5
    assert litellm.token_counter(model="gpt-4o", text=["hel", "lo"]) == 1
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    assert litellm.token_counter("gpt-4o", messages=HELLO, tools=tools) > 12
    with pytest.raises(litellm.BadRequestError, match="pass text or messages"):
        litellm.token_counter("gpt-4o")


@needs_tokenizer
def test_there_and_back() -> None:
    text = "Hello, Wörld! 你好 🎉"
    assert litellm.decode("gpt-4o", litellm.encode("gpt-4o", text)) == text


def test_trimming() -> None:
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "word " * 500}, *HELLO]
    kept, left = litellm.trim_messages(messages, "gpt-4o", max_tokens=100, return_response_tokens=True)
    assert kept == [messages[0], messages[2]]
    assert 70 < left < 95
    assert litellm.trim_messages(messages, "gpt-4o") == messages
    with pytest.raises(litellm.BadRequestError, match="pass max_tokens"):
        litellm.trim_messages(messages, "nobody/x")


# -------------------------------------------------------------------------------------------------------------- streams
def chunks(**more: Any) -> Iterator[Any]:
    return iter(litellm.completion("demo/echo", HELLO, stream=True, **more))


def test_chunks_are_put_together() -> None:
    made = litellm.stream_chunk_builder(list(chunks(stream_options={"include_usage": True})))
    assert made is not None
    assert made.object == "chat.completion"
    assert made.choices[0].message.content == "hello"
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens > 0


def test_chunks_without_usage_are_counted() -> None:
    told = [chunk for chunk in chunks() if not chunk.get("usage")]
    made = litellm.stream_chunk_builder([dict(chunk) for chunk in told], messages=HELLO)
    assert made is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (8, 1)


def test_tool_calls_are_put_together() -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    def call(**more: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, **more}]}

    made = litellm.stream_chunk_builder(
        [
            chunk({"role": "assistant", **call(id="c1", type="function", function={"name": "f", "arguments": ""})}),
            chunk(call(function={"arguments": '{"a"'})),
            chunk(call(function={"arguments": ": 1}"})),
            chunk({}, "tool_calls"),
        ]
    )
    assert made is not None
    (found,) = made.choices[0].message.tool_calls
    assert (found.id, found.function.name, found.function.arguments) == ("c1", "f", '{"a": 1}')
    assert made.choices[0].finish_reason == "tool_calls"


def test_a_stream_that_broke_off_gives_what_had_come() -> None:
    some = list(chunks())[:2]
    made = litellm.stream_chunk_builder(some)
    assert made is not None
    assert "hello".startswith(made.choices[0].message.content or "")


def test_no_chunks_are_no_answer() -> None:
    assert litellm.stream_chunk_builder([]) is None


def test_what_is_no_chunk_is_an_error() -> None:
    for chunk in ({"hello": 1}, "data: {}"):
        with pytest.raises(litellm.BadRequestError, match=r"chunks\[0\]: expected a chunk"):
            litellm.stream_chunk_builder([chunk])
    with pytest.raises(litellm.ResponseDecodeError, match="the stream failed: overloaded"):
        litellm.stream_chunk_builder([{"error": {"message": "overloaded", "code": 529}}])


def test_utils_has_the_same_functions() -> None:
    for name in utils.__all__:
        assert getattr(utils, name) is getattr(litellm, name)
