"""Answers, streams and errors as GPTRouter's clients read them: strings that are never null, one line of ASCII an event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import errors as e
from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    Finish,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.core.unfold import unfold
from dragoman.dialects.gptrouter import errors
from dragoman.dialects.gptrouter.answers import Source, encode_answer
from dragoman.dialects.gptrouter.params import Manner
from dragoman.dialects.gptrouter.stream import GPTRouterStreamEncoder
from dragoman.dialects.gptrouter.wire import PREAMBLE, TRAILER, ascii_json, model_id, provider_id

PLAIN = Manner()
SOURCE = Source(provider="chat_openai", model="gpt-4o", attempts=({"order": 1},))
USAGE = Usage(input_tokens=9, output_tokens=2)


def response(*parts: Any, reason: Any = "stop", native: str | None = "stop", usage: Usage | None = USAGE) -> ChatResponse:
    choice = Choice(parts=parts, finish=Finish(reason=reason, native=native))
    return ChatResponse(id="c1", model="gpt-4o-2024", choices=(choice,), usage=usage)


def answer(held: ChatResponse, manner: Manner = PLAIN, source: Source = SOURCE) -> Any:
    return json.loads(encode_answer(held, source, manner))


def streamed(held: ChatResponse, manner: Manner = PLAIN, source: Source = SOURCE) -> bytes:
    encoder = GPTRouterStreamEncoder(lambda _: source, manner)
    return b"".join(encoder.encode(event) for event in unfold(held))


def events(data: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: {")]


def updates(data: bytes) -> list[Any]:
    return [event["data"] for event in events(data) if event["event"] == "update"]


CALL = ToolCallPart(id="call_1", name="look", arguments='{"at":1}')


# ------------------------------------------------------------------------------------------------------------------ answers
def test_an_answer_has_usage_twice_and_says_who_spoke() -> None:
    body = answer(response(TextPart(text="Hi!")))
    assert body["choices"] == [{"index": 0, "text": "Hi!", "finish_reason": "stop", "role": "assistant"}]
    counts = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert counts.items() <= body["meta"].items()
    assert counts.items() <= body["meta"]["usage"].items()
    assert body["meta"]["attempts"] == [{"order": 1}]
    assert (body["providerId"], body["modelId"]) == (provider_id("chat_openai"), model_id("chat_openai", "gpt-4o"))


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (response(CALL, reason="tool_calls", native="tool_calls"), {"text": "", "finish_reason": "tool_calls"}),
        (response(TextPart(text="x"), native="end_turn"), {"text": "x", "finish_reason": "end_turn"}),
        (response(TextPart(text="x"), native=None, reason="length"), {"text": "x", "finish_reason": "length"}),
        (response(RefusalPart(text="no")), {"text": "no", "refusal": "no"}),
        (response(ReasoningPart(text="hm"), TextPart(text="x")), {"text": "x", "reasoning": "hm"}),
        (ChatResponse(id="", model="m", choices=(Choice(),)), {"text": "", "finish_reason": ""}),
    ],
)
def test_strings_are_never_null(held: ChatResponse, told: dict[str, Any]) -> None:
    assert told.items() <= answer(held)["choices"][0].items()


def test_calls_of_tools_come_back() -> None:
    choice = answer(response(CALL))["choices"][0]
    assert choice["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}]


def test_reasoning_may_stand_in_the_text() -> None:
    held = response(ReasoningPart(text="hm"), TextPart(text="x"))
    assert answer(held, Manner(thinking_in_text=True))["choices"][0]["text"] == "<thinking>hm</thinking>x"
    text = "".join(update["text"] for update in updates(streamed(held, Manner(thinking_in_text=True))))
    assert text == "<thinking>hm</thinking>x"


def test_citations_at_the_top_are_addresses() -> None:
    cited = TextPart(text="x", citations=(Citation(url="http://a", title="A"),))
    body = answer(response(cited))
    assert body["citations"] == ["http://a"]
    assert body["choices"][0]["citations"] == [{"url": "http://a", "title": "A"}]


def test_what_was_lost_is_told() -> None:
    source = Source(provider="p", model="m", warnings=(Warning(field="seed", message="dropped"),))
    assert answer(response(TextPart(text="x")), source=source)["meta"]["warnings"] == [
        {"field": "seed", "message": "dropped", "code": "dropped"}
    ]


# ------------------------------------------------------------------------------------------------------------------- streams
def test_a_stream_has_its_order() -> None:
    data = streamed(response(TextPart(text="Hello")))
    assert data.startswith(PREAMBLE)
    assert data.endswith(b'data: {"event":"end","data":"end"}\n\n' + TRAILER)
    assert [event["event"] for event in events(data)] == ["update", "update", "meta", "generation_source", "end"]
    assert updates(data) == [{"text": "Hello", "finish_reason": None}, {"text": "", "finish_reason": "stop"}]
    told = events(data)[2]["data"]
    assert (told["text"], told["model"], told["usage"]["total_tokens"]) == ("Hello", "gpt-4o-2024", 11)


def test_failed_attempts_are_told_before_the_first_update() -> None:
    source = Source(provider="p", model="m", attempts=({"order": 1, "error": {"status": 500}}, {"order": 2}))
    found = events(streamed(response(TextPart(text="x")), source=source))
    assert found[0] == {"event": "attempt", "data": {"order": 1, "error": {"status": 500}}}
    assert [event["event"] for event in found[1:]].count("attempt") == 0


def test_calls_stream_as_openais_deltas() -> None:
    deltas = [update["tool_calls"][0] for update in updates(streamed(response(CALL, CALL))) if "tool_calls" in update]
    assert [delta["index"] for delta in deltas] == [0, 0, 1, 1]
    assert deltas[0]["id"] == "call_1"
    assert deltas[1]["function"] == {"arguments": '{"at":1}'}


def test_further_choices_do_not_get_into_the_text_of_the_first() -> None:
    held = ChatResponse(
        id="c",
        model="m",
        choices=tuple(Choice(index=n, parts=(TextPart(text=f"t{n}"),), finish=Finish(reason="stop")) for n in range(2)),
    )
    data = streamed(held)
    assert [update["text"] for update in updates(data)] == ["t0", ""]
    further = [event["data"] for event in events(data) if event["event"] == "choice"]
    assert [(choice["index"], choice["text"]) for choice in further] == [(1, "t1"), (1, "")]
    assert next(event for event in events(data) if event["event"] == "meta")["data"]["text"] == "t0"


@given(st.text())
def test_every_text_survives_in_one_line_of_ascii(text: str) -> None:
    data = streamed(response(TextPart(text=text)))
    assert data.isascii()
    assert len(data.decode().splitlines()) == data.count(b"\n")
    assert "".join(update["text"] for update in updates(data)) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_ascii_json_is_the_same_json(value: Any) -> None:
    assert ascii_json(value).isascii()
    assert json.loads(ascii_json(value)) == value


def test_an_error_inside_writes_nothing() -> None:
    encoder = GPTRouterStreamEncoder(lambda _: SOURCE, PLAIN)
    assert encoder.encode(ev.StreamError(message="x")) == b""


# -------------------------------------------------------------------------------------------------------------------- errors
PROVIDER = {"llm_provider": "openai", "model": "gpt-4o"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (e.InvalidKeyError("no"), 401),
        (e.BudgetExceededError("spent"), 403),
        (e.RateLimitExceededError("slow"), 429),
        (e.GuardrailRejectedError("no"), 400),
        (e.BadRequestError("bad"), 400),
        (e.NotFoundError("unknown"), 400),
        (e.UnprocessableEntityError("bad", **PROVIDER), 400),
        (e.ContextWindowExceededError("long", **PROVIDER), 400),
        (e.RateLimitError("often", **PROVIDER), 429),
        (e.AuthenticationError("key", **PROVIDER), 503),
        (e.PermissionDeniedError("no", **PROVIDER), 503),
        (e.InternalServerError("broke", **PROVIDER), 503),
        (e.BadGatewayError("gone", **PROVIDER), 503),
        (e.ServiceUnavailableError("busy", status_code=529, **PROVIDER), 503),
        (e.Timeout("late", **PROVIDER), 503),
        (e.APIConnectionError("refused", **PROVIDER), 503),
        (e.StreamInterruptedError("cut", **PROVIDER), 503),
        (e.NoDeploymentError("nobody"), 503),
        (e.ConfigurationError("wrong"), 500),
        (e.InternalServerError("ours"), 500),
        (e.DragomanError("?"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_client_gets_one_of_the_statuses_it_knows(error: e.DragomanError, status: int) -> None:
    body = json.loads(errors.encode_error(error, ({"order": 1},)))
    assert (errors.status_of(error), body["statusCode"], body["message"]) == (status, status, error.message)
    assert body["error"]["attempts"] == [{"order": 1}]


def test_a_stream_that_breaks_has_an_error_event_and_no_end() -> None:
    data = errors.encode_stream_error(e.StreamInterruptedError("cut \u2028 off", **PROVIDER))
    assert data.isascii()
    assert data.endswith(TRAILER)
    (event,) = events(data)
    assert (event["event"], event["message"], event["data"]["provider"]) == ("error", "cut \u2028 off", "openai")
