"""The objects of the SDK: attributes and items, copies and pickles, builtins and JSON, fields nobody foresaw."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from dragoman import EmbeddingResponse, ModelResponse, ModelResponseStream
from dragoman.client import objects as o

DATA: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "provider_odd": {"deep": [1]},
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
    "from_the_future": {"a": 1},
}


@pytest.fixture
def response() -> ModelResponse:
    return ModelResponse.of(copy.deepcopy(DATA))


def test_attributes_and_items_are_the_same(response: ModelResponse) -> None:
    call = response.choices[0].message.tool_calls[0]
    assert call.function.name == response["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert response.usage.prompt_tokens_details.cached_tokens == 1


def test_nested_values_have_their_types(response: ModelResponse) -> None:
    assert type(response.choices[0]) is o.Choices
    assert type(response.choices[0].message) is o.Message
    assert type(response.choices[0].message.tool_calls[0].function) is o.Function
    assert type(response.usage.prompt_tokens_details) is o.PromptTokensDetails


def test_it_is_a_dict(response: ModelResponse) -> None:
    assert response == DATA
    assert isinstance(response, dict)
    assert list(response) == list(DATA)
    assert {**response.choices[0].message}["role"] == "assistant"
    assert response.get("absent", 7) == 7


def test_usual_fields_that_did_not_come_are_none(response: ModelResponse) -> None:
    assert response.system_fingerprint is None
    assert response.choices[0].message.reasoning_content is None
    assert getattr(response.choices[0].message, "thinking_blocks", "default") is None


def test_unusual_fields_are_kept(response: ModelResponse) -> None:
    assert response.from_the_future == {"a": 1}
    assert response.choices[0].message.provider_odd["deep"] == [1]


def test_an_unknown_field_is_an_error_that_lists_those_there_are(response: ModelResponse) -> None:
    with pytest.raises(AttributeError, match="Choices has no field 'text'; it has: index, finish_reason, message"):
        _ = response.choices[0].text
    assert not hasattr(response, "text")
    with pytest.raises(KeyError):
        response["text"]


def test_fields_can_be_set_and_deleted(response: ModelResponse) -> None:
    response.model = "other"
    response.choices[0].message.content = "hi"
    response.mine = 1
    assert (response["model"], response["choices"][0]["message"]["content"], response["mine"]) == ("other", "hi", 1)
    del response.mine
    assert "mine" not in response
    with pytest.raises(AttributeError, match="no field 'mine' to delete"):
        del response.mine


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
def test_copies_are_whole(response: ModelResponse, made: Callable[[Any], Any]) -> None:
    response.beside({"model_id": "x"}, {"a": "1"})
    twin = made(response)
    assert type(twin) is ModelResponse
    assert twin == response
    assert type(twin.choices[0].message) is o.Message
    assert twin._hidden_params == {"model_id": "x"}
    assert twin._response_headers == {"a": "1"}


def test_a_deep_copy_shares_nothing(response: ModelResponse) -> None:
    twin = copy.deepcopy(response)
    twin.choices[0].message.content = "changed"
    assert response.choices[0].message.content is None


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(map(plain, value.values()))
    if isinstance(value, list):
        return all(map(plain, value))
    return not isinstance(value, o.OpenAIObject)


@pytest.mark.parametrize("name", ["model_dump", "to_dict", "dict", "json"])
def test_builtins_all_the_way_down(response: ModelResponse, name: str) -> None:
    dumped = getattr(response, name)()
    assert dumped == DATA
    assert plain(dumped)


@pytest.mark.parametrize("name", ["model_dump_json", "to_json"])
def test_json_text(response: ModelResponse, name: str) -> None:
    assert json.loads(getattr(response, name)()) == DATA
    assert "\n  " in getattr(response, name)(indent=2)
    assert json.loads(json.dumps(response)) == DATA


def test_nulls_can_be_left_out(response: ModelResponse) -> None:
    assert "content" in response.model_dump()["choices"][0]["message"]
    assert "content" not in response.model_dump(exclude_none=True)["choices"][0]["message"]
    assert "null" not in response.model_dump_json(exclude_none=True)


def test_options_of_pydantic_that_change_nothing_are_taken_and_others_are_not(response: ModelResponse) -> None:
    assert response.model_dump(mode="json", exclude_unset=True, by_alias=True) == DATA
    with pytest.raises(TypeError, match="no exclude, include"):
        response.model_dump(include={"id"}, exclude={"id"})


def test_what_is_beside_the_fields_is_no_field(response: ModelResponse) -> None:
    response.beside({"warnings": ("w",), "attempts": 1}, {})
    assert response.warnings == ("w",)
    assert "_hidden_params" not in response
    assert response == DATA


def test_an_object_of_ones_own() -> None:
    made = ModelResponse(id="x", choices=[])
    assert (made.id, made.warnings, made._hidden_params, made._response_headers) == ("x", (), {}, {})


def test_chunks_and_vectors_are_such_objects_too() -> None:
    chunk = ModelResponseStream.of({"choices": [{"index": 0, "delta": {"content": "x"}}]})
    assert type(chunk.choices[0].delta) is o.Delta
    assert chunk.choices[0].delta.tool_calls is None
    vectors = EmbeddingResponse.of({"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}})
    assert vectors.data[0].embedding == [0.5]
    assert vectors.usage.prompt_tokens == 1


def test_odd_values_where_objects_are_expected_are_left_alone() -> None:
    assert ModelResponse.of({"choices": None, "usage": "much"}) == {"choices": None, "usage": "much"}
