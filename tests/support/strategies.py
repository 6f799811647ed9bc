"""Hypothesis strategies for our vocabulary: requests, answers and event streams as they really occur.

Requests are conversations that a provider would take: instructions first, every tool call answered by a result. Answers have
their parts in the order in which a model makes them. Streams follow the grammar of `core.events`; calls may interleave.
"""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
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
    Usage,
)

none = st.none()
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
words = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
signatures = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
counts = st.integers(0, 5000)

scalars = none | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9, width=32) | st.text(max_size=6)
scalars = scalars.filter(lambda value: not isinstance(value, str) or value.isprintable())
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2), max_leaves=4
)
json_objects = st.dictionaries(words, json_values, max_size=3)
schemas = st.dictionaries(words, st.sampled_from([{"type": "string"}, {"type": "integer"}]), max_size=2).map(
    lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)}
)
cache_controls = none | st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])


# ----------------------------------------------------------------------------------------------------------------- parts
def text_parts(cached: bool = True) -> st.SearchStrategy[TextPart]:
    return st.builds(TextPart, text=texts, cache_control=cache_controls if cached else none)


base64_data = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
urls = words.map(lambda word: f"https://example.com/{word}")

images = st.builds(
    MediaPart,
    kind=st.just("image"),
    data=base64_data,
    media_type=st.sampled_from(["image/png", "image/jpeg"]),
    detail=st.sampled_from([None, "auto", "low", "high"]),
    cache_control=cache_controls,
) | st.builds(
    MediaPart,
    kind=st.just("image"),
    url=urls,
    filename=none | words,
    media_type=st.sampled_from([None, "image/png"]),
    detail=st.sampled_from([None, "low"]),
    cache_control=cache_controls,
)

documents = (
    st.builds(
        MediaPart,
        kind=st.just("document"),
        data=base64_data,
        media_type=st.just("application/pdf"),
        filename=none | words,
        cache_control=cache_controls,
    )
    | st.builds(MediaPart, kind=st.just("document"), url=urls, filename=none | words)
    | st.builds(MediaPart, kind=st.just("document"), file_id=words)
    | st.builds(MediaPart, kind=st.just("document"), text=texts, media_type=st.just("text/plain"))
)
media_parts = images | documents

proved = st.builds(ReasoningPart, text=texts, signature=signatures) | st.builds(ReasoningPart, redacted=signatures)
proved_thoughts = st.lists(proved, max_size=3)
thoughts = proved_thoughts | st.lists(st.builds(ReasoningPart, text=texts), max_size=2)
"""A provider signs all of its thoughts or none."""

arguments = json_objects.map(json.dumps)


@st.composite
def tool_call_lists(draw: st.DrawFn, *, min_size: int = 0, max_size: int = 3, cached: bool = False) -> list[ToolCallPart]:
    ids = draw(st.lists(words, min_size=min_size, max_size=max_size, unique=True))
    return [
        ToolCallPart(
            id=f"call_{word}",
            name=draw(words),
            arguments=draw(arguments),
            signature=draw(none | signatures) if cached else None,
            cache_control=draw(cache_controls) if cached else None,
        )
        for word in ids
    ]


def tool_results(call_id: str) -> st.SearchStrategy[ToolResultPart]:
    return st.builds(
        ToolResultPart,
        tool_call_id=st.just(call_id),
        parts=st.lists(text_parts() | images, min_size=1, max_size=2).map(tuple),
        is_error=st.sampled_from([None, False, True]),
        cache_control=cache_controls,
    )


# -------------------------------------------------------------------------------------------------------------- requests
@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """What a user says and a model answers, with the results of the tools it called."""
    said = draw(st.lists(text_parts() | media_parts, min_size=1, max_size=3))
    asked = Message(role="user", parts=tuple(said), name=draw(none | words))
    answer: list[Any] = draw(st.lists(text_parts(), max_size=2))
    refusal = draw(st.lists(st.builds(RefusalPart, text=texts), max_size=1))
    calls = draw(tool_call_lists(min_size=0 if answer or refusal else 1, cached=True))
    replied = Message(role="assistant", parts=(*draw(thoughts), *answer, *refusal, *calls))
    results = [draw(tool_results(call.id)) for call in calls]
    if draw(st.booleans()):
        return [asked, replied, *(Message(role="tool", parts=(result,)) for result in results)]
    return [asked, replied, *([Message(role="tool", parts=tuple(results))] if results else [])]


tools = st.builds(
    Tool,
    name=words,
    description=none | texts,
    parameters=none | schemas,
    strict=none | st.booleans(),
    cache_control=cache_controls,
)
tool_choices = st.sampled_from(["auto", "none", "required"]).map(lambda mode: ToolChoice(mode=mode)) | words.map(
    lambda name: ToolChoice(mode="named", name=name)
)
response_formats = st.sampled_from([ResponseFormat(kind="text"), ResponseFormat(kind="json_object")]) | st.builds(
    ResponseFormat,
    kind=st.just("json_schema"),
    schema=schemas,
    name=words,
    description=none | texts,
    strict=none | st.booleans(),
)
reasonings = st.one_of(
    st.sampled_from(["none", "minimal", "low", "medium", "high"]).map(lambda effort: Reasoning(effort=effort)),
    st.integers(1024, 20_000).map(lambda budget: Reasoning(enabled=True, budget_tokens=budget)),
    st.booleans().map(lambda enabled: Reasoning(enabled=enabled)),
)


@st.composite
def chat_requests(draw: st.DrawFn) -> ChatRequest:
    instructions = st.builds(
        Message, role=st.sampled_from(["system", "developer"]), parts=st.lists(text_parts(), min_size=1, max_size=2).map(tuple)
    )
    messages = draw(st.lists(instructions, max_size=2))
    for exchange in draw(st.lists(exchanges(), max_size=2)):
        messages += exchange
    messages.append(Message(role="user", parts=tuple(draw(st.lists(text_parts() | media_parts, min_size=1, max_size=2)))))
    probability = none | st.floats(0, 1, width=16)
    return ChatRequest(
        model=draw(words),
        messages=tuple(messages),
        tools=tuple(draw(st.lists(tools, max_size=2))),
        tool_choice=draw(none | tool_choices),
        parallel_tool_calls=draw(none | st.booleans()),
        max_tokens=draw(none | st.integers(1, 50_000)),
        temperature=draw(none | st.floats(0, 2, width=16)),
        top_p=draw(probability),
        top_k=draw(none | st.integers(1, 100)),
        n=draw(st.sampled_from([None, None, 1, 2])),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        seed=draw(none | counts),
        frequency_penalty=draw(probability),
        presence_penalty=draw(probability),
        logit_bias=draw(none | st.dictionaries(counts.map(str), st.floats(-100, 100, width=16), max_size=2)),
        logprobs=draw(none | st.booleans()),
        top_logprobs=draw(none | st.integers(0, 5)),
        response_format=draw(none | response_formats),
        reasoning=draw(none | reasonings),
        user=draw(none | words),
        service_tier=draw(st.sampled_from([None, "auto", "default", "flex"])),
        metadata=draw(none | st.dictionaries(words, words, max_size=2)),
        stream=draw(st.booleans()),
        include_usage=draw(none | st.booleans()),
    )


# --------------------------------------------------------------------------------------------------------------- answers
@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, written, reasoning = draw(counts), draw(counts), draw(counts)
    return Usage(
        input_tokens=read + written + draw(counts),
        output_tokens=reasoning + draw(counts),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=reasoning,
        web_search_requests=draw(st.integers(0, 3)),
    )


@st.composite
def finishes(draw: st.DrawFn, *, called: bool, common: bool) -> Finish:
    usual = ("tool_calls", "length") if called else ("stop", "length")
    unusual = ("content_filter",) if called else ("content_filter", "refusal", "pause", "error", "unknown")
    reason = draw(st.sampled_from(usual if common else (*usual, *unusual)))
    return Finish(reason=reason, stop_sequence=draw(none | texts) if reason == "stop" else None)


@st.composite
def chat_responses(draw: st.DrawFn, *, common: bool = False) -> ChatResponse:
    """One choice: thoughts, a text or a refusal, calls; there is always something. `common`: what every dialect can say."""
    spoken = text_parts(cached=False) if common else text_parts(cached=False) | st.builds(RefusalPart, text=texts)
    said: list[Any] = draw(st.lists(spoken, max_size=1))
    calls = draw(tool_call_lists(min_size=0 if said else 1))
    return ChatResponse(
        id=draw(words),
        model=draw(words),
        created=draw(st.integers(1, 2**31)),
        service_tier=draw(st.sampled_from([None, "default", "priority"])),
        system_fingerprint=draw(none | words),
        choices=(
            Choice(
                parts=(*draw(proved_thoughts if common else thoughts), *said, *calls),
                finish=draw(finishes(called=bool(calls), common=common)),
            ),
        ),
        usage=draw(usages() if common else none | usages()),
    )


# --------------------------------------------------------------------------------------------------------------- streams
@st.composite
def event_streams(draw: st.DrawFn, *, common: bool = False) -> list[ev.Event]:
    """The events of one answer: every part in pieces, calls interleaved, usage once at the end or before that as well."""
    response = draw(chat_responses(common=common))
    (choice,) = response.choices
    queues = [_part_events(draw, index, part) for index, part in enumerate(choice.parts)]
    calls = [queue for queue in queues if isinstance(queue[0].part, ToolCallPart)]
    events: list[ev.Event] = [event for queue in queues if queue not in calls for event in queue]
    begun = 0
    while calls:
        place = draw(st.integers(0, min(begun, len(calls) - 1)))  # parts begin in the order of their indices
        events.append(calls[place].pop(0))
        begun += place == begun
        if not calls[place]:
            del calls[place]
            begun -= 1
    if response.usage is not None:
        place = draw(st.none() | st.integers(0, len(events)))
        if place is not None:
            events.insert(place, ev.UsageReport(usage=Usage(input_tokens=response.usage.input_tokens)))
        events.append(ev.UsageReport(usage=response.usage))
    start = ev.ResponseStart(
        id=response.id,
        model=response.model,
        created=response.created,
        service_tier=response.service_tier,
        system_fingerprint=response.system_fingerprint,
    )
    return [start, *events, ev.ResponseEnd(finishes=(choice.finish,))]


def _part_events(draw: st.DrawFn, index: int, part: Any) -> list[Any]:
    place = {"index": index}
    if isinstance(part, ReasoningPart) and part.redacted is not None:
        return [ev.PartStart(part=part, **place), ev.PartEnd(**place)]
    if isinstance(part, ToolCallPart):
        start = ToolCallPart(id=part.id, name=part.name, arguments="")
        deltas: list[Any] = [ev.ToolCallDelta(arguments=piece, **place) for piece in pieces(draw, part.arguments)]
    elif isinstance(part, ReasoningPart):
        start, deltas = ReasoningPart(), [ev.ReasoningDelta(text=piece, **place) for piece in pieces(draw, part.text)]
    else:
        start, deltas = type(part)(text=""), [ev.TextDelta(text=piece, **place) for piece in pieces(draw, part.text)]
    return [ev.PartStart(part=start, **place), *deltas, ev.PartEnd(signature=getattr(part, "signature", None), **place)]


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """A text in up to three pieces, none of them empty."""
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=2))})
    return [text[start:end] for start, end in pairwise(cuts)]
