"""Reading JSON objects with a path: known fields are taken out and checked, what is left over becomes `extra`.

The vendor reads protocol buffers: `tool_config` is `toolConfig`, null is absent, and one value may stand for a list of one.
A value of the wrong kind raises FieldError, which says path, expectation and finding.
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Extra
from dragoman.dialects.gemini.common import extra_of, join

UNREADABLE = json.UNREADABLE
"""What reading bytes as JSON may raise."""

_KINDS: dict[str, tuple[type, ...]] = {
    "a string": (str,),
    "a number": (int, float),
    "a boolean": (bool,),
    "an object": (dict,),
    "a string or an integer": (str, int),
}

FREE = frozenset(
    {
        "args",
        "labels",
        "metadata",
        "parameters",
        "parametersJsonSchema",
        "partMetadata",
        "response",
        "responseJsonSchema",
        "responseSchema",
    }
)
"""Fields whose contents are the user's own, with keys that mean what they say."""

_UNDERSCORE = re.compile(r"_([a-z0-9])")


class FieldError(ValueError):
    """`contents[0].parts[1].text: expected a string, found integer`."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(f"{path or 'the body'}: expected {expected}, found {found}")
        self.path = path


def camel(key: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), key) if "_" in key else key


def normal(value: Any) -> Any:
    """The value with the vendor's own spelling of keys, and without nulls."""
    if isinstance(value, dict):
        named = ((camel(key), inner) for key, inner in value.items() if inner is not None)
        return {key: inner if key in FREE else normal(inner) for key, inner in named}
    return [normal(inner) for inner in value] if isinstance(value, list) else value


def check(value: Any, expected: str, path: str) -> Any:
    """The value, if it is of the kind named in `_KINDS`. Types are compared exactly: true is no number."""
    if type(value) not in _KINDS[expected]:
        raise FieldError(path, expected, json.kind(value))
    return value


class Fields:
    """A JSON object that is being taken apart. Null counts as absent."""

    __slots__ = ("path", "values")

    def __init__(self, value: Any, path: str) -> None:
        self.values: dict[str, Any] = dict(check(value, "an object", path))
        self.path = path

    def take(self, key: str, expected: str) -> Any:
        """The field, None when absent."""
        value = self.values.pop(key, None)
        return None if value is None else check(value, expected, join(self.path, key))

    def need(self, key: str, expected: str) -> Any:
        value = self.take(key, expected)
        if value is None:
            raise FieldError(join(self.path, key), expected, "nothing")
        return value

    def integer(self, key: str) -> int | None:
        """A whole number, however it is spelled: 40 and 40.0."""
        value = self.take(key, "a number")
        if value is not None and value != int(value):
            raise FieldError(join(self.path, key), "an integer", json.encode(value).decode())
        return None if value is None else int(value)

    def part(self, key: str) -> Fields:
        """An object to take apart further; an empty one when absent."""
        return Fields(self.take(key, "an object") or {}, join(self.path, key))

    def items(self, key: str) -> list[tuple[str, Any]]:
        """The values of a list with the path of each; an object alone is a list of one."""
        value, path = self.values.pop(key, None), join(self.path, key)
        if value is None:
            return []
        if isinstance(value, dict):
            return [(path, value)]
        if not isinstance(value, list):
            raise FieldError(path, "an array", json.kind(value))
        return [(f"{path}[{place}]", item) for place, item in enumerate(value)]

    def left(self) -> dict[str, Any]:
        return {key: value for key, value in self.values.items() if value is not None}

    def extra(self) -> Extra:
        return extra_of(self.left())
