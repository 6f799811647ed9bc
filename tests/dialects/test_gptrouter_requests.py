"""What a GPTRouter request says: candidates in order, inheritance, limits, and promptParams in OpenAI's words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequestError
from dragoman.dialects import registry
from dragoman.dialects.gptrouter.params import chat_body
from dragoman.dialects.gptrouter.requests import Generation, Labels, read_generation

HI = [{"role": "user", "content": "hi"}]


def candidate(model: str = "gpt-4o", provider: str = "chat_openai", **more: Any) -> dict[str, Any]:
    return {"order": 1, "modelName": model, "providerName": provider, **more}


def read(*data: Any, **more: Any) -> Generation:
    return read_generation(json.dumps({"data": list(data), **more}).encode())


def test_candidates_are_asked_by_order_and_those_of_one_order_as_they_stand() -> None:
    params = {"messages": HI}
    found = read(
        candidate("c", order=2, promptParams=params),
        candidate("a", order=1, promptParams=params),
        candidate("d", order=2, promptParams=params),
        candidate("b", order=1, promptParams=params),
    )
    assert [one.model for one in found.candidates] == ["a", "b", "c", "d"]


def test_a_candidate_without_an_order_stands_where_it_is() -> None:
    data = [{"modelName": name, "promptParams": {"messages": HI}} for name in "abc"]
    assert [one.model for one in read(*data).candidates] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({}, {"messages": HI, "temperature": 0.1}),
        ({"promptParams": {}}, {"messages": HI, "temperature": 0.1}),
        ({"promptParams": None}, {"messages": HI, "temperature": 0.1}),
        ({"promptParams": {"max_tokens": 5}}, {"messages": HI, "max_tokens": 5}),
        ({"promptParams": {"prompt": "other"}}, {"prompt": "other"}),
    ],
)
def test_later_candidates_inherit_what_they_do_not_say(second: dict[str, Any], expected: dict[str, Any]) -> None:
    found = read(candidate("a", promptParams={"messages": HI, "temperature": 0.1}), candidate("b", order=2, **second))
    assert found.candidates[1].params == expected


def test_parameters_at_the_top_are_for_all() -> None:
    found = read(candidate("a"), candidate("b", order=2), promptParams={"messages": HI})
    assert [one.params for one in found.candidates] == [{"messages": HI}, {"messages": HI}]


def test_limits_and_labels_are_read() -> None:
    found = read(
        candidate(promptParams={"messages": HI}, timeout=500),
        stream=True,
        timeout=30000,
        maxRetries=0,
        tag="t",
        createdByUserId="u",
        historyId="h",
        appId="a",
        metadata={"k": 1},
    )
    assert (found.stream, found.timeout, found.max_retries, found.candidates[0].timeout) == (True, 30000, 0, 500)
    labels = found.labels
    assert (labels.tag, labels.user, labels.history, labels.app, labels.metadata) == ("t", "u", "h", "a", {"k": 1})
    assert labels.completed({"tag": "x", "history_id": "y"}) == labels
    of_the_parameters = {"tag": "x", "user_id": "v", "history_id": "y", "appId": 7, "metadata": {"k": 2}}
    assert Labels().completed(of_the_parameters) == Labels(tag="x", user="v", history="y", app="7", metadata={"k": 2})
    assert Labels().completed({"metadata": "no object", "tag": None}) == Labels()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "no JSON"),
        (b"[]", "expected an object"),
        (b"{}", "data: expected an array"),
        (b'{"data": []}', "data: expected an array"),
        (b'{"data": [1]}', "data[0]: expected an object"),
        (b'{"data": [{}]}', "data[0]: names no model"),
        (b'{"data": [{"modelName": 4}]}', "data[0].modelName: expected a string, found integer"),
        (b'{"data": [{"modelName": "a"}]}', "data[0].promptParams: no candidate has messages or a prompt"),
        (b'{"data": [{"modelName": "a", "promptParams": []}]}', "data[0].promptParams: expected an object"),
        (b'{"timeout": 0, "data": [{"modelName": "a", "promptParams": {"prompt": "x"}}]}', "timeout: expected milliseconds"),
        (b'{"maxRetries": -1, "data": [{"modelName": "a", "promptParams": {"prompt": "x"}}]}', "maxRetries: expected 0 to"),
        (b'{"stream": "yes", "data": [{"modelName": "a", "promptParams": {"prompt": "x"}}]}', "stream: expected a boolean"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, told: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_generation(body)
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"messages": HI}, {"messages": HI}),
        ({"prompt": "say"}, {"messages": [{"role": "user", "content": "say"}]}),
        ({"prompt": "say", "messages": []}, {"messages": [{"role": "user", "content": "say"}]}),
        ({"messages": HI, "temperature": None, "n": 2}, {"messages": HI, "n": 2}),
        ({"messages": [{"role": "user", "content": "x", "name": None}]}, {"messages": [{"role": "user", "content": "x"}]}),
        ({"messages": HI, "stop_sequences": ["a"]}, {"messages": HI, "stop": ["a"]}),
        ({"messages": HI, "stop": "a", "stop_sequences": "a"}, {"messages": HI, "stop": "a"}),
        ({"messages": HI, "seed": 4, "anything": {"x": 1}}, {"messages": HI, "seed": 4, "anything": {"x": 1}}),
        ({"messages": HI, "use_response_api": True, "tag": "t", "metadata": {}}, {"messages": HI}),
        ({"messages": HI, "user_id": "u-1"}, {"messages": HI, "user": "u-1"}),
        ({"messages": HI, "output_config": {"effort": "low"}}, {"messages": HI, "reasoning_effort": "low"}),
        (
            {"prompt": "what?", "image_url": "http://x/y.png"},
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "what?"},
                            {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_parameters_are_openais_words(params: dict[str, Any], fields: dict[str, Any]) -> None:
    assert chat_body(params, "p").fields == fields


def test_a_format_of_anthropics_becomes_openais() -> None:
    schema = {"type": "object"}
    config = {"format": {"type": "json_schema", "schema": schema}}
    fields = chat_body({"messages": HI, "output_config": config}, "p").fields
    assert fields["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def test_what_nobody_takes_any_more_is_told() -> None:
    body = chat_body(
        {"messages": HI, "best_of": 3, "raw_event": True, "colasce_into_thinking_tag": True}, "data[0].promptParams"
    )
    assert [warning.field for warning in body.warnings] == ["data[0].promptParams.best_of", "data[0].promptParams.raw_event"]
    assert body.manner.thinking_in_text
    assert body.fields == {"messages": HI}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"messages": HI, "prompt": "x"}, "p.prompt: stands beside messages"),
        ({"messages": "hi"}, "p.messages: expected an array"),
        ({"prompt": 4}, "p.prompt: expected a string"),
        ({"messages": HI, "stop": "a", "stop_sequences": ["b"]}, "p.stop_sequences: differs from stop"),
        ({"messages": HI, "stop": 3}, "p.stop: expected a string or an array"),
        ({"messages": [{"role": "assistant", "content": "x"}], "image_url": "http://x"}, "p.image_url: an image goes with"),
    ],
)
def test_parameters_that_cannot_be_are_named(params: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        chat_body(params, "p")
    assert told in refused.value.message


def test_the_dialect_reads_the_conversation_of_the_first() -> None:
    body = {"stream": True, "data": [candidate(promptParams={"messages": HI, "stop": ["x"], "seed": 3})]}
    request = registry.get("gptrouter").decode_request(json.dumps(body).encode())
    assert (request.model, request.stream, request.stop, request.seed) == ("gpt-4o", True, ("x",), 3)
    assert request.messages[0].parts[0].text == "hi"


_WORDS = st.sampled_from(
    "data order modelName providerName modelId promptParams messages prompt role content stop stop_sequences image_url user "
    "output_config format type json_schema timeout maxRetries stream metadata tag user_id best_of name".split()
)
_LEAF = (
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4)
)
_JSON = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=20
)
_CANDIDATE = st.fixed_dictionaries({"modelName": st.just("m"), "promptParams": st.dictionaries(_WORDS, _JSON, max_size=5)})


@given(
    st.fixed_dictionaries({"data": st.lists(_CANDIDATE | _JSON, max_size=3)}, optional={"timeout": _JSON, "tag": _JSON}) | _JSON
)
def test_whatever_comes_is_read_or_refused(body: Any) -> None:
    with contextlib.suppress(BadRequestError):
        registry.get("gptrouter").decode_request(json.dumps(body).encode())
