"""Tools and structured output: what is bound, what is sent, and what comes back in every method."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from dragoman import Client
from dragoman.core.chat import ChatRequest, ChatResponse, Choice, Finish, RefusalPart, TextPart
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.langchain import ChatLiteLLM
from dragoman.langchain.errors import ModelRefusalError
from dragoman.langchain.schemas import can_be_strict, strict_schema
from dragoman.langchain.tools import openai_tool_choice, openai_tools
from dragoman.transport.replay import Answer, Pieces, ReplayTransport
from support.langchain import loose, standard_answers

ENV = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int = 3
    mayor: str | None = Field(None, description="if there is one")


class CityDict(TypedDict):
    """A city."""

    name: str
    inhabitants: int


class Deep(BaseModel):
    """Cities by number."""

    cities: list[City]
    best: City | None = None


class Open(BaseModel):
    """Numbers by name."""

    numbers: dict[str, int]


def openai(**given: Any) -> tuple[ChatLiteLLM, ReplayTransport]:
    transport = ReplayTransport(choose=standard_answers)
    return ChatLiteLLM(
        model=given.pop("model", "openai/gpt-4o"), client=Client(transport=transport, env=ENV), **given
    ), transport


def body(transport: ReplayTransport) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(transport.requests[-1].body)
    return held


# ------------------------------------------------------------------------------------------------------------------- tools
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, {"type": "web_search_20250305", "name": "web_search"}),
        ({"type": "tool_search", "x": 1}, {"type": "tool_search", "x": 1}),
        (
            {
                "name": "f",
                "description": "d",
                "input_schema": {"type": "object", "properties": {}},
                "cache_control": {"type": "ephemeral"},
            },
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (convert_to_openai_tool(City), convert_to_openai_tool(City)),
    ],
    ids=["a provider's own", "of a middleware", "Anthropic's", "OpenAI's"],
)
def test_a_tool_in_another_form(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert openai_tools([given]) == [sent]


def test_what_a_tool_says_to_its_provider_goes_along() -> None:
    lazy = add.model_copy(update={"extras": {"defer_loading": True}})
    assert openai_tools([lazy])[0]["defer_loading"] is True


def test_a_strict_tool_is_one_inside_and_nowhere_else() -> None:
    (made,) = openai_tools([add], strict=True)
    assert made["function"]["strict"] is True
    assert loose(made["function"]["parameters"]) is None
    model, transport = openai()
    model.bind_tools([add], strict=True).invoke("x")
    assert "strict" not in body(transport)
    assert openai_tools([add], strict=False)[0]["function"]["strict"] is False
    assert "strict" not in openai_tools([add])[0]["function"]


NAMED = {"type": "function", "function": {"name": "add"}}
CHOICES = [
    (None, None),
    (False, None),
    (True, "required"),
    ("any", "required"),
    ("required", "required"),
    ("auto", "auto"),
    ("none", "none"),
    ("add", NAMED),
    (NAMED, NAMED),
    ({"type": "tool", "name": "add"}, NAMED),
    ({"type": "any"}, "required"),
    ("web_search", {"type": "web_search_20250305"}),
]


@pytest.mark.parametrize(("given", "sent"), CHOICES)
def test_a_tool_choice(given: Any, sent: Any) -> None:
    tools = openai_tools([add, {"type": "web_search_20250305", "name": "web_search"}])
    assert openai_tool_choice(given, tools) == sent


def test_the_name_of_no_tool_is_an_error() -> None:
    with pytest.raises(ValueError, match="'sub' is none of the bound tools"):
        openai()[0].bind_tools([add], tool_choice="sub")


def test_no_tools_are_not_sent() -> None:
    model, transport = openai()
    model.bind_tools([], tool_choice="auto", parallel_tool_calls=True).invoke("x")
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body(transport).keys()


def test_claude_takes_no_forced_tool_while_it_thinks() -> None:
    model, transport = openai(model="anthropic/claude-sonnet-4-5", thinking={"type": "enabled", "budget_tokens": 1024})
    with pytest.warns(UserWarning, match="tool_choice was changed to auto"):
        model.bind_tools([add], tool_choice="any").invoke("x")
    assert body(transport).get("tool_choice", {"type": "auto"})["type"] == "auto"


def test_fallbacks_have_the_models_methods() -> None:
    """LangChain hands these on only where it can read what they return."""
    model, _ = openai()
    spare = model.with_fallbacks([model])
    assert spare.bind_tools([add], tool_choice="any").invoke("x").tool_calls
    assert isinstance(spare.with_structured_output(City).invoke("x"), City)


def test_a_tool_loop() -> None:
    model, _ = openai()
    bound = model.bind_tools([add])
    called = bound.invoke("Use the tool add")
    result = add.invoke(called.tool_calls[0])
    assert bound.invoke([("human", "Use the tool add"), called, result]).content  # type: ignore[list-item]


# --------------------------------------------------------------------------------------------------------- structured output
SCHEMAS = {
    "pydantic": City,
    "typeddict": CityDict,
    "json schema": City.model_json_schema(),
    "tool": convert_to_openai_tool(City),
}
METHODS = ["json_schema", "function_calling"]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strict", [None, False, True])
def test_structured_output(schema: str, method: str, strict: bool | None) -> None:
    model, transport = openai()
    answer: Any = model.with_structured_output(SCHEMAS[schema], method=method, strict=strict).invoke("x")
    assert isinstance(answer, City if schema == "pydantic" else dict)
    sent = body(transport)
    if method == "json_schema":
        assert sent["response_format"]["json_schema"]["strict"] is (strict is not False)
    else:
        assert sent["tool_choice"]["function"]["name"] == "City" + ("Dict" if schema == "typeddict" else "")
        assert sent["parallel_tool_calls"] is False
        assert sent["tools"][0]["function"].get("strict") is strict


@pytest.mark.parametrize("method", [*METHODS, "json_mode"])
def test_a_raw_answer_beside_the_parsed_one(method: str) -> None:
    model, _ = openai()
    schema: Any = (
        {"title": "J", "type": "object", "properties": {"setup": {"type": "string"}}} if method == "json_mode" else City
    )
    found: Any = model.with_structured_output(schema, method=method, include_raw=True).invoke("x")
    assert found["parsing_error"] is None
    assert found["parsed"]
    assert found["raw"].response_metadata["model_name"] == "openai/gpt-4o"


def test_a_bad_answer_is_told_and_not_raised_with_include_raw() -> None:
    model = saying(TextPart(text='{"name": 1'))
    found: Any = model.with_structured_output(City, include_raw=True).invoke("x")
    assert found["parsed"] is None
    assert found["parsing_error"] is not None


@pytest.mark.parametrize(("name", "method"), [("demo/json", "json_schema"), ("demo/tools", "function_calling")])
def test_parts_of_an_answer_while_it_streams(name: str, method: Any) -> None:
    model = ChatLiteLLM(model=name)
    dicts = list(model.with_structured_output(CityDict, method=method).stream("x"))
    assert dicts == [{}, {"name": ""}, {"name": "demo"}, {"name": "demo", "inhabitants": 1}]
    objects: Any = list(model.with_structured_output(City, method=method).stream("x"))
    assert (objects[0].name, objects[-1].name, objects[-1].inhabitants) == ("", "demo", 1)


def test_parts_of_a_json_answer_while_it_streams() -> None:
    found: Any = list(ChatLiteLLM(model="demo/json").with_structured_output(method="json_mode").stream("x y z"))
    assert len(found) > 3
    assert all(later["answer"].startswith(earlier.get("answer", "")) for earlier, later in pairwise(found))


@pytest.mark.parametrize("ask", ["invoke", "stream"])
@pytest.mark.parametrize("schema", [City, CityDict])
def test_a_refusal_is_a_refusal(schema: Any, ask: str) -> None:
    runnable = saying(RefusalPart(text="I cannot.")).with_structured_output(schema)
    with pytest.raises(ModelRefusalError, match="I cannot"):
        list(getattr(runnable, ask)("x"))


def test_tools_beside_the_schema() -> None:
    model, transport = openai()
    found = model.with_structured_output(City, tools=[add]).invoke("x")
    assert found is None, "the model called the tool instead"
    assert [one["function"]["name"] for one in body(transport)["tools"]] == ["add"]
    assert body(transport)["response_format"]["json_schema"]["name"] == "City"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"schema": City, "method": "magic"}, "method: expected one of json_schema, function_calling, json_mode"),
        ({"method": "json_schema"}, "schema: json_schema needs one"),
        ({"schema": City, "method": "json_mode", "strict": True}, "strict: json_mode"),
    ],
)
def test_what_makes_no_sense(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        openai()[0].with_structured_output(**given)


def test_the_method_follows_the_catalog() -> None:
    model, transport = openai(profile={"structured_output": False, "tool_calling": True})
    model.with_structured_output(City).invoke("x")
    assert "tools" in body(transport)
    assert "response_format" not in body(transport)


# ----------------------------------------------------------------------------------------------------------------- schemas
@pytest.mark.parametrize("model", [City, Deep])
def test_a_strict_schema_keeps_the_rules(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    assert loose(strict_schema(schema)) is None
    assert can_be_strict(schema)


def test_an_open_object_cannot_be_strict_and_is_not_called_so() -> None:
    assert not can_be_strict(Open.model_json_schema())
    model, transport = openai()
    model.bind(stop=None).invoke("x")
    model.with_structured_output(Open, include_raw=True).invoke("x")
    assert body(transport)["response_format"]["json_schema"]["strict"] is False


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"default": {"type": "string", "default": "x"}, "enum": {"type": "integer"}}}
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"default": {"type": "string"}, "enum": {"type": "integer"}},
        "required": ["default", "enum"],
        "additionalProperties": False,
    }


def saying(*parts: Any) -> ChatLiteLLM:
    """A model that always answers with these parts."""
    answer = ChatResponse(id="a", model="m", choices=(Choice(parts=parts, finish=Finish(reason="stop")),))
    dialect = registry.get("openai_chat")

    def choose(request: HttpRequest) -> Answer:
        if not json.loads(request.body).get("stream"):
            content = dialect.encode_response(answer, now=1)
            return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=content)
        encoder = dialect.stream_encoder(ChatRequest(model="m"), now=1)
        return Pieces(pieces=tuple(encoder.encode(event) for event in unfold(answer)))

    return ChatLiteLLM(model="openai/gpt-4o", client=Client(transport=ReplayTransport(choose=choose), env=ENV))
