"""`generationConfig`, `toolConfig` and `tools` -> our words. What they have beyond ours is left in the objects for `extra`.

Called by `read_request`. How the client had spelled a schema or a kind of thinking is kept in marks, so that this dialect
writes it so again.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import NativeTool, Reasoning, ResponseFormat, Tool, ToolChoice
from dragoman.dialects.gemini.common import NAME, extra_of
from dragoman.dialects.gemini.fields import FieldError, Fields
from dragoman.dialects.gemini.schema import from_openapi

SCHEMA = "_schema"
"""The mark of a schema: {field: schema} as the client wrote it."""

SAID_HERE = "_said_here"
"""The mark of a request that a client of this dialect wrote."""


def read_sampling(config: Fields) -> dict[str, Any]:
    """Fields of ChatRequest. Stop sequences and counts are checked, the rest is the provider's business."""
    return {
        "max_tokens": config.integer("maxOutputTokens"),
        "temperature": config.take("temperature", "a number"),
        "top_p": config.take("topP", "a number"),
        "top_k": config.integer("topK"),
        "n": config.integer("candidateCount"),
        "seed": config.integer("seed"),
        "presence_penalty": config.take("presencePenalty", "a number"),
        "frequency_penalty": config.take("frequencyPenalty", "a number"),
        "logprobs": config.take("responseLogprobs", "a boolean"),
        "top_logprobs": config.integer("logprobs"),
        "stop": tuple(_texts(config, "stopSequences")),
        "response_format": _format(config),
        "reasoning": _reasoning(config),
    }


def _texts(fields: Fields, key: str) -> list[str]:
    found = fields.items(key)
    for path, item in found:
        if not isinstance(item, str):
            raise FieldError(path, "a string", type(item).__name__)
    return [item for _, item in found]


# ----------------------------------------------------------------------------------------------------------------- schemas
def _take_schema(fields: Fields, openapi: str, json_schema: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """A schema in either of the two fields as JSON Schema, and the mark for it."""
    own, plain = fields.take(openapi, "an object"), fields.take(json_schema, "an object")
    if plain is not None:
        return plain, {SCHEMA: {json_schema: plain}}
    return (None, {}) if own is None else (from_openapi(own), {SCHEMA: {openapi: own}})


_JSON = "application/json"


def _format(config: Fields) -> ResponseFormat | None:
    """Formats that are neither text nor JSON (an enum) stay where they are."""
    media_type = config.values.get("responseMimeType")
    if media_type not in (None, _JSON, "text/plain"):
        return None
    config.values.pop("responseMimeType", None)
    schema, marks = _take_schema(config, "responseSchema", "responseJsonSchema")
    if schema is not None:
        return ResponseFormat(kind="json_schema", schema=schema, extra=extra_of(marks))
    if media_type is None:
        return None
    return ResponseFormat(kind="json_object" if media_type == _JSON else "text")


def _reasoning(config: Fields) -> Reasoning | None:
    """A budget of 0 switches thinking off, one of -1 leaves it to the model."""
    if "thinkingConfig" not in config.values:
        return None
    fields = config.part("thinkingConfig")
    budget, level = fields.integer("thinkingBudget"), fields.take("thinkingLevel", "a string")
    marks: dict[str, Any] = {"_native": True}
    if (shown := fields.take("includeThoughts", "a boolean")) is not None:
        marks["_shown"] = shown
    if level is not None:
        marks["_level"] = level
    if budget == -1:
        marks["_budget"] = budget
    return Reasoning(
        effort=level.lower() if level is not None else None,
        budget_tokens=budget if budget is not None and budget > 0 else None,
        enabled=None if budget is None else budget != 0,
        extra=extra_of(fields.left() | marks),
    )


# -------------------------------------------------------------------------------------------------------------------- tools
def read_tools(body: Fields) -> tuple[Tool | NativeTool, ...]:
    """Functions one by one; the vendor's own tools each by itself."""
    found: list[Tool | NativeTool] = []
    for path, value in body.items("tools"):
        tool = Fields(value, path)
        found += [_function(Fields(item, place)) for place, item in tool.items("functionDeclarations")]
        found += [NativeTool(dialect=NAME, value={key: held}) for key, held in tool.left().items()]
    return tuple(found)


def _function(fields: Fields) -> Tool:
    schema, marks = _take_schema(fields, "parameters", "parametersJsonSchema")
    return Tool(
        name=fields.need("name", "a string"),
        description=fields.take("description", "a string"),
        parameters=schema,
        extra=extra_of(fields.left() | marks),
    )


_NUMBERED_MODES = {1: "AUTO", 2: "ANY", 3: "NONE"}


def read_tool_choice(config: Fields) -> ToolChoice | None:
    """One allowed function is a named one; several are kept in `extra` beside `required`."""
    if "functionCallingConfig" not in config.values:
        return None
    fields = config.part("functionCallingConfig")
    mode = fields.take("mode", "a string or an integer")
    word = _NUMBERED_MODES.get(mode, str(mode)) if isinstance(mode, int) else mode
    names = _texts(fields, "allowedFunctionNames")
    if word == "ANY" and len(names) == 1:
        return ToolChoice(mode="named", name=names[0], extra=fields.extra())
    beyond = fields.left() | ({"allowedFunctionNames": names} if names else {})
    if word == "NONE":
        return ToolChoice(mode="none", extra=extra_of(beyond))
    if word == "ANY":
        return ToolChoice(mode="required", extra=extra_of(beyond))
    marks = {} if word == "AUTO" else {"_mode": word}
    return ToolChoice(mode="auto", extra=extra_of(beyond | marks))
