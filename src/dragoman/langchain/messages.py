"""LangChain messages -> OpenAI-shaped messages, lossless where the wire can say it.

Names and roles are kept. Signed reasoning, generated media and a provider's own fields go back only to the provider that made
them (`response_metadata["model_provider"]`); what nobody marked is taken to be meant. Calls that could not be parsed are never
sent again. Media in a tool's result follow it in a user's message, which every provider takes. Called by the chat classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.langchain.blocks import Item, is_media, items
from dragoman.langchain.profile import marks_failures

Providers = frozenset[str]
"""Those that may answer the request."""


def to_openai(messages: Sequence[BaseMessage], providers: Providers = frozenset()) -> list[Item]:
    """Raises BadRequestError for a message or block that cannot be sent."""
    written: list[Item] = []
    media: list[Item] = []
    for message in messages:
        made, beside = _message(message, providers)
        if media and not isinstance(message, ToolMessage) and made[0]["role"] != "tool":
            written.append({"role": "user", "content": media})
            media = []
        written += made
        media += beside
    return [*written, {"role": "user", "content": media}] if media else written


def _message(message: BaseMessage, providers: Providers) -> tuple[list[Item], list[Item]]:
    """Its messages, and media that must follow all results of a turn."""
    if isinstance(message, ToolMessage):
        failed = message.status == "error" and _marks_failures(providers)
        return _tool(message.tool_call_id, message.content, message.name, failed=failed)
    if isinstance(message, HumanMessage) and isinstance(message.content, list):
        return _user(message, providers)
    write = next((write for kind, write in _WRITERS.items() if isinstance(message, kind)), None)
    if write is None:
        raise BadRequestError(f"a message of type {type(message).__name__} cannot be sent to a model")
    return [_named(write(message, providers), message)], []


def _named(written: Item, message: BaseMessage) -> Item:
    name = message.name or message.additional_kwargs.get("name")
    return written | {"name": name} if name else written


def _system(message: BaseMessage, _: Providers) -> Item:
    return {"role": message.additional_kwargs.get("__openai_role__", "system"), "content": items(message.content)}


def _human(message: BaseMessage, _: Providers) -> Item:
    return {"role": "user", "content": items(message.content)}


def _any_role(message: Any, _: Providers) -> Item:
    return {"role": message.role, "content": items(message.content)}


def _function(message: BaseMessage, _: Providers) -> Item:
    return {"role": "function", "content": items(message.content)}


def _user(message: HumanMessage, providers: Providers) -> tuple[list[Item], list[Item]]:
    """Anthropic puts a tool's result into a user's message: here it is a message of its own, before the rest."""
    results: list[Item] = []
    media: list[Item] = []
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            failed = bool(block.get("is_error")) and _marks_failures(providers)
            made, beside = _tool(block.get("tool_use_id") or "", block.get("content") or "", None, failed=failed)
            results += made
            media += beside
    content = items(message.content)
    said = [{"type": "text", "text": content}] if isinstance(content, str) and content else content
    if not said and not media:
        return results or [_named({"role": "user", "content": ""}, message)], []
    rest = [*media, *said] if media else content
    return [*results, _named({"role": "user", "content": rest}, message)], []


def _marks_failures(providers: Providers) -> bool:
    """Whether all who may answer have a mark for a tool that failed; a strict server refuses one that it does not know."""
    return bool(providers) and all(map(marks_failures, providers))


def _tool(call_id: str, content: Any, name: str | None, *, failed: bool) -> tuple[list[Item], list[Item]]:
    written = items(content if isinstance(content, str | list) else json.encode(content).decode())
    media: list[Item] = []
    if isinstance(written, list):
        media = [item for item in written if is_media(item)]
        written = [item for item in written if not is_media(item)] or "See the attached media."
    beside = ({"name": name} if name else {}) | ({"is_error": True} if failed else {})
    return [{"role": "tool", "tool_call_id": call_id, "content": written} | beside], media


# ------------------------------------------------------------------------------------------------------------- assistant
def _assistant(message: Any, providers: Providers) -> Item:
    kept = message.additional_kwargs
    issuer = message.response_metadata.get("model_provider")
    own = issuer is None or not providers or providers == {issuer}
    content = _said(message.content)
    calls = _calls(message, own=own)
    written: Item = {"role": "assistant", "content": content or (None if calls or kept.get("function_call") else "")}
    if calls:
        written["tool_calls"] = calls
    elif kept.get("function_call"):
        written["function_call"] = kept["function_call"]
    refusal = kept.get("refusal") or _refusal(message.content)
    if refusal:
        written["refusal"] = refusal
    return written | (_replayed(message) if own else {})


def _said(content: Any) -> str | list[Item]:
    """The texts, as one string where nothing else is told about them. Media that a model made are not content."""
    written = items(content)
    if isinstance(written, str):
        return written
    texts = [item for item in written if not is_media(item)]
    plain = all(item.keys() == {"type", "text"} for item in texts)
    return "".join(item["text"] for item in texts) if plain else texts


def _refusal(content: Any) -> str:
    blocks = content if isinstance(content, list) else []
    return "".join(block.get("refusal") or "" for block in blocks if isinstance(block, dict) and block.get("type") == "refusal")


def _calls(message: AIMessage, *, own: bool) -> list[Item]:
    """The calls that were parsed; else what an old program put into additional_kwargs, or Anthropic's blocks."""
    kept = message.additional_kwargs
    beyond = _call_extras(message) if own else {}
    if message.tool_calls or message.invalid_tool_calls:
        return [_call(call["id"], call["name"], call["args"], beyond.get(call["id"])) for call in message.tool_calls]
    if kept.get("tool_calls"):
        return list(kept["tool_calls"])
    blocks = message.content if isinstance(message.content, list) else []
    used = (block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use")
    return [_call(block.get("id"), block.get("name"), block.get("input") or {}, None) for block in used]


def _call(call_id: Any, name: Any, args: Any, beyond: Item | None) -> Item:
    """`beyond`: what the provider had said about the call besides; `custom` marks a call whose argument is a plain text."""
    left = dict(beyond or {})
    if left.pop("type", None) == "custom":
        return {"type": "custom", "id": call_id, "custom": {"name": name, "input": args.get("__arg1", "")}} | left
    function = {"name": name, "arguments": json.encode(args).decode()}
    return {"type": "function", "id": call_id or "", "function": function} | left


def _call_extras(message: AIMessage) -> dict[Any, Item]:
    """Call id -> the fields of a call that LangChain has no place for, such as Gemini's thought signature."""
    found: dict[Any, Item] = dict(message.additional_kwargs.get("tool_call_extras") or {})
    for block in message.content if isinstance(message.content, list) else []:
        if isinstance(block, dict) and block.get("type") == "tool_call" and block.get("extras"):
            found.setdefault(block.get("id"), block["extras"])
    return found


def _replayed(message: AIMessage) -> Item:
    """What only the provider that said it can read."""
    kept = message.additional_kwargs
    written = {
        key: kept[key] for key in ("reasoning_details", "images", "provider_specific_fields", "extra_content") if key in kept
    }
    blocks = _thinking(message)
    if any(block.get("signature") or block.get("data") for block in blocks):
        written["thinking_blocks"] = blocks
    text = kept.get("reasoning_content") or "".join(block.get("thinking") or "" for block in blocks)
    if text:
        written["reasoning_content"] = text
    return written | _made_media(message)


def _made_media(message: AIMessage) -> Item:
    """Sound goes back by its id alone; pictures as they are."""
    audio = message.additional_kwargs.get("audio") or {}
    blocks = [block for block in message.content if isinstance(block, dict)] if isinstance(message.content, list) else []
    heard = audio.get("id") or next((block.get("id") for block in blocks if block.get("type") == "audio"), None)
    images = items([block for block in blocks if block.get("type") == "image"])
    return ({"audio": {"id": heard}} if heard else {}) | ({"images": images} if images else {})


def _thinking(message: AIMessage) -> list[Item]:
    """Reasoning as blocks in Anthropic's spelling, from wherever it is kept."""
    kept = message.additional_kwargs.get("thinking_blocks")
    if kept:
        return [{key: value for key, value in block.items() if key != "index"} for block in kept]
    blocks = message.content if isinstance(message.content, list) else []
    return [made for block in blocks if isinstance(block, dict) and (made := _thought(block))]


def _thought(block: Item) -> Item | None:
    if block.get("type") == "non_standard":
        block = block.get("value") or {}
    read = _THOUGHTS.get(str(block.get("type")))
    return read(block) if read else None


def _reasoning_block(block: Item) -> Item:
    signature = (block.get("extras") or {}).get("signature")
    return {"type": "thinking", "thinking": block.get("reasoning") or ""} | ({"signature": signature} if signature else {})


_THOUGHTS: dict[str, Callable[[Item], Item]] = {
    "thinking": lambda block: {key: block[key] for key in ("type", "thinking", "signature") if block.get(key)},
    "redacted_thinking": lambda block: {"type": "redacted_thinking", "data": block.get("data")},
    "reasoning": _reasoning_block,
}

_WRITERS: dict[type[BaseMessage], Callable[[Any, Providers], Item]] = {
    AIMessage: _assistant,
    SystemMessage: _system,
    HumanMessage: _human,
    FunctionMessage: _function,
    ChatMessage: _any_role,
}
