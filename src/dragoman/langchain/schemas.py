"""JSON Schemas for strict structured output: every property required, none besides, no defaults.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas. Called by `tools` and `structured`.
"""

from __future__ import annotations

from typing import Any

_NAMED = frozenset({"properties", "$defs", "definitions"})
"""Keywords that hold names, not keywords."""

_VALUES = frozenset({"enum", "const", "default", "examples", "required"})
"""Keywords that hold values, not schemas."""


def strict_schema(schema: Any) -> Any:
    """The schema, closed. What was optional must be said, with null where its type takes null."""
    if isinstance(schema, list):
        return [strict_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(key, value) for key, value in schema.items() if key != "default"}
    if isinstance(closed.get("properties"), dict):
        closed["required"] = list(closed["properties"])
        closed["additionalProperties"] = False
    elif schema.get("type") == "object" and not schema.get("additionalProperties"):
        closed |= {"properties": {}, "required": [], "additionalProperties": False}
    return closed


def _closed(key: str, value: Any) -> Any:
    if key in _NAMED and isinstance(value, dict):
        return {name: strict_schema(item) for name, item in value.items()}
    return value if key in _VALUES else strict_schema(value)


def can_be_strict(schema: Any) -> bool:
    """False where an object takes keys that nobody listed: strict mode cannot say that."""
    if isinstance(schema, list):
        return all(can_be_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    open_ended = schema.get("additionalProperties") not in (None, False)
    untyped = schema.get("type") == "object" and not isinstance(schema.get("properties"), dict)
    if open_ended or untyped:
        return False
    return all(
        can_be_strict(list(value.values()) if key in _NAMED and isinstance(value, dict) else value)
        for key, value in schema.items()
        if key not in _VALUES
    )
