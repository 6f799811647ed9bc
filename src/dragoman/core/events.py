"""The stream in our own words: events keyed by the index of the part they build, and by the choice it belongs to.

A decoder (upstream half of a dialect) makes them, `assemble` folds them into a ChatResponse, an encoder (downstream half)
writes them for a client. The order a decoder promises:

    ResponseStart (PartStart delta* PartEnd | UsageReport | Warning)* ResponseEnd
    ResponseStart ... StreamError                                          when the stream broke; nothing follows

Parts may interleave. Part indices count up from 0 within a choice. ResponseEnd comes once, last, and only if the
provider said the answer is complete: a stream that just stops ends in StreamError, never in ResponseEnd.
"""

from __future__ import annotations

from typing import Literal

from dragoman.core.chat import Citation, Extra, Finish, Part, TokenLogprob, Usage, Value, Warning

PartKind = Literal["text", "reasoning", "refusal", "tool_call", "media", "opaque"]


class ResponseStart(Value, frozen=True, kw_only=True, tag="response_start"):
    """The head of an answer: comes first, once. `created` is a Unix time in seconds. `extra` is the response's extra."""

    id: str = ""
    model: str = ""
    created: int | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extra: Extra = {}


class PartStart(Value, frozen=True, kw_only=True, tag="part_start"):
    """A part begins. `part` is its first state: empty text, a tool call with id, name and arguments "", a whole OpaquePart.

    Deltas add to it. A part that arrives whole (opaque, redacted reasoning, media) has no deltas.
    """

    index: int
    part: Part
    choice: int = 0


class TextDelta(Value, frozen=True, kw_only=True, tag="text_delta"):
    """More text of a TextPart or RefusalPart."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class ReasoningDelta(Value, frozen=True, kw_only=True, tag="reasoning_delta"):
    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class ToolCallDelta(Value, frozen=True, kw_only=True, tag="tool_call_delta"):
    """More JSON text of a tool call's arguments."""

    index: int
    arguments: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class MediaDelta(Value, frozen=True, kw_only=True, tag="media_delta"):
    """More of generated audio: base64 `data` to append, text to append to its `transcript`."""

    index: int
    data: str = ""
    transcript: str = ""
    choice: int = 0


class PartEnd(Value, frozen=True, kw_only=True, tag="part_end"):
    """A part is complete. Carries what is only known late; what is empty here leaves the part as it is."""

    index: int
    choice: int = 0
    signature: str | None = None
    citations: tuple[Citation, ...] = ()
    extra: Extra = {}


class UsageReport(Value, frozen=True, kw_only=True, tag="usage"):
    """The usage so far. A later report replaces an earlier one; reports are never summed."""

    usage: Usage


class ResponseEnd(Value, frozen=True, kw_only=True, tag="response_end"):
    """The answer is complete. `finishes[i]` is how choice i ended. `choice_extra[i]`, if given, is that choice's extra."""

    finishes: tuple[Finish, ...]
    choice_extra: tuple[Extra, ...] = ()
    extra: Extra = {}


class StreamError(Value, frozen=True, kw_only=True, tag="stream_error"):
    """The provider reported a failure inside a 200 stream, or the stream broke.

    `status` is the HTTP status that the provider named or that its error type stands for (502 for a broken stream);
    `broken` is true when nobody reported anything and the bytes just ended or made no sense.
    """

    message: str
    status: int = 502
    code: str | None = None
    error_type: str | None = None
    broken: bool = False


Event = (
    ResponseStart
    | PartStart
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | MediaDelta
    | PartEnd
    | UsageReport
    | Warning
    | ResponseEnd
    | StreamError
)
