"""Reading a program's JSON with errors that help: every `take` names the path, the kind found and the kind expected.

What nobody took is left over and goes to `extra`, so unknown fields are kept, not dropped. Called by `request_decode`.
It coerces nothing: an integer where a string belongs is an error. `null` is the same as an absent field.
"""

from __future__ import annotations

from typing import Any, NoReturn

from dragoman.core.errors import BadRequestError, ErrorDetail
from dragoman.core.json import kind


def refuse(path: str, problem: str) -> NoReturn:
    message = f"{path}: {problem}" if path else problem
    raise BadRequestError(message, detail=ErrorDetail(message=message, param=path or None))


def mismatch(path: str, expected: str, value: Any) -> NoReturn:
    refuse(path, f"expected {expected}, found {'nothing' if value is None else kind(value)}")


class Fields:
    """A JSON object that is being read. `path` is where it stands in the body ("" at its top)."""

    __slots__ = ("_left", "path")

    def __init__(self, value: Any, path: str) -> None:
        if type(value) is not dict:
            mismatch(path, "an object", value)
        self._left: dict[str, Any] = dict(value)
        self.path = path

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def peek(self, key: str) -> Any:
        return self._left.get(key)

    def any(self, key: str) -> Any:
        return self._left.pop(key, None)

    def rest(self) -> dict[str, Any]:
        """The fields that nobody took."""
        return self._left

    def _take(self, key: str, kinds: tuple[type, ...], expected: str) -> Any:
        value = self._left.pop(key, None)
        if value is not None and type(value) not in kinds:
            mismatch(self.at(key), expected, value)
        return value

    def text(self, key: str) -> str | None:
        found: str | None = self._take(key, (str,), "a string")
        return found

    def need_text(self, key: str) -> str:
        found = self.text(key)
        return mismatch(self.at(key), "a string", None) if found is None else found

    def integer(self, key: str) -> int | None:
        found: int | None = self._take(key, (int,), "an integer")
        return found

    def number(self, key: str) -> float | None:
        found: float | None = self._take(key, (int, float), "a number")
        return found

    def flag(self, key: str) -> bool | None:
        found: bool | None = self._take(key, (bool,), "a boolean")
        return found

    def mapping(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._take(key, (dict,), "an object")
        return found

    def items(self, key: str) -> list[Any] | None:
        found: list[Any] | None = self._take(key, (list,), "an array")
        return found

    def inner(self, key: str) -> Fields:
        """The object under `key`, to be read in turn; it must be there."""
        return Fields(self._left.pop(key, None), self.at(key))

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.need_text(key)
        if value not in allowed:
            refuse(self.at(key), f"expected one of {', '.join(allowed)}, found {value[:60]!r}")
        return value
