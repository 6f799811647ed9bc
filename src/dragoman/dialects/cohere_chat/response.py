"""A whole answer: the 200 body -> ChatResponse. The readers of citations, log probabilities and counts are shared with streams.

The plan that a model writes before its tool calls (`tool_plan`) belongs to no content block: here it is a text part, as
every other API has it. Cohere's answers do not name their model; the engine knows it.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    Extra,
    Logprobs,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    Usage,
)
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.dialects.cohere_chat.common import ERROR_STATUSES, NAME, UNREADABLE, Body, decode_finish
from dragoman.dialects.read_values import integer_or_none, need_text, text_of, text_or_none

_SHOWN = 500
"""Bytes of a senseless body that go into the error."""

_KNOWN = frozenset({"id", "message", "finish_reason", "usage", "logprobs", "error", "error_type"})


def decode_response(body: bytes) -> ChatResponse:
    try:
        value = json.decode(body)
        failure = failure_of(value)
        response = None if failure else _response(value)
    except UNREADABLE as problem:
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the provider's answer is no Cohere answer: {problem!r}", body=shown) from None
    if failure:
        raise error_for(*failure)
    assert response is not None  # noqa: S101 - for the type checker: one of both is there
    return response


def failure_of(value: Body) -> tuple[int, ErrorDetail] | None:
    """The failure that an answer ended in, where it says what went wrong."""
    said = value.get("error")
    if not isinstance(said, str) or not said:
        return None
    kind = value.get("error_type")
    named = kind if isinstance(kind, str) else None
    return ERROR_STATUSES.get(named or "", 500), ErrorDetail(message=said, type=named)


def _response(value: Body) -> ChatResponse:
    left = {key: held for key, held in value.items() if key not in _KNOWN and held is not None}
    tokens = decode_logprobs(value.get("logprobs"))
    message = value["message"]
    return ChatResponse(
        id=text_or_none(value.get("id")) or "",
        model="",
        choices=(
            Choice(
                parts=_parts(message),
                finish=decode_finish(value["finish_reason"], called=bool(message.get("tool_calls"))),
                logprobs=Logprobs(content=tokens) if tokens else None,
            ),
        ),
        usage=decode_usage(value.get("usage")),
        extra={NAME: left} if left else {},
    )


def _parts(message: Body) -> tuple[Part, ...]:
    blocks = message.get("content") or []
    cited: dict[int, list[Body]] = {}
    for citation in message.get("citations") or ():
        cited.setdefault(place_of(citation, blocks), []).append(citation)
    content = [_with_citations(decode_block(block), cited.get(index, [])) for index, block in enumerate(blocks)]
    plan = text_of(message.get("tool_plan"))
    planned = [_with_citations(TextPart(text=plan), cited.get(len(blocks), []))] if plan else []
    return (*content, *planned, *(decode_call(call) for call in message.get("tool_calls") or ()))


def place_of(citation: Body, blocks: list[Body]) -> int:
    """The block that a citation is about; behind the last block stands the plan. Older answers have one text and name none."""
    if citation.get("type") == "PLAN":
        return len(blocks)
    index = citation.get("content_index")
    if isinstance(index, int):
        return index
    return next((place for place, block in enumerate(blocks) if block["type"] == "text"), 0)


def decode_block(block: Body) -> Part:
    """One content block, also as the start of one in a stream."""
    if block["type"] == "text":
        return TextPart(text=text_of(block.get("text")))
    if block["type"] == "thinking":
        return ReasoningPart(text=text_of(block.get("thinking")))
    return OpaquePart(dialect=NAME, value=block)


def _with_citations(part: Part, cited: list[Body]) -> Part:
    if isinstance(part, TextPart):
        return TextPart(text=part.text, citations=tuple(decode_citation(native) for native in cited))
    if isinstance(part, ReasoningPart):
        return ReasoningPart(text=part.text, extra=citations_extra(cited))
    return part


def citations_extra(cited: list[Body]) -> Extra:
    """Citations of thoughts, for which the vocabulary has no place."""
    return {NAME: {"citations": cited}} if cited else {}


def decode_citation(native: Body) -> Citation:
    """The native citation is kept whole; its first source that has a URL or a title gives them."""
    held = [source.get("document") or source.get("tool_output") or {} for source in native.get("sources") or ()]
    return Citation(
        url=next((url for fields in held if isinstance(url := fields.get("url"), str)), None),
        title=next((title for fields in held if isinstance(title := fields.get("title"), str)), None),
        start_index=integer_or_none(native.get("start")),
        end_index=integer_or_none(native.get("end")),
        extra={NAME: native},
    )


def decode_call(call: Body) -> ToolCallPart:
    function = call["function"]
    arguments = text_of(function.get("arguments"))
    return ToolCallPart(id=need_text(call["id"]), name=need_text(function["name"]), arguments=arguments)


def decode_logprobs(value: Any) -> tuple[TokenLogprob, ...] | None:
    """Pieces of text with the log probabilities of their tokens; several tokens of a piece are one here, as likely as all."""
    if not value:
        return None
    pieces = value if isinstance(value, list) else [value]
    return tuple(
        TokenLogprob(token=text_of(piece.get("text")), logprob=float(sum(piece.get("logprobs") or ()))) for piece in pieces
    )


def decode_usage(native: Any) -> Usage | None:
    """`tokens` counts what the model read and wrote, images beside the rest; what is billed for is kept in `extra`."""
    if not isinstance(native, dict) or not (native.get("tokens") or native.get("billed_units")):
        return None
    counts = native.get("tokens") or native["billed_units"]
    images = _count(counts, "image_tokens")
    left = {key: value for key, value in native.items() if key not in ("tokens", "cached_tokens") and value}
    return Usage(
        input_tokens=_count(counts, "input_tokens") + images,
        output_tokens=_count(counts, "output_tokens"),
        cache_read_tokens=_count(native, "cached_tokens"),
        reasoning_tokens=_count(counts, "reasoning_tokens"),
        input_image_tokens=images,
        extra={NAME: left} if left else {},
    )


def _count(fields: Body, key: str) -> int:
    """Some counts come as 12.0."""
    value = fields.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else 0
