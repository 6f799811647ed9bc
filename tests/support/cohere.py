"""A reader of Cohere's chat requests, for tests: the package itself only writes them.

Written from the vendor's reference and not from the writer it judges; what the vocabulary has no word for is kept in `extra`.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)

NAME = "cohere_chat"
RENAMED = {"p": "top_p", "k": "top_k", "stop_sequences": "stop"}
PLAIN = ("model", "max_tokens", "temperature", "seed", "frequency_penalty", "presence_penalty", "logprobs", "stream")
MODES: dict[str, Literal["required", "none"]] = {"REQUIRED": "required", "NONE": "none"}


def read_request(body: dict[str, Any]) -> ChatRequest:
    """The meaning of a v2 chat request."""
    body = {key: value for key, value in body.items() if value is not None}
    known: dict[str, Any] = {key: body.pop(key) for key in PLAIN if key in body}
    known |= {ours: body.pop(theirs) for theirs, ours in RENAMED.items() if theirs in body}
    if "stop" in known:
        known["stop"] = tuple(known["stop"])
    if "tool_choice" in body:
        known["tool_choice"] = ToolChoice(mode=MODES[body.pop("tool_choice")])
    if "thinking" in body:
        thinking = body.pop("thinking")
        enabled = thinking["type"] == "enabled"
        known["reasoning"] = Reasoning(enabled=enabled, budget_tokens=thinking.get("token_budget"))
    if "response_format" in body:
        known["response_format"] = read_format(body.pop("response_format"))
    return ChatRequest(
        messages=tuple(read_message(message) for message in body.pop("messages")),
        tools=tuple(Tool(**tool["function"]) for tool in body.pop("tools", [])),
        extra={NAME: body} if body else {},
        **known,
    )


def read_format(form: dict[str, Any]) -> ResponseFormat:
    schema = form.get("json_schema")
    return ResponseFormat(kind="json_object" if schema is None else "json_schema", schema=schema)


def read_message(message: dict[str, Any]) -> Message:
    content = message.get("content") or []
    parts = (TextPart(text=content),) if isinstance(content, str) else tuple(read_block(block) for block in content)
    if message["role"] == "tool":
        return Message(role="tool", parts=(ToolResultPart(tool_call_id=message["tool_call_id"], parts=parts),))
    plan = (TextPart(text=message["tool_plan"]),) if message.get("tool_plan") else ()
    calls = tuple(
        ToolCallPart(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    )
    return Message(role=message["role"], parts=(*parts, *plan, *calls))


def read_block(block: dict[str, Any]) -> Part:
    if block["type"] == "text":
        return TextPart(text=block["text"])
    if block["type"] == "thinking":
        return ReasoningPart(text=block["thinking"])
    if block["type"] == "image_url":
        image = block["image_url"]
        return MediaPart(kind="image", url=image["url"], detail=image.get("detail"))
    return OpaquePart(dialect=NAME, value=block)
