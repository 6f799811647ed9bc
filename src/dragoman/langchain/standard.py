"""`message.content_blocks` of our answers: LangChain's standard blocks, made of text and `additional_kwargs`.

LangChain looks a translator up by the provider that answered. Those of its own read other classes' messages, so ours stands
before them and takes only messages that carry our mark; all others go on to the one that was there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.block_translators import get_translator, register_translator

MARK = "dragoman"
"""Key in `response_metadata` of every message made here."""

Block = Any
"""One of LangChain's typed dicts; they are told apart by their field `type`."""

_known: set[str] = set()


def ensure_translator(provider: str) -> None:
    """Let `content_blocks` of this provider's messages be read by us where they are ours."""
    if provider in _known:
        return
    _known.add(provider)
    before = get_translator(provider) or {}
    register_translator(
        provider,
        _first_ours(blocks_of_message, before.get("translate_content")),
        _first_ours(blocks_of_chunk, before.get("translate_content_chunk")),
    )


def _first_ours(ours: Callable[[Any], list[Block]], before: Callable[..., Any] | None) -> Callable[[Any], list[Block]]:
    def translate(message: AIMessage) -> list[Block]:
        if isinstance(message.content, str) and message.response_metadata.get(MARK):
            return ours(message)
        if before is None:
            raise NotImplementedError  # the word by which a translator tells LangChain to do what it can by itself
        found: list[Block] = before(message)
        return found

    return translate


def blocks_of_message(message: AIMessage) -> list[Block]:
    """Reasoning, text with its citations, refusal, pictures, sound, calls: the order in which a model makes them."""
    said = [{key: value for key, value in block.items() if key != "index"} for block in _said(message)]
    return [*said, *_calls(message)]


def blocks_of_chunk(message: AIMessageChunk) -> list[Block]:
    """A chunk's blocks are numbered by names, which never clash; so are those of chunks that were added up."""
    said = [{**block, "index": block.get("index", f"lc_{block['type']}_0")} for block in _said(message)]
    if message.chunk_position == "last" or not message.tool_call_chunks:
        return [*said, *_calls(message)]
    beyond = message.additional_kwargs.get("tool_call_extras") or {}
    return [*said, *(_call_piece(piece, beyond) for piece in message.tool_call_chunks)]


def _call_piece(piece: Any, beyond: dict[Any, Any]) -> Block:
    """A later piece has no id; what is told with it is told about it."""
    extras = beyond.get(piece["id"]) or (next(iter(beyond.values())) if piece["id"] is None and len(beyond) == 1 else None)
    return {**piece, "index": f"lc_call_{piece.get('index')}"} | ({"extras": extras} if extras else {})


def _said(message: AIMessage) -> list[Block]:
    kept = message.additional_kwargs
    blocks = [*_reasoning(kept)]
    citations = [_citation(item) for item in kept.get("annotations") or ()]
    if message.content or citations:
        blocks.append({"type": "text", "text": message.content} | ({"annotations": citations} if citations else {}))
    if kept.get("refusal"):
        blocks.append({"type": "refusal", "refusal": kept["refusal"]})
    blocks += [_image(item) for item in kept.get("images") or ()]
    blocks += [_audio(kept["audio"])] if kept.get("audio") else []
    specific = (kept.get("provider_specific_fields") or {}).get("opaque_parts") or ()
    return [*blocks, *({"type": "non_standard", "value": part.get("value", part)} for part in specific)]


def _reasoning(kept: dict[str, Any]) -> list[Block]:
    blocks = kept.get("thinking_blocks")
    if blocks:
        return [_thought(block) for block in blocks]
    text = kept.get("reasoning_content")
    return [{"type": "reasoning", "reasoning": text}] if text else []


def _thought(block: dict[str, Any]) -> Block:
    index = {"index": f"lc_reasoning_{block['index']}"} if "index" in block else {}
    if block.get("data"):
        return {"type": "non_standard", "value": {"type": "redacted_thinking", "data": block["data"]}, **index}
    signed = {"extras": {"signature": block["signature"]}} if block.get("signature") else {}
    return {"type": "reasoning", "reasoning": block.get("thinking") or "", **signed, **index}


def _citation(item: dict[str, Any]) -> Block:
    """Indexes count characters of the text."""
    held = item.get("url_citation")
    if not isinstance(held, dict):
        return {"type": "non_standard_annotation", "value": item}
    names = {"url": "url", "title": "title", "start_index": "start_index", "end_index": "end_index", "content": "cited_text"}
    told = {ours: held[theirs] for theirs, ours in names.items() if held.get(theirs) is not None}
    beyond = {key: value for key, value in held.items() if key not in names}
    return {"type": "citation", **told} | ({"extras": beyond} if beyond else {})


def _image(item: dict[str, Any]) -> Block:
    held = item.get("image_url") or {}
    url = held if isinstance(held, str) else held.get("url") or ""
    index = {"index": f"lc_image_{item['index']}"} if "index" in item else {}
    head, _, data = url.partition(";base64,")
    if url.startswith("data:") and data:
        return {"type": "image", "base64": data, "mime_type": head.removeprefix("data:"), **index}
    return {"type": "image", "url": url, **index}


def _audio(audio: dict[str, Any]) -> Block:
    told = {key: audio[key] for key in ("id",) if audio.get(key)}
    extras = {key: value for key, value in audio.items() if key not in ("id", "data") and value is not None}
    data = {"base64": audio["data"], "mime_type": f"audio/{audio.get('format') or 'wav'}"} if audio.get("data") else {}
    return {"type": "audio", **told, **data} | ({"extras": extras} if extras else {})


def _calls(message: AIMessage) -> list[Block]:
    beyond = message.additional_kwargs.get("tool_call_extras") or {}
    calls: list[Block] = [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        | ({"extras": beyond[call["id"]]} if call["id"] in beyond else {})
        for call in message.tool_calls
    ]
    return [*calls, *message.invalid_tool_calls]
