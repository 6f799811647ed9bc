"""YAML as configuration wants it: what is a number and what a text, and where a mistake is said to be."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.yaml_config import convert, parse


class Place(Struct, forbid_unknown_fields=True):
    name: str
    port: Annotated[int, Meta(ge=0, le=65535)] = 80
    api_key: str | None = None
    headers: dict[str, str] = {}


class Town(Struct, forbid_unknown_fields=True):
    places: tuple[Place, ...] = ()
    open: bool = False
    wait: float | None = 1.0
    hall: Place | None = None


def value(text: str, **env: str) -> Any:
    return parse(text, file="town.yaml", env=env).value


def town(text: str, **env: str) -> Town:
    return convert(parse(text, file="town.yaml", env=env), Town)


def refusal(text: str, **env: str) -> str:
    with pytest.raises(ConfigurationError) as failure:
        town(text, **env)
    assert "\n" not in failure.value.message
    return failure.value.message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        # YAML 1.1 would make booleans, sexagesimals, octals and dates of these
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("+7", 7),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("7.", 7.0),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("1.2.3", "1.2.3"),
        ("0b11", "0b11"),
        ("~", None),
        ("", None),
        ("null", None),
        ("Null", None),
        ("nUll", "nUll"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float '1'", 1.0),
        ("naïve 東京", "naïve 東京"),
        ("'os.environ'", "os.environ"),
    ],
)
def test_scalars_are_read_by_the_core_schema(written: str, read: Any) -> None:
    found = value(f"key: {written}\n")["key"]
    assert found == read
    assert type(found) is type(read)


def test_nan_is_a_number() -> None:
    assert value("key: .nan")["key"] != value("key: .nan")["key"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "town.yaml:3: a: this key stands twice; the first is on line 1"),
        ("places:\n  - name: x\n    name: y\n", "town.yaml:3: places[0].name: this key stands twice; the first is on line 2"),
        ("{a: 1, 'a': 2}", "town.yaml:1: a: this key stands twice; the first is on line 1"),
        ("open: true\nplaces:\n\t- name: x\n", "town.yaml:3: not YAML: found character that cannot start any token"),
        ("a: [1,\n\n", "town.yaml:3: not YAML: "),
        ("a: 'open\n", "town.yaml:2: not YAML: "),
        ("a: 1\n---\nb: 2\n", "town.yaml:2: not YAML: "),
        ("a: *nowhere", "town.yaml:1: not YAML: found undefined alias"),
        ("a: 1\nb: \x01", "town.yaml:2: not YAML: "),
        ("a: &a [*a]", "town.yaml:1: not YAML: something in it is nested too deeply, or in itself"),
        ("a: " + "[" * 3000 + "]" * 3000, "town.yaml:1: not YAML: something in it is nested too deeply, or in itself"),
        ("? [1]\n: 2\n", "town.yaml:1: not YAML: found unhashable key"),
        ("a: !!bool yes", "town.yaml:1: not YAML: this is no bool"),
        ("\na: !!int abc", "town.yaml:2: not YAML: this is no int"),
        ("a: !!int [1]", "town.yaml:1: not YAML: this is no int"),
        ("a: !!float 1:30", "town.yaml:1: not YAML: this is no float"),
        ("a: !!timestamp 2024-01-01", "town.yaml:1: not YAML: could not determine a constructor for the tag"),
        ("a: !!python/object/apply:os.getcwd []", "town.yaml:1: not YAML: could not determine a constructor for the tag"),
        ("a: !secret x", "town.yaml:1: not YAML: could not determine a constructor for the tag"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "town.yaml:1: the file: expected `object`, got `array`"),
        ("just text\n", "town.yaml:1: the file: expected `object`, got `str`"),
        ("7\n", "town.yaml:1: the file: expected `object`, got `int`"),
        ("1: 2\n", "town.yaml:1: the file: expected `str`"),
        ("opne: true\n", "town.yaml:1: opne: unknown key; did you mean open?"),
        ("\n\nzzz: 1\n", "town.yaml:3: zzz: unknown key; the keys here are: places, open, wait, hall"),
        ("places:\n- name: x\n  api_kye: y\n", "town.yaml:3: places[0].api_kye: unknown key; did you mean api_key?"),
        ("hall:\n  name: x\n  prot: 1\n", "town.yaml:3: hall.prot: unknown key; did you mean port?"),
        ("places:\n- name: x\n- port: 7\n", "town.yaml:3: places[1]: object missing required field `name`"),
        ("places:\n  - name: 7\n", "town.yaml:2: places[0].name: expected `str`, got `int`"),
        ("places:\n  - name: no\n    port: no\n", "town.yaml:3: places[0].port: expected `int`, got `str`"),
        ("hall: {name: x,\n  port: 99999}\n", "town.yaml:2: hall.port: expected `int` <= 65535"),
        ("hall: {name: x,\n  port: 1_000}\n", "town.yaml:2: hall.port: expected `int`, got `str`"),
        ("open: yes\n", "town.yaml:1: open: expected `bool`, got `str`"),
        ("wait: soon\n", "town.yaml:1: wait: expected `float | null`, got `str`"),
        ("places: {name: x}\n", "town.yaml:1: places: expected `array`, got `object`"),
        ("hall:\n  name: x\n  headers:\n    a: 1\n", "town.yaml:3: hall.headers: expected `str`, got `int`"),
        ("hall:\n  name: x\n  headers:\n    1: a\n", "town.yaml:3: hall.headers: expected `str`, got `int`"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_path(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_a_value_is_not_repeated_in_an_error_as_it_may_be_a_secret() -> None:
    assert "12345678" not in refusal("hall:\n  name: x\n  api_key: 12345678\n")
    assert "sk-secret" not in refusal("hall:\n  name: x\n  port: os.environ/KEY\n", KEY="sk-secret")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n", "~\n", "{}"])
def test_an_empty_file_is_all_defaults(text: str) -> None:
    assert town(text) == Town()


def test_a_byte_order_mark_and_windows_lines_are_no_matter() -> None:
    assert town("\ufeffopen: true\r\nwait: 2\r\n") == Town(open=True, wait=2.0)


def test_anchors_and_merge_keys() -> None:
    text = """
places:
  - &first {name: one, port: 1}
  - {<<: *first, name: two}
  - *first
"""
    assert [(place.name, place.port) for place in town(text).places] == [("one", 1), ("two", 1), ("one", 1)]


def test_a_mistake_in_what_was_merged_is_told_where_it_was_merged() -> None:
    text = "hall: &base\n  name: one\n  port: 1\nplaces:\n- <<: *base\n  name: 7\n- *base\n"
    assert refusal(text).startswith("town.yaml:6: places[0].name: ")
    text = "x-base: &base {port: no}\nplaces:\n- <<: *base\n  name: x\n"
    assert re.match(r"town.yaml:(1: x-base: unknown key|3: places\[0\].port: expected `int`)", refusal(text))


# ------------------------------------------------------------------------------------------------ the environment
def test_a_variable_stands_for_its_value_anywhere() -> None:
    text = """
places:
  - name: os.environ/NAME
    port: os.environ/PORT
    headers: {x-team: os.environ/TEAM}
open: os.environ/OPEN
wait: os.environ/WAIT
"""
    place = Place(name="no: *here", port=8080, headers={"x-team": "7"})
    expected = Town(places=(place,), open=True, wait=2.5)
    assert town(text, NAME="no: *here", PORT="8080", TEAM="7", OPEN="true", WAIT="2.5") == expected


@pytest.mark.parametrize(
    ("env", "why"),
    [({}, "is not set"), ({"KEY": ""}, "is empty"), ({"KEY": " \n"}, "is empty"), ({"KEY_": "x"}, "is not set")],
)
def test_a_variable_without_a_value_is_told_with_its_name_and_place(env: dict[str, str], why: str) -> None:
    text = "places:\n  - name: x\n\n    api_key: os.environ/KEY\n"
    assert refusal(text, **env) == f"town.yaml:4: places[0].api_key: the environment variable KEY {why}"


def test_what_comes_out_of_a_variable_is_text_and_is_not_looked_into_again() -> None:
    assert value("a: os.environ/A", A="os.environ/B", B="x") == {"a": "os.environ/B"}
    assert value("a: os.environ/A", A="[1, 2]") == {"a": "[1, 2]"}


def test_keys_and_texts_that_only_mention_a_variable_stay() -> None:
    assert value("os.environ/A: see os.environ/A", A="x") == {"os.environ/A": "see os.environ/A"}
