"""Reasoning in its five spellings <-> ReasoningParts. Used for messages of requests and of plain answers.

`reasoning_content` (DeepSeek, xAI, z.ai, llama.cpp; the form LiteLLM users read), `reasoning` (Groq, Cerebras, OpenRouter),
`reasoning_details` (OpenRouter: typed pieces that must go back unchanged), `thinking_blocks` (LiteLLM: Anthropic's signed
blocks) and Mistral's thinking items inside `content`. A part remembers its spelling in `extra`, so it can be replayed to
its issuer in the form that issuer knows.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import ReasoningPart
from dragoman.dialects.openai_chat.wire import extra, mark, own, said

_DETAIL_TEXT = {"reasoning.text": "text", "reasoning.summary": "summary"}


def take_reasoning(message: dict[str, Any]) -> list[ReasoningPart]:
    """Removes the reasoning fields from a message and gives them as parts.

    The same thoughts in several spellings are one thing: details, which carry most, win over blocks, and those over text.
    """
    details, blocks = message.pop("reasoning_details", None), message.pop("thinking_blocks", None)
    spellings = (("reasoning_content", message.pop("reasoning_content", None)), ("reasoning", message.pop("reasoning", None)))
    field, text = next(((key, value) for key, value in spellings if value and type(value) is str), ("", ""))
    parts = [read_detail(item) for item in _dicts(details)] or [read_block(item) for item in _dicts(blocks)]
    if text and not any(part.text for part in parts):
        parts.insert(0, plain(text, field))
    return parts


def plain(text: str, field: str) -> ReasoningPart:
    return ReasoningPart(text=text, extra={} if field == "reasoning_content" else extra({"_field": field}))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if type(item) is dict] if type(value) is list else []


def read_detail(item: dict[str, Any]) -> ReasoningPart:
    left = said(item)
    text = left.pop(_DETAIL_TEXT.get(left.get("type", ""), "text"), "")
    signature, data = left.pop("signature", None), left.pop("data", None)
    return ReasoningPart(text=text, signature=signature or None, redacted=data or None, extra=extra({"detail": left}))


def read_block(item: dict[str, Any]) -> ReasoningPart:
    return ReasoningPart(
        text=item.get("thinking") or "", signature=item.get("signature") or None, redacted=item.get("data") or None
    )


def read_thinking_item(item: dict[str, Any]) -> ReasoningPart:
    """Mistral's `{type: thinking, thinking: [{type: text, text}], closed}`; a plain string is read too."""
    held = item.get("thinking")
    text = held if type(held) is str else "".join(piece.get("text") or "" for piece in _dicts(held))
    left = {key: value for key, value in item.items() if key not in ("type", "thinking", "signature")}
    return ReasoningPart(
        text=text,
        signature=item.get("signature") or None,
        extra=extra({"_field": "content"} | ({"item": left} if left else {})),
    )


def write_thinking_item(part: ReasoningPart) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
    signed = {"signature": part.signature} if part.signature else {}
    return {**item, **signed, **own(part.extra).get("item", {})}


def in_content(part: ReasoningPart) -> bool:
    return bool(mark(part.extra, "_field") == "content")


def write_reasoning(parts: list[ReasoningPart], *, replay: bool) -> dict[str, Any]:
    """The reasoning fields of a message. `replay`: for a provider, under the spelling it used itself."""
    fields: dict[str, Any] = {}
    text = "".join(part.text for part in parts)
    if text:
        spelling = mark(parts[0].extra, "_field") or ("reasoning" if "detail" in own(parts[0].extra) else None)
        fields[spelling if replay and spelling else "reasoning_content"] = text
    details = [write_detail(part) for part in parts if "detail" in own(part.extra)]
    if details:
        fields["reasoning_details"] = details
    blocks = [part for part in parts if "detail" not in own(part.extra)]
    if any(part.signature or part.redacted for part in blocks):
        fields["thinking_blocks"] = [write_block(part) for part in _joined(blocks)]
    return fields


def _joined(parts: list[ReasoningPart]) -> list[ReasoningPart]:
    """Neighbours without a signature are one text, as they are in `reasoning_content`."""
    joined: list[ReasoningPart] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is not None and not any((last.signature, last.redacted, part.signature, part.redacted)):
            joined[-1] = ReasoningPart(text=last.text + part.text)
        else:
            joined.append(part)
    return joined


def write_detail(part: ReasoningPart) -> dict[str, Any]:
    detail: dict[str, Any] = dict(own(part.extra)["detail"])
    if part.redacted:
        return detail | {"data": part.redacted}
    if part.text or not part.signature:
        detail[_DETAIL_TEXT.get(detail.get("type", ""), "text")] = part.text
    return detail | ({"signature": part.signature} if part.signature else {})


def write_block(part: ReasoningPart) -> dict[str, Any]:
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.redacted}
    signed = {"signature": part.signature} if part.signature else {}
    return {"type": "thinking", "thinking": part.text, **signed}
