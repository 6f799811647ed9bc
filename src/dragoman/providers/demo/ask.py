"""What a chat request comes to for demo, whichever dialect it was written in, and what is answered. Plain data."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Tool(Struct, frozen=True, kw_only=True):
    name: str
    parameters: dict[str, Any] = {}


class Ask(Struct, frozen=True, kw_only=True):
    """`model` is the bare name (`echo`). `tool_choice`: auto, none, required, or the name of a tool as a one-tuple.

    `system` and `user` are texts (the last user turn), `tool_results` the texts of the results that end the conversation.
    `begun`: the beginning of the answer, where the conversation ends in one (assistant prefill).
    `schema`: the JSON Schema of the answer; `json_object`: some JSON object. `think`: None leaves it to the model.
    """

    model: str
    user: str = ""
    system: str = ""
    tool_results: tuple[str, ...] = ()
    begun: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: str | tuple[str] = "auto"
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_object: bool = False
    think: bool | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    input_tokens: int = 0
    length: int | None = None


class ToolCall(Struct, frozen=True):
    """`arguments` is JSON text."""

    name: str
    arguments: str


class Answer(Struct, frozen=True, kw_only=True):
    """`finish`: stop, stop_sequence, length or tool_calls. `output_tokens` includes `reasoning_tokens`."""

    reasoning: str = ""
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    stop_sequence: str | None = None
    output_tokens: int = 0
    reasoning_tokens: int = 0
