"""Events -> answer. The grammar of `core.events` by example; any answer unfolded into events assembles to itself."""

from __future__ import annotations

import pytest
from hypothesis import given

from dragoman.core import events as ev
from dragoman.core.assemble import Assembly, assemble
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
    Usage,
    Warning,
)
from dragoman.core.unfold import unfold
from support.strategies import chat_responses, event_streams

STOP = ev.ResponseEnd(finishes=(Finish(reason="stop"),))


def parts_of(*events, end=STOP):
    return assemble([ev.ResponseStart(), *events, end]).choices[0].parts


BUILT = [
    (
        "text grows",
        [
            ev.PartStart(index=0, part=TextPart(text="")),
            ev.TextDelta(index=0, text="a"),
            ev.TextDelta(index=0, text="b"),
            ev.PartEnd(index=0),
        ],
        TextPart(text="ab"),
    ),
    (
        "citations come late",
        [
            ev.PartStart(index=0, part=TextPart(text="", citations=(Citation(url="a"),))),
            ev.PartEnd(index=0, citations=(Citation(url="b"),), signature="s"),
        ],
        TextPart(text="", citations=(Citation(url="a"), Citation(url="b")), signature="s"),
    ),
    (
        "thoughts are signed at their end",
        [
            ev.PartStart(index=0, part=ReasoningPart()),
            ev.ReasoningDelta(index=0, text="hm"),
            ev.PartEnd(index=0, signature="s"),
        ],
        ReasoningPart(text="hm", signature="s"),
    ),
    (
        "a refusal",
        [ev.PartStart(index=0, part=RefusalPart(text="")), ev.TextDelta(index=0, text="no"), ev.PartEnd(index=0)],
        RefusalPart(text="no"),
    ),
    (
        "arguments grow",
        [
            ev.PartStart(index=0, part=ToolCallPart(id="c", name="f", arguments="")),
            ev.ToolCallDelta(index=0, arguments='{"a"'),
            ev.ToolCallDelta(index=0, arguments=":1}"),
            ev.PartEnd(index=0),
        ],
        ToolCallPart(id="c", name="f", arguments='{"a":1}'),
    ),
    (
        "sound grows, with what it says",
        [
            ev.PartStart(index=0, part=MediaPart(kind="audio", id="x")),
            ev.MediaDelta(index=0, data="AA"),
            ev.MediaDelta(index=0, data="BB", transcript="hi"),
            ev.PartEnd(index=0),
        ],
        MediaPart(kind="audio", id="x", data="AABB", transcript="hi"),
    ),
    (
        "extra of start and end is merged, dialect by dialect",
        [
            ev.PartStart(index=0, part=TextPart(text="a", extra={"x": {"a": 1}, "y": {"b": 2}})),
            ev.PartEnd(index=0, extra={"x": {"c": 3}}),
        ],
        TextPart(text="a", extra={"x": {"a": 1, "c": 3}, "y": {"b": 2}}),
    ),
    (
        "what comes whole stays whole",
        [ev.PartStart(index=0, part=OpaquePart(dialect="d", value={"k": 1})), ev.PartEnd(index=0)],
        OpaquePart(dialect="d", value={"k": 1}),
    ),
    (
        "a part without an end is kept as far as it came",
        [ev.PartStart(index=0, part=TextPart(text="")), ev.TextDelta(index=0, text="ab")],
        TextPart(text="ab"),
    ),
]


@pytest.mark.parametrize(("events", "part"), [row[1:] for row in BUILT], ids=[row[0] for row in BUILT])
def test_one_part(events, part):
    assert parts_of(*events) == (part,)


def test_parts_may_interleave_and_keep_their_order():
    built = parts_of(
        ev.PartStart(index=1, part=ToolCallPart(id="b", name="g", arguments="")),
        ev.PartStart(index=0, part=ToolCallPart(id="a", name="f", arguments="")),
        ev.ToolCallDelta(index=0, arguments="{"),
        ev.ToolCallDelta(index=1, arguments="[]"),
        ev.ToolCallDelta(index=0, arguments="}"),
        ev.PartEnd(index=1),
        ev.PartEnd(index=0),
    )
    assert [(part.id, part.arguments) for part in built] == [("a", "{}"), ("b", "[]")]


def test_the_last_usage_counts_and_warnings_are_kept():
    warning = Warning(field="f", message="m")
    response = assemble(
        [
            ev.ResponseStart(),
            ev.UsageReport(usage=Usage(input_tokens=1)),
            warning,
            ev.UsageReport(usage=Usage(input_tokens=2)),
            STOP,
        ]
    )
    assert response.usage == Usage(input_tokens=2)
    assert response.warnings == (warning,)


def test_choices_and_their_extras():
    response = assemble(
        [
            ev.ResponseStart(id="r", model="m", created=7, extra={"d": {"a": 1}}),
            ev.PartStart(index=0, choice=1, part=TextPart(text="b")),
            ev.ResponseEnd(
                finishes=(Finish(reason="stop"), Finish(reason="length")),
                choice_extra=({}, {"d": {"k": 1}}),
                extra={"d": {"b": 2}},
            ),
        ]
    )
    assert response == ChatResponse(
        id="r",
        model="m",
        created=7,
        choices=(
            Choice(index=0, finish=Finish(reason="stop")),
            Choice(index=1, parts=(TextPart(text="b"),), finish=Finish(reason="length"), extra={"d": {"k": 1}}),
        ),
        extra={"d": {"a": 1, "b": 2}},
    )


def test_logprobs_are_collected_apart_for_text_and_refusal():
    token = TokenLogprob(token="a", logprob=-1.0)
    response = assemble(
        [
            ev.ResponseStart(),
            ev.PartStart(index=0, part=TextPart(text="")),
            ev.TextDelta(index=0, text="a", logprobs=(token,)),
            ev.TextDelta(index=0, text="a", logprobs=(token,)),
            ev.PartStart(index=1, part=RefusalPart(text="")),
            ev.TextDelta(index=1, text="a", logprobs=(token,)),
            ev.PartStart(index=2, part=ToolCallPart(id="c", name="f", arguments="")),
            ev.ToolCallDelta(index=2, arguments="a", logprobs=(token,)),
            STOP,
        ]
    )
    assert response.choices[0].logprobs == Logprobs(content=(token,) * 3, refusal=(token,))


def test_a_broken_stream_leaves_what_had_come():
    assembly = Assembly()
    error = ev.StreamError(message="cut", broken=True)
    for event in [
        ev.ResponseStart(id="r"),
        ev.PartStart(index=0, part=TextPart(text="")),
        ev.TextDelta(index=0, text="ha"),
        error,
    ]:
        assembly.add(event)
    assert not assembly.ended
    assert assembly.error == error
    assert assembly.response().choices == (Choice(parts=(TextPart(text="ha"),)),)


def test_nothing_came():
    assembly = Assembly()
    assert assembly.response() == ChatResponse(id="", model="")
    assert not assembly.ended


@pytest.mark.parametrize(
    "event",
    [ev.TextDelta(index=0, text="a"), ev.ToolCallDelta(index=0, arguments=""), ev.MediaDelta(index=0), ev.PartEnd(index=0)],
    ids=lambda event: type(event).__name__,
)
def test_a_delta_without_its_part_is_a_mistake_of_the_decoder(event):
    with pytest.raises(ValueError, match="part 0 of choice 0 has a delta but no PartStart"):
        assemble([ev.ResponseStart(), event])


def test_what_is_no_event_is_refused():
    with pytest.raises(TypeError, match="not a stream event"):
        assemble(["hello"])


@given(chat_responses())
def test_unfolded_answers_assemble_to_themselves(response):
    assert assemble(unfold(response)) == response


@given(event_streams())
def test_streams_end_and_may_be_asked_at_any_time(events):
    assembly = Assembly()
    for event in events:
        assembly.add(event)
        assert isinstance(assembly.response(), ChatResponse)
    assert assembly.ended
    assert assemble(unfold(assembly.response())) == assembly.response()
