"""ChatResponse -> events: the inverse of `assemble`, for answers that came whole but are wanted as a stream. Pure.

What events have no word for is not said: that a choice has no finish reason (it becomes `unknown`), the `extra` of log
probabilities, and those of tokens that are in no part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Finish,
    Logprobs,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)


def unfold(response: ChatResponse) -> Iterator[ev.Event]:
    """The events of a stream that would have built this response: one delta a part."""
    yield ev.ResponseStart(
        id=response.id,
        model=response.model,
        created=response.created,
        service_tier=response.service_tier,
        system_fingerprint=response.system_fingerprint,
        extra=response.extra,
    )
    yield from response.warnings
    choices = sorted(response.choices, key=_index)
    for choice in choices:
        yield from _choice_events(choice)
    if response.usage is not None:
        yield ev.UsageReport(usage=response.usage)
    yield ev.ResponseEnd(
        finishes=tuple(choice.finish or Finish(reason="unknown") for choice in choices),
        choice_extra=tuple(choice.extra for choice in choices),
    )


def _index(choice: Choice) -> int:
    return choice.index


def _choice_events(choice: Choice) -> Iterator[ev.Event]:
    """Tokens are not said to belong to a part, so the first delta of their kind carries them all."""
    tokens = choice.logprobs or Logprobs()
    left = {"content": tokens.content, "refusal": tokens.refusal, "reasoning": tokens.reasoning}
    for index, part in enumerate(choice.parts):
        place: dict[str, Any] = {"index": index, "choice": choice.index}
        match part:
            case TextPart():
                yield ev.PartStart(part=replace(part, text="", citations=(), signature=None), **place)
                yield ev.TextDelta(text=part.text, logprobs=left.pop("content", None), **place)
                yield ev.PartEnd(citations=part.citations, signature=part.signature, **place)
            case RefusalPart():
                yield ev.PartStart(part=RefusalPart(text=""), **place)
                yield ev.TextDelta(text=part.text, logprobs=left.pop("refusal", None), **place)
                yield ev.PartEnd(**place)
            case ReasoningPart(redacted=None):
                yield ev.PartStart(part=replace(part, text="", signature=None), **place)
                yield ev.ReasoningDelta(text=part.text, logprobs=left.pop("reasoning", None), **place)
                yield ev.PartEnd(signature=part.signature, **place)
            case ToolCallPart():
                yield ev.PartStart(part=replace(part, arguments="", signature=None), **place)
                yield ev.ToolCallDelta(arguments=part.arguments, logprobs=left.pop("content", None), **place)
                yield ev.PartEnd(signature=part.signature, **place)
            case _:
                yield from _whole(part, place)


def _whole(part: Part, place: dict[str, Any]) -> Iterator[ev.Event]:
    yield ev.PartStart(part=part, **place)
    yield ev.PartEnd(**place)
