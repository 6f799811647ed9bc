"""Streams on their way to a client: whole events, one end, one settlement, however the provider's bytes are cut or break."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from dragoman.core import sse
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatResponse, Choice, Finish, TextPart, Usage
from dragoman.core.errors import StreamInterruptedError
from dragoman.core.http import TransportFailure
from dragoman.core.unfold import unfold
from dragoman.dialects import registry
from dragoman.engine import tape
from dragoman.engine.flow import open_stream
from dragoman.engine.streams import StreamState
from dragoman.gateway import relay as relay_module
from dragoman.gateway.relay import Relay, Rewrite, push
from dragoman.router.deployment import Deployment, Terms
from dragoman.router.policy import Policy
from dragoman.router.state import RequestFacts
from dragoman.transport.fast import FastStream
from support.calls import (
    DONE,
    ERROR_EVENT,
    HEL,
    KEY,
    LO,
    ROLE,
    STOP,
    USAGE,
    AsyncFakeStream,
    chunk,
    deployment,
    make_call,
    play,
)
from support.chat_streams import crlf
from support.recordings import exchanges
from support.routing import InOrder, listed
from support.slicing import byte_by_byte, cut, cut_places

OPENAI, ANTHROPIC = "openai_chat", "anthropic_messages"
CUT = TransportFailure("closed", "reset by peer")
IDLE = TransportFailure("idle", "nothing came for 1 s in the middle of the answer")


def event(kind: str, **fields: Any) -> bytes:
    return sse.encode_event(json.dumps({"type": kind, **fields}).encode(), kind)


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
)
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PING = event("ping")
H_A, EL_A, LO_A = (
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in ("h", "el", "lo")
)
BLOCK_END = event("content_block_stop", index=0)
STOP_A = event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2})
END_A = event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "sorry"})
GARBAGE = b'data: {"id": "demo", "choices": [{"index": 0, "delta": {"cont\n\n'

H, EL = chunk({"content": "h"}), chunk({"content": "el"})
BEGUN = {OPENAI: ROLE + H, ANTHROPIC: START + BLOCK + PING + H_A}
"""What makes an answer begin, in each dialect; SAID is "hel", REST what follows to a good end."""
SAID = {OPENAI: (ROLE, H, EL), ANTHROPIC: (START, BLOCK, PING, H_A, EL_A)}
REST = {OPENAI: (LO, STOP, USAGE, DONE), ANTHROPIC: (LO_A, BLOCK_END, STOP_A, END_A)}
FAILURE = {OPENAI: ERROR_EVENT, ANTHROPIC: OVERLOADED}
WAYS = [(OPENAI, OPENAI), (ANTHROPIC, ANTHROPIC), (OPENAI, ANTHROPIC), (ANTHROPIC, OPENAI)]
"""(the client's dialect, the provider's): two are relayed, two are rewritten."""


class FakeExchange:
    """Remembers what reaches the client."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.finished = 0

    def write(self, data: bytes) -> None:
        assert not self.finished, "written after the end"
        self.writes.append(data)

    def finish(self) -> None:
        self.finished += 1

    async def drain(self) -> None:
        pass

    def on_pressure(self, pause: Any, resume: Any) -> None:
        self.pressure = (pause, resume)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Nothing here waits, so no event loop is needed."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


class Streamed:
    """One stream from a provider to a client: its bytes, its events by name, and how the call was settled."""

    def __init__(self, way: tuple[str, str], *pieces: Any, body: dict[str, Any] | None = None) -> None:
        client, provider = way
        self.settled: list[Any] = []
        self.exchange = FakeExchange()
        self.stream = AsyncFakeStream(*(piece for piece in pieces if piece != b""))
        fields = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
        place = deployment(dialect=provider)
        call = make_call(place, body=fields | (body or {}), dialect=client, stream=True, settled=self.settled, relay=True)
        opened = play(open_stream(call, float, float), self.stream)
        assert opened.error is None, opened.error
        assert opened.result.relay is (client == provider)
        writer = writer_for(opened.result, call, self.exchange, client)
        run(push(opened.result.stream, writer, self.exchange))
        assert writer.done

    @property
    def output(self) -> bytes:
        return b"".join(self.exchange.writes)

    @property
    def data(self) -> list[Any]:
        found = [event.data for event in decoded(self.output)]
        return [json.loads(data) if data != b"[DONE]" else "[DONE]" for data in found]

    @property
    def text(self) -> str:
        said = [item for item in self.data if isinstance(item, dict)]
        openai = [choice["delta"].get("content") or "" for item in said for choice in item.get("choices", ())]
        anthropic = [item["delta"].get("text", "") for item in said if item.get("type") == "content_block_delta"]
        return "".join(openai + anthropic)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [item["error"] for item in self.data if isinstance(item, dict) and item.get("error")]

    @property
    def clean_ends(self) -> int:
        return sum(item == "[DONE]" or item.get("type") == "message_stop" for item in self.data)

    @property
    def settlement(self) -> Any:
        (settlement,) = self.settled
        return settlement


def writer_for(opened: Any, call: Any, exchange: Any, client: str) -> Any:
    dialect = registry.get(client)
    if opened.relay:
        return Relay(opened, call, exchange, dialect)
    return Rewrite(StreamState(opened, call), exchange, dialect, dialect.stream_encoder(call.request, now=1))


def decoded(data: bytes) -> list[sse.ServerSentEvent]:
    decoder = sse.SSEDecoder()
    events = decoder.feed(data)
    assert decoder.flush() == [], "the client was left with half an event"
    return events


def check_good(streamed: Streamed) -> None:
    assert streamed.text == "hello"
    assert streamed.errors == []
    assert streamed.clean_ends == 1
    assert streamed.exchange.finished == 1
    assert (streamed.settlement.error, streamed.settlement.cancelled) == (None, False)
    assert (streamed.settlement.usage.input_tokens, streamed.settlement.usage.output_tokens) == (3, 2)


def check_broken(streamed: Streamed, text: str, words: str) -> dict[str, Any]:
    """Exactly one typed error, last, and never the mark of a clean end."""
    assert streamed.text == text
    assert streamed.clean_ends == 0
    (error,) = streamed.errors
    assert streamed.data[-1]["error"] == error
    assert words in error["message"]
    assert error["type"]
    assert streamed.exchange.finished == 1, "the HTTP answer ends: the error says that it is not whole"
    assert isinstance(streamed.settlement.error, StreamInterruptedError)
    assert streamed.settlement.cancelled is False
    return error


# --------------------------------------------------------------------------------------------------------------- a good end
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_goes_through(way: tuple[str, str]) -> None:
    streamed = Streamed(way, *SAID[way[1]], *REST[way[1]])
    check_good(streamed)
    assert len(streamed.exchange.writes) > 3, "pieces go on as they come"


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC])
def test_relayed_bytes_are_those_that_came(dialect: str) -> None:
    sent = (*SAID[dialect], *REST[dialect])
    body = {"stream_options": {"include_usage": True}} if dialect == OPENAI else {}
    assert Streamed((dialect, dialect), *sent, body=body).output == b"".join(sent)


@given(cut_places)
@settings(deadline=None, max_examples=20)
@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("way", WAYS)
def test_any_slicing_gives_the_client_the_same_bytes(way: tuple[str, str], endings: Any, places: list[int]) -> None:
    data = endings(b"".join((*SAID[way[1]], *REST[way[1]])))
    sliced = Streamed(way, *cut(data, [place * len(data) // 200 for place in places]))
    check_good(sliced)
    assert sliced.output == Streamed(way, data).output
    for write in sliced.exchange.writes:
        assert re.search(rb"\n\r?\n\Z", write), "an error could not follow in the middle of an event"


@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("way", WAYS)
def test_byte_by_byte(way: tuple[str, str], endings: Any) -> None:
    data = endings(b"".join((*SAID[way[1]], *REST[way[1]])))
    check_good(Streamed(way, *byte_by_byte(data)))


@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("lacking", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_a_last_event_without_its_blank_line_is_completed(way: tuple[str, str], lacking: int, endings: Any) -> None:
    last = endings(b"\n" * (2 - lacking))
    rest = endings(b"".join(REST[way[1]])).rstrip()
    check_good(Streamed(way, endings(b"".join(SAID[way[1]])), rest + last))


@pytest.mark.parametrize("failure", [CUT, IDLE])
@pytest.mark.parametrize("way", WAYS)
def test_a_failure_behind_a_complete_answer_is_nobodys_business(way: tuple[str, str], failure: TransportFailure) -> None:
    check_good(Streamed(way, *SAID[way[1]], *REST[way[1]], failure))


def test_half_an_event_behind_a_complete_answer_is_dropped() -> None:
    streamed = Streamed((OPENAI, OPENAI), ROLE, HEL, LO, STOP, USAGE, b"data: [DO", CUT)
    assert streamed.text == "hello"
    assert streamed.errors == []
    assert streamed.settlement.error is None
    assert streamed.settlement.usage.output_tokens == 2


# ----------------------------------------------------------------------------------------------------------- the usage chunk
@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize(
    ("options", "kept"),
    [(None, False), ({"include_usage": False}, False), ({}, False), ({"include_usage": True}, True)],
)
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
def test_the_usage_chunk_is_for_clients_that_asked(provider: str, options: Any, kept: bool, endings: Any) -> None:
    body = {} if options is None else {"stream_options": options}
    pieces = endings(b"".join((*SAID[provider], *REST[provider])))
    streamed = Streamed((OPENAI, provider), pieces, body=body)
    check_good(streamed)
    assert [item["usage"]["completion_tokens"] for item in streamed.data[:-1] if item["choices"] == []] == [2] * kept


def test_text_that_looks_like_usage_stays() -> None:
    said = chunk({"content": '"prompt_tokens"'})
    streamed = Streamed((OPENAI, OPENAI), ROLE, said, HEL, LO, STOP, USAGE, DONE)
    assert streamed.text == '"prompt_tokens"hello'


# ------------------------------------------------------------------------------------------------------------------- breaks
@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("then", "words"),
    [
        ((CUT,), "reset by peer"),
        ((IDLE,), "raise timeouts.idle"),
        ((), "the stream ended before"),
        ((b'data: {"half',), ""),
        ((b'data: {"half', CUT), "reset by peer"),
        ((GARBAGE,), "skipped before: 1"),
        ((GARBAGE, CUT), "skipped before: 1"),
        (((GARBAGE,) * 9), "an event"),
        (("failure",), ""),
        (("failure", "rest"), ""),
        (("failure", CUT), ""),
    ],
)
def test_a_break_is_one_typed_error_in_the_clients_dialect(
    way: tuple[str, str], then: tuple[Any, ...], words: str, endings: Any
) -> None:
    named = {"rest": b"".join(REST[way[1]]), "failure": FAILURE[way[1]]}
    pieces = [named[item] if isinstance(item, str) else item for item in then]
    streamed = Streamed(way, *(endings(item) if isinstance(item, bytes) else item for item in (*SAID[way[1]], *pieces)))
    check_broken(streamed, "hel", words)


@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("way", WAYS)
@given(cut_places)
@settings(deadline=None, max_examples=15)
def test_what_was_good_before_a_fault_arrives_however_it_is_cut(way: tuple[str, str], endings: Any, places: list[int]) -> None:
    head, rest = endings(BEGUN[way[1]]), endings(b"".join((SAID[way[1]][-1], FAILURE[way[1]], *REST[way[1]])))
    sliced = Streamed(way, head, *cut(rest, [place * len(rest) // 200 for place in places]))
    check_broken(sliced, "hel", "")
    assert sliced.data[-1] == Streamed(way, head, rest).data[-1]


@pytest.mark.parametrize("endings", [bytes, crlf])
@pytest.mark.parametrize("way", WAYS)
@given(cut_places)
@settings(deadline=None, max_examples=15)
def test_a_malformed_event_is_skipped_however_it_is_cut(way: tuple[str, str], endings: Any, places: list[int]) -> None:
    head, rest = endings(BEGUN[way[1]]), endings(b"".join((SAID[way[1]][-1], GARBAGE, *REST[way[1]])))
    sliced = Streamed(way, head, *cut(rest, [place * len(rest) // 200 for place in places]))
    check_good(sliced)
    assert sliced.output.count(b": an event was skipped") == 1, "a comment tells of it"
    assert b"cont\n\n" not in sliced.output
    assert sliced.data[0] == Streamed(way, head, rest).data[0], "it is the same answer that goes on"


OTHERS = {
    "openai_responses": ("responses", {"model": "m", "input": "hello"}),
    "openai_completions": ("completion", {"model": "m", "prompt": "hello"}),
    "gemini": ("chat", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
}
SAID_WELL = ChatResponse(
    id="r1",
    model="m-1",
    choices=(Choice(parts=(TextPart(text="hello"),), finish=Finish(reason="stop")),),
    usage=Usage(input_tokens=3, output_tokens=2),
)


@pytest.mark.parametrize("dialect", OTHERS)
def test_every_relayed_dialect_can_hand_over(dialect: str) -> None:
    """The provider's stream is what our own encoder writes."""
    operation, body = OTHERS[dialect]
    speech = registry.get(dialect)
    call = make_call(
        deployment(dialect=dialect, dialects={operation: dialect}),
        body=body,
        dialect=dialect,
        operation=operation,
        stream=True,
        relay=True,
        settled=(settled := []),
    )
    encoder = speech.stream_encoder(call.request, now=1)
    pieces = [piece for event in unfold(SAID_WELL) if (piece := encoder.encode(event))]
    stream = AsyncFakeStream(pieces[0], GARBAGE, *pieces[1:])
    opened = play(open_stream(call, float, float), stream).result
    exchange = FakeExchange()
    run(push(opened.stream, Relay(opened, call, exchange, speech), exchange))
    assert [one.error for one in settled] == [None]
    decoder = speech.stream_decoder()
    found = assemble([*decoder.feed(b"".join(exchange.writes)), *decoder.close()])
    assert [part.text for part in found.choices[0].parts] == ["hello"]  # type: ignore[union-attr]  # a text
    assert b": an event was skipped" in b"".join(exchange.writes)


BROKEN_IN_TOOLS = (chunk({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"a"'}}]}), GARBAGE)


@pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
def test_a_hole_in_the_arguments_of_a_tool_is_a_break(client: str) -> None:
    streamed = Streamed((client, OPENAI), ROLE, *BROKEN_IN_TOOLS, STOP, DONE)
    assert streamed.clean_ends == 0
    assert len(streamed.errors) == 1


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC])
def test_of_a_relayed_stream_that_is_too_long_to_be_kept_trouble_is_the_end(
    dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape, "MOST", 10)
    check_broken(Streamed((dialect, dialect), *SAID[dialect], GARBAGE, *REST[dialect]), "hel", "an event")


def test_trouble_is_the_end_where_the_request_is_one_that_only_the_provider_can_read() -> None:
    strange = {"messages": [{"role": "oracle", "content": "hello"}]}
    check_broken(Streamed((OPENAI, OPENAI), *SAID[OPENAI], GARBAGE, *REST[OPENAI], body=strange), "hel", "an event")


# ------------------------------------------------------------------------------------------------------------ the rest
class Second:
    """A transport with one more stream."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.requests: list[Any] = []
        self.opened: AsyncFakeStream | None = None

    async def stream(self, request: Any, _timeouts: Any) -> AsyncFakeStream:
        self.requests.append(request)
        self.opened = AsyncFakeStream(*self.pieces)
        return self.opened


class Continued(Streamed):
    """As Streamed, over two deployments that can go on where another has stopped."""

    def __init__(self, way: tuple[str, str], first: Iterable[Any], second: Iterable[Any]) -> None:
        client, provider = way
        able = Terms(info={"supports_assistant_prefill": True})
        targets = [deployment(name, dialect=provider).target for name in ("acme", "bond")]
        places = [Deployment(target, group="m", id=target.provider.name, terms=able) for target in targets]
        body = {"model": "m", "max_tokens": 90, "messages": [{"role": "user", "content": "hello"}]}
        self.settled = []
        self.call = make_call(body=body, dialect=client, stream=True, settled=self.settled, relay=True)
        self.call.session = Policy(listed(*places), strategy=InOrder()).begin(RequestFacts(group="m", stream=True), Random(1))
        self.exchange = FakeExchange()
        self.transport = Second(*second)
        opened = play(open_stream(self.call, float, float), AsyncFakeStream(*first)).result
        writer = writer_for(opened, self.call, self.exchange, client)
        run(push(opened.stream, writer, self.exchange, self.transport))


LO_THERE = {OPENAI: (ROLE, LO, STOP, USAGE, DONE), ANTHROPIC: (START, BLOCK, LO_A, BLOCK_END, STOP_A, END_A)}
"""A whole answer that says "lo"."""


@pytest.mark.parametrize("fault", ["cut", "end", "failure", "half an event"])
@pytest.mark.parametrize("way", WAYS)
def test_another_deployment_writes_the_rest(way: tuple[str, str], fault: str) -> None:
    ends = {"cut": (CUT,), "end": (), "failure": (FAILURE[way[1]],), "half an event": (b'data: {"half', CUT)}
    continued = Continued(way, (*SAID[way[1]], *ends[fault]), LO_THERE[way[1]])
    assert (continued.text, continued.errors, continued.clean_ends) == ("hello", [], 1)
    assert continued.exchange.finished == 1
    (request,) = continued.transport.requests
    assert "bond" in request.url
    asked = json.loads(request.body)["messages"][-1]
    assert (asked["role"], asked["content"]) in (("assistant", "hel"), ("assistant", [{"type": "text", "text": "hel"}]))
    assert b": the stream broke off after 3 characters; bond wrote the rest" in continued.output
    assert continued.transport.opened is not None
    assert continued.transport.opened.closed == 1
    assert (continued.settlement.error, continued.settlement.cancelled) == (None, False)
    assert continued.settlement.usage.output_tokens >= 3
    assert [attempt.reason for attempt in continued.call.attempts] == ["", "continuation"]


@pytest.mark.parametrize("way", WAYS)
def test_the_client_sees_one_answer(way: tuple[str, str]) -> None:
    data = Continued(way, (*SAID[way[1]], CUT), LO_THERE[way[1]]).data
    starts = [item for item in data if isinstance(item, dict) and item.get("type") == "message_start"]
    blocks = [item for item in data if isinstance(item, dict) and item.get("type") == "content_block_start"]
    ids = {item["id"] for item in data if isinstance(item, dict) and "choices" in item}
    assert (len(starts), len(blocks), len(ids)) == ((1, 1, 0) if way[0] == ANTHROPIC else (0, 0, 1))


@pytest.mark.parametrize("way", WAYS)
def test_when_the_rest_fails_too_it_is_one_typed_error(way: tuple[str, str]) -> None:
    continued = Continued(way, (*SAID[way[1]], CUT), (*LO_THERE[way[1]][:-3], CUT))
    check_broken(continued, "hel" + "lo" * (len(continued.call.attempts) - 1), "reset by peer")


@pytest.mark.parametrize("way", WAYS)
def test_what_the_provider_said_of_its_failure_reaches_the_client(way: tuple[str, str]) -> None:
    streamed = Streamed(way, *SAID[way[1]], FAILURE[way[1]])
    error = check_broken(streamed, "hel", "overloaded" if way[1] == OPENAI else "sorry")
    if way == (ANTHROPIC, ANTHROPIC):
        assert error["type"] == "overloaded_error"


@pytest.mark.parametrize("way", WAYS)
def test_a_provider_that_repeats_the_key_does_not_give_it_away(way: tuple[str, str]) -> None:
    told = {"type": "error", "error": {"type": "authentication_error", "message": f"the key {KEY} has expired"}}
    failure = sse.encode_event(json.dumps(told).encode(), "error" if way[1] == ANTHROPIC else "")
    streamed = Streamed(way, *SAID[way[1]], failure)
    check_broken(streamed, "hel", "has expired")
    assert KEY.encode() not in streamed.output
    assert KEY not in str(streamed.settlement.error)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_more_is_read_from_a_provider_after_a_fault(way: tuple[str, str]) -> None:
    streamed = Streamed(way, *SAID[way[1]], FAILURE[way[1]], *REST[way[1]])
    assert streamed.stream.take() != b"", "the rest was left where it was"


@pytest.mark.parametrize("way", WAYS)
def test_the_usage_so_far_is_settled_with_a_break(way: tuple[str, str]) -> None:
    streamed = Streamed(way, *SAID[way[1]], *([USAGE] if way[1] == OPENAI else []), CUT)
    assert streamed.settlement.usage.input_tokens == 3


def test_an_event_without_an_end_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MAX_EVENT_BYTES", 1000)
    endless = (b'data: {"a": "' + b"x" * 600, b"x" * 600, b"x" * 600)
    streamed = Streamed((OPENAI, OPENAI), ROLE, HEL, *endless)
    check_broken(streamed, "hel", "over 1000 bytes")


# ----------------------------------------------------------------------------------------------------- the client goes away
class Gone(BaseException):
    """As a cancelled task sees it."""


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves_is_settled_once_as_cancelled_with_the_usage_so_far(way: tuple[str, str]) -> None:
    settled: list[Any] = []
    exchange, stream = FakeExchange(), AsyncFakeStream(*SAID[way[1]], Gone())
    body = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    call = make_call(deployment(dialect=way[1]), body=body, dialect=way[0], stream=True, settled=settled, relay=True)
    opened = play(open_stream(call, float, float), stream).result
    with pytest.raises(Gone):
        run(push(opened.stream, writer_for(opened, call, exchange, way[0]), exchange))
    (settlement,) = settled
    assert (settlement.cancelled, settlement.error, exchange.finished) == (True, None, 0)
    assert (settlement.usage.input_tokens if settlement.usage else None) == (3 if way[1] == ANTHROPIC else None)


# -------------------------------------------------------------------------------------------------- pushed, not pulled
class Pushed(FastStream):
    """Our own transport's stream as `push` knows it: it hands pieces to a callback."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self.pieces = list(pieces)

    async def relay(self, on_data: Any) -> None:
        while self.pieces:
            piece = self.pieces.pop(0)
            if isinstance(piece, BaseException):
                raise piece
            on_data(piece)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [None, CUT, "failure"])
def test_a_transport_that_pushes_gives_the_client_the_same(way: tuple[str, str], fault: Any) -> None:
    settled: list[Any] = []
    exchange = FakeExchange()
    first, rest = BEGUN[way[1]], [SAID[way[1]][-1], *REST[way[1]]]
    if fault is not None:
        rest.insert(1, FAILURE[way[1]] if fault == "failure" else fault)
    body = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    call = make_call(deployment(dialect=way[1]), body=body, dialect=way[0], stream=True, settled=settled, relay=True)
    opened = play(open_stream(call, float, float), AsyncFakeStream(first)).result
    stream = Pushed(rest)
    run(push(stream, writer_for(opened, call, exchange, way[0]), exchange))
    assert exchange.pressure == (stream.pause, stream.resume)
    assert b"".join(exchange.writes) == Streamed(way, first, *rest).output
    assert exchange.finished == len(settled) == 1
    assert bool(stream.pieces) is (fault is not None), "a broken stream is not read to its end"


# -------------------------------------------------------------------------------------------------------------- recordings
RECORDED = [(OPENAI, entry) for entry in exchanges("chat", streaming=True, ok=True)[::6]]
RECORDED += [(ANTHROPIC, entry) for entry in exchanges("messages", streaming=True, ok=True)[::6]]


@pytest.mark.parametrize(("dialect", "entry"), RECORDED, ids=lambda item: item if isinstance(item, str) else item.id)
def test_recorded_streams_are_relayed_as_they_came(dialect: str, entry: Any) -> None:
    data = entry.load().response_bytes
    body = {"stream_options": {"include_usage": True}} if dialect == OPENAI else {}
    whole = Streamed((dialect, dialect), data, body=body)
    cuts = random.Random(entry.id)
    sliced = Streamed((dialect, dialect), *cut(data, [cuts.randrange(len(data)) for _ in range(12)]), body=body)
    assert whole.settlement.error is None
    assert whole.output.rstrip() == data.rstrip()
    assert sliced.output == whole.output
    assert sliced.settlement == whole.settlement
