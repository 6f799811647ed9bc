"""What the demo models say, in both dialects: a request in, the bytes of the answer out, no clock and no socket."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.http import HttpRequest, header
from dragoman.core.sse import SSEDecoder
from dragoman.providers.demo import MODELS, Script, plan, tokens

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOCK = {"type": "object", "properties": {"zone": {"enum": ["CET", "UTC"]}}, "required": ["zone"]}


def script(path: str, body: dict[str, Any] | bytes, method: str = "POST") -> Script:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return plan(HttpRequest(method=method, url=f"demo://in-process/v1{path}", body=raw)).at(0)


def body_of(played: Script) -> bytes:
    return b"".join(piece.data for piece in played.pieces)


def chat(model: str = "echo", user: str = "Hello there", **fields: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": user}], **fields}
    return json.loads(body_of(script("/chat/completions", body)))


def chat_stream(model: str = "echo", user: str = "Hello there", **fields: Any) -> list[Any]:
    body = {"model": model, "messages": [{"role": "user", "content": user}], "stream": True, **fields}
    *events, done = SSEDecoder().feed(body_of(script("/chat/completions", body)))
    assert done.data == b"[DONE]"
    return [json.loads(event.data) for event in events]


def messages(model: str = "echo", user: Any = "Hello there", **fields: Any) -> Any:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": user}], **fields}
    return json.loads(body_of(script("/messages", body)))


def messages_stream(model: str = "echo", user: Any = "Hello there", **fields: Any) -> list[Any]:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": user}], "stream": True, **fields}
    events = SSEDecoder().feed(body_of(script("/messages", body)))
    parsed = [json.loads(event.data) for event in events]
    assert [event.event for event in events] == [event["type"] for event in parsed]
    return parsed


def text(answer: Any) -> str:
    return answer["choices"][0]["message"]["content"]


def function(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


SAYS = [
    ("echo", None, "Say it again, Sam.", "Say it again, Sam."),
    ("demo/echo", None, "prefix or not", "prefix or not"),
    ("canned", "You are a helpful assistant that translates English to French.", "I love programming.", "J'adore programmer."),
    ("canned", None, "Translate to French: I love programming.", "J'adore programmer."),
    (
        "canned",
        None,
        "Classify the text into neutral, negative or positive. Text: I think the food was okay. Sentiment:",
        "Neutral",
    ),
    ("canned", None, "What is the capital of France?", "Paris"),
    ("canned", None, "one two three", "(demo) You wrote 3 words, and no model has read them."),
    ("json", None, "What is the capital of France?", '{"answer":"Paris"}'),
    ("reason", None, "What is the capital of France?", "Paris"),
    ("tools", None, "What is the capital of France?", "Paris"),
]


@pytest.mark.parametrize(("model", "system", "user", "answer"), SAYS)
def test_the_models_say(model: str, system: str | None, user: str, answer: str) -> None:
    turns = [{"role": "system", "content": system}] if system else []
    said = chat(model, messages=[*turns, {"role": "user", "content": user}])
    assert text(said) == answer
    in_anthropic = messages(model, user, **({"system": system} if system else {}))
    assert in_anthropic["content"][-1] == {"type": "text", "text": answer}


def test_the_antibiotics_paragraph_is_there() -> None:
    assert text(chat("canned", "Explain antibiotics")).startswith("Antibiotics ")


def test_every_answer_is_marked() -> None:
    played = script("/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": "x"}]})
    assert played.head is not None
    assert header(played.head.headers, "x-dragoman-demo") == "true"
    assert json.loads(body_of(played))["system_fingerprint"] == "demo"
    assert {chunk["system_fingerprint"] for chunk in chat_stream()} == {"demo"}


# -------------------------------------------------------------------------------------------------------- usage, limits
def test_usage_is_counted_by_the_written_rule() -> None:
    assert tokens.split("J'adore programmer.") == ["J", "'", "ador", "e", " prog", "ramm", "er", "."]
    usage = chat("echo", "J'adore programmer.")["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (8 + 4, 8, 20)


@given(st.text())
def test_tokens_joined_are_the_text(words: str) -> None:
    assert "".join(tokens.split(words)) == words


LIMITS = [
    ({"max_tokens": 3}, "one two red", "length"),
    ({"max_completion_tokens": 1}, "one", "length"),
    ({"max_tokens": 4}, "one two red blue", "stop"),
    ({"stop": " red"}, "one two", "stop"),
    ({"stop": ["blue", "two"]}, "one ", "stop"),
    ({"stop": ["nine"]}, "one two red blue", "stop"),
    ({"max_tokens": 1, "stop": ["two"]}, "one", "length"),
]


@pytest.mark.parametrize(("fields", "answer", "finish"), LIMITS)
def test_limits(fields: dict[str, Any], answer: str, finish: str) -> None:
    choice = chat("echo", "one two red blue", **fields)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (answer, finish)


def test_limits_in_anthropic_name_the_sequence() -> None:
    stopped = messages("echo", "one two three", stop_sequences=[" three"])
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", " three")
    assert messages("echo", "one two three", max_tokens=2)["stop_reason"] == "max_tokens"


def test_n_choices_and_their_usage() -> None:
    answer = chat("echo", "one two", n=3)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] == 6
    streamed = chat_stream("echo", "one two", n=3)
    assert {chunk["choices"][0]["index"] for chunk in streamed} == {0, 1, 2}


def test_logprobs() -> None:
    listed = chat("echo", "one two", logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in listed] == ["one", " two"]
    for entry in listed:
        chances = [other["logprob"] for other in entry["top_logprobs"]]
        assert len(chances) == 3
        assert chances == sorted(chances, reverse=True)
        assert chances[0] == entry["logprob"] < 0
        assert bytes(entry["bytes"]).decode() == entry["token"]


def test_length_is_so_many_words_of_any_model() -> None:
    assert len(text(chat("json", demo={"length": 1000})).split()) == 1000


# ------------------------------------------------------------------------------------------------------- json and tools
def test_a_schema_is_kept_by_any_model() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(text(chat("echo", "Fly to Oslo", response_format=form))) == {"city": "Oslo", "days": 2}
    said = messages("echo", "Fly to Oslo", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(said["content"][0]["text"]) == {"city": "Oslo", "days": 2}


def test_json_object_is_an_object() -> None:
    assert json.loads(text(chat("echo", "hi", response_format={"type": "json_object"}))) == {"answer": "hi"}


TOOLS = [function("weather", WEATHER), function("clock", CLOCK)]
CALLED = [
    ("tools", "Weather in Oslo?", {}, [("weather", {"city": "Oslo"})]),
    ("tools", "Both for Oslo", {}, [("weather", {"city": "Oslo"}), ("clock", {"zone": "CET"})]),
    ("tools", "Both for Oslo", {"parallel_tool_calls": False}, [("weather", {"city": "Oslo"})]),
    ("tools", "Weather?", {"tool_choice": "none"}, []),
    ("echo", "Weather?", {"tool_choice": "auto"}, []),
    ("echo", "Weather in Rome", {"tool_choice": "required"}, [("weather", {"city": "Rome"})]),
    ("echo", "Now", {"tool_choice": {"type": "function", "function": {"name": "clock"}}}, [("clock", {"zone": "CET"})]),
]


@pytest.mark.parametrize(("model", "user", "fields", "expected"), CALLED)
def test_tools_called(model: str, user: str, fields: dict[str, Any], expected: list[Any]) -> None:
    choice = chat(model, user, tools=TOOLS, **fields)["choices"][0]
    calls = choice["message"].get("tool_calls", [])
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls] == expected
    assert choice["finish_reason"] == ("tool_calls" if expected else "stop")
    assert len({call["id"] for call in calls}) == len(calls)


def test_results_of_tools_are_reported_not_called_again() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert text(chat("tools", messages=turns, tools=TOOLS)) == "(demo) The tools say: sunny"


ANTHROPIC_TOOLS = [{"name": "weather", "input_schema": WEATHER}, {"name": "clock", "input_schema": CLOCK}]
ANTHROPIC_CALLED = [
    ("tools", {}, ["weather", "clock"]),
    ("tools", {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, ["weather"]),
    ("tools", {"tool_choice": {"type": "none"}}, []),
    ("echo", {"tool_choice": {"type": "any"}}, ["weather", "clock"]),
    ("echo", {"tool_choice": {"type": "tool", "name": "clock"}}, ["clock"]),
]


@pytest.mark.parametrize(("model", "fields", "expected"), ANTHROPIC_CALLED)
def test_tools_called_in_anthropic(model: str, fields: dict[str, Any], expected: list[str]) -> None:
    answer = messages(model, "All of it, for Oslo", tools=ANTHROPIC_TOOLS, **fields)
    uses = [block for block in answer["content"] if block["type"] == "tool_use"]
    assert [use["name"] for use in uses] == expected
    assert answer["stop_reason"] == ("tool_use" if expected else "end_turn")


def test_results_of_tools_in_anthropic() -> None:
    result = [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sunny"}]}]
    assert messages("tools", result, tools=ANTHROPIC_TOOLS)["content"][0]["text"] == "(demo) The tools say: sunny"


# ----------------------------------------------------------------------------------------------------------- reasoning
def test_reasoning_comes_before_the_answer() -> None:
    answer = chat("reason", "What is the capital of France?")
    assert answer["choices"][0]["message"]["reasoning_content"]
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    kinds = [kind for chunk in chat_stream("reason") for kind in chunk["choices"][0]["delta"] if "content" in kind]
    assert [kind for kind, _ in itertools.groupby(kinds[1:])] == ["reasoning_content", "content"]


def test_thinking_can_be_asked_for_and_declined() -> None:
    assert messages("echo", thinking={"type": "enabled", "budget_tokens": 1024})["content"][0]["type"] == "thinking"
    assert [block["type"] for block in messages("reason", thinking={"type": "disabled"})["content"]] == ["text"]
    assert "reasoning_content" not in chat("reason", reasoning_effort="none")["choices"][0]["message"]


def test_a_thinking_block_is_taken_back_only_as_it_was_signed() -> None:
    thought = messages("reason")["content"][0]

    def again(block: dict[str, Any]) -> Any:
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [block]}, {"role": "user", "content": "b"}]
        return messages(messages=turns)

    assert again(thought)["type"] == "message"
    refused = again(thought | {"thinking": "something else"})
    assert "messages.1.content.0: Invalid `signature`" in refused["error"]["message"]


# -------------------------------------------------------------------------------------------------------------- streams
CASES = [
    ("echo", {}),
    ("echo", {"max_tokens": 2}),
    ("reason", {}),
    ("tools", {"tools": TOOLS}),
    ("tools", {"tools": TOOLS, "max_tokens": 6}),
    ("echo", {"demo": {"chunk": 3}}),
]


@pytest.mark.parametrize(("model", "fields"), CASES)
def test_a_stream_amounts_to_the_plain_answer(model: str, fields: dict[str, Any]) -> None:
    plain = chat(model, "all of Oslo, please", **fields)
    *chunks, usage = chat_stream(model, "all of Oslo, please", stream_options={"include_usage": True}, **fields)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    message = plain["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == (message["content"] or "")
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message.get("reasoning_content", "")
    pieces: dict[int, str] = {}
    for call in itertools.chain.from_iterable(delta.get("tool_calls", ()) for delta in deltas):
        pieces[call["index"]] = pieces.get(call["index"], "") + call["function"]["arguments"]
    assert list(pieces.values()) == [call["function"]["arguments"] for call in message.get("tool_calls", ())]
    assert chunks[-1]["choices"][0]["finish_reason"] == plain["choices"][0]["finish_reason"]
    assert (usage["choices"], usage["usage"]) == ([], plain["usage"])
    assert all(chunk["usage"] is None for chunk in chunks)


def test_usage_is_not_streamed_unless_asked_for() -> None:
    assert all("usage" not in chunk for chunk in chat_stream())


@pytest.mark.parametrize(("model", "fields"), [("echo", {}), ("reason", {}), ("tools", {"tools": ANTHROPIC_TOOLS})])
def test_an_anthropic_stream_amounts_to_the_plain_answer(model: str, fields: dict[str, Any]) -> None:
    plain = messages(model, "all of Oslo, please", **fields)
    events = messages_stream(model, "all of Oslo, please", **fields)
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    assert events[-2]["delta"] == {"stop_reason": plain["stop_reason"], "stop_sequence": plain["stop_sequence"]}
    assert events[-2]["usage"]["output_tokens"] == plain["usage"]["output_tokens"]
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"] | {"json": ""})
        elif event["type"] == "content_block_delta":
            kind, value = next(pair for pair in event["delta"].items() if pair[0] != "type")
            field = "json" if kind == "partial_json" else kind
            blocks[event["index"]][field] += value
    for block in blocks:
        arguments = block.pop("json")
        if arguments:
            block["input"] = json.loads(arguments)
    assert [block | {"id": None} for block in blocks] == [block | {"id": None} for block in plain["content"]]


# --------------------------------------------------------------------------------------------------------- determinism
bodies = st.fixed_dictionaries(
    {
        "model": st.sampled_from([name for name in MODELS if name not in ("embed", "image")]),
        "max_tokens": st.integers(1, 50),
        "messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text()}), min_size=1, max_size=3),
        "stream": st.booleans(),
        "seed": st.integers(0, 100),
        "demo": st.fixed_dictionaries(
            {"fail": st.sampled_from(["429", "cut", "garbage", "error_event"]), "fail_rate": st.floats(0, 1)}
        ),
    }
)


@given(bodies, st.integers(0, 1000), st.sampled_from(["/chat/completions", "/messages"]))
def test_the_same_request_gives_the_same_bytes(body: dict[str, Any], turn: int, path: str) -> None:
    def played() -> Script:
        return plan(HttpRequest(method="POST", url=f"http://host/v1{path}", body=json.dumps(body).encode())).at(turn)

    assert played() == played()


# ------------------------------------------------------------------------------------------------------------ bad input
BAD = [
    ("/chat/completions", b"{", 400, "not JSON"),
    ("/chat/completions", {"model": "echo"}, 400, "messages"),
    ("/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, 400, "model"),
    ("/chat/completions", {"model": "echo", "messages": []}, 400, "messages"),
    ("/chat/completions", {"model": "echo", "messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content"),
    ("/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}, 404, "there are: echo, canned"),
    ("/chat/completions", {"model": "embed", "messages": [{"role": "user", "content": "x"}]}, 404, "there are: echo, canned"),
    ("/embeddings", {"model": "embed", "input": ""}, 400, "not empty"),
    ("/embeddings", {"model": "embed", "input": []}, 400, "not empty"),
    ("/embeddings", {"model": "embed", "input": "x", "dimensions": 0}, 400, "dimensions"),
    ("/images/generations", {"model": "image", "prompt": "x", "size": "big"}, 400, "WIDTHxHEIGHT"),
    ("/images/generations", {"model": "image", "prompt": "x", "size": "99999x1"}, 400, "1 to 2048"),
    ("/audio/speech", {"model": "echo"}, 404, "demo has nothing at"),
    (
        "/chat/completions",
        {
            "model": "echo",
            "messages": [{"role": "user", "content": "x"}],
            "tool_choice": {"type": "function", "function": {"name": "gone"}},
        },
        400,
        "'gone' not found",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), BAD)
def test_bad_requests_are_answered_as_openai_does(path: str, body: Any, status: int, words: str) -> None:
    played = script(path, body)
    assert played.head is not None
    assert played.head.status == status
    error = json.loads(body_of(played))["error"]
    assert words in error["message"]
    assert error.keys() == {"message", "type", "param", "code"}


def test_bad_requests_are_answered_as_anthropic_does() -> None:
    played = script("/messages", {"model": "echo", "messages": [{"role": "user", "content": "x"}]})
    assert played.head is not None
    assert played.head.status == 400
    answer = json.loads(body_of(played))
    assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")
    assert "max_tokens" in answer["error"]["message"]


def test_the_wrong_method_is_refused() -> None:
    played = script("/chat/completions", b"", method="GET")
    assert played.head is not None
    assert played.head.status == 405


def test_models_are_listed() -> None:
    listed = json.loads(body_of(script("/models", b"", method="GET")))
    assert tuple(row["id"] for row in listed["data"]) == MODELS
