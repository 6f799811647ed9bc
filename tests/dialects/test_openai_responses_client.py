"""What we send, read by the real `openai` client: its models validate every answer and event, its accumulator follows streams.

The client talks to a transport that gives it our bytes; nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    Citation,
    Finish,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.core.errors import InvalidKeyError, RateLimitExceededError, StreamInterruptedError
from dragoman.core.unfold import unfold
from dragoman.dialects.openai_responses import DIALECT

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
GOLDEN = Path(__file__).parents[1] / "golden" / "openai_responses"


def answer(*parts: Part, reason: Any = "stop", **fields: Any) -> ChatResponse:
    usage = Usage(input_tokens=5, output_tokens=3, cache_read_tokens=2, reasoning_tokens=1)
    choice = Choice(parts=parts, finish=Finish(reason=reason))
    return ChatResponse(id="chatcmpl-1", model="m", created=7, choices=(choice,), usage=usage, **fields)


CITED = TextPart(
    text="It is so.", citations=(Citation(url="https://example.com", title="E", cited_text="so"), Citation(title="B"))
)
ANSWERS = {
    "text": answer(TextPart(text="Hi")),
    "citations": answer(CITED),
    "two texts": answer(TextPart(text="Hi "), TextPart(text="there")),
    "refusal": answer(RefusalPart(text="No."), reason="refusal"),
    "thoughts": answer(ReasoningPart(text="Hm", signature="sig"), ReasoningPart(redacted="xx"), TextPart(text="Hi")),
    "calls": answer(
        TextPart(text="Look:"),
        ToolCallPart(id="a", name="f", arguments='{"x":1}'),
        ToolCallPart(id="b", name="c", arguments="free", kind="custom"),
        reason="tool_calls",
    ),
    "picture": answer(MediaPart(kind="image", data="QUJD", media_type="image/png")),
    "length": answer(TextPart(text="Hi"), reason="length"),
    "foreign block": answer(OpaquePart(dialect="anthropic_messages", value={"type": "server_tool_use"}), TextPart(text="Hi")),
    "warned": answer(TextPart(text="Hi"), warnings=(Warning(field="stop", message="left out"),)),
    "nothing": answer(),
}
answers = pytest.mark.parametrize("response", ANSWERS.values(), ids=ANSWERS)


def streamed(response: ChatResponse) -> bytes:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    return b"".join(encoder.encode(event) for event in unfold(response))


def frames(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in data.splitlines() if line.startswith(b"data:")]


def client(body: bytes, *, status: int = 200, kind: str = "application/json") -> openai.OpenAI:
    def give(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(give)
    return openai.OpenAI(
        api_key="none", base_url="http://gateway.test/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def listen(data: bytes) -> Iterator[Any]:
    with client(data, kind="text/event-stream") as asked:
        yield from asked.responses.create(model="m", input="hi", stream=True)


# ---------------------------------------------------------------------------------------------------------------- answers
@answers
def test_an_answer_is_a_response_by_the_clients_own_model(response: ChatResponse) -> None:
    body = DIALECT.encode_response(response, now=1)
    Response.model_validate(json.loads(body) | unchecked(response))
    with client(body) as asked:
        read = asked.responses.create(model="m", input="hi")
    texts = [part.text for part in response.choices[0].parts if isinstance(part, TextPart)]
    assert (read.id, read.created_at, read.model, read.output_text) == ("chatcmpl-1", 7, "m", "".join(texts))
    assert (read.usage.total_tokens, read.usage.input_tokens_details.cached_tokens) == (8, 2)
    assert read.usage.output_tokens_details.reasoning_tokens == 1


def unchecked(response: ChatResponse) -> dict[str, Any]:
    """A refusal as the reason of the end is our word: OpenAI knows only two reasons, and its client lets others pass."""
    return {"incomplete_details": None} if response.choices[0].finish.reason == "refusal" else {}


def test_items_are_what_the_client_knows() -> None:
    with client(DIALECT.encode_response(ANSWERS["calls"], now=1)) as asked:
        said, call, custom = asked.responses.create(model="m", input="hi").output
    assert (said.type, call.type, custom.type) == ("message", "function_call", "custom_tool_call")
    assert (call.call_id, call.name, call.arguments, custom.input) == ("a", "f", '{"x":1}', "free")
    assert len({said.id, call.id, custom.id}) == 3
    assert all(len(item.id) <= 64 for item in (said, call, custom)), "longer ids are refused when they are sent back"


def test_losses_are_told_in_the_body() -> None:
    with client(DIALECT.encode_response(ANSWERS["foreign block"], now=1)) as asked:
        read = asked.responses.create(model="m", input="hi")
    (warning,) = read.model_extra["dragoman"]["warnings"]
    assert (warning["field"], warning["code"]) == ("output[0]", "dropped")
    assert read.output_text == "Hi"


# ---------------------------------------------------------------------------------------------------------------- streams
@answers
def test_every_event_is_one_of_the_clients_own(response: ChatResponse) -> None:
    sent = frames(streamed(response))
    for frame in sent:
        checked = {"response": frame["response"] | unchecked(response)} if "response" in frame else {}
        EVENT.validate_python(frame | checked)
    assert [frame["sequence_number"] for frame in sent] == list(range(len(sent)))
    assert [event.type for event in listen(streamed(response))] == [frame["type"] for frame in sent]


@answers
def test_the_last_event_is_the_answer_that_was_not_streamed(response: ChatResponse) -> None:
    *_, last = listen(streamed(response))
    with client(DIALECT.encode_response(response, now=1)) as asked:
        assert last.response == asked.responses.create(model="m", input="hi")
    assert last.type == (
        "response.incomplete" if response.choices[0].finish.reason in ("length", "refusal") else "response.completed"
    )


@answers
def test_the_clients_accumulator_agrees(response: ChatResponse) -> None:
    with (
        client(streamed(response), kind="text/event-stream") as asked,
        asked.responses.stream(model="m", input="hi") as stream,
    ):
        heard = [event for event in stream if event.type == "response.output_text.delta"]
    texts = [part.text for part in response.choices[0].parts if isinstance(part, TextPart)]
    assert [event.delta for event in heard] == texts
    assert "".join(texts).startswith(heard[-1].snapshot if len(texts) == 1 else "")


def test_the_usual_order_of_a_text() -> None:
    kinds = [frame["type"].removeprefix("response.") for frame in frames(streamed(ANSWERS["citations"]))]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_texts_share_a_message_and_are_told_apart_by_their_place_in_it() -> None:
    deltas = [frame for frame in frames(streamed(ANSWERS["two texts"])) if frame["type"].endswith("text.delta")]
    assert [(frame["output_index"], frame["content_index"], frame["delta"]) for frame in deltas] == [
        (0, 0, "Hi "),
        (0, 1, "there"),
    ]


def test_thoughts_are_shown_as_a_summary() -> None:
    sent = frames(streamed(ANSWERS["thoughts"]))
    kinds = [frame["type"].removeprefix("response.") for frame in sent if frame.get("output_index") == 0]
    assert kinds == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]


def test_calls_that_interleave_are_written_as_they_come() -> None:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    begun = [ev.PartStart(index=place, part=ToolCallPart(id=f"c{place}", name="f", arguments="")) for place in (0, 1)]
    pieces = [ev.ToolCallDelta(index=place, arguments=text) for place, text in ((0, "{"), (1, "{}"), (0, "}"))]
    ended = [ev.PartEnd(index=place) for place in (1, 0)]
    end = ev.ResponseEnd(finishes=(Finish(reason="tool_calls"),))
    events: list[ev.Event] = [ev.ResponseStart(id="r"), *begun, *pieces, *ended, end]
    sent = [frame for event in events for frame in frames(encoder.encode(event))]
    deltas = [(frame["output_index"], frame["delta"]) for frame in sent if frame["type"].endswith("arguments.delta")]
    assert deltas == [(0, "{"), (1, "{}"), (0, "}")]
    assert [(item["call_id"], item["arguments"]) for item in sent[-1]["response"]["output"]] == [("c0", "{}"), ("c1", "{}")]


def test_log_probabilities_go_with_their_text() -> None:
    token = TokenLogprob(token="Hi", logprob=-0.5, bytes=(72, 105))
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    events: list[ev.Event] = [
        ev.PartStart(index=0, part=TextPart(text="")),
        ev.TextDelta(index=0, text="Hi", logprobs=(token,)),
        ev.PartEnd(index=0),
        ev.ResponseEnd(finishes=(Finish(reason="stop"),)),
    ]
    sent = [frame for event in events for frame in frames(encoder.encode(event))]
    (delta,) = [EVENT.validate_python(frame) for frame in sent if frame["type"].endswith("text.delta")]
    assert [(held.token, held.logprob) for held in delta.logprobs] == [("Hi", -0.5)]
    assert sent[-1]["response"]["output"][0]["content"][0]["logprobs"][0]["token"] == "Hi"


def test_a_second_choice_is_told_as_a_loss() -> None:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    events: list[ev.Event] = [
        ev.PartStart(index=0, choice=1, part=TextPart(text="")),
        ev.TextDelta(index=0, choice=1, text="Hi"),
        ev.PartEnd(index=0, choice=1),
        ev.ResponseEnd(finishes=(Finish(reason="stop"), Finish(reason="stop"))),
    ]
    last = [frame for event in events for frame in frames(encoder.encode(event))][-1]
    assert [warning["field"] for warning in last["response"]["dragoman"]["warnings"]] == ["choices[1]"]


# --------------------------------------------------------------------------------------------------------------- failures
def test_the_client_raises_when_the_stream_breaks() -> None:
    whole = streamed(ANSWERS["text"])
    begun = whole[: whole.index(b"event: response.output_text.done")]
    with pytest.raises(openai.APIError, match="the cable was cut"):
        list(listen(begun + DIALECT.encode_stream_error(StreamInterruptedError("the cable was cut"))))


def test_a_failure_that_the_provider_reports_is_told_as_the_vendor_does() -> None:
    encoder = DIALECT.stream_encoder(ChatRequest(model="m"), now=1)
    failure = ev.StreamError(message="overloaded", status=503, code="busy", error_type="server_error")
    data = encoder.encode(ev.ResponseStart(id="r", model="m")) + encoder.encode(failure)
    with pytest.raises(openai.APIError, match="overloaded"):
        list(listen(data))
    *_, error, failed = frames(data)
    assert (error["type"], error["code"], error["sequence_number"]) == ("error", "busy", 2)
    assert (failed["type"], failed["response"]["status"], failed["response"]["error"]["code"]) == (
        "response.failed",
        "failed",
        "busy",
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [(InvalidKeyError("who are you?"), openai.AuthenticationError), (RateLimitExceededError("slowly"), openai.RateLimitError)],
)
def test_errors_are_the_clients_own(error: Any, expected: type[Exception]) -> None:
    with client(DIALECT.encode_error(error), status=error.status_code) as asked, pytest.raises(expected, match=error.message):
        asked.responses.create(model="m", input="hi")


# --------------------------------------------------------------------------------------------------------------- requests
def test_what_the_client_sends_is_understood() -> None:
    """The body comes from the client itself, with an answer of ours sent back as its next input."""
    seen: list[bytes] = []

    def give(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        return httpx2.Response(200, json=json.loads(DIALECT.encode_response(ANSWERS["calls"], now=1)))

    with openai.OpenAI(
        api_key="none", base_url="http://gateway.test/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(give))
    ) as asked:
        first = asked.responses.create(model="m", input="hi", instructions="Be brief.", store=False)
        result = {"type": "function_call_output", "call_id": "a", "output": "1"}
        asked.responses.create(model="m", input=[{"role": "user", "content": "hi"}, *first.output, result])
    request = DIALECT.decode_request(seen[0])
    assert [(message.role, message.parts[0].text) for message in request.messages] == [("system", "Be brief."), ("user", "hi")]
    again = DIALECT.decode_request(seen[1])
    assert [message.role for message in again.messages] == ["user", "assistant", "tool"]
    said, call, custom = again.messages[1].parts
    assert (said.text, call.id, call.arguments, custom.arguments) == ("Look:", "a", '{"x":1}', "free")
    sent = DIALECT.encode_request(again)
    assert sent.warnings == ()
    assert not [item for item in sent.body["input"] if "id" in item], "ids that we made up mean nothing to a provider"
