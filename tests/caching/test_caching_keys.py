"""The key of an answer: everything that can change it is in it, how it travels is not, whatever the dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from dragoman.caching import keys
from dragoman.core.chat import ChatRequest, Message, TextPart
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from support.strategies import chat_requests, json_values, words

FIELDS = {field.name for field in fields(ChatRequest)} - {"model", "stream", "include_usage"}
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def key(request: Any) -> str:
    return keys.digest(keys.meaning(request))


def openai(**body: Any) -> str:
    return key(registry.get("openai_chat").decode_request(json.dumps(HELLO | body).encode()))


@settings(max_examples=10)
@given(one=chat_requests(), other=chat_requests())
def test_any_change_in_any_field_changes_the_key(one: ChatRequest, other: ChatRequest) -> None:
    other = replace(other, extra={"openai_chat": {"min_p": 0.1}})
    for name in FIELDS:
        changed = replace(one, **{name: getattr(other, name)})
        assert (key(changed) == key(one)) == (changed == one), name


@settings(max_examples=10)
@given(request=chat_requests(), stream=st.booleans(), usage=st.none() | st.booleans(), model=words)
def test_how_an_answer_travels_does_not_count(request: ChatRequest, stream: bool, usage: bool | None, model: str) -> None:
    assert key(replace(request, stream=stream, include_usage=usage, model=model)) == key(request)


PARAMETERS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 2,
    "stop": ["x"],
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1},
    "user": "u",
    "reasoning_effort": "low",
    "verbosity": "low",
    "response_format": {"type": "json_object"},
    "seed": 1,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "tool_choice": "none",
    "logprobs": True,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "safety_identifier": "s",
    "service_tier": "flex",
    "store": True,
    "prompt_cache_key": "k",
    "metadata": {"a": "b"},
    "top_k": 4,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_openais_dialect_counts_and_unknown_ones_too(name: str) -> None:
    assert openai(**{name: PARAMETERS[name]}) != openai()


@settings(max_examples=30)
@given(name=words.map(lambda word: f"x_{word}"), value=json_values, other=json_values)
def test_a_parameter_nobody_knows_counts_with_its_value(name: str, value: Any, other: Any) -> None:
    assume(json.dumps(value) != json.dumps(other) and value is not None and other is not None)
    assert len({openai(), openai(**{name: value}), openai(**{name: other})}) == 3


@pytest.mark.parametrize("body", [{"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}])
def test_a_streamed_request_has_the_key_of_a_plain_one(body: dict[str, Any]) -> None:
    assert openai(**body) == openai()


def test_the_order_of_parameters_does_not_count() -> None:
    assert openai(min_p=0.1, mirostat=1) == openai(mirostat=1, min_p=0.1)


def test_the_order_inside_a_schema_does() -> None:
    def asking(*names: str) -> str:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        return openai(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})

    assert asking("reason", "answer") != asking("answer", "reason")


BODIES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0.5,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0.5,
        "system": "be brief",
        "messages": [{"role": "user", "content": "hello"}],
    },
}


def test_the_same_request_in_two_dialects_has_one_key() -> None:
    found = {key(registry.get(name).decode_request(json.dumps(body).encode())) for name, body in BODIES.items()}
    assert len(found) == 1


def test_numbers_truth_values_and_texts_are_different() -> None:
    assert len({keys.digest(value) for value in (1, True, "1", 1.0, None, [1], {"1": 1})}) == 7


def test_parts_do_not_run_into_each_other() -> None:
    assert keys.digest("a", "bc") != keys.digest("ab", "c")


def test_headers_that_only_name_the_request_do_not_count() -> None:
    beta = ("anthropic-beta", "x")
    assert keys.headers((("x-request-id", "1"), beta, ("traceparent", "2"))) == [beta]


def test_inputs_of_an_embedding_count_one_by_one() -> None:
    found = {key(EmbeddingRequest(model="m", input=(text,))) for text in ("a", "b", "a")}
    assert len(found) == 2


def test_a_text_in_pieces_is_another_text() -> None:
    whole = ChatRequest(model="m", messages=(Message(role="user", parts=(TextPart(text="ab"),)),))
    pieces = ChatRequest(model="m", messages=(Message(role="user", parts=(TextPart(text="a"), TextPart(text="b"))),))
    assert key(whole) != key(pieces)
