"""The forced tool call: the schema that is asked for, and the answer repackaged, whole and in any slicing."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.sse import SSEDecoder
from dragoman.providers.local_tools import CallStream, force_call, repackage

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS}}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def forced(*tools: dict, content: object = "Paris?") -> dict:
    body = {"messages": [{"role": "user", "content": content}], "tools": list(tools), "tool_choice": "required"}
    assert force_call(body)
    return body


def test_one_tool_becomes_the_schema_of_its_call() -> None:
    body = forced(WEATHER)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"name": {"const": "get_weather"}, "arguments": PARAMETERS}
    assert schema["required"] == ["name", "arguments"]
    assert {"tools", "tool_choice"}.isdisjoint(body)
    *example, last = body["messages"]
    assert [message["role"] for message in example] == ["user", "assistant"]
    assert json.loads(example[1]["content"]).keys() == {"name", "arguments"}
    assert last == {"role": "user", "content": "Paris?\nAnswer with a call of get_weather (The weather) as JSON."}


def test_the_example_comes_after_what_the_system_says() -> None:
    system = {"role": "system", "content": "Be brief."}
    body = {"messages": [system, {"role": "user", "content": "Paris?"}], "tools": [WEATHER]}
    assert force_call(body)
    assert body["messages"][0] == system
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]


def test_several_tools_become_a_choice_of_schemas() -> None:
    schema = forced(WEATHER, CLOCK)["response_format"]["json_schema"]["schema"]
    assert [each["properties"]["name"]["const"] for each in schema["anyOf"]] == ["get_weather", "clock"]
    assert schema["anyOf"][1]["properties"]["arguments"] == {"type": "object"}


def test_a_question_in_parts_is_left_whole() -> None:
    parts = [{"type": "text", "text": "Paris?"}]
    messages = forced(WEATHER, content=parts)["messages"]
    assert messages[-2]["content"] == parts
    assert messages[-1]["role"] == "user"


def test_no_tools_nothing_to_do() -> None:
    body = {"messages": [], "tools": []}
    assert not force_call(body)
    assert body == {"messages": []}


def whole(content: str, finish: str = "stop") -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}
    return json.dumps({"id": "chatcmpl-abc", "choices": [choice], "usage": {"total_tokens": 3}}).encode()


def streamed(content: str, finish: str, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(edges)]
    choices = [{"delta": {"role": "assistant", "content": None}}, *({"delta": {"content": piece}} for piece in pieces)]
    choices.append({"delta": {}, "finish_reason": finish})
    chunks = [{"id": "chatcmpl-abc", "choices": [{"index": 0, "finish_reason": None} | choice]} for choice in choices]
    chunks.append({"id": "chatcmpl-abc", "choices": [], "usage": {"total_tokens": 3}})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def read_back(stream: bytes) -> tuple[dict | None, str | None, list]:
    """The call that a client would put together, its finish reason, and the chunks."""
    events = SSEDecoder().feed(stream)
    assert events[-1].data == b"[DONE]"
    chunks = [json.loads(event.data) for event in events[:-1]]
    call: dict | None = None
    finish = None
    for chunk in chunks:
        for choice in chunk["choices"]:
            finish = choice["finish_reason"] or finish
            for piece in choice["delta"].get("tool_calls", ()):
                if call is None:
                    call = piece
                else:
                    call["function"]["arguments"] += piece["function"]["arguments"]
    return call, finish, chunks


CASES = [
    ('{"name": "get_weather", "arguments": {"city": "Paris"}}', "stop", '{"city": "Paris"}', "tool_calls"),
    ('{\n "name" : "get_weather" ,\n "arguments" : {"a": {"b": {}}}\n}\n', "stop", '{"a": {"b": {}}}', "tool_calls"),
    ('{"name":"get_weather","arguments":{"city":"} \\" }}"}}', "stop", '{"city":"} \\" }}"}', "tool_calls"),
    ('{"name":"get_weather","arguments":{}}', "stop", "{}", "tool_calls"),
    ('{"name":"get_weather","arguments":{"city":"Par', "length", '{"city":"Par', "length"),
    ('{"name":"get_weather","arguments":{"city":{}', "length", '{"city":{}', "length"),
]


@pytest.mark.parametrize("content, finish, arguments, reason", CASES)
def test_a_whole_answer_becomes_a_call(content: str, finish: str, arguments: str, reason: str) -> None:
    choice = json.loads(repackage(whole(content, finish)))["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (call["id"], call["type"], call["function"]["name"]) == ("call_abc", "function", "get_weather")
    assert call["function"]["arguments"].strip() == arguments
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == reason


@pytest.mark.parametrize("content, finish, arguments, reason", CASES)
@given(cuts=st.lists(st.integers(0, 200), max_size=12), slice_size=st.integers(1, 400))
def test_a_stream_becomes_the_same_call(
    content: str, finish: str, arguments: str, reason: str, cuts: list[int], slice_size: int
) -> None:
    sent, rewriter = streamed(content, finish, cuts), CallStream()
    got = b"".join(rewriter.feed(sent[at : at + slice_size]) for at in range(0, len(sent), slice_size)) + rewriter.flush()
    call, seen, chunks = read_back(got)
    assert call is not None
    assert (call["index"], call["id"], call["function"]["name"]) == (0, "call_abc", "get_weather")
    assert call["function"]["arguments"].strip() == arguments
    assert seen == reason
    assert not any(choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"])
    assert chunks[-1]["usage"] == {"total_tokens": 3}


def test_an_answer_cut_before_the_name_is_no_call() -> None:
    choice = json.loads(repackage(whole('{"name": "get_w', "length")))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert "tool_calls" not in choice["message"]
