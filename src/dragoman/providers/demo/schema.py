"""A JSON Schema -> a value that is valid under it, always the same one. It walks the schema; it does not search.

It knows what structured-output APIs accept: objects, arrays, enum, const, anyOf, oneOf, allOf, $ref (also recursive), formats,
bounds. It refuses, naming the place, what it cannot promise: `not`, `if`, `contains` and the like, a pattern that none of its
guesses matches, bounds that nothing satisfies. Branches of `oneOf` are taken to exclude each other, as tagged unions do.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.providers.demo.script import Refusal

Schema = dict[str, Any]

MAX_NODES = 20_000
MAX_LENGTH = 100_000
UNKNOWN_WORDS = frozenset(
    {
        "not",
        "if",
        "contains",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)


def example(schema: Schema, *, fill: str = "demo") -> Any:
    """A value. Free strings become `fill`. Raises Refusal 400 when the schema cannot be satisfied by the rules here."""
    walk = _Walk(schema, fill)
    try:
        return walk.value(schema, _Place())
    except _ImpossibleError as error:
        raise Refusal(
            400, f"demo cannot write a value for the schema at {error.path}: {error.reason}", param="schema"
        ) from None
    except (TypeError, AttributeError, ValueError, ArithmeticError):
        raise Refusal(400, "the JSON Schema is malformed: a keyword has a value of the wrong type", param="schema") from None
    except RecursionError:
        raise Refusal(400, "the JSON Schema is nested too deeply", param="schema") from None


class _Place(Struct, frozen=True):
    """`variant` asks for another value than the one before (unique items); `open_refs` are the $refs we are inside of."""

    path: str = "$"
    variant: int = 0
    open_refs: frozenset[str] = frozenset()

    def under(self, step: str) -> _Place:
        return _Place(self.path + step, self.variant, self.open_refs)


class _ImpossibleError(Exception):
    def __init__(self, place: _Place, reason: str) -> None:
        super().__init__(reason)
        self.path = place.path
        self.reason = reason


class _Walk:
    def __init__(self, root: Schema, fill: str) -> None:
        self.root = root
        self.fill = fill
        self.nodes = 0

    def value(self, schema: Any, place: _Place) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Refusal(400, f"the schema asks for more than {MAX_NODES} values", param="schema")
        if schema is True:
            return self.fill
        if not isinstance(schema, dict):
            raise _ImpossibleError(place, f"it must be an object, not {schema!r}")
        unknown = UNKNOWN_WORDS & schema.keys()
        if unknown:
            raise _ImpossibleError(place, f"demo does not know {', '.join(sorted(unknown))}")
        return self._resolved(schema, place)

    def _resolved(self, schema: Schema, place: _Place) -> Any:
        """Combining keywords are folded into the schema beside them, one at a time; what is left has a type."""
        if "$ref" in schema:
            return self.value(*self._dereferenced(schema, place))
        if "allOf" in schema:
            branches = [_without(schema, "allOf")]
            for branch in schema["allOf"]:
                plain, place = self._dereferenced(branch, place)
                branches.append(plain)
            return self.value(_merged(branches, place), place)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._first_that_works(_without(schema, word), schema[word], place)
        return self._typed(schema, place)

    def _dereferenced(self, schema: Any, place: _Place) -> tuple[Any, _Place]:
        """The schema with its own $ref replaced by what it names, and the place inside of that."""
        while isinstance(schema, dict) and "$ref" in schema:
            ref = schema["$ref"]
            if ref in place.open_refs:
                raise _ImpossibleError(place, f"{ref} contains itself without an end")
            schema = _merged([_without(schema, "$ref"), self._target(ref, place)], place)
            place = _Place(place.path, place.variant, place.open_refs | {ref})
        return schema, place

    def _target(self, ref: Any, place: _Place) -> Any:
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise _ImpossibleError(place, f"$ref {ref!r} points outside of the schema")
        found: Any = self.root
        for step in ref[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise _ImpossibleError(place, f"$ref {ref} points to nothing")
        return found

    def _first_that_works(self, base: Schema, branches: Any, place: _Place) -> Any:
        failure = _ImpossibleError(place, "it has no branches")
        for index in range(len(branches)):
            branch = branches[(index + place.variant) % len(branches)]
            try:
                return self.value(_merged([base, branch], place), place)
            except _ImpossibleError as error:
                failure = error
        raise failure

    def _typed(self, schema: Schema, place: _Place) -> Any:
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _chosen(schema["enum"], place, "enum is empty")
        kinds = schema.get("type") or _implied_type(schema)
        kind = _chosen(kinds, place, "type is empty") if isinstance(kinds, list) else kinds
        build = _BUILDERS.get(kind)
        if build is None:
            raise _ImpossibleError(place, f"{kind!r} is no JSON type")
        return build(self, schema, place)

    # ------------------------------------------------------------------------------------------------ objects and arrays
    def object(self, schema: Schema, place: _Place) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        result: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            try:
                result[name] = self.value(inner, place.under(f".{name}"))
            except _ImpossibleError:
                if name in required:
                    raise
        other = self._free_properties(schema)
        names = itertools.chain(sorted(required - result.keys()), (f"{self.fill}{i or ''}" for i in itertools.count()))
        while len(result) < schema.get("minProperties", 0) or required - result.keys():
            name = next(names)
            result.setdefault(name, self.value(other, place.under(f".{name}")))
        return result

    def _free_properties(self, schema: Schema) -> Any:
        """What the schema says of properties that it does not list."""
        other = schema.get("additionalProperties", True)
        return {"type": "string"} if other is True or other == {} else other

    def array(self, schema: Schema, place: _Place) -> list[Any]:
        result: list[Any] = []
        for index, inner in enumerate(schema.get("prefixItems", ())):
            result.append(self.value(inner, place.under(f"[{index}]")))
        wanted = schema.get("minItems", len(result))
        items = schema.get("items", True)
        if items is not False and "minItems" not in schema and schema.get("maxItems", 1) > len(result):
            return self._one_if_possible(result, items, place)
        unique = bool(schema.get("uniqueItems"))
        for index in range(len(result), wanted):
            inner_place = place.under(f"[{index}]")
            result.append(self.value(items, msgspec.structs.replace(inner_place, variant=index) if unique else inner_place))
        if unique and len({json.encode(item) for item in result}) < len(result):
            raise _ImpossibleError(place, f"demo finds no {wanted} different items")
        return result

    def _one_if_possible(self, before: list[Any], items: Any, place: _Place) -> list[Any]:
        """No least number is asked for, so one item shows the shape; a recursive schema ends here instead."""
        try:
            return [*before, self.value(items, place.under(f"[{len(before)}]"))]
        except _ImpossibleError:
            return before

    # ------------------------------------------------------------------------------------------------------------ scalars
    def string(self, schema: Schema, place: _Place) -> str:
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if shortest > MAX_LENGTH:
            raise _ImpossibleError(place, f"demo writes no texts of over {MAX_LENGTH} characters")
        pattern = _compiled(schema.get("pattern"), place)

        def fits(text: str) -> bool:
            return shortest <= len(text) <= longest and (pattern is None or pattern.search(text) is not None)

        formatted = FORMATS.get(schema.get("format", ""))
        texts = map(formatted, range(100)) if formatted else self._texts(schema.get("default"), shortest, longest, place)
        return str(_pick(texts, fits, place, f"no text of demo's fits {_told(schema)}"))

    def _texts(self, default: Any, shortest: int, longest: float, place: _Place) -> Iterator[str]:
        if isinstance(default, str):
            yield default
        for index in range(place.variant + 1):
            text = self.fill if index == 0 else f"{index}{self.fill}"
            padded = text + "x" * (shortest - len(text))
            yield padded[: int(longest)] if longest < len(padded) else padded
        yield from PATTERN_GUESSES
        for letter, length in itertools.product("aA0", range(1, 65)):
            yield letter * length

    def number(self, schema: Schema, place: _Place) -> Any:
        return _number(schema, place, whole=False)

    def integer(self, schema: Schema, place: _Place) -> Any:
        return _number(schema, place, whole=True)

    def boolean(self, _schema: Schema, place: _Place) -> bool:
        return place.variant % 2 == 0

    def null(self, _schema: Schema, _place: _Place) -> None:
        return None


_BUILDERS: dict[Any, Callable[[_Walk, Schema, _Place], Any]] = {
    "object": _Walk.object,
    "array": _Walk.array,
    "string": _Walk.string,
    "number": _Walk.number,
    "integer": _Walk.integer,
    "boolean": _Walk.boolean,
    "null": _Walk.null,
}

FORMATS: dict[str, Callable[[int], str]] = {
    "date": lambda i: f"2026-{1 + i // 28 % 12:02}-{1 + i % 28:02}",
    "time": lambda i: f"12:{i % 60:02}:00Z",
    "date-time": lambda i: f"2026-01-{1 + i % 28:02}T12:{i // 28:02}:00Z",
    "duration": lambda i: f"P{1 + i}D",
    "email": lambda i: f"demo{i or ''}@example.com",
    "hostname": lambda i: f"demo{i or ''}.example.com",
    "ipv4": lambda i: f"192.0.2.{1 + i}",
    "ipv6": lambda i: f"2001:db8::{1 + i:x}",
    "uri": lambda i: f"https://example.com/demo{i or ''}",
    "uuid": lambda i: f"00000000-0000-4000-8000-{i:012x}",
}
PATTERN_GUESSES = (
    "demo", "Demo", "a1", "A1", "AB", "ABC", "AB-123", "ABC-123", "AB123", "ABC123", "demo-1", "demo_1", "#00aaff", "1.0.0",
    "v1.0.0", "2026-01-01", "2026-01-01T12:00:00Z", "12:00", "12:00:00", "12345", "12345-6789", "+15550100000",
    "555-010-0000", "(555)010-0000", "demo@example.com", "@demo", "https://example.com/demo", "192.0.2.1",
    "1.5", "10%", "$10", "en", "en-GB", "Demo Person", "00000000-0000-4000-8000-000000000000",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- helpers
def _pick(candidates: Iterable[Any], fits: Callable[[Any], bool], place: _Place, reason: str) -> Any:
    """The candidate number `variant` among those that fit, the last one if there are fewer."""
    fitting = list(itertools.islice(filter(fits, candidates), place.variant + 1))
    if not fitting:
        raise _ImpossibleError(place, reason)
    return fitting[-1]


def _chosen(values: list[Any], place: _Place, reason: str) -> Any:
    if not values:
        raise _ImpossibleError(place, reason)
    return values[place.variant % len(values)]


def _number(schema: Schema, place: _Place, *, whole: bool) -> Any:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf")

    def fits(value: float) -> bool:
        inside = low <= value <= high and value != schema.get("exclusiveMinimum") and value != schema.get("exclusiveMaximum")
        stepped = step is None or math.isclose(value / step, round(value / step), abs_tol=1e-9)
        return inside and stepped and (not whole or value == int(value))

    found = _pick(_numbers(low, high, step or 1), fits, place, f"no number of demo's fits {_told(schema)}")
    return int(found) if whole else found


def _numbers(low: float, high: float, step: float) -> Iterator[float]:
    """From 1 on if that is within; else upward from the lower bound, or downward from the upper one; then between the two."""
    start = min(max(step, low), high)
    yield from ((math.ceil(start / step) + index) * step for index in range(200))
    yield from ((math.floor(start / step) - index) * step for index in range(200))
    if low > -math.inf and high < math.inf:
        yield from (low + (high - low) * index / 200 for index in range(201))


def _compiled(pattern: Any, place: _Place) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except (re.error, TypeError):
        raise _ImpossibleError(place, f"demo cannot read the pattern {pattern!r}") from None


def _told(schema: Schema) -> str:
    return json.encode({key: value for key, value in schema.items() if key not in ("description", "title")}).decode()


def _implied_type(schema: Schema) -> str:
    """A schema without a type: its keywords tell. One that says nothing is satisfied by a string."""
    for kind, words in _TELLTALES.items():
        if words & schema.keys():
            return kind
    return "string"


_TELLTALES = {
    "object": {"properties", "required", "additionalProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


def _without(schema: Schema, word: str) -> Schema:
    return {key: value for key, value in schema.items() if key != word}


def _merged(schemas: list[Any], place: _Place) -> Schema:
    """One schema that asks for what all of them ask for."""
    result: Schema = {}
    for schema in schemas:
        if schema is True:
            continue
        if not isinstance(schema, dict):
            raise _ImpossibleError(place, f"a schema must be an object, not {schema!r}")
        for word, value in schema.items():
            result[word] = _MERGERS.get(word, _last)(result[word], value) if word in result else value
    return result


def _last(_before: Any, value: Any) -> Any:
    return value


def _both_types(first: Any, second: Any) -> Any:
    """The types in both; an integer is a number too."""
    one = first if isinstance(first, list) else [first]
    two = second if isinstance(second, list) else [second]
    wide = [*two, "integer"] if "number" in two else two
    return [kind for kind in one if kind in wide] or [kind for kind in two if kind == "integer" and "number" in one]


def _both_properties(first: Schema, second: Schema) -> Schema:
    shared = {name: {"allOf": [first[name], second[name]]} for name in first.keys() & second.keys()}
    return {**first, **second, **shared}


def _either_of_both(first: list[Any], second: list[Any]) -> list[Any]:
    return [{"allOf": [one, two]} for one in first for two in second]


_MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _both_types,
    "enum": lambda first, second: [value for value in first if value in second],
    "required": lambda first, second: [*first, *(name for name in second if name not in first)],
    "properties": _both_properties,
    "allOf": lambda first, second: [*first, *second],
    **dict.fromkeys(("anyOf", "oneOf"), _either_of_both),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
