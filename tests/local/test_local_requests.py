"""What the local provider does to a request before it is sent, and what it refuses. Pure tables."""

from __future__ import annotations

import pytest

from dragoman.core.errors import BadRequestError, ConfigurationError, UnsupportedParamsError
from dragoman.providers.local import CAPABILITIES, CHAT_TEMPLATE, EXAMPLE_TURNS, QUIRKS, edit, parse_model

CHAT = "smollm2-135m"
EMBED = "use-multilingual-v3"


def tool(name: str, **properties: str) -> dict:
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


WEATHER, ADD = tool("get_weather", city="string"), tool("add", a="number", b="number")


def named(name: str) -> dict:
    return {"type": "function", "function": {"name": name}}


def chat(**fields: object) -> dict:
    return {"model": CHAT, "messages": [{"role": "user", "content": "Hi"}], **fields}


@pytest.mark.parametrize(
    "name, operation, gguf",
    [
        ("smollm2-135m", "chat", None),
        ("local/smollm2-135m", "chat", None),
        ("use-multilingual-v3", "embedding", None),
        ("/models/big.gguf", "chat", "/models/big.gguf"),
        ("local/models/Big.GGUF", "chat", "models/Big.GGUF"),
        ("~/big.gguf", "chat", "~/big.gguf"),
    ],
)
def test_model_names(name: str, operation: str, gguf: str | None) -> None:
    found = parse_model(name)
    assert (found.operation, found.gguf) == (operation, gguf)


@pytest.mark.parametrize("name", ["", "gpt-4o", "local/", "model.bin"])
def test_an_unknown_model_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"local/smollm2-135m, local/use-multilingual-v3 and local/<path of a \.gguf"):
        parse_model(name)


@pytest.mark.parametrize(
    "said, sent",
    [
        ({}, {"temperature": 0.2, "repeat_penalty": 1.1, "max_tokens": 256}),
        ({"temperature": 0}, {"temperature": 0, "repeat_penalty": 1.1, "max_tokens": 256}),
        ({"temperature": None, "max_tokens": 9}, {"temperature": 0.2, "repeat_penalty": 1.1, "max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"temperature": 0.2, "repeat_penalty": 1.1, "max_completion_tokens": 9}),
        (
            {"response_format": {"type": "json_object"}},
            {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 256, "response_format": {"type": "json_object"}},
        ),
    ],
)
def test_defaults_fill_what_is_not_said(said: dict, sent: dict) -> None:
    body = chat(**said)
    assert edit(body, CHAT) == ()
    assert body == chat(**sent)


def test_a_model_of_the_users_keeps_its_own_defaults_and_tools() -> None:
    body = chat(tools=[WEATHER])
    assert edit(body, "/models/big.gguf") == ()
    assert body == chat(tools=[WEATHER])


@pytest.mark.parametrize(
    "fields, left, warned",
    [
        ({"tools": [WEATHER]}, None, ["tools"]),
        ({"tools": [WEATHER], "tool_choice": "auto"}, None, ["tools"]),
        ({"tools": [WEATHER], "tool_choice": "none"}, None, []),
        ({"tools": [], "tool_choice": "auto"}, None, []),
        ({"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": True}, [WEATHER], []),
        ({"tools": [WEATHER, ADD], "tool_choice": "required"}, [WEATHER, ADD], ["tool_choice"]),
        ({"tools": [WEATHER, ADD], "tool_choice": named("add")}, [ADD], []),
        (
            {"tools": [ADD], "tool_choice": named("add"), "response_format": {"type": "text"}, "logprobs": True},
            [ADD],
            ["response_format", "logprobs"],
        ),
        ({"n": 2}, None, ["n"]),
    ],
)
def test_tools_stay_only_where_a_call_is_forced(fields: dict, left: list | None, warned: list[str]) -> None:
    body = chat(**fields)
    warnings = edit(body, CHAT)
    assert [warning.field for warning in warnings] == warned
    assert body.get("tools") == left
    assert "parallel_tool_calls" not in body


IMAGE = {
    "role": "user",
    "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
}


@pytest.mark.parametrize(
    "model, body, error, message",
    [
        (CHAT, chat(messages=[IMAGE]), UnsupportedParamsError, r"messages\[0\]\.content\[1\].*image_url.*reads text only"),
        ("/m.gguf", chat(messages=[IMAGE]), UnsupportedParamsError, "reads text only"),
        (CHAT, chat(tools=[ADD], tool_choice=named("sub")), BadRequestError, "no tool is called 'sub'; there are: add"),
        (
            CHAT,
            chat(tools=[ADD], tool_choice={"type": "allowed_tools"}),
            UnsupportedParamsError,
            "tool_choice: .*allowed_tools",
        ),
        (CHAT, chat(tools=[ADD], tool_choice=3), UnsupportedParamsError, "tool_choice: 3"),
        (CHAT, chat(tools="add", tool_choice="required"), UnsupportedParamsError, "tools: expected an array, found string"),
        (CHAT, chat(tools=[{"type": "custom"}], tool_choice="required"), UnsupportedParamsError, r"tools\[0\]"),
        (EMBED, {"input": "x", "dimensions": 256}, UnsupportedParamsError, "dimensions: 256 .* 512 floats"),
        (EMBED, chat(), BadRequestError, "does embedding, not chat"),
        (CHAT, {"input": "x"}, BadRequestError, "does chat, not embedding"),
    ],
)
def test_refusals_say_what_and_why(model: str, body: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        edit(body, model)


@pytest.mark.parametrize("messages", [None, "hi", [3], [{"role": "user"}], [{"content": [7]}]])
def test_an_ill_formed_body_is_left_to_the_runtime_to_refuse(messages: object) -> None:
    body = chat(messages=messages)
    assert edit(body, CHAT) == ()
    assert body["messages"] == messages


def test_what_the_runtime_would_pass_over_is_dropped_by_name() -> None:
    assert {"reasoning_effort", "service_tier", "metadata", "store", "verbosity"} <= QUIRKS.drop


def test_the_512_floats_may_be_asked_for() -> None:
    body = {"input": "x", "dimensions": 512}
    assert edit(body, EMBED) == ()
    assert body == {"input": "x"}


def test_the_examples_do_not_hold_the_documented_questions() -> None:
    assert len(EXAMPLE_TURNS) == 4
    for question, _ in EXAMPLE_TURNS:
        assert "France" not in question
        assert "food" not in question
    assert all(answer in CHAT_TEMPLATE for _, answer in EXAMPLE_TURNS)


def test_the_capabilities_name_what_it_cannot_do() -> None:
    assert CAPABILITIES[CHAT].tools == {"named", "required"}
    assert any("never calls" in note for note in CAPABILITIES[CHAT].notes)
