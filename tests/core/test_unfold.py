"""`unfold` is the inverse of `assemble`."""

from __future__ import annotations

import pytest
from hypothesis import given

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    Finish,
    Logprobs,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Warning,
)
from dragoman.core.unfold import unfold
from support.strategies import chat_responses

STOP = Finish(reason="stop", native="stop")
TOKENS = (TokenLogprob(token="a", logprob=-0.5, bytes=(97,)), TokenLogprob(token="b", logprob=-1.0))


def answer(*parts: object, **choice: object) -> ChatResponse:
    return ChatResponse(id="r", model="m", choices=(Choice(parts=parts, finish=STOP, **choice),))


@given(chat_responses())
def test_what_is_unfolded_assembles_to_the_same(response: ChatResponse) -> None:
    assert assemble(unfold(response)) == response


CASES = {
    "nothing": ChatResponse(id="r", model="m"),
    "a choice without parts": answer(),
    "text with citations": answer(TextPart(text="x", citations=(Citation(url="https://a.test"),), signature="s")),
    "extra of a part": answer(TextPart(text="x", extra={"d": {"k": 1}}), ToolCallPart(id="c", name="f", extra={"d": {"k": 2}})),
    "redacted reasoning": answer(ReasoningPart(redacted="zzz"), TextPart(text="x")),
    "signed reasoning": answer(ReasoningPart(text="hm", signature="s")),
    "an empty text": answer(TextPart(text="")),
    "media and opaque parts": answer(
        MediaPart(kind="image", data="AA==", media_type="image/png"),
        MediaPart(kind="audio", data="AA==", id="a", transcript="hi"),
        OpaquePart(dialect="d", value={"type": "t"}),
    ),
    "a custom tool call": answer(ToolCallPart(id="c", name="f", arguments="free text", kind="custom", signature="s")),
    "tokens of a text": answer(TextPart(text="ab"), logprobs=Logprobs(content=TOKENS)),
    "tokens of two texts": answer(TextPart(text="a"), TextPart(text="b"), logprobs=Logprobs(content=TOKENS)),
    "tokens of a refusal": answer(RefusalPart(text="ab"), logprobs=Logprobs(refusal=TOKENS)),
    "tokens of reasoning": answer(ReasoningPart(text="ab"), logprobs=Logprobs(reasoning=TOKENS)),
    "tokens of a call": answer(ToolCallPart(id="c", name="f"), logprobs=Logprobs(content=TOKENS)),
    "no tokens": answer(TextPart(text="ab"), logprobs=Logprobs(content=())),
    "warnings": ChatResponse(id="r", model="m", warnings=(Warning(field="seed", message="left out"),)),
    "extra of choices": ChatResponse(
        id="r",
        model="m",
        extra={"d": {"k": 1}},
        choices=(
            Choice(parts=(TextPart(text="a"),), finish=STOP, extra={"d": {"k": 1}}),
            Choice(index=1, parts=(TextPart(text="b"),), finish=Finish(reason="length")),
        ),
    ),
}


@pytest.mark.parametrize("response", CASES.values(), ids=CASES)
def test_cases(response: ChatResponse) -> None:
    assert assemble(unfold(response)) == response


def test_choices_out_of_order_are_put_into_order() -> None:
    second, first = Choice(index=1, parts=(TextPart(text="b"),), finish=STOP), Choice(parts=(TextPart(text="a"),), finish=STOP)
    found = assemble(unfold(ChatResponse(id="r", model="m", choices=(second, first))))
    assert found.choices == (first, second)


def test_a_choice_that_does_not_say_how_it_ended_ends_unknown() -> None:
    response = ChatResponse(id="r", model="m", choices=(Choice(parts=(TextPart(text="a"),)),))
    assert assemble(unfold(response)).choices[0].finish == Finish(reason="unknown")


def test_the_stream_follows_the_grammar_of_events() -> None:
    kinds = [type(event) for event in unfold(answer(TextPart(text="x"), ToolCallPart(id="c", name="f")))]
    text, call = [ev.PartStart, ev.TextDelta, ev.PartEnd], [ev.PartStart, ev.ToolCallDelta, ev.PartEnd]
    assert kinds == [ev.ResponseStart, *text, *call, ev.ResponseEnd]
