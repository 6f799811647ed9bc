"""JSON Schema, and the OpenAPI flavour of it that the vendor's older fields speak. Both ways.

`parametersJsonSchema` and `responseJsonSchema` take JSON Schema; what they refuse of it is said otherwise here. Schemas that a
client of this dialect wrote go back as they were written; this is for everybody else's.
https://ai.google.dev/gemini-api/docs/structured-output
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.dialects.gemini.fields import camel

Schema = dict[str, Any]

_MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def accepted(schema: Schema, lost: Callable[[str], None]) -> Schema:
    """The schema in words that the vendor takes; `lost` is told of each keyword that it refuses beside `$ref`."""
    cleaned = {key: value for key, value in schema.items() if key != "$schema"}
    if "$ref" in cleaned:
        for key in [key for key in cleaned if not key.startswith("$")]:
            lost(key)
            del cleaned[key]
    if "const" in cleaned:
        cleaned.setdefault("enum", [cleaned.pop("const")])
    alone = cleaned.get("allOf")
    if isinstance(alone, list) and len(alone) == 1 and isinstance(alone[0], dict):
        del cleaned["allOf"]
        return accepted({**alone[0], **cleaned}, lost)
    return _within(cleaned, lambda inner: accepted(inner, lost))


def _within(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with each schema in it changed; values that are data (default, enum, examples) are left alone."""
    changed = dict(schema)
    for key in _MAPS:
        if isinstance(changed.get(key), dict):
            changed[key] = {name: _each(inner, change) for name, inner in changed[key].items()}
    for key in _LISTS:
        if isinstance(changed.get(key), list):
            changed[key] = [_each(inner, change) for inner in changed[key]]
    for key in _SINGLES:
        if key in changed:
            changed[key] = _each(changed[key], change)
    return changed


def _each(value: Any, change: Callable[[Schema], Schema]) -> Any:
    return change(value) if isinstance(value, dict) else value


_NUMBERED_TYPES = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def from_openapi(schema: Schema) -> Schema:
    """JSON Schema for the vendor's own: small letters, `nullable` as a type, counts as numbers, `example` in a list."""
    read = {camel(key): value for key, value in schema.items() if value is not None}
    kind = read.get("type")
    if isinstance(kind, str | int):
        read["type"] = _NUMBERED_TYPES.get(kind, "object") if isinstance(kind, int) else kind.lower()
    for key in _COUNTS:
        if isinstance(read.get(key), str) and read[key].isdecimal():
            read[key] = int(read[key])
    if "example" in read:
        read["examples"] = [read.pop("example")]
    read = _within(read, from_openapi)
    if read.pop("nullable", None) is True:
        return _nullable(read)
    return read


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(schema.get("enum"), list):
        schema = schema | {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else schema
