"""A whole answer: the 200 body of Converse -> ChatResponse. The readers of blocks, counts and reasons are shared with streams.

Blocks that the vocabulary has no word for (a server tool's call and result, guarded content) are kept whole as opaque parts,
which the writer gives back as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from dragoman.core import json
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Usage,
)
from dragoman.core.errors import ResponseDecodeError
from dragoman.dialects.bedrock_converse.common import JSON_TOOL, MEDIA_TYPES, NAME, Body, decode_finish, text_of

UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError)
"""What reading an answer that makes no sense may raise."""

_SHOWN = 500
"""Bytes of a senseless body that go into the error."""


def decode_response(body: bytes) -> ChatResponse:
    try:
        return _response(json.decode(body))
    except UNREADABLE as error:
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the provider's answer is no Converse answer: {error!r}", body=shown) from None


def _response(value: Body) -> ChatResponse:
    blocks, native = value["output"]["message"]["content"], value["stopReason"]
    left = {key: held for key, held in value.items() if key not in ("output", "stopReason", "usage") and held is not None}
    return ChatResponse(
        id="",
        model="",
        choices=(
            Choice(
                parts=tuple(decode_block(block) for block in blocks),
                finish=decode_finish(native, json_answer=only_json_answer([_called(block) for block in blocks])),
            ),
        ),
        usage=decode_usage(value["usage"]) if value.get("usage") else None,
        service_tier=tier_of(value),
        extra={NAME: left} if left else {},
    )


def _called(block: Body) -> str | None:
    use = block.get("toolUse")
    return None if use is None or use.get("type") == "server_tool_use" else use["name"]


def only_json_answer(called: list[str | None]) -> bool:
    """Whether, of the caller's tools, none was called but ours."""
    return {name for name in called if name is not None} == {JSON_TOOL}


def tier_of(value: Body) -> str | None:
    tier = (value.get("serviceTier") or {}).get("type")
    return tier if isinstance(tier, str) else None


# --------------------------------------------------------------------------------------------------------------- blocks
def decode_block(block: Body) -> Part:
    """One block, an object with one key. Raises what is in UNREADABLE for nonsense."""
    kind = next(iter(block))
    decode = _DECODERS.get(kind)
    return (decode(block[kind]) if decode else None) or OpaquePart(dialect=NAME, value=block)


def decode_citation(native: Body, length: int) -> Citation:
    """The native citation is kept whole; it is about the text part as a whole, which is `length` characters long."""
    web = (native.get("location") or {}).get("web") or {}
    source = native.get("source")
    cited = "".join(piece.get("text") or "" for piece in native.get("sourceContent") or ())
    return Citation(
        url=web.get("url") or (source if isinstance(source, str) and "://" in source else None),
        title=native.get("title"),
        cited_text=cited or None,
        start_index=0,
        end_index=length,
        extra={NAME: native},
    )


def _text(value: Any) -> Part:
    if not isinstance(value, str):
        raise TypeError(f"a text is a {json.kind(value)}")
    return TextPart(text=value)


def _cited(value: Body) -> Part:
    text = "".join(piece.get("text") or "" for piece in value.get("content") or ())
    return TextPart(text=text, citations=tuple(decode_citation(native, len(text)) for native in value.get("citations") or ()))


def _reasoning(value: Body) -> Part:
    if "redactedContent" in value:
        return ReasoningPart(redacted=value["redactedContent"])
    said = value["reasoningText"]
    return ReasoningPart(text=said["text"], signature=said.get("signature"))


def _tool_use(value: Body) -> Part | None:
    if value.get("type") == "server_tool_use":
        return None
    arguments = text_of(value.get("input") or {})
    if value["name"] == JSON_TOOL:
        return TextPart(text=arguments)
    return ToolCallPart(id=value["toolUseId"], name=value["name"], arguments=arguments)


def _media(kind: Literal["image", "audio", "video"]) -> Callable[[Body], Part | None]:
    def decode(value: Body) -> Part | None:
        data = (value.get("source") or {}).get("bytes")
        if not isinstance(data, str):
            return None
        word = value.get("format") or ""
        return MediaPart(kind=kind, data=data, media_type=MEDIA_TYPES[kind].get(word) or f"{kind}/{word}")

    return decode


_DECODERS: dict[str, Callable[[Any], Part | None]] = {
    "text": _text,
    "citationsContent": _cited,
    "reasoningContent": _reasoning,
    "toolUse": _tool_use,
    "image": _media("image"),
    "audio": _media("audio"),
    "video": _media("video"),
}

# ---------------------------------------------------------------------------------------------------------------- usage
_COUNTED = frozenset(
    {
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
        "cacheDetails",
    }
)


def decode_usage(native: Body) -> Usage:
    """AWS leaves cached input out of inputTokens; ours include it. Wrong kinds count as zero."""
    read = _count(native, "cacheReadInputTokens") or _count(native, "cacheReadInputTokenCount")
    details = native.get("cacheDetails") or ()
    by_ttl = {detail.get("ttl"): _count(detail, "inputTokens") for detail in details}
    written = _count(native, "cacheWriteInputTokens") or _count(native, "cacheWriteInputTokenCount") or sum(by_ttl.values())
    left = {key: value for key, value in native.items() if key not in _COUNTED and value}
    return Usage(
        input_tokens=_count(native, "inputTokens") + read + written,
        output_tokens=_count(native, "outputTokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(by_ttl.get("1h", 0), written),
        extra={NAME: left} if left else {},
    )


def _count(native: Body, key: str) -> int:
    value = native.get(key)
    return value if type(value) is int and value > 0 else 0
