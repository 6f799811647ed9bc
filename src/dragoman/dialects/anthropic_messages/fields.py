"""Reading JSON objects with a path: known fields are taken out and checked, what is left over becomes `extra`.

A value of the wrong kind raises FieldError, which says path, expectation and finding; the request decoder turns it into
BadRequestError, the response decoders into ResponseDecodeError or a StreamError.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import Extra
from dragoman.dialects.anthropic_messages.common import NAME, join

UNREADABLE = json.UNREADABLE
"""What reading bytes as JSON may raise."""

_KINDS: dict[str, tuple[type, ...]] = {
    "a string": (str,),
    "an integer": (int,),
    "a number": (int, float),
    "a boolean": (bool,),
    "an object": (dict,),
    "an array": (list,),
    "a string or an array": (str, list),
}


class FieldError(ValueError):
    """`messages[0].content[1].type: expected a string, found integer`."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(f"{path or 'the body'}: expected {expected}, found {found}")
        self.path = path


def check(value: Any, expected: str, path: str) -> Any:
    """The value, if it is of the kind named in `_KINDS`. Types are compared exactly: true is no integer."""
    if type(value) not in _KINDS[expected]:
        raise FieldError(path, expected, json.kind(value))
    return value


def one_of(value: str, allowed: tuple[str, ...], path: str) -> None:
    if value not in allowed:
        raise FieldError(path, "one of " + ", ".join(allowed), json.encode(value).decode())


class Fields:
    """A JSON object that is being taken apart. Null counts as absent, as it does for the vendor."""

    __slots__ = ("path", "values")

    def __init__(self, value: Any, path: str) -> None:
        self.values: dict[str, Any] = dict(check(value, "an object", path))
        self.path = path

    def take(self, key: str, expected: str) -> Any:
        """The field, None when absent."""
        value = self.values.pop(key, None)
        return None if value is None else check(value, expected, join(self.path, key))

    def need(self, key: str, expected: str) -> Any:
        if key not in self.values:
            raise FieldError(join(self.path, key), expected, "nothing")
        return check(self.values.pop(key), expected, join(self.path, key))

    def left(self) -> dict[str, Any]:
        return {key: value for key, value in self.values.items() if value is not None}

    def extra(self) -> Extra:
        left = self.left()
        return {NAME: left} if left else {}
