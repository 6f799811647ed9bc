"""What a request says of the cache, in LiteLLM's words and in headers."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.caching import Cache
from dragoman.caching.controls import NO_CONTROLS, Controls, controls, directives
from dragoman.core.errors import BadRequestError


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, NO_CONTROLS),
        ({}, Controls()),
        ({"no-cache": True}, Controls(read=False)),
        ({"no-store": True}, Controls(write=False)),
        ({"no-cache": False, "no-store": None}, Controls()),
        ({"ttl": 60, "s-maxage": 5}, Controls(ttl=60.0, max_age=5.0)),
        ({"s-max-age": 5}, Controls(max_age=5.0)),
        ({"namespace": "x", "use-cache": True}, Controls(namespace="x", wanted=True)),
    ],
)
def test_the_words(given: Any, meant: Controls) -> None:
    assert controls(given) == meant


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (True, "cache: expected a dict"),
        ({"nocache": True}, "cache: unknown word 'nocache'; there are: no-cache"),
        ({"ttl": "60"}, "cache.ttl: expected seconds from 0 up, found '60'"),
        ({"ttl": -1}, "cache.ttl"),
        ({"ttl": True}, "cache.ttl"),
        ({"no-store": 1}, "cache.no-store: expected true or false"),
        ({"namespace": ""}, "cache.namespace: expected a name"),
    ],
)
def test_what_is_wrong_is_told(given: Any, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        controls(given)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("no-cache", {"no-cache": True}),
        ("No-Cache , no-store", {"no-cache": True, "no-store": True}),
        ('ttl=60, namespace="x"', {"ttl": 60.0, "namespace": "x"}),
    ],
)
def test_a_header_says_the_same(text: str, found: dict[str, Any]) -> None:
    assert directives(text) == found


USED, UNUSED = True, False


@pytest.mark.parametrize(
    ("mode", "caching", "given", "used"),
    [
        ("default_on", None, None, USED),
        ("default_on", False, None, UNUSED),
        ("default_on", None, {"use-cache": False}, UNUSED),
        ("default_on", None, {"no-cache": True, "no-store": True}, UNUSED),
        ("default_off", None, None, UNUSED),
        ("default_off", None, {"ttl": 5}, UNUSED),
        ("default_off", None, {"use-cache": True}, USED),
        ("default_off", True, None, USED),
    ],
)
def test_when_a_cache_is_used(mode: str, caching: bool | None, given: Any, used: bool) -> None:
    assert (Cache(mode=mode).controls(caching, given) is not None) == used
