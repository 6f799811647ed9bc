"""The pivot holds: what our vocabulary says survives each dialect, and the way through two of them, or a Warning names it.

Requests: a table of what a dialect changes. A row without a `warned` changes the form only and says why; a row with one
loses something, and then a Warning under that field must be there. Answers and streams have no such list of warnings
(clients get what their dialect can say), so each of their rows is a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Finish,
    MediaPart,
    Message,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from dragoman.core.errors import StreamInterruptedError
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from support.slicing import cut, cut_places
from support.strategies import chat_requests, chat_responses, event_streams

DIALECTS = ["openai_chat", "anthropic_messages"]
steady = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
REQUEST = ChatRequest(model="m", stream=True, include_usage=True)


# -------------------------------------------------------------------------------------------------------------- requests
class Row(NamedTuple):
    """`change` gives the value as the dialect says it; `warned`: the end of the field that a Warning must name."""

    why: str
    change: Callable[[Any], Any]
    warned: str | None = None


def only(kind: type, change: Callable[[Any], Any], *, when: Callable[[Any], bool] = lambda _: True) -> Callable[[Any], Any]:
    """A change of one kind of part."""
    return lambda part: change(part) if isinstance(part, kind) and when(part) else part


def without(*fields: str) -> Callable[[Any], Any]:
    return lambda value: replace(value, **dict.fromkeys(fields))


def unproved(part: ReasoningPart) -> bool:
    return part.signature is None and part.redacted is None


def canonical_arguments(call: ToolCallPart) -> ToolCallPart:
    return replace(call, arguments=json.encode(json.decode(call.arguments)).decode())


def fetched(part: MediaPart) -> bool:
    return part.data is None and part.text is None


COMMON = [
    Row("who fetches finds out the type", only(MediaPart, without("media_type"), when=fetched), "media_type"),
    Row("images have no name", only(MediaPart, without("filename"), when=lambda part: part.kind == "image"), "filename"),
]
PARTS: dict[str, list[Row]] = {
    "openai_chat": [
        *COMMON,
        Row(
            "no mark for a failed result",
            only(ToolResultPart, without("is_error"), when=lambda part: part.is_error),
            "is_error",
        ),
        Row("not failed is the default", only(ToolResultPart, without("is_error"))),
        Row(
            "text documents become text",
            only(
                MediaPart,
                lambda part: TextPart(text=part.text, cache_control=part.cache_control),
                when=lambda part: part.text is not None,
            ),
            "",
        ),
    ],
    "anthropic_messages": [
        *COMMON,
        Row(
            "unsigned thinking is not taken back",
            only(ReasoningPart, lambda _: None, when=lambda part: not (part.signature or part.redacted)),
            "",
        ),
        Row("a refusal is text", only(RefusalPart, lambda part: TextPart(text=part.text)), ""),
        Row("foreign signatures", only(ToolCallPart, without("signature")), "signature"),
        Row("arguments travel as an object, not as its text", only(ToolCallPart, canonical_arguments)),
        Row(
            "no image resolution",
            only(MediaPart, without("detail"), when=lambda part: part.detail not in (None, "auto")),
            "detail",
        ),
        Row("automatic is the default", only(MediaPart, without("detail"))),
    ],
}


def side(message: Message) -> str:
    return {"tool": "user", "developer": "system"}.get(message.role, message.role)


def conversation(messages: tuple[Message, ...]) -> list[tuple[str, str | None, list[Any]]]:
    """Who says what. Where one message ends and the next begins is not compared: Anthropic wants a turn in one message,
    with the tools' results in the user's, and OpenAI a message for each result."""
    turns: list[tuple[str, str | None, list[Any]]] = []
    for message in messages:
        if turns and turns[-1][:2] == (side(message), message.name):
            turns[-1][2].extend(message.parts)
        else:
            turns.append((side(message), message.name, list(message.parts)))
    return turns


def said_in(name: str, request: ChatRequest, named: Callable[[str], bool]) -> tuple[Message, ...]:
    """The messages as the dialect says them; asserts the warning of every loss."""
    return tuple(said_message(name, message, f"messages[{place}]", named) for place, message in enumerate(request.messages))


def said_message(name: str, message: Message, path: str, named: Callable[[str], bool]) -> Message:
    if name == "anthropic_messages" and message.name is not None:
        assert named(f"{path}.name"), "no name of the speaker"
        message = replace(message, name=None)
    parts = [said for part in message.parts if (said := said_part(name, part, path, named)) is not None]
    return replace(message, parts=tuple(joined_thoughts(parts) if name == "openai_chat" else parts))


def said_part(name: str, part: Any, path: str, named: Callable[[str], bool]) -> Any:
    if isinstance(part, ToolResultPart):
        inner = tuple(said for held in part.parts if (said := said_part(name, held, path, named)) is not None)
        part = replace(part, parts=inner)
    for row in PARTS[name]:
        changed = row.change(part)
        if changed != part and row.warned is not None:
            assert named(f"{path}*{row.warned}"), f"{row.why}, without a warning"
        part = changed
        if part is None:
            return None
    return part


def silent_form(format_: ResponseFormat | None) -> ResponseFormat | None:
    """Text is the default; the name is a label for OpenAI; Anthropic is always strict."""
    if format_ is None or format_.kind == "text":
        return None
    return replace(format_, name=None, strict=None) if format_.kind == "json_schema" else format_


def full_schema(tool: Tool) -> Tool:
    return tool if tool.parameters is not None else replace(tool, parameters={"type": "object", "properties": {}})


OFF = Reasoning(enabled=False)
FIELDS: dict[str, dict[str, Row]] = {
    "openai_chat": {},
    "anthropic_messages": {
        "n": Row("one is the default", lambda value: None if value == 1 else value),
        "frequency_penalty": Row("zero is the default", lambda value: value or None),
        "presence_penalty": Row("zero is the default", lambda value: value or None),
        "logprobs": Row("no is the default", lambda value: value or None),
        "top_logprobs": Row("none is the default", lambda value: value or None),
        "logit_bias": Row("no bias is none", lambda value: value or None),
        "metadata": Row("nothing is none", lambda value: value or None),
        "include_usage": Row("streams always report it", lambda _: None),
        "response_format": Row(str(silent_form.__doc__), silent_form),
        "tools": Row("a schema must be said", lambda tools: tuple(map(full_schema, tools))),
        "tool_choice": Row(
            "auto is the default, and carries the flag for parallel calls", lambda value: value or ToolChoice(mode="auto")
        ),
        "reasoning": Row(
            "effort none is off", lambda value: Reasoning(enabled=False) if value == Reasoning(effort="none") else value
        ),
    },
}
"""Form changes of the other fields, applied to both sides before they are compared."""

FILLED = {"openai_chat": set(), "anthropic_messages": {"max_tokens"}}
"""Fields that the dialect must say: where the caller did not, a default stands in."""


@pytest.mark.parametrize("name", DIALECTS)
@given(request=chat_requests())
@steady
def test_requests_survive_or_a_warning_says_what_was_lost(name, request):
    dialect = registry.get(name)
    written = dialect.encode_request(request)
    read = dialect.decode_request(json.encode(written.body))
    fields = [warning.field for warning in written.warnings]
    used: set[str] = set()

    def named(pattern: str) -> bool:
        start, _, end = pattern.partition("*")
        found = {field for field in fields if field.startswith(start) and field.endswith(end)}
        used.update(found)
        return bool(found)

    assert conversation(said_in(name, request, named)) == conversation(read.messages)
    there, back = asdict(request), asdict(read)
    unsaid = {field for field in FILLED[name] if there[field] is None}
    for field in there.keys() - {"messages"} - unsaid:
        form = FIELDS[name].get(field, Row("", lambda value: value))
        if form.change(there[field]) != form.change(back[field]):
            assert named(f"{field}*"), f"{field} changed without a warning"
    assert not {field for field in fields if field.startswith("messages")} - used, "a warning about what was not lost"


# --------------------------------------------------------------------------------------------------------------- answers
FINISHES = {
    "openai_chat": {"refusal": "content_filter", "pause": "stop", "unknown": "stop"},
    "anthropic_messages": {"content_filter": "refusal", "unknown": "stop", "error": "unknown"},
}
"""Reasons without a word in the dialect -> what the nearest word means."""

UNSAYABLE = {
    "openai_chat": {},
    "anthropic_messages": {"created": None, "system_fingerprint": None},
}
"""Head fields that the dialect has no place for, and nobody reads there."""


def finish_in(name: str, finish: Finish, parts: tuple[Any, ...]) -> Finish:
    reason = FINISHES[name].get(finish.reason, finish.reason)
    if name == "anthropic_messages" and finish.reason == "stop" and any(isinstance(part, RefusalPart) for part in parts):
        reason = "refusal"  # the dialect has no refusal part; the reason says it
    return Finish(reason=reason, stop_sequence=finish.stop_sequence)


def answer_part(name: str, part: Any) -> Any:
    if name == "anthropic_messages" and isinstance(part, RefusalPart):
        return TextPart(text=part.text)
    if name == "anthropic_messages" and isinstance(part, ReasoningPart) and part.redacted is None:
        return replace(part, signature=part.signature or None)
    return canonical_arguments(part) if isinstance(part, ToolCallPart) else part


def joined_thoughts(parts: list[Any]) -> list[Any]:
    """OpenAI's plain reasoning is one text: neighbours without a signature become one."""
    out: list[Any] = []
    for part in parts:
        last = out[-1] if out else None
        plain = isinstance(part, ReasoningPart) and not (part.signature or part.redacted)
        if plain and isinstance(last, ReasoningPart) and not (last.signature or last.redacted):
            out[-1] = replace(last, text=last.text + part.text)
        else:
            out.append(part)
    return out


def answer_in(name: str, response: ChatResponse) -> ChatResponse:
    """The answer as a client of the dialect gets it."""
    (choice,) = response.choices
    parts = [answer_part(name, part) for part in choice.parts]
    parts = joined_thoughts(parts) if name == "openai_chat" else parts
    made = replace(choice, parts=tuple(parts), finish=finish_in(name, choice.finish, choice.parts))
    return replace(response, choices=(made,), **UNSAYABLE[name])


def compared(response: ChatResponse) -> ChatResponse:
    """Without the provider's own word for the end, which becomes the dialect's, and with arguments in one spelling."""
    choices = tuple(
        replace(
            choice,
            finish=replace(choice.finish, native=None),
            parts=tuple(canonical_arguments(part) if isinstance(part, ToolCallPart) else part for part in choice.parts),
        )
        for choice in response.choices
    )
    return replace(response, choices=choices)


@pytest.mark.parametrize("name", DIALECTS)
@given(response=chat_responses())
@steady
def test_answers_survive(name, response):
    dialect = registry.get(name)
    read = dialect.decode_response(dialect.encode_response(response, now=1))
    assert compared(read) == with_usage(name, answer_in(name, response))


def with_usage(name: str, response: ChatResponse) -> ChatResponse:
    """Anthropic's messages always report usage: zeros where nobody knows."""
    if name == "anthropic_messages" and response.usage is None:
        return replace(
            response, usage=registry.get(name).decode_response(registry.get(name).encode_response(response, now=1)).usage
        )
    return response


# --------------------------------------------------------------------------------------------------------------- streams
def through(name: str, events: list[ev.Event], places: list[int]) -> list[ev.Event]:
    """The events that a client makes of the stream which it is sent, cut anywhere."""
    dialect = registry.get(name)
    encoder, decoder = dialect.stream_encoder(REQUEST, now=1), dialect.stream_decoder()
    sent = b"".join(encoder.encode(event) for event in events)
    return [*(event for piece in cut(sent, places) for event in decoder.feed(piece)), *decoder.close()]


@pytest.mark.parametrize("name", DIALECTS)
@given(events=event_streams(), places=cut_places)
@steady
def test_streams_survive(name, events, places):
    read = through(name, events, places)
    assert isinstance(read[-1], ev.ResponseEnd)
    assert compared(assemble(read)) == with_usage(name, answer_in(name, assemble(events)))


@pytest.mark.parametrize("name", DIALECTS)
@given(response=chat_responses())
@steady
def test_an_answer_and_its_stream_say_the_same(name, response):
    dialect = registry.get(name)
    whole = dialect.decode_response(dialect.encode_response(response, now=1))
    assert compared(assemble(through(name, list(unfold(response)), []))) == compared(whole)


@pytest.mark.parametrize("name", DIALECTS)
@given(events=event_streams(), data=st.data())
@steady
def test_a_broken_stream_is_never_a_clean_end(name, events, data):
    dialect = registry.get(name)
    encoder, decoder = dialect.stream_encoder(REQUEST, now=1), dialect.stream_decoder()
    came = events[: data.draw(st.integers(1, len(events) - 1))]
    sent = b"".join(encoder.encode(event) for event in came)
    sent += dialect.encode_stream_error(StreamInterruptedError("the cable was cut"))
    read = [*(event for piece in cut(sent, data.draw(cut_places)) for event in decoder.feed(piece)), *decoder.close()]
    assert isinstance(read[-1], ev.StreamError)
    assert read[-1].message == "the cable was cut"
    assert not any(isinstance(event, ev.ResponseEnd) for event in read)


# ----------------------------------------------------------------------------------------------------------- across both
ROUTES = [("openai_chat", "anthropic_messages", "openai_chat"), ("anthropic_messages", "openai_chat", "anthropic_messages")]
both_answers = chat_responses(common=True)
both_streams = event_streams(common=True)
"""Refusals, unsigned thoughts and some reasons are said differently; the tests of one dialect above cover those."""


def across(response: ChatResponse, route: tuple[str, ...]) -> ChatResponse:
    for name in route:
        response = registry.get(name).decode_response(registry.get(name).encode_response(response, now=1))
    return response


def common(response: ChatResponse) -> ChatResponse:
    """What both dialects have a place for."""
    return replace(compared(response), created=None, system_fingerprint=None)


@pytest.mark.parametrize("route", ROUTES, ids=" -> ".join)
@given(response=both_answers)
@steady
def test_answers_survive_both_dialects(route, response):
    assert common(across(response, route)) == common(response)


@pytest.mark.parametrize("route", ROUTES, ids=" -> ".join)
@given(events=both_streams, places=cut_places)
@steady
def test_streams_survive_both_dialects(route, events, places):
    read = events
    for name in route:
        read = through(name, read, places)
    assert common(assemble(read)) == common(assemble(events))
