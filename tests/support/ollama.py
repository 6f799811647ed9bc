"""A reader of Ollama's chat requests, for tests: the package itself only writes them.

Written from the vendor's reference and not from the writer it judges. Calls without an id get one by their position, and
results the id of the first call of their tool that has no result yet.
"""

from __future__ import annotations

import json
from typing import Any

from dragoman.core.chat import (
    ChatRequest,
    MediaPart,
    Message,
    Part,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

NAME = "ollama_chat"
PARAMETERS = {
    "num_predict": "max_tokens",
    **{name: name for name in ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")},
}


def read_request(body: dict[str, Any]) -> ChatRequest:
    """The meaning of a chat request."""
    body = {key: value for key, value in body.items() if value is not None}
    options = dict(body.pop("options", {}))
    known: dict[str, Any] = {ours: options.pop(theirs) for theirs, ours in PARAMETERS.items() if theirs in options}
    if "stop" in options:
        known["stop"] = tuple(options.pop("stop"))
    if (form := body.pop("format", "")) != "":
        kind = "json_object" if form == "json" else "json_schema"
        known["response_format"] = ResponseFormat(kind=kind, schema=None if form == "json" else form)
    if (think := body.pop("think", None)) is not None:
        known["reasoning"] = Reasoning(effort=think) if isinstance(think, str) else Reasoning(enabled=think)
    reader = MessageReader()
    messages = tuple(reader.read(message) for message in body.pop("messages"))
    tools = tuple(Tool(**tool["function"]) for tool in body.pop("tools", []))
    more = {"options": options} if options else {}
    return ChatRequest(
        model=body.pop("model"),
        stream=body.pop("stream", True),
        messages=messages,
        tools=tools,
        extra={NAME: body | more} if body or more else {},
        **known,
    )


class MessageReader:
    def __init__(self) -> None:
        self.calls = 0
        self.waiting: list[tuple[str, str]] = []

    def read(self, message: dict[str, Any]) -> Message:
        text: tuple[Part, ...] = (TextPart(text=message["content"]),) if message["content"] else ()
        if message["role"] == "tool":
            return Message(role="tool", parts=(ToolResultPart(tool_call_id=self.answered(message), parts=text),))
        thinking = (ReasoningPart(text=message["thinking"]),) if message.get("thinking") else ()
        images = tuple(MediaPart(kind="image", data=image) for image in message.get("images", ()))
        calls = tuple(self.call(call["function"]) for call in message.get("tool_calls") or ())
        return Message(role=message["role"], parts=(*thinking, *text, *images, *calls))

    def call(self, function: dict[str, Any]) -> ToolCallPart:
        self.calls += 1
        self.waiting.append((function["name"], f"call_{self.calls}"))
        return ToolCallPart(id=f"call_{self.calls}", name=function["name"], arguments=json.dumps(function["arguments"]))

    def answered(self, message: dict[str, Any]) -> str:
        name = message.get("tool_name")
        found = next((held for held in self.waiting if name in (None, held[0])), None)
        if found is None:
            return ""
        self.waiting.remove(found)
        return found[1]
