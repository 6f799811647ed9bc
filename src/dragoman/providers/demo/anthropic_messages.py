"""Anthropic's messages as demo reads and writes them: bytes -> `Ask`, `Answer` -> the JSON body or the stream's events.

Independent of `dialects.anthropic_messages` on purpose: it stands in for the provider in that dialect's tests. Thinking is
signed, and a signature that comes back changed is refused, so that whoever carries it on the way is found out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dragoman.core import json
from dragoman.core.sse import encode_event
from dragoman.providers.demo import tokens
from dragoman.providers.demo.answers import answer
from dragoman.providers.demo.ask import Answer, Ask, Tool
from dragoman.providers.demo.reply import Reply, identity, texts
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import Settings

_STOP_REASONS = {"stop": "end_turn", "stop_sequence": "stop_sequence", "length": "max_tokens", "tool_calls": "tool_use"}
_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class _Tool(Struct):
    name: str
    input_schema: dict[str, Any] = {}


class _Message(Struct):
    role: str
    content: str | list[dict[str, Any]]


class _ToolChoice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _Thinking(Struct):
    type: str


class _Format(Struct):
    type: str
    schema: dict[str, Any] = {}


class _OutputConfig(Struct):
    format: _Format | None = None


class Body(Struct):
    """What demo reads of a request; it leaves the rest unread, as it changes nothing here."""

    max_tokens: Annotated[int, Meta(ge=1)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    system: str | list[dict[str, Any]] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    stop_sequences: list[str] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    stream: bool | None = None


_decode = msgspec.json.Decoder(Body).decode


def reply(raw: bytes, name: str, bare: str, settings: Settings) -> Reply:
    """`name` is the model as the caller wrote it, without parameters; `bare` the same without `demo/`."""
    body = _decode(raw)
    _check_signatures(body.messages)
    ask = _ask(body, bare, settings)
    given = answer(ask)
    frame = _frame(raw, name, ask.input_tokens)
    headers = (("request-id", f"req_{identity(raw)}"),)
    if body.stream:
        return Reply(chunks=tuple(_events(frame, given, settings.chunk)), stream=True, headers=headers)
    return Reply(chunks=((json.encode(_body(frame, given)), given.output_tokens),), headers=headers)


# -------------------------------------------------------------------------------------------------------------- reading
def _ask(body: Body, model: str, settings: Settings) -> Ask:
    tools = tuple(Tool(name=tool.name, parameters=tool.input_schema) for tool in body.tools or ())
    form = (body.output_config and body.output_config.format) or body.output_format
    choice = body.tool_choice
    return Ask(
        model=model,
        user=_last_user_text(body.messages),
        system=texts(body.system),
        tool_results=_closing_tool_results(body.messages[-1]),
        begun=texts(body.messages[-1].content) if body.messages[-1].role == "assistant" else "",
        tools=tools,
        tool_choice=_tool_choice(choice, tools),
        parallel=not (choice and choice.disable_parallel_tool_use),
        schema=form.schema if form and form.type == "json_schema" else None,
        think=None if body.thinking is None else body.thinking.type != "disabled",
        max_tokens=body.max_tokens,
        stop=tuple(body.stop_sequences or ()),
        input_tokens=_input_tokens(body),
        length=settings.length,
    )


def _last_user_text(messages: list[_Message]) -> str:
    """Of the last user turn that says something itself: tool results come in user turns too."""
    for message in reversed(messages):
        own = message.content if isinstance(message.content, str) else [part for part in message.content if "text" in part]
        if message.role == "user" and own:
            return texts(own)
    return ""


def _closing_tool_results(last: _Message) -> tuple[str, ...]:
    parts = last.content if isinstance(last.content, list) else []
    return tuple(texts(part.get("content")) for part in parts if part.get("type") == "tool_result")


def _tool_choice(choice: _ToolChoice | None, tools: tuple[Tool, ...]) -> str | tuple[str]:
    if choice is None:
        return "auto"
    if choice.type != "tool":
        return _TOOL_CHOICES.get(choice.type, "auto")
    if choice.name is None or choice.name not in {tool.name for tool in tools}:
        raise Refusal(400, f"tool_choice.name: Tool {choice.name!r} not found in provided tools", param="tool_choice")
    return (choice.name,)


def _input_tokens(body: Body) -> int:
    spoken = sum(tokens.MESSAGE_FRAME + _content_tokens(message.content) for message in body.messages)
    tools = tokens.count(json.encode(body.tools).decode()) if body.tools else 0
    return spoken + tools + tokens.count(texts(body.system))


def _content_tokens(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, str):
        return tokens.count(content)
    return sum(_part_tokens(part) for part in content)


def _part_tokens(part: dict[str, Any]) -> int:
    if part.get("type") == "tool_use":
        return tokens.count(json.encode(part.get("input")).decode()) + tokens.count(str(part.get("name")))
    if part.get("type") in ("image", "document"):
        return tokens.MEDIA_PART
    return tokens.count(texts([part]) or str(part.get("thinking", "")))


def signature(thinking: str) -> str:
    return base64.b64encode(hashlib.blake2b(thinking.encode(), digest_size=48, person=b"dragoman-demo").digest()).decode()


def _check_signatures(messages: list[_Message]) -> None:
    for place, message in enumerate(messages):
        for index, part in enumerate(message.content if isinstance(message.content, list) else ()):
            if part.get("type") == "thinking" and part.get("signature") != signature(str(part.get("thinking", ""))):
                raise Refusal(400, f"messages.{place}.content.{index}: Invalid `signature` in `thinking` block")


# -------------------------------------------------------------------------------------------------------------- writing
def _frame(raw: bytes, name: str, input_tokens: int) -> dict[str, Any]:
    return {
        "model": name,
        "id": f"msg_{identity(raw)}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    }


def _body(frame: dict[str, Any], given: Answer) -> dict[str, Any]:
    usage = frame["usage"] | {"output_tokens": given.output_tokens}
    content: list[dict[str, Any]] = []
    if given.reasoning:
        content.append({"type": "thinking", "thinking": given.reasoning, "signature": signature(given.reasoning)})
    if given.text:
        content.append({"type": "text", "text": given.text})
    for place, call in enumerate(given.calls):
        content.append(_tool_use(frame, place, call.name) | {"input": _arguments(call.arguments)})
    return frame | {"content": content, "usage": usage} | _stop(given)


def _arguments(text: str) -> Any:
    """The input of a tool; empty when max_tokens cut its JSON short, as Anthropic has it."""
    try:
        return json.decode(text.encode())
    except json.DecodeError:
        return {}


def _tool_use(frame: dict[str, Any], place: int, name: str) -> dict[str, Any]:
    made = identity(f"{frame['id']}/{place}".encode())
    return {"type": "tool_use", "id": f"toolu_{made}", "name": name, "input": {}}


def _stop(given: Answer) -> dict[str, Any]:
    return {"stop_reason": _STOP_REASONS[given.finish], "stop_sequence": given.stop_sequence}


def _events(frame: dict[str, Any], given: Answer, size: int) -> Iterator[tuple[bytes, int]]:
    yield _event("message_start", message=frame)
    for index, (block, deltas) in enumerate(_blocks(frame, given, size)):
        yield _event("content_block_start", index=index, content_block=block)
        if index == 0:
            yield _event("ping")
        for delta, count in deltas:
            yield _event("content_block_delta", count, index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    usage = {key: value for key, value in frame["usage"].items() if key != "service_tier"}
    yield _event("message_delta", delta=_stop(given), usage=usage | {"output_tokens": given.output_tokens})
    yield _event("message_stop")


Deltas = Iterator[tuple[dict[str, Any], int]]


def _blocks(frame: dict[str, Any], given: Answer, size: int) -> Iterator[tuple[dict[str, Any], Deltas]]:
    """Each content block as it starts, and its deltas."""
    if given.reasoning:
        yield {"type": "thinking", "thinking": "", "signature": ""}, _thinking_deltas(given.reasoning, size)
    if given.text:
        yield {"type": "text", "text": ""}, _deltas("text_delta", "text", given.text, size)
    for place, call in enumerate(given.calls):
        yield _tool_use(frame, place, call.name), _deltas("input_json_delta", "partial_json", call.arguments, size)


def _deltas(kind: str, field: str, text: str, size: int) -> Deltas:
    for group in tokens.groups(text, size):
        yield {"type": kind, field: "".join(group)}, len(group)


def _thinking_deltas(thinking: str, size: int) -> Deltas:
    yield from _deltas("thinking_delta", "thinking", thinking, size)
    yield {"type": "signature_delta", "signature": signature(thinking)}, 0


def _event(kind: str, count: int = 0, **fields: Any) -> tuple[bytes, int]:
    return encode_event(json.encode({"type": kind, **fields}), kind), count
