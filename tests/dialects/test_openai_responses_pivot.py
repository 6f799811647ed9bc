"""The Responses API as a pivot: what our vocabulary says survives it, or a Warning names what was lost.

Properties over generated requests, answers and streams, then the ways between it and the other dialects: a chat call carried
over it, and its clients served by providers of other dialects.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Finish,
    MediaPart,
    Message,
    Part,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.core.errors import StreamInterruptedError
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.dialects.openai_responses import DIALECT
from support.slicing import cut, cut_places
from support.strategies import chat_requests, chat_responses, event_streams

steady = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
REQUEST = ChatRequest(model="m", stream=True)


# --------------------------------------------------------------------------------------------------------------- answers
def unmarked(part: Any) -> Part:
    return part if isinstance(part, RefusalPart) else replace(part, extra={})


def compared(response: ChatResponse) -> ChatResponse:
    """Without the marks of the dialect, the provider's own word for the end, and the stop sequence, which has no place here."""
    choices = tuple(
        replace(
            choice,
            parts=tuple(unmarked(part) for part in choice.parts),
            finish=replace(choice.finish, native=None, stop_sequence=None),
        )
        for choice in response.choices
    )
    return replace(response, choices=choices, extra={})


def expected(response: ChatResponse) -> ChatResponse:
    """An end that nobody explained is a plain one, and calls make it tool_calls: there is no status for either."""
    (choice,) = compared(response).choices
    reason = "stop" if choice.finish.reason in ("unknown", "tool_calls") else choice.finish.reason
    if reason == "stop" and any(isinstance(part, ToolCallPart) for part in choice.parts):
        reason = "tool_calls"
    return replace(compared(response), choices=(replace(choice, finish=replace(choice.finish, reason=reason)),))


not_failed = chat_responses().filter(lambda response: response.choices[0].finish.reason != "error")
"""A failed response is raised as an error, not returned: see the tests of answers."""


@given(response=not_failed)
@steady
def test_answers_survive(response: ChatResponse) -> None:
    read = DIALECT.decode_response(DIALECT.encode_response(response, now=1))
    assert compared(read) == expected(response)


def through(events: list[ev.Event], places: list[int]) -> list[ev.Event]:
    """The events that a client makes of the stream which it is sent, cut anywhere."""
    encoder, decoder = DIALECT.stream_encoder(REQUEST, now=1), DIALECT.stream_decoder()
    sent = b"".join(encoder.encode(event) for event in events)
    return [*(event for piece in cut(sent, places) for event in decoder.feed(piece)), *decoder.close()]


@given(events=event_streams(), places=cut_places)
@steady
def test_streams_survive(events: list[ev.Event], places: list[int]) -> None:
    if assemble(events).choices[0].finish.reason == "error":
        assert isinstance(through(events, places)[-1], ev.StreamError)
        return
    assert compared(assemble(through(events, places))) == expected(assemble(events))


@given(response=not_failed)
@steady
def test_an_answer_and_its_stream_say_the_same(response: ChatResponse) -> None:
    whole = DIALECT.decode_response(DIALECT.encode_response(response, now=1))
    assert compared(assemble(through(list(unfold(response)), []))) == compared(whole)


@given(events=event_streams(), data=st.data())
@steady
def test_a_broken_stream_is_never_a_clean_end(events: list[ev.Event], data: st.DataObject) -> None:
    encoder, decoder = DIALECT.stream_encoder(REQUEST, now=1), DIALECT.stream_decoder()
    came = events[: data.draw(st.integers(1, len(events) - 1))]
    sent = b"".join(encoder.encode(event) for event in came)
    sent += DIALECT.encode_stream_error(StreamInterruptedError("the cable was cut"))
    read = [*(event for piece in cut(sent, data.draw(cut_places)) for event in decoder.feed(piece)), *decoder.close()]
    assert isinstance(read[-1], ev.StreamError)
    assert read[-1].message == "the cable was cut"
    assert not any(isinstance(event, ev.ResponseEnd) for event in read)


@pytest.mark.parametrize("other", ["openai_chat", "anthropic_messages"])
@given(response=chat_responses(common=True))
@steady
def test_answers_reach_clients_of_this_dialect_and_come_back(other: str, response: ChatResponse) -> None:
    """Another dialect's answer, given to a client of this one, still has all that the other can say."""
    dialect = registry.get(other)
    first = dialect.decode_response(dialect.encode_response(response, now=1))
    there = DIALECT.decode_response(DIALECT.encode_response(first, now=1))
    assert compared(there) == expected(replace(first, created=first.created or 1))


# -------------------------------------------------------------------------------------------------------------- requests
class Said:
    """The warnings of one encoding; each must be called for."""

    def __init__(self, fields: list[str]) -> None:
        self.left = fields

    def lost(self, value: Any, field: str) -> bool:
        """Whether a loss of this field was to be expected; it must have been warned of."""
        if not value:
            return False
        assert field in self.left, f"{field} was lost without a warning"
        self.left.remove(field)
        return True


def said_part(part: Any, path: str, said: Said) -> Any:
    """A part as it comes back."""
    if isinstance(part, RefusalPart):
        return part
    if isinstance(part, ReasoningPart):
        said.lost(part, path)
        return None
    said.lost(part.cache_control, f"{path}.cache_control")
    changes: dict[str, Any] = {"cache_control": None}
    if isinstance(part, ToolCallPart):
        said.lost(part.signature, f"{path}.signature")
        changes["signature"] = None
    if isinstance(part, ToolResultPart):
        said.lost(part.is_error, f"{path}.is_error")
        changes |= {"is_error": None, "parts": said_parts(part.parts, path, said)}
    if isinstance(part, MediaPart):
        return said_media(part, path, said)
    return replace(part, **changes)


def said_parts(parts: tuple[Any, ...], path: str, said: Said) -> tuple[Any, ...]:
    found = (said_part(part, f"{path}.content[{place}]", said) for place, part in enumerate(parts))
    return tuple(part for part in found if part is not None)


def said_media(part: MediaPart, path: str, said: Said) -> Part:
    if part.text is not None:
        said.lost(part.text, path)
        return TextPart(text=part.text)
    changes: dict[str, Any] = {"cache_control": None}
    if part.data is None and said.lost(part.media_type, f"{path}.media_type"):
        changes["media_type"] = None
    if part.kind == "image" and said.lost(part.filename, f"{path}.filename"):
        changes["filename"] = None
    if part.kind == "document" and part.data is not None and said.lost(part.filename is None, f"{path}.filename"):
        changes["filename"] = "document.pdf"
    return replace(part, **changes)


def turns(messages: tuple[Message, ...]) -> list[tuple[str, list[Any]]]:
    """Who says what. Results are items of their own, so where a message with them ends is not compared."""
    found: list[tuple[str, list[Any]]] = []
    for message in messages:
        if found and found[-1][0] == message.role and message.role in ("assistant", "tool"):
            found[-1][1].extend(message.parts)
        elif message.parts:
            found.append((message.role, list(message.parts)))
    return [(role, [bare(part) for part in parts]) for role, parts in found]


def bare(part: Any) -> Any:
    if isinstance(part, ToolResultPart):
        part = replace(part, parts=tuple(unmarked(inner) for inner in part.parts))
    return unmarked(part)


ALIKE = ("model", "parallel_tool_calls", "max_tokens", "temperature", "top_p", "user", "service_tier", "metadata", "stream")
UNSAYABLE = {
    "n": (None, 1),
    "stop": ((),),
    "seed": (None,),
    "top_k": (None,),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
}


@given(request=chat_requests())
@steady
def test_requests_survive_or_a_warning_says_what_was_lost(request: ChatRequest) -> None:
    written = DIALECT.encode_request(request)
    read = DIALECT.decode_request(json.encode(written.body))
    said = Said([warning.field for warning in written.warnings])
    kept: list[Message] = []
    for place, message in enumerate(request.messages):
        said.lost(message.name, f"messages[{place}].name")
        kept.append(replace(message, parts=said_parts(message.parts, f"messages[{place}]", said), name=None))
    assert turns(tuple(kept)) == turns(read.messages)
    for field in ALIKE:
        assert getattr(read, field) == getattr(request, field)
    for field, silent in UNSAYABLE.items():
        said.lost(getattr(request, field) not in silent, field)
    assert (read.logprobs or False, read.top_logprobs) == (request.logprobs or False, request.top_logprobs)
    for place, tool in enumerate(request.tools):
        said.lost(tool.cache_control, f"tools[{place}].cache_control")
    assert [replace(tool, extra={}) for tool in read.tools] == [plain_tool(tool) for tool in request.tools]
    assert read.tool_choice == request.tool_choice
    assert read.response_format == request.response_format
    thinking = request.reasoning or Reasoning()
    said.lost(thinking.effort is None and thinking.enabled is False, "reasoning.enabled")
    said.lost(thinking.budget_tokens, "reasoning.budget_tokens")
    assert said.left == [], "a warning about what was not lost"


def plain_tool(tool: Tool) -> Tool:
    """Functions of other dialects are not strict unless they say so, which must be said here."""
    return replace(tool, cache_control=None, strict=bool(tool.strict))


# ------------------------------------------------------------------------------------------------------- between dialects
def chat(**fields: Any) -> bytes:
    return json.encode({"model": "o1-pro", "messages": [{"role": "user", "content": "hi"}], **fields})


def carried(**fields: Any) -> Any:
    """The body that a chat call becomes."""
    return DIALECT.encode_request(registry.get("openai_chat").decode_request(chat(**fields)))


def test_a_chat_call_is_carried_over_with_its_own_defaults() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    sent = carried(
        max_completion_tokens=5, reasoning_effort="low", tools=[function], verbosity="low", prompt_cache_key="k", user="u"
    )
    assert sent.warnings == ()
    assert sent.body == {
        "model": "o1-pro",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "max_output_tokens": 5,
        "user": "u",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low"},
        "prompt_cache_key": "k",
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_a_chat_call_that_wants_to_be_stored_is() -> None:
    sent = carried(store=True, reasoning_effort="low")
    assert sent.body["store"] is True
    assert "include" not in sent.body


def test_a_free_text_tool_and_its_grammar_are_flat_here() -> None:
    grammar = {"type": "grammar", "grammar": {"definition": "start: /x/", "syntax": "lark"}}
    sent = carried(tools=[{"type": "custom", "custom": {"name": "c", "description": "d", "format": grammar}}])
    assert sent.warnings == ()
    flat = {"type": "grammar", "definition": "start: /x/", "syntax": "lark"}
    assert sent.body["tools"] == [{"type": "custom", "name": "c", "description": "d", "format": flat}]


def test_a_shape_for_the_answer_stands_under_text() -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    form = carried(response_format=wanted).body["text"]["format"]
    assert form == {"type": "json_schema", "name": "n", "strict": True, "schema": schema}
    sent = DIALECT.encode_request(ChatRequest(model="m", response_format=ResponseFormat(kind="json_schema", schema=schema)))
    assert sent.body["text"]["format"]["name"] == "response", "the API wants a name"


SEALED = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "BLOB"}
ANSWER = {
    "id": "resp_1",
    "model": "m",
    "status": "completed",
    "output": [SEALED, {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}],
}


@pytest.mark.parametrize("other", ["openai_chat", "anthropic_messages"])
def test_sealed_thoughts_find_back_to_their_issuer_through_clients_of_any_dialect(other: str) -> None:
    dialect = registry.get(other)
    shown = json.decode(dialect.encode_response(DIALECT.decode_response(json.encode(ANSWER)), now=1))
    said = shown["choices"][0]["message"] if other == "openai_chat" else {"role": "assistant", "content": shown["content"]}
    asked = dialect.decode_request(json.encode({"model": "m", "max_tokens": 9, "messages": [said]}))
    first, second = DIALECT.encode_request(asked).body["input"]
    assert (first["type"], first["encrypted_content"], first["summary"]) == ("reasoning", "BLOB", SEALED["summary"])
    assert (second["type"], second["call_id"]) == ("function_call", "call_1")


def test_thoughts_that_others_signed_are_not_sent_here_but_go_back_through_our_clients() -> None:
    part = ReasoningPart(text="Hm", signature="of-anthropic")
    history = (Message(role="assistant", parts=(part, TextPart(text="hi"))),)
    sent = DIALECT.encode_request(ChatRequest(model="m", messages=history))
    assert [item["type"] for item in sent.body["input"]] == ["message"]
    assert [warning.field for warning in sent.warnings] == ["messages[0].content[0]"]
    given = json.decode(DIALECT.encode_response(assemble(unfold(answer_of(part))), now=1))
    back = DIALECT.decode_request(json.encode({"model": "m", "input": given["output"]}))
    body = registry.get("anthropic_messages").encode_request(back).body
    assert body["messages"][0]["content"] == [{"type": "thinking", "thinking": "Hm", "signature": "of-anthropic"}]


def test_redacted_thoughts_go_back_too() -> None:
    part = ReasoningPart(redacted="of-anthropic")
    given = json.decode(DIALECT.encode_response(answer_of(part), now=1))
    back = DIALECT.decode_request(json.encode({"model": "m", "input": given["output"]}))
    assert unmarked(back.messages[0].parts[0]) == part


def answer_of(*parts: Part) -> ChatResponse:
    return ChatResponse(id="r", model="m", choices=(Choice(parts=parts, finish=Finish(reason="stop")),))
