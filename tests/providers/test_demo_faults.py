"""demo's parameters: where they may stand, what they do to a script, and how a fault is drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.http import HttpRequest, header
from dragoman.providers.demo import Plan, Script, Settings, plan
from dragoman.providers.demo.plan import draw
from dragoman.providers.demo.settings import FAULTS, STATUS_FAULTS


def planned(
    model: str = "echo",
    *,
    stream: bool = True,
    path: str = "/chat/completions",
    defaults: Settings = Settings(),  # noqa: B008 - frozen
    **fields: Any,
) -> Plan:
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "one two three"}], "stream": stream}
    return plan(HttpRequest(method="POST", url=f"http://demo/v1{path}", body=json.dumps(body | fields).encode()), defaults)


def script(model: str = "echo", **fields: Any) -> Script:
    return planned(model, **fields).at(0)


def sent(played: Script) -> bytes:
    return b"".join(piece.data for piece in played.pieces)


WRITTEN = [
    ("echo?latency=200", None, Settings()),
    ("demo/echo?latency=200&chunk=1", None, Settings()),
    ("echo", {"latency": 200}, Settings()),
    ("echo", {"latency": "200"}, Settings()),
    ("echo", None, Settings(latency=200)),
    ("echo?latency=200", None, Settings(latency=900)),
    ("echo?latency=900", {"latency": 200}, Settings(latency=700)),
]


@pytest.mark.parametrize(("model", "demo", "defaults"), WRITTEN)
def test_parameters_may_stand_in_three_places(model: str, demo: Any, defaults: Settings) -> None:
    assert script(model, demo=demo, defaults=defaults).delay == 0.2


def test_the_answer_names_the_model_without_parameters() -> None:
    assert json.loads(sent(script("demo/echo?latency=1", stream=False)))["model"] == "demo/echo"


REFUSED = [
    ({"latncy": 1}, "unknown demo parameter 'latncy'; there are: latency, tokens_per_second"),
    ({"fail": "sulk"}, "it can as: 400, 401"),
    ({"latency": -1}, "latency"),
    ({"tokens_per_second": 0}, "tokens_per_second"),
    ({"fail_rate": 1.5}, "fail_rate"),
    ({"chunk": "many"}, "chunk"),
]


@pytest.mark.parametrize(("demo", "words"), REFUSED)
def test_a_bad_parameter_is_named(demo: dict[str, Any], words: str) -> None:
    played = script(demo=demo)
    assert played.head is not None
    assert played.head.status == 400
    assert words in json.loads(sent(played))["error"]["message"]


def test_the_pace_is_per_token() -> None:
    streamed = script("echo?tokens_per_second=10&latency=500")
    assert streamed.delay == 0.5
    assert [piece.delay for piece in streamed.pieces if piece.delay] == [0.1] * 4  # one, two, thre, e
    assert script("echo?tokens_per_second=10&latency=500", stream=False).delay == pytest.approx(0.9)


@pytest.mark.parametrize("status", STATUS_FAULTS)
@pytest.mark.parametrize("path", ["/chat/completions", "/messages"])
def test_a_failing_status(status: str, path: str) -> None:
    played = script(f"echo?fail={status}&retry_after=2.5", path=path)
    assert played.head is not None
    assert played.head.status == int(status)
    assert header(played.head.headers, "retry-after") == "2.5"
    assert f"fail={status}" in json.loads(sent(played))["error"]["message"]


def test_a_fault_in_json_may_be_a_number() -> None:
    played = script(demo={"fail": 429})
    assert played.head is not None
    assert played.head.status == 429


@pytest.mark.parametrize("end", ["cut", "stall"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_interrupted_answer(end: str, stream: bool) -> None:
    whole = script(stream=stream)
    half = script(f"echo?fail={end}", stream=stream)
    assert half.head is not None
    assert half.end == end
    assert 0 < len(sent(half)) < len(sent(whole))
    assert b"[DONE]" not in sent(half)
    assert len(script(f"echo?fail={end}&fail_after=3", stream=stream).pieces) == 3
    assert script(f"echo?fail={end}&fail_after=0", stream=stream).pieces == ()
    assert b"[DONE]" not in sent(script(f"echo?fail={end}&fail_after=999", stream=stream))


def test_a_cut_plain_answer_still_promises_its_whole_length() -> None:
    half = script("echo?fail=cut", stream=False)
    assert half.head is not None
    assert int(header(half.head.headers, "content-length") or 0) > len(sent(half))


@pytest.mark.parametrize("path", ["/chat/completions", "/messages"])
@pytest.mark.parametrize("fault", ["garbage", "error_event"])
def test_a_bad_event_ends_a_stream_without_its_mark(path: str, fault: str) -> None:
    played = script(f"echo?fail={fault}&fail_after=2", path=path)
    assert len(played.pieces) == 3
    assert played.end == "done"
    last = played.pieces[-1].data
    assert (b'"error"' in last) == (fault == "error_event")
    assert b"[DONE]" not in sent(played)
    assert b"message_stop" not in sent(played)


@pytest.mark.parametrize(("fault", "words"), [("garbage", b"<html>"), ("error_event", b'"error"')])
def test_a_bad_plain_answer_is_a_whole_200(fault: str, words: bytes) -> None:
    played = script(f"echo?fail={fault}", stream=False)
    assert played.head is not None
    assert played.head.status == 200
    assert words in sent(played)
    assert header(played.head.headers, "content-length") == str(len(sent(played)))


@pytest.mark.parametrize(("fault", "end"), [("timeout", "stall"), ("refuse", "cut")])
def test_no_answer_at_all(fault: str, end: str) -> None:
    played = script(f"echo?fail={fault}")
    assert (played.head, played.pieces, played.end) == (None, (), end)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_the_share_of_failures_is_kept(seed: int, rate: float) -> None:
    failures = sum(draw(seed, turn) < rate for turn in range(400))
    assert abs(failures / 400 - rate) < 0.15


@pytest.mark.parametrize("fault", FAULTS)
def test_who_fails_is_drawn_from_seed_and_turn(fault: str) -> None:
    shared = planned("echo", demo={"fail": fault, "fail_rate": 0.5}, seed=7)
    drawn = [shared.at(turn) is shared.faulty for turn in range(40)]
    assert drawn == [draw(7, turn) < 0.5 for turn in range(40)]
    assert {True, False} == set(drawn)


def test_no_share_is_no_failure_and_the_whole_share_is_all() -> None:
    never, always = planned(demo={"fail": "500", "fail_rate": 0}), planned(demo={"fail": "500"})
    assert all(never.at(turn) is never.clean for turn in range(50))
    assert all(always.at(turn) is always.faulty for turn in range(50))
