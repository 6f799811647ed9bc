"""The base of the client's values: keyword arguments by either spelling, `.dict()` and `.model_dump()`, nothing lost.

A subclass declares its fields as annotations; `ALIASES` says how a field is called on the wire, `NESTED` which class reads
it. A required field has no default. What no field takes is kept and sent, where `EXTRA` allows it, or refused by name.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar, Self

from dragoman.core import json

Body = dict[str, Any]
Aliases = dict[str, str]
Nested = dict[str, type["Model"]]
"""Field -> what it is called on the wire; field -> the class that reads it. (`dict` is a method below.)"""


class Model:
    """See the module. Values compare by their fields."""

    ALIASES: ClassVar[Aliases] = {}
    NESTED: ClassVar[Nested] = {}
    EXTRA: ClassVar[bool] = True
    _FIELDS: ClassVar[tuple[str, ...]] = ()
    _NAMES: ClassVar[Aliases] = {}

    def __init_subclass__(cls) -> None:
        own = [name for name in cls.__annotations__ if not name.isupper() and not name.startswith("_")]
        cls._FIELDS = (*cls._FIELDS, *(name for name in own if name not in cls._FIELDS))
        cls._NAMES = {alias: name for name, alias in cls.ALIASES.items()}

    def __init__(self, **given: Any) -> None:
        named = {self._NAMES.get(name, name): value for name, value in given.items()}
        missing = [name for name in self._FIELDS if name not in named and not hasattr(type(self), name)]
        if missing:
            raise ValueError(f"{type(self).__name__}: {', '.join(missing)}: missing")
        unknown = [name for name in named if name not in self._FIELDS]
        if unknown and not self.EXTRA:
            raise ValueError(f"{type(self).__name__}: {', '.join(unknown)}: there is no such field")
        for name, value in named.items():
            setattr(self, name, _read(self.NESTED.get(name), value))

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """One of a dict. Raises ValueError for what is none."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"{cls.__name__}: expected an object, found {json.kind(value)}")  # noqa: TRY004 - as pydantic does
        return cls(**value)

    parse_obj = model_validate

    def model_dump(self, *, by_alias: bool = False, exclude_none: bool = False, **_: Any) -> Body:
        """As plain values, by the names of fields, or those of the wire."""
        names = (*self._FIELDS, *(name for name in vars(self) if name not in self._FIELDS))
        found = {}
        for name in names:
            value = _plain(getattr(self, name), by_alias=by_alias, exclude_none=exclude_none)
            if value is not None or not exclude_none:
                found[self.ALIASES.get(name, name) if by_alias else name] = value
        return found

    def dict(self, **options: Any) -> Body:
        return self.model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        return json.encode(self.model_dump(**options)).decode()

    def json(self, **options: Any) -> str:
        return self.model_dump_json(**options)

    def wire(self) -> Body:
        """What is sent: what was said, under the names of the wire."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.model_dump() == self.model_dump()

    __hash__ = None  # type: ignore[assignment]  # they can be changed

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.model_dump().items() if value is not None)
        return f"{type(self).__name__}({told})"


def _read(kind: type[Model] | None, value: Any) -> Any:
    if kind is None or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_read(kind, item) for item in value]
    return kind.model_validate(value) if isinstance(value, dict) else value


def _plain(value: Any, **options: bool) -> Any:
    if isinstance(value, Model):
        return value.model_dump(**options)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item, **options) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, **options) for key, item in value.items()}
    dump = getattr(value, "model_dump", None)  # a pydantic model of somebody's own
    return dump(exclude_none=True) if callable(dump) else value
