"""Headers by which a client of the gateway says how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import BadRequestError
from dragoman.core.http import Timeouts
from dragoman.engine.call import CallOptions
from dragoman.gateway.asked_timeouts import asked_options

GIVEN = CallOptions(timeouts=Timeouts(connect=5.0, first_token=60.0, idle=30.0, total=100.0), strict=True)
NONE = CallOptions()


def asked(options: CallOptions = GIVEN, *, stream: bool = True, **headers: str) -> CallOptions:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asked_options(options, {b"host": b"x", **named}, stream=stream)


CASES: dict[str, tuple[dict[str, str], bool, Timeouts]] = {
    "ours": ({"x_dragoman_timeout": "2.5"}, True, Timeouts(connect=5.0, first_token=60.0, idle=30.0, total=2.5)),
    "LiteLLM's": ({"x_litellm_timeout": "20"}, False, Timeouts(connect=5.0, first_token=60.0, idle=30.0, total=20.0)),
    "both": (
        {"x_litellm_timeout": "20", "x_dragoman_timeout": "7"},
        True,
        Timeouts(connect=5.0, first_token=60.0, idle=30.0, total=7.0),
    ),
    "longer than the configuration's": ({"x_dragoman_timeout": "900"}, True, GIVEN.timeouts),
    "of a stream": (
        {"x_litellm_stream_timeout": "3"},
        True,
        Timeouts(connect=5.0, first_token=3.0, idle=3.0, total=100.0),
    ),
    "of a stream, where there is none": ({"x_litellm_stream_timeout": "3"}, False, GIVEN.timeouts),
}


@pytest.mark.parametrize(("headers", "stream", "expected"), CASES.values(), ids=CASES)
def test_a_client_may_wait_for_less(headers: dict[str, str], stream: bool, expected: Timeouts) -> None:
    found = asked(stream=stream, **headers)
    assert found.timeouts == expected
    assert found.strict


def test_where_the_configuration_has_no_limit_the_clients_holds() -> None:
    assert asked(NONE, x_dragoman_timeout="4").timeouts.total == 4.0


def test_without_such_a_header_nothing_is_made() -> None:
    assert asked() is GIVEN


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "", "1e999"])
@pytest.mark.parametrize("name", ["x_dragoman_timeout", "x_litellm_timeout", "x_litellm_stream_timeout"])
def test_nonsense_is_named(name: str, value: str) -> None:
    with pytest.raises(BadRequestError, match=name.replace("_", "-")) as raised:
        asked(**{name: value})
    detail: Any = raised.value.detail
    assert detail.param == name.replace("_", "-")
