"""Every client's dialect x every provider's x what is said: equal meaning, or a Warning that names what is lost.

A request in our vocabulary is written as a client would (`client`), read, and written for the provider (`provider`), which is
read back. An answer is the provider's own (`support.natives`), read, written for the client, and read as the client would.
A difference of requests needs a Warning under its field; one of answers a word about it in the body, or a row of the tables
here with its reason. GPTRouter's API, which no provider speaks, has tests of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
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
    Warning,
)
from dragoman.core.errors import ErrorDetail, StreamInterruptedError, error_for
from dragoman.dialects import registry
from dragoman.providers import table
from support import bedrock, cohere, natives, ollama
from support.natives import failures
from support.natives.base import Call, Said

CLIENTS = ("openai_chat", "anthropic_messages", "openai_responses", "gemini", "openai_completions")
PROVIDERS = tuple(natives.ANSWERS)
WAYS = [(client, provider) for client in CLIENTS for provider in PROVIDERS]


def cells(cases: Iterable[Any], *, where: Callable[[str, Any], bool] = lambda _provider, _case: True) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "client, provider, case",
        [
            pytest.param(client, provider, case, id=f"{client} to {provider}: {case}")
            for case in cases
            for client, provider in WAYS
            if where(provider, case)
        ],
    )


def test_every_chat_dialect_of_a_row_is_in_the_matrix() -> None:
    chats = {"chat", "responses", "completion"}
    offers = [offer for row in table.ROWS for offer in (row.dialects, *row.model_dialects.values())]
    spoken = {dialect for offer in offers for operation, dialect in offer.items() if operation in chats}
    assert {name if name in PROVIDERS else registry.get(name).same_as for name in spoken} == set(PROVIDERS)


# -------------------------------------------------------------------------------------------------------------- requests
def text(said: str) -> TextPart:
    return TextPart(text=said)


def user(*parts: Any) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Any) -> Message:
    return Message(role="assistant", parts=parts)


def call(place: int, city: str) -> ToolCallPart:
    return ToolCallPart(id=f"call_{place}", name="weather", arguments=json.dumps({"city": city}))


def result(place: int, said: str) -> Message:
    return Message(role="tool", parts=(ToolResultPart(tool_call_id=f"call_{place}", parts=(text(said),)),))


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="The weather of a city", parameters=CITY)
CLOCK = Tool(name="clock", description="The time in a city", parameters=CITY)
NUMBER = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
PICTURE = MediaPart(kind="image", data="iVBORw0KGgo=", media_type="image/png")


def asking(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(**{"model": "m", "messages": messages, "max_tokens": 9999, **fields})


REQUESTS: dict[str, ChatRequest] = {
    "plain": asking(
        Message(role="system", parts=(text("Be brief."),)),
        user(text("Hello")),
        assistant(text("Hi.")),
        user(text("Again")),
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
    ),
    "stream": asking(user(text("Hello")), stream=True),
    "tools": asking(
        user(text("How is it in Paris?")),
        assistant(text("I look."), call(0, "Paris")),
        result(0, "rain"),
        user(text("And the time?")),
        tools=(WEATHER, CLOCK),
        tool_choice=ToolChoice(mode="named", name="clock"),
    ),
    "parallel tools": asking(
        user(text("How is it in Paris and Oslo?")),
        assistant(call(0, "Paris"), call(1, "Oslo")),
        result(0, "rain"),
        result(1, "sun"),
        tools=(WEATHER,),
        tool_choice=ToolChoice(mode="required"),
        parallel_tool_calls=False,
    ),
    "image": asking(user(text("What is it?"), PICTURE)),
    "thinking": asking(
        user(text("6 * 7?")),
        assistant(ReasoningPart(text="Six times seven."), text("42")),
        user(text("8 * 8?")),
        reasoning=Reasoning(effort="high"),
    ),
    "structured": asking(
        user(text("6 * 7?")),
        response_format=ResponseFormat(kind="json_schema", schema=NUMBER, name="number", strict=True),
    ),
}

IN_THE_PATH = frozenset({"gemini", "gemini_vertex", "bedrock_converse", "anthropic_bedrock"})
"""Dialects whose path says the model, and whether the answer is to be streamed; their bodies do not."""


def claude_request(body: dict[str, Any]) -> ChatRequest:
    return registry.get("anthropic_messages").decode_request(json.dumps({"model": "m", **body}).encode())


def prompted(body: dict[str, Any]) -> ChatRequest:
    """Replicate: a prompt, what stands before it, and inputs."""
    given = body["input"]
    said = [Message(role="system", parts=(text(given["system_prompt"]),))] if "system_prompt" in given else []
    image = (
        (MediaPart(kind="image", data=given["image"].rpartition(",")[2], media_type="image/png"),) if "image" in given else ()
    )
    return ChatRequest(
        model="m",
        messages=(*said, user(text(given["prompt"]), *image)),
        max_tokens=given.get("max_tokens"),
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        stop=tuple(given["stop_sequences"].split(",")) if "stop_sequences" in given else (),
        stream=body.get("stream", False),
    )


def generating(body: dict[str, Any]) -> ChatRequest:
    """Ollama's other endpoint: the same but for the prompt."""
    return ollama.read_request({**body, "messages": [{"role": "user", "content": body["prompt"]}]})


def continuing(body: dict[str, Any]) -> ChatRequest:
    """Text generation at Hugging Face."""
    said = body["parameters"]
    return ChatRequest(
        model="m",
        messages=(user(text(body["inputs"])),),
        max_tokens=said.get("max_new_tokens"),
        temperature=said.get("temperature"),
        top_p=said.get("top_p"),
        stop=tuple(said.get("stop", ())),
        stream=body.get("stream", False),
    )


READERS: dict[str, Callable[[dict[str, Any]], ChatRequest]] = {
    "anthropic_vertex": claude_request,
    "anthropic_bedrock": claude_request,
    "bedrock_converse": lambda body: bedrock.read_request("m", body),
    "cohere_chat": cohere.read_request,
    "ollama_chat": ollama.read_request,
    "replicate_chat": prompted,
    "ollama_generate": generating,
    "huggingface_completions": continuing,
}
"""How tests read what only providers take; the other dialects read their own."""


def read(name: str, body: Any, *, stream: bool) -> ChatRequest:
    """What a body of the dialect means, together with its path."""
    dialect, value = registry.get(name), json.loads(json.dumps(body))
    reader = READERS.get(name) or (lambda value: dialect.decode_request(json.dumps(value).encode()))
    request = reader(value)
    if name in IN_THE_PATH:
        assert dialect.path("m", stream=True) != dialect.path("m", stream=False)
        return replace(request, model="m", stream=stream)
    return request


def turns(messages: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    """Who says what, whatever the message it stands in. A result belongs to a tool, an id being any word that links the two."""
    names = {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCallPart)}
    sides = {"tool": "user", "developer": "system"}
    return [(sides.get(message.role, message.role), *told(part, names)) for message in messages for part in message.parts]


def told(part: Any, names: dict[str, str]) -> tuple[Any, ...]:
    match part:
        case TextPart() | ReasoningPart():
            return (type(part).__name__, part.text)
        case MediaPart():  # the bytes tell their type, which Ollama does not say
            return (part.kind, part.data or part.url.rpartition("base64,")[2])
        case ToolCallPart():
            return ("call", part.name, json.loads(part.arguments))
        case ToolResultPart():
            return ("result", names[part.tool_call_id], "".join(inner.text for inner in part.parts))
    raise AssertionError(f"nobody asked for {part}")


def asked(request: ChatRequest) -> dict[str, Any]:
    """The meaning of a request, by its fields."""
    form, thought, choice = request.response_format, request.reasoning, request.tool_choice
    plain = ("parallel_tool_calls", "max_tokens", "temperature", "top_p", "stop", "stream")
    return {
        "messages": turns(request.messages),
        "tools": [(tool.name, tool.description, tool.parameters) for tool in request.tools],
        "tool_choice": choice and (choice.mode, choice.name),
        "response_format": form and (form.kind, form.schema),
        "reasoning": thought and (thought.effort, thought.budget_tokens, thought.enabled),
        **{name: getattr(request, name) for name in plain},
    }


FOLLOWS = {"tool_choice": {"tools"}, "reasoning": {"max_tokens"}}
"""What a Warning about a field may also mean: a tool is forced by offering no other, thinking has its limit raised."""


def assert_named(before: ChatRequest, after: ChatRequest, warnings: tuple[Warning, ...]) -> None:
    there, back = asked(before), asked(after)
    lost = {field for field in there if there[field] != back[field]}
    warned = {named(warning) for warning in warnings}
    meant = warned.union(*(FOLLOWS.get(field, set()) for field in warned))
    assert not lost - meant, {field: (there[field], back[field]) for field in lost - meant}
    dropped = {named(warning) for warning in warnings if warning.code == "dropped"}
    assert not {field for field in dropped if not lost & ({field} | FOLLOWS.get(field, set()))}, "warned of what was not lost"
    assert all(warning.message for warning in warnings)


def named(warning: Warning) -> str:
    """The field of the request that it names."""
    return re.split(r"[.\[]", warning.field)[0]


@cells(REQUESTS)
def test_a_request_means_the_same_or_a_warning_names_what_is_lost(client: str, provider: str, case: str) -> None:
    written = registry.get(client).encode_request(REQUESTS[case])
    request = read(client, written.body, stream=REQUESTS[case].stream)
    assert_named(REQUESTS[case], request, written.warnings)
    carried, noted = carry(request) if (carry := getattr(registry.get(client), "carry", None)) else (request, ())
    assert_named(request, carried, noted)
    body, warnings, _ = registry.get(provider).encode_request(carried)
    assert_named(carried, read(provider, body, stream=request.stream), warnings)


# --------------------------------------------------------------------------------------------------------------- answers
WEATHER_IN = (Call("weather", {"city": "Paris"}), Call("weather", {"city": "Oslo"}))
SAYINGS: dict[str, Said] = {
    "plain": Said(text="Hello there"),
    "cut short": Said(text="Hello the", finish="length"),
    "tools": Said(text="I look.", calls=WEATHER_IN[:1], finish="tool_calls"),
    "parallel tools": Said(calls=WEATHER_IN, finish="tool_calls"),
    "thinking": Said(text="42", thinking="Six times seven."),
    "structured": Said(text='{"number": 42}'),
    "refusal": Said(refusal="I cannot help with that.", finish="refusal"),
    "filtered": Said(text="How to", finish="content_filter"),
    "usage": Said(text="Hi", counts=(20, 7, 8, 3)),
}
NEAREST: dict[str, dict[str, set[str]]] = {
    "openai_chat": {"refusal": {"content_filter"}},
    "openai_completions": {"refusal": {"content_filter", "stop"}},
    "anthropic_messages": {"content_filter": {"refusal"}},
    "gemini": {"refusal": {"content_filter", "stop"}},
    "openai_responses": {},
}
"""Reasons that a client's dialect has no word for -> what it says. A refusal that is a part becomes a text, which tells."""

ALWAYS_COUNTED = {"anthropic_messages", "gemini"}
"""Where an answer has counts in any case: zeros where the provider told none."""

NO_PLACE = {"openai_completions": {"calls": "ToolCallPart", "thinking": "ReasoningPart"}}
"""What a client's dialect has no place for -> what a warning in the body calls it."""


def meaning(response: ChatResponse) -> Said:
    """An answer's meaning. That a part or the finish reason tells of a refusal is the same."""
    (choice,) = response.choices
    usage, texts = response.usage, {TextPart: "", ReasoningPart: "", RefusalPart: ""}
    for part in choice.parts:
        if type(part) in texts:
            texts[type(part)] += part.text
    calls = tuple(Call(part.name, json.loads(part.arguments)) for part in choice.parts if isinstance(part, ToolCallPart))
    refused = choice.finish.reason == "refusal" or bool(texts[RefusalPart])
    return Said(
        text="" if refused else texts[TextPart],
        thinking=texts[ReasoningPart],
        calls=calls,
        refusal=texts[RefusalPart] or texts[TextPart] if refused else "",
        finish="refusal" if refused else choice.finish.reason,
        counts=usage and (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens),
    )


def answered(name: str, data: bytes) -> ChatResponse:
    response: ChatResponse = registry.get(name).decode_response(data)
    return response


def streamed(name: str, data: bytes) -> list[ev.Event]:
    decoder = registry.get(name).stream_decoder()
    return [*decoder.feed(data), *decoder.close()]


def warned_of(data: bytes) -> set[str]:
    """What the warnings name that stand in an answer or a stream for a client."""
    notes = [json.JSONDecoder().raw_decode(piece)[0] for piece in data.decode().split('"dragoman":')[1:]]
    return {word for note in notes for warning in note["warnings"] for word in re.findall(r"\w+Part", warning["message"])}


def retold(said: Said, finish: str) -> Said:
    """The same with another reason; a refusal that the reason no longer tells is a text, and the other way round."""
    refused = said.text or said.refusal
    texts = {"text": "", "refusal": refused} if finish == "refusal" else {"text": refused, "refusal": ""}
    return said._replace(finish=finish, **texts)


def assert_same(client: str, before: Said, after: Said, sent: bytes) -> None:
    expected = before
    if before.finish != after.finish:
        assert after.finish in NEAREST[client].get(before.finish, ()), (before.finish, after.finish)
        expected = retold(before, after.finish)
    if before.counts is None and client in ALWAYS_COUNTED:
        expected = expected._replace(counts=(0, 0, 0, 0))
    lost = {field: name for field, name in NO_PLACE.get(client, {}).items() if getattr(before, field)}
    assert warned_of(sent) == set(lost.values())
    assert after == expected._replace(**{field: Said._field_defaults[field] for field in lost})


def said_by(provider: str, case: str, *, stream: bool) -> Said:
    said = natives.sayable(provider, SAYINGS[case], stream=stream)
    assert said is not None
    return said


def can_say(provider: str, case: str) -> bool:
    return natives.sayable(provider, SAYINGS[case], stream=False) is not None


@cells(SAYINGS, where=can_say)
def test_an_answer_means_the_same(client: str, provider: str, case: str) -> None:
    said = said_by(provider, case, stream=False)
    response = answered(provider, natives.ANSWERS[provider](SAYINGS[case]))
    assert meaning(response) == said
    sent = registry.get(client).encode_response(response, now=1)
    assert_same(client, said, meaning(answered(client, sent)), sent)


@cells(SAYINGS, where=can_say)
def test_a_stream_means_the_same(client: str, provider: str, case: str) -> None:
    said = said_by(provider, case, stream=True)
    events = streamed(provider, natives.STREAMS[provider](SAYINGS[case]))
    assert isinstance(events[-1], ev.ResponseEnd)
    assert meaning(assemble(events)) == said
    sent = b"".join(encoded(client, events))
    read = streamed(client, sent)
    assert isinstance(read[-1], ev.ResponseEnd)
    assert_same(client, said, meaning(assemble(read)), sent)


def encoded(client: str, events: Iterable[ev.Event]) -> Iterator[bytes]:
    encoder = registry.get(client).stream_encoder(ChatRequest(model="m", stream=True, include_usage=True), now=1)
    return (encoder.encode(event) for event in events)


# -------------------------------------------------------------------------------------------------------------- failures
@cells(failures.KINDS)
def test_a_failure_keeps_its_kind_its_status_and_what_it_says(client: str, provider: str, case: int) -> None:
    kind, message = failures.KINDS[case]
    body = json.dumps(failures.FAILURES[provider](case, message)).encode()
    error = error_for(case, registry.get(provider).decode_error(case, body), llm_provider="them")
    assert (type(error).__name__, error.status_code) == (kind, case)
    dialect = registry.get(client)
    again = error_for(error.status_code, dialect.decode_error(error.status_code, dialect.encode_error(error)))
    assert (type(again), again.status_code) == (type(error), case)
    assert message in again.message


def until_a_text(provider: str) -> tuple[list[ev.Event], Any]:
    """The events of a stream up to its first piece of text, and the decoder, which has read so far and no byte more."""
    decoder, events = registry.get(provider).stream_decoder(), []
    for byte in natives.STREAMS[provider](Said(text="Hello there")):
        events += decoder.feed(bytes((byte,)))
        if any(isinstance(event, ev.TextDelta) for event in events):
            return events, decoder
    raise AssertionError("no text came")


@cells(["a failure inside a stream"])
def test_a_failure_inside_a_stream_ends_the_clients(client: str, provider: str, case: str) -> None:
    """Behind the text that came before: what the provider said, and never a clean end."""
    events, decoder = until_a_text(provider)
    *_, failure = decoder.feed(failures.BROKEN[provider])
    assert isinstance(failure, ev.StreamError)
    assert not failure.broken
    error = StreamInterruptedError(failure.message)
    error.status_code = failure.status
    sent = b"".join(encoded(client, events)) + registry.get(client).encode_stream_error(error)
    read = streamed(client, sent)
    assert "".join(event.text for event in read if isinstance(event, ev.TextDelta)) == "Hello "
    assert isinstance(read[-1], ev.StreamError)
    assert failures.OVERLOADED in read[-1].message
    assert not read[-1].broken
    assert not any(isinstance(event, ev.ResponseEnd) for event in read)
    assert (
        error_for(read[-1].status, ErrorDetail(message="")).retryable
        == error_for(failure.status, ErrorDetail(message="")).retryable
    )
