"""The JSON codec: envelopes keep untouched bytes, reading names what is wrong."""

from __future__ import annotations

import json as stdlib

import pytest
from hypothesis import given

from dragoman.core import json
from support.strategies import json_objects

SENT = b'{ "model" : "m",\n "n": 1e0, "text":"\\u00e4", "deep": {"a" :[1.50, {}]}, "none": null }'


def test_an_envelope_holds_each_value_as_the_bytes_that_came():
    envelope = json.decode_envelope(SENT)
    assert {key: bytes(value) for key, value in envelope.items()} == {
        "model": b'"m"',
        "n": b"1e0",
        "text": b'"\\u00e4"',
        "deep": b'{"a" :[1.50, {}]}',
        "none": b"null",
    }


def test_what_nobody_edits_goes_out_as_it_came():
    envelope = json.decode_envelope(SENT)
    edited = {**envelope, "model": json.raw("other")}
    assert json.encode(edited) == b'{"model":"other","n":1e0,"text":"\\u00e4","deep":{"a" :[1.50, {}]},"none":null}'


def test_values_are_read_when_asked_for():
    envelope = json.decode_envelope(SENT)
    assert json.read(envelope, "deep") == {"a": [1.5, {}]}
    assert json.read(envelope, "text") == "ä"
    assert json.read(envelope, "none") is None
    assert json.read(envelope, "absent") is None


@given(json_objects)
def test_envelopes_and_values_survive(value):
    data = stdlib.dumps(value).encode()
    assert json.decode(json.encode(json.decode_envelope(data))) == value == json.decode(data)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"a"', b"{} {}", b"{'a': 1}", b'{"a": 1,}', b'{"a": nul}'])
def test_what_is_no_object_is_no_envelope(body):
    with pytest.raises(json.DecodeError):
        json.decode_envelope(body)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({}, "object"),
        ([], "array"),
        ("", "string"),
        (1, "integer"),
        (1.5, "number"),
        (True, "boolean"),
        (None, "null"),
        (b"", "bytes"),
    ],
)
def test_kinds_have_their_json_names(value, name):
    assert json.kind(value) == name


def test_pretty_changes_only_the_layout():
    assert json.pretty(b'{"a":[1],"b":1e0}', 2) == b'{\n  "a": [\n    1\n  ],\n  "b": 1e0\n}'
