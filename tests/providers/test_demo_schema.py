"""demo's JSON Schema walker: what it writes is valid, whatever the schema; what it cannot write it refuses and says where.

The property draws a schema together with its own idea of validity, so the oracle shares nothing with the walker.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.providers.demo.schema import MAX_NODES, example
from dragoman.providers.demo.script import Refusal

Valid = Callable[[Any], bool]
Drawn = tuple[dict[str, Any], Valid]


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@st.composite
def strings(draw: st.DrawFn) -> Drawn:
    low = draw(st.integers(0, 40))
    high = draw(st.integers(low, 80))
    return {"type": "string", "minLength": low, "maxLength": high}, lambda v: isinstance(v, str) and low <= len(v) <= high


@st.composite
def integers(draw: st.DrawFn) -> Drawn:
    step = draw(st.integers(1, 7))
    low = draw(st.integers(-1000, 1000))
    high = low + draw(st.integers(step + 1, 100))
    words = {"type": "integer", "exclusiveMinimum": low, "maximum": high, "multipleOf": step}
    return words, lambda v: is_integer(v) and low < v <= high and v % step == 0


@st.composite
def numbers(draw: st.DrawFn) -> Drawn:
    low = draw(st.integers(-1000, 1000)) / 8
    high = low + draw(st.integers(1, 800)) / 8
    words = {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": high}
    return words, lambda v: isinstance(v, int | float) and low < v < high


@st.composite
def choices(draw: st.DrawFn) -> Drawn:
    values = draw(st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), min_size=1, max_size=4))
    return {"enum": values}, lambda v: v in values


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[Drawn]) -> Drawn:
    items, valid = draw(inner)
    low = draw(st.integers(0, 3))
    high = draw(st.integers(low, 4))
    words = {"type": "array", "items": items, "minItems": low, "maxItems": high}
    return words, lambda v: isinstance(v, list) and low <= len(v) <= high and all(map(valid, v))


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Drawn]) -> Drawn:
    fields = draw(st.dictionaries(st.text(max_size=6), inner, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(fields)), unique=True)) if fields else []
    words = {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in fields.items()},
        "required": required,
        "additionalProperties": False,
    }

    def valid(value: Any) -> bool:
        known = isinstance(value, dict) and set(required) <= value.keys() <= fields.keys()
        return known and all(fields[name][1](inside) for name, inside in value.items())

    return words, valid


@st.composite
def unions(draw: st.DrawFn, inner: st.SearchStrategy[Drawn]) -> Drawn:
    branches = draw(st.lists(inner, min_size=1, max_size=3))
    return {"anyOf": [words for words, _ in branches]}, lambda v: any(valid(v) for _, valid in branches)


@st.composite
def wrapped(draw: st.DrawFn, inner: st.SearchStrategy[Drawn]) -> Drawn:
    words, valid = draw(inner)
    return {"allOf": [words]}, valid


leaves = strings() | integers() | numbers() | choices() | st.just(({"type": "boolean"}, lambda v: isinstance(v, bool)))
schemas = st.recursive(leaves, lambda inner: arrays(inner) | objects(inner) | unions(inner) | wrapped(inner), max_leaves=12)


@given(schemas)
def test_what_it_writes_is_valid(drawn: Drawn) -> None:
    schema, valid = drawn
    assert valid(example(schema))


@given(schemas)
def test_the_same_schema_gives_the_same_value(drawn: Drawn) -> None:
    assert example(drawn[0]) == example(drawn[0])


NODE = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name", "children"]}
TREE = {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}
NODE["properties"]["children"] = {"type": "array", "items": {"$ref": "#/$defs/Node"}}  # type: ignore[index]
CHAIN = {
    "$defs": {
        "Link": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Link"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
    "$ref": "#/$defs/Link",
}

EXACT = {
    "a free string is filled with the subject": ({"type": "string"}, "Oslo"),
    "const": ({"const": {"a": [1]}}, {"a": [1]}),
    "the first of several types": ({"type": ["integer", "null"]}, 1),
    "a default": ({"type": "string", "default": "metric"}, "metric"),
    "nothing said at all": ({}, "Oslo"),
    "an object told by its keywords": ({"properties": {"a": {"const": 1}}}, {"a": 1}),
    "required but not described": ({"type": "object", "required": ["x"]}, {"x": "Oslo"}),
    "a number of properties": ({"type": "object", "minProperties": 1, "additionalProperties": {"const": 2}}, {"Oslo": 2}),
    "an array without bounds shows its shape": ({"type": "array", "items": {"const": 7}}, [7]),
    "a tuple": ({"type": "array", "prefixItems": [{"const": 1}, {"const": "b"}], "items": False}, [1, "b"]),
    "different items": ({"type": "array", "items": {"enum": [3, 4, 5]}, "minItems": 2, "uniqueItems": True}, [3, 4]),
    "different dates": (
        {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 2, "uniqueItems": True},
        ["2026-01-01", "2026-01-02"],
    ),
    "a tree ends where it may": (TREE, {"name": "Oslo", "children": []}),
    "a chain ends in its other branch": (CHAIN, {"next": None}),
    "a reference with words beside it": ({"$ref": "#/$defs/n", "minimum": 4, "$defs": {"n": {"type": "integer"}}}, 4),
    "an escaped reference": ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"const": 1}}}, 1),
    "all of several": (
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
                {"properties": {"a": {"minimum": 5}, "b": {"const": 2}}, "required": ["b"]},
            ]
        },
        {"a": 5, "b": 2},
    ),
    "all of unions": ({"allOf": [{"anyOf": [{"enum": [1, 2]}, {"enum": [9]}]}, {"anyOf": [{"enum": [2, 3]}]}]}, 2),
    "a tagged union": (
        {
            "oneOf": [
                {"properties": {"kind": {"const": "cat"}}, "required": ["kind"]},
                {"properties": {"kind": {"const": "dog"}}},
            ]
        },
        {"kind": "cat"},
    ),
    "an impossible optional property is left out": ({"properties": {"a": {"not": {}}, "b": {"const": 1}}}, {"b": 1}),
}


@pytest.mark.parametrize(("schema", "value"), EXACT.values(), ids=EXACT)
def test_it_writes(schema: dict[str, Any], value: Any) -> None:
    assert example(schema, fill="Oslo") == value


FORMATS = {
    "date": r"\d{4}-\d\d-\d\d",
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "email": r"[^@\s]+@[^@\s]+\.[a-z]+",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "uri": r"https://\S+",
    "ipv4": r"\d+\.\d+\.\d+\.\d+",
}


@pytest.mark.parametrize(("name", "shape"), FORMATS.items())
def test_formats(name: str, shape: str) -> None:
    assert re.fullmatch(shape, example({"type": "string", "format": name}))


@pytest.mark.parametrize("pattern", [r"^[A-Z]{3}$", r"^\d{5}$", r"^\+[0-9]+$", r"^#[0-9a-f]{6}$", r"^[a-z]+(-[a-z0-9]+)*$"])
def test_patterns_that_its_guesses_match(pattern: str) -> None:
    assert re.search(pattern, example({"type": "string", "pattern": pattern}))


REFUSED = {
    "an unknown keyword": ({"properties": {"a": {"not": {}}}, "required": ["a"]}, r"\$\.a.*does not know not"),
    "a pattern beyond it": ({"type": "string", "pattern": r"^q{7}z$"}, "no text"),
    "a pattern that is none": ({"type": "string", "pattern": "("}, "cannot read the pattern"),
    "bounds that contradict": ({"type": "integer", "minimum": 3, "maximum": 2}, "no number"),
    "lengths that contradict": ({"type": "string", "minLength": 3, "maxLength": 2}, "no text"),
    "an endless recursion": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "without an end"),
    "a reference to nothing": ({"$ref": "#/$defs/gone"}, "points to nothing"),
    "a reference to elsewhere": ({"$ref": "https://example.com/s.json"}, "outside"),
    "an empty enum": ({"enum": []}, "enum is empty"),
    "too few different values": ({"items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True}, "different items"),
    "no such type": ({"type": "text"}, "'text' is no JSON type"),
    "more than is sensible": ({"type": "array", "minItems": 10**9}, str(MAX_NODES)),
    "longer than is sensible": ({"type": "string", "minLength": 10**9}, "over 100000"),
    "a malformed keyword": ({"type": "object", "properties": [1]}, "malformed"),
    "a step of nothing": ({"type": "integer", "multipleOf": 0}, "malformed"),
}


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refusal, match=reason) as caught:
        example(schema)
    assert caught.value.status == 400
