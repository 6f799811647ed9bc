"""An answer in JSON: said natively where the model can be held to a schema, else emulated by a tool, else asked for in words.

The tool is named JSON_TOOL; the readers of answers know it and give its arguments back as the text that the caller asked for.
Called by `write_request`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dragoman.core.chat import ChatRequest, ResponseFormat
from dragoman.dialects.bedrock_converse.common import JSON_TOOL, Body, Losses, text_of
from dragoman.dialects.bedrock_converse.models import Family, holds_to_schema

_FIELD = "response_format"


class Structure(Struct, frozen=True, kw_only=True):
    """What to say: the `text_format` of outputConfig, or a `tool` with the `choice` that goes with it, or an `instruction`."""

    text_format: Body | None = None
    tool: Body | None = None
    choice: Body | None = None
    instruction: str | None = None


def encode_format(request: ChatRequest, family: Family, losses: Losses, *, thinks: bool) -> Structure:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return Structure()
    losses.foreign(wanted.extra, _FIELD)
    if wanted.kind == "json_object" or wanted.schema is None:
        losses.emulate(_FIELD, "Bedrock has no plain JSON mode; the model was told to answer in JSON")
        return Structure(instruction=_instruction(None))
    if holds_to_schema(request.model):
        return Structure(text_format=_text_format(wanted, losses))
    chosen = request.tool_choice
    if family.forces_tools and wanted.schema.get("type") == "object" and (chosen is None or chosen.mode != "named"):
        losses.emulate(_FIELD, f"{request.model} is held to a schema by a tool, whose arguments are given back as the answer")
        return Structure(tool=_tool(wanted), choice=_choice(request, thinks=thinks))
    losses.emulate(_FIELD, f"{request.model} cannot be held to a schema; it was told the schema")
    return Structure(instruction=_instruction(wanted.schema))


def _text_format(wanted: ResponseFormat, losses: Losses) -> Body:
    if wanted.strict is False:
        losses.change(f"{_FIELD}.json_schema.strict", "Bedrock always holds the answer to the schema")
    schema: Body = {"schema": text_of(wanted.schema)}
    schema |= {key: value for key in ("name", "description") if (value := getattr(wanted, key))}
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _tool(wanted: ResponseFormat) -> Body:
    description = wanted.description or "The final answer. Call this tool to answer."
    return {"toolSpec": {"name": JSON_TOOL, "description": description, "inputSchema": {"json": wanted.schema}}}


def _choice(request: ChatRequest, *, thinks: bool) -> Body:
    """Beside other tools the model may call those first. One that thinks cannot be forced."""
    if thinks:
        return {"auto": {}}
    other_tools = request.tools and not (request.tool_choice and request.tool_choice.mode == "none")
    return {"any": {}} if other_tools else {"tool": {"name": JSON_TOOL}}


def _instruction(schema: dict[str, Any] | None) -> str:
    words = "Answer with one JSON object and nothing else: no words around it and no code fence."
    return words if schema is None else f"{words} It must be valid under this JSON Schema: {text_of(schema)}"
