"""A stream's events on their way through a guard: the same answer as the whole one gives, whatever the parts and the cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatResponse, Choice, Finish, ReasoningPart, RefusalPart, TextPart, TokenLogprob, ToolCallPart
from dragoman.core.unfold import unfold
from dragoman.engine.call import Call
from dragoman.gateway.guardrails.base import Asked, Terms
from dragoman.gateway.guardrails.pii import PII
from dragoman.gateway.guardrails.span_guard import SpanGuard
from support.calls import make_call

MAIL = "jane@example.com"
WORDS = st.lists(st.sampled_from(["hello ", MAIL, " ", "4111 1111 1111 1111", "x", "; "]), max_size=8).map("".join)
PARTS = st.one_of(
    WORDS.map(lambda text: TextPart(text=text)),
    WORDS.map(lambda text: RefusalPart(text=text)),
    WORDS.map(lambda text: ReasoningPart(text=text, signature="signed")),
    st.builds(lambda text: ToolCallPart(id="c", name="f", arguments='{"to": ["' + text + '"], "n": 1}'), WORDS),
)


def guard(action: Any = "mask") -> SpanGuard:
    return SpanGuard(Terms(name="pii", stages=("after",), action=action), tuple(PII.values()))


def asked() -> Asked:
    call: Call = make_call()
    return Asked(call, None)  # type: ignore[arg-type]


def answer(parts: list[Any]) -> ChatResponse:
    return ChatResponse(id="x", model="m", choices=(Choice(parts=tuple(parts), finish=Finish(reason="stop")),))


def cut(event: ev.Event, sizes: list[int]) -> list[ev.Event]:
    """The event as several deltas."""
    field = {ev.TextDelta: "text", ev.ReasoningDelta: "text", ev.ToolCallDelta: "arguments"}.get(type(event))
    if field is None:
        return [event]
    text, made, place, turn = getattr(event, field), [], 0, 0
    while place < len(text):
        size = sizes[turn % len(sizes)]
        made.append(type(event)(index=event.index, choice=event.choice, **{field: text[place : place + size]}))
        place, turn = place + size, turn + 1
    return made


def through(given_events: list[ev.Event], made: SpanGuard, context: Asked) -> list[ev.Event]:
    async def source() -> AsyncGenerator[list[ev.Event], None]:
        for event in given_events:
            yield [event]

    async def run() -> list[ev.Event]:
        return [event async for batch in made.stream(source(), context) for event in batch]

    return asyncio.run(run())


@given(st.lists(PARTS, max_size=4), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_stream_becomes_what_the_whole_answer_becomes(parts: list[Any], sizes: list[int]) -> None:
    whole = answer(parts)
    events = [piece for event in unfold(whole) for piece in cut(event, sizes)]
    expected = asyncio.run(guard().response(whole, asked()))
    assert assemble(through(events, guard(), asked())) == expected


@given(st.lists(PARTS, max_size=4), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_flag_changes_nothing_and_marks_the_same(parts: list[Any], sizes: list[int]) -> None:
    whole, one, other = answer(parts), asked(), asked()
    events = [piece for event in unfold(whole) for piece in cut(event, sizes)]
    asyncio.run(guard("flag").response(whole, one))
    assert assemble(through(events, guard("flag"), other)) == whole
    assert bool(one.call.marks) == bool(other.call.marks)


def test_a_signature_goes_with_what_it_signs() -> None:
    kept, masked = ReasoningPart(text="fine", signature="signed"), ReasoningPart(text=MAIL, signature="signed")
    made = assemble(through(list(unfold(answer([kept, masked]))), guard(), asked())).choices[0].parts
    assert made == (kept, ReasoningPart(text="[EMAIL]"))


@pytest.mark.parametrize(("action", "left"), [("mask", 0), ("flag", 1)])
def test_log_probabilities_would_tell(action: str, left: int) -> None:
    token = TokenLogprob(token="jane", logprob=-1.0)
    events: list[ev.Event] = [
        ev.ResponseStart(),
        ev.PartStart(index=0, part=TextPart(text="")),
        ev.TextDelta(index=0, text="jane", logprobs=(token,)),
        ev.PartEnd(index=0),
        ev.ResponseEnd(finishes=(Finish(reason="stop"),)),
    ]
    made = assemble(through(events, guard(action), asked()))
    assert len(made.choices[0].logprobs.content if made.choices[0].logprobs else ()) == left
    assert len(made.warnings) == 1 - left
