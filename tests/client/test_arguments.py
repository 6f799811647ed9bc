"""Keyword arguments, sorted: what reaches the body, what steers the call, whose key goes where, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest

from dragoman import Timeouts
from dragoman.client.arguments import (
    CHAT_PARAMETERS,
    CONTROLS,
    EMBEDDING_PARAMETERS,
    PLACE,
    REFUSED,
    Arguments,
    arguments,
    timeouts,
)
from dragoman.core.errors import BadRequestError, ConfigurationError


def sort(parameters: frozenset[str] = CHAT_PARAMETERS, usual: dict[str, Any] | None = None, **given: Any) -> Arguments:
    return arguments("openai/gpt-4o", parameters, given, usual or {})


def body(**given: Any) -> dict[str, Any]:
    return json.loads(sort(**given).body)


# ------------------------------------------------------------------------------------------------------------------- bodies
def test_openai_parameters_are_the_body() -> None:
    assert body(temperature=0.5, stop=["x"], n=2) == {"model": "openai/gpt-4o", "temperature": 0.5, "stop": ["x"], "n": 2}


def test_none_means_not_said() -> None:
    assert body(temperature=None, tools=None, timeout=None, fallbacks=None) == {"model": "openai/gpt-4o"}


def test_what_openai_does_not_know_goes_to_the_provider_as_it_is() -> None:
    found = sort(min_p=0.1, seed=1)
    assert json.loads(found.body) == {"model": "openai/gpt-4o", "seed": 1}
    assert found.options.extra_body == {"min_p": 0.1}


def test_openrouters_field_provider_is_a_field() -> None:
    assert sort(provider={"order": ["x"]}).options.extra_body == {"provider": {"order": ["x"]}}


def test_extra_body_goes_over_loose_arguments() -> None:
    assert sort(min_p=0.1, extra_body={"min_p": 0.2, "a": None}).options.extra_body == {"min_p": 0.2, "a": None}


STEERING: dict[str, Any] = {
    "timeout": 5,
    "stream_timeout": 5,
    "num_retries": 1,
    "max_retries": 1,
    "drop_params": True,
    "strict": True,
    "extra_headers": {"a": "1"},
    "headers": {"a": "1"},
    "extra_body": {},
    "mock_response": "x",
    "litellm_metadata": {"a": 1},
    "litellm_call_id": "call-1",
    "litellm_trace_id": "trace-1",
    "no-log": True,
    "caching": False,
    "cache": {"ttl": 5},
    "api_key": "k",
    "api_base": "https://a.test",
    "base_url": "https://a.test",
    "api_version": "2024-06-01",
    "custom_llm_provider": "openai",
}


def test_every_control_and_place_is_known_here() -> None:
    assert STEERING.keys() == CONTROLS | PLACE


@pytest.mark.parametrize("name", STEERING)
@pytest.mark.parametrize("parameters", [CHAT_PARAMETERS, EMBEDDING_PARAMETERS], ids=["chat", "embedding"])
def test_nothing_that_steers_reaches_a_body(name: str, parameters: frozenset[str]) -> None:
    found = sort(parameters, **{name: STEERING[name]})
    assert json.loads(found.body) == {"model": "openai/gpt-4o"}
    assert found.options.extra_body == {}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_controls_that_do_not_exist_here_are_refused(name: str) -> None:
    with pytest.raises(BadRequestError, match=f"^{name} is not supported here: "):
        sort(**{name: "x"})


def test_refused_controls_are_no_parameters_either() -> None:
    assert not REFUSED.keys() & (CHAT_PARAMETERS | EMBEDDING_PARAMETERS | CONTROLS | PLACE)


class Dumps(pydantic.BaseModel):
    role: str
    content: str | None = None


def test_objects_of_pydantic_are_what_they_dump_to() -> None:
    assert body(messages=[Dumps(role="user")])["messages"] == [{"role": "user"}]


@pytest.mark.parametrize(
    "value", [object(), Dumps, 1j, {1: object()}, [lambda: 0]], ids=["object", "class", "complex", "nested", "function"]
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(BadRequestError, match="cannot be written as JSON"):
        sort(messages=[value])


# ----------------------------------------------------------------------------------------------------------- response_format
class City(pydantic.BaseModel):
    name: str
    population: int | None = None


class Trip(pydantic.BaseModel):
    """Where to go."""

    cities: list[City] = []
    properties: dict[str, str] = {}
    default: str = "x"


def test_a_pydantic_class_is_a_strict_schema() -> None:
    form = body(response_format=Trip)["response_format"]
    assert form["type"] == "json_schema"
    assert (form["json_schema"]["name"], form["json_schema"]["strict"]) == ("Trip", True)
    schema = form["json_schema"]["schema"]
    assert schema["required"] == ["cities", "properties", "default"]
    assert schema["additionalProperties"] is False
    city = schema["$defs"]["City"]
    assert (city["required"], city["additionalProperties"]) == (["name", "population"], False)
    assert "default" not in city["properties"]["population"]


def test_a_field_called_properties_is_a_field() -> None:
    properties = body(response_format=Trip)["response_format"]["json_schema"]["schema"]["properties"]
    assert properties.keys() == {"cities", "properties", "default"}
    assert "required" not in properties["properties"]


def test_a_dict_is_sent_as_it_is() -> None:
    assert body(response_format={"type": "json_object"})["response_format"] == {"type": "json_object"}


def test_another_class_is_refused() -> None:
    with pytest.raises(
        BadRequestError, match="response_format: expected a dict or a pydantic model class, found the class int"
    ):
        sort(response_format=int)


# ----------------------------------------------------------------------------------------------------------------- timeouts
def test_a_timeout_is_for_the_whole_answer_or_for_the_silence_of_a_stream() -> None:
    assert timeouts(20, None, stream=False) == Timeouts(connect=10, first_token=20, idle=20, total=20)
    assert timeouts(20, None, stream=True) == Timeouts(connect=10, first_token=20, idle=20, total=None)
    assert timeouts(20, 5, stream=True).first_token == 5
    assert timeouts(20, 5, stream=False).total == 20
    assert timeouts(2.5, None, stream=False).connect == 2.5
    assert timeouts(None, None, stream=False).total == 600


def test_timeouts_of_your_own_are_taken_as_they_are() -> None:
    own = Timeouts(connect=1, first_token=2, idle=3, total=None)
    assert sort(timeout=own).options.timeouts is own


@pytest.mark.parametrize("value", [0, -1, True, "20", float("nan"), float("inf"), [3]], ids=repr)
def test_a_timeout_that_makes_no_sense(value: Any) -> None:
    with pytest.raises(BadRequestError, match="timeout: expected seconds above 0"):
        sort(timeout=value)


# ------------------------------------------------------------------------------------------------------------------ retries
RETRIES = [
    ({}, {}, 2),
    ({"num_retries": 5}, {}, 5),
    ({"max_retries": 0}, {}, 0),
    ({}, {"num_retries": 4}, 4),
    ({"max_retries": 0}, {"num_retries": 4}, 0),
    ({"num_retries": 1, "max_retries": 1}, {}, 1),
]


@pytest.mark.parametrize(("said", "usual", "retries"), RETRIES)
def test_retries(said: dict[str, int], usual: dict[str, int], retries: int) -> None:
    assert sort(usual=usual, **said).options.retry.max_retries == retries


@pytest.mark.parametrize("value", [-1, True, 1.5, "3"], ids=repr)
def test_retries_that_make_no_sense(value: Any) -> None:
    with pytest.raises(BadRequestError, match="num_retries: expected a whole number from 0"):
        sort(num_retries=value)


def test_two_names_of_one_thing_must_agree() -> None:
    with pytest.raises(BadRequestError, match="two names of one thing"):
        sort(num_retries=1, max_retries=2)
    with pytest.raises(BadRequestError, match="two names of one thing"):
        sort(base_url="https://a.test", api_base="https://b.test")


# ----------------------------------------------------------------------------------------------------------- params, headers
STRICT = [
    ({}, {}, False),
    ({"strict": True}, {}, True),
    ({"drop_params": False}, {}, True),
    ({"drop_params": True}, {}, False),
    ({}, {"drop_params": False}, True),
    ({"drop_params": True}, {"drop_params": False}, False),
]


@pytest.mark.parametrize(("said", "usual", "strict"), STRICT)
def test_dropping_is_forbidden_by_either_name(said: dict[str, bool], usual: dict[str, bool], strict: bool) -> None:
    assert sort(usual=usual, **said).options.strict is strict


def test_headers_of_both_names_and_in_lower_case() -> None:
    found = sort(headers={"X-A": "1", "X-B": "1"}, extra_headers={"x-b": 2})
    assert found.options.extra_headers == (("x-a", "1"), ("x-b", "2"))


@pytest.mark.parametrize("name", ["headers", "extra_headers", "extra_body", "litellm_metadata"])
def test_mappings_must_be_mappings(name: str) -> None:
    with pytest.raises(BadRequestError, match=f"{name}: expected a dict, found str"):
        sort(**{name: "x"})


@pytest.mark.parametrize("header", [{"a\nb": "1"}, {"a": "1\r\nb: 2"}, {"content-length": "3"}, {"Transfer-Encoding": "x"}])
def test_headers_that_would_break_the_request_are_refused(header: dict[str, str]) -> None:
    with pytest.raises(BadRequestError, match=r"^extra_headers: "):
        sort(extra_headers=header)


# -------------------------------------------------------------------------------------------------------------------- place
A, B = "https://a.test/v1", "https://b.test/v1"
PLACES: dict[str, tuple[dict[str, str], dict[str, str], tuple[str | None, str | None]]] = {
    "nothing said": ({}, {}, (None, None)),
    "a key of the call": ({"api_key": "mine"}, {}, ("mine", None)),
    "key and base of the call": ({"api_key": "mine", "base_url": A}, {}, ("mine", A)),
    "api_base is base_url": ({"api_base": A}, {}, (None, A)),
    "key and base for all calls": ({}, {"api_key": "usual", "api_base": A}, ("usual", A)),
    "a base for all calls": ({}, {"base_url": A}, (None, A)),
    "the call's key to the usual base": ({"api_key": "mine"}, {"api_key": "usual", "api_base": A}, ("mine", A)),
    "the usual key goes to no other base": ({"api_base": B}, {"api_key": "usual", "api_base": A}, (None, B)),
    "the usual key alone, outspoken": ({"api_key": "mine"}, {"api_key": "usual"}, ("mine", None)),
}


@pytest.mark.parametrize(("said", "usual", "place"), PLACES.values(), ids=PLACES)
def test_whose_key_goes_where(said: dict[str, str], usual: dict[str, str], place: tuple[str | None, str | None]) -> None:
    found = sort(usual=usual, **said).place
    assert (found["api_key"], found["base_url"]) == place


@pytest.mark.parametrize(
    ("model", "variable"), [("openai/gpt-4o", "OPENAI_API_KEY"), ("anthropic/claude-x", "ANTHROPIC_API_KEY")]
)
def test_a_key_for_all_calls_without_an_address_is_an_error_that_names_the_variable(model: str, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as caught:
        arguments(model, CHAT_PARAMETERS, {}, {"api_key": "sk-usual"})
    assert "sk-usual" not in caught.value.message


def test_what_is_no_control_is_no_default() -> None:
    with pytest.raises(ConfigurationError, match="temperature: no default that a client takes"):
        sort(usual={"temperature": 0})


# ------------------------------------------------------------------------------------------------------------------- stream
@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, (None, None)),
        ({"n": 3, "stream_options": {"include_usage": True}}, (3, True)),
        ({"n": "3", "stream_options": "x"}, (None, None)),
        ({"stream_options": {}}, (None, False)),
    ],
)
def test_what_decides_how_chunks_look(given: dict[str, Any], shape: tuple[Any, Any]) -> None:
    found = sort(stream=True, **given)
    assert found.stream
    assert (found.shape.n, found.shape.include_usage) == shape
