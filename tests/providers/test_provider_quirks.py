"""Quirks on a body and on a raw envelope: each kind, their order, and that both ways agree."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.providers import edits
from dragoman.providers.base import Quirks
from dragoman.providers.quirks import NEUTRAL, apply, apply_to_envelope


def reverse(body: dict[str, Any], model: str) -> tuple[Warning, ...]:
    """An edit that looks at everything, changes depths, adds and takes away."""
    if isinstance(body.get("stop"), list):
        body["stop"].reverse()
    body["seen"] = sorted(body)
    return (Warning(field="user", message=f"not by {model}"),) if body.pop("user", None) else ()


CASES = [
    ("nothing declared", Quirks(), {"user": "u"}, {"user": "u"}, []),
    ("rename", Quirks(rename={"seed": "random_seed"}), {"seed": 0}, {"random_seed": 0}, []),
    ("rename to what is there", Quirks(rename={"a": "b"}), {"a": 1, "b": 2}, {"b": 2}, ["dropped a"]),
    ("rename to the same value", Quirks(rename={"a": "b"}), {"a": 1, "b": 1}, {"b": 1}, []),
    ("drop", Quirks(drop=frozenset({"user", "seed"})), {"user": "u", "seed": 3}, {}, ["dropped seed", "dropped user"]),
    ("drop null", Quirks(drop=frozenset({"user"})), {"user": None}, {}, []),
    ("map a value", Quirks(map_values={"a": {"x": "y"}}), {"a": "x"}, {"a": "y"}, []),
    ("map to an object", Quirks(map_values={"a": {"x": {"type": "y"}}}), {"a": "x"}, {"a": {"type": "y"}}, []),
    ("map leaves other values", Quirks(map_values={"a": {"x": "y"}}), {"a": {"x": 1}}, {"a": {"x": 1}}, []),
    ("clamp high", Quirks(clamp={"t": (0, 1)}), {"t": 1.5}, {"t": 1}, ["changed t"]),
    ("clamp low", Quirks(clamp={"t": (0.1, 1)}), {"t": 0}, {"t": 0.1}, ["changed t"]),
    ("clamp leaves what fits", Quirks(clamp={"t": (0, 1)}), {"t": 1}, {"t": 1}, []),
    ("clamp leaves what is no number", Quirks(clamp={"t": (0, 1)}), {"t": True, "u": "9"}, {"t": True, "u": "9"}, []),
    ("default", Quirks(defaults={"a": {"b": 1}}), {}, {"a": {"b": 1}}, []),
    ("default does not replace", Quirks(defaults={"a": 1}), {"a": None}, {"a": None}, []),
    ("edit", Quirks(edit=reverse), {"stop": [1, 2], "user": "u"}, {"stop": [2, 1], "seen": ["stop", "user"]}, ["dropped user"]),
    ("no stream_options", Quirks(stream_usage=False), {"stream_options": {}, "a": 1}, {"a": 1}, []),
    (
        "in the order of the docstring",
        Quirks(rename={"a": "b"}, map_values={"b": {"x": "y"}}, defaults={"a": 1}, drop=frozenset({"c"})),
        {"a": "x", "c": 1},
        {"b": "y", "a": 1},
        ["dropped c"],
    ),
]


def envelope_of(body: dict[str, Any]) -> json.Envelope:
    return json.decode_envelope(json.encode(body))


def said(warnings: tuple[Warning, ...]) -> list[str]:
    return [f"{warning.code} {warning.field}" for warning in warnings]


@pytest.mark.parametrize("quirks, body, after, warnings", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_on_a_body_and_on_an_envelope(quirks: Quirks, body: dict, after: dict, warnings: list[str]):
    envelope = envelope_of(body)
    assert said(apply_to_envelope(envelope, quirks, "m")) == warnings
    assert json.decode(json.encode(envelope)) == after
    assert said(apply(body, quirks, "m")) == warnings
    assert body == after


@pytest.mark.parametrize("name", sorted(NEUTRAL))
def test_dropping_what_says_nothing_is_no_loss(name: str):
    body = {name: NEUTRAL[name]}
    assert apply(body, Quirks(drop=frozenset({name})), "m") == ()
    assert body == {}
    assert said(apply({name: "else"}, Quirks(drop=frozenset({name})), "m")) == [f"dropped {name}"]


def test_what_no_quirk_touches_stays_the_bytes_that_came():
    raw = b'{"messages": [ {"role" : "user"} ],  "seed":1e2, "big": 123456789012345678901234567890, "stop": "\\u0041"}'
    envelope = json.decode_envelope(raw)
    quirks = Quirks(rename={"seed": "random_seed"}, drop=frozenset({"user"}), clamp={"top_p": (0, 1)})
    assert apply_to_envelope(envelope, quirks, "m") == ()
    assert bytes(envelope["messages"]) == b'[ {"role" : "user"} ]'
    assert bytes(envelope["big"]) == b"123456789012345678901234567890"
    assert bytes(envelope["stop"]) == b'"\\u0041"'
    assert json.read(envelope, "random_seed") == 100


def test_an_untouched_field_is_not_even_decoded():
    envelope = {"messages": msgspec.Raw(b"[broken"), "user": msgspec.Raw(b'"u"')}
    assert said(apply_to_envelope(envelope, Quirks(drop=frozenset({"user"})), "m")) == ["dropped user"]
    assert list(envelope) == ["messages"]


def test_a_default_is_not_shared_with_the_row():
    quirks = Quirks(defaults={"usage": {"include": True}})
    body: dict[str, Any] = {}
    apply(body, quirks, "m")
    body["usage"]["include"] = False
    assert quirks.defaults == {"usage": {"include": True}}


NAMES = st.sampled_from(["a", "b", "c", "n", "stop", "user", "stream_options"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "y", "", "é"]) | st.sampled_from([0.5, -2.5, 1.0])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), SCALARS, max_size=2)
QUIRKS = st.builds(
    Quirks,
    rename=st.dictionaries(NAMES, NAMES, max_size=3),
    drop=st.frozensets(NAMES, max_size=3),
    map_values=st.dictionaries(NAMES, st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2), max_size=2),
    clamp=st.dictionaries(NAMES, st.sampled_from([(0, 1), (-1, 0.5), (2, 3)]), max_size=2),
    defaults=st.dictionaries(NAMES, VALUES, max_size=2),
    edit=st.sampled_from([None, reverse, edits.json_object_as_schema]),
    stream_usage=st.booleans(),
)


@given(st.dictionaries(NAMES, VALUES), QUIRKS)
def test_body_and_envelope_agree(body: dict[str, Any], quirks: Quirks):
    envelope = envelope_of(body)
    assert apply_to_envelope(envelope, quirks, "m") == apply(body, quirks, "m")
    assert json.decode(json.encode(envelope)) == json.decode(json.encode(body))


# ---------------------------------------------------------------------------------------------------------------- edits
def call(id: str) -> dict[str, Any]:  # noqa: A002 - the field's name
    return {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


def test_mistral_gets_tool_call_ids_of_nine_characters_that_still_meet():
    long, short = "call_Zx81hdyGq0Wd2nNpLkq", "aB3dE6gH9"
    body = {
        "messages": [call(long), {"role": "tool", "tool_call_id": long}, call(short), {"role": "tool", "tool_call_id": short}]
    }
    assert edits.short_tool_call_ids(body, "m") == ()
    first, result, second, other = body["messages"]
    made = first["tool_calls"][0]["id"]
    assert made == result["tool_call_id"] != long
    assert len(made) == 9
    assert made.isalnum()
    assert second["tool_calls"][0]["id"] == other["tool_call_id"] == short


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_different_ids_stay_different(ids: list[str]):
    body = {"messages": [call(id) for id in ids]}  # noqa: A001 - the field's name
    edits.short_tool_call_ids(body, "m")
    assert len({message["tool_calls"][0]["id"] for message in body["messages"]}) == len(ids)


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [1, {"tool_calls": "x"}, {"tool_calls": [None]}]}])
def test_odd_messages_are_left_for_the_vendor_to_judge(body: dict):
    before = json.encode(body)
    assert edits.short_tool_call_ids(body, "m") == ()
    assert json.encode(body) == before


@pytest.mark.parametrize("kind, becomes", [("json_object", "json_schema"), ("text", "text"), ("json_schema", "json_schema")])
def test_any_object_as_a_schema(kind: str, becomes: str):
    body = {"response_format": {"type": kind}}
    assert edits.json_object_as_schema(body, "m") == ()
    assert body["response_format"]["type"] == becomes
    assert ("json_schema" in body["response_format"]) == (kind == "json_object")
