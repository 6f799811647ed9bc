"""Every fault of an upstream over real sockets: what the client sees, and who was called how often. `pytest -s` prints it all.

By four ways: the SDK in a thread and in a task, and the gateway, where it relays bytes and where it rewrites them. `alone` is
a group of one deployment, the troubled one; in `pair` there is a good one behind it, and both go on where an answer stops.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from string import ascii_lowercase
from typing import Any, NamedTuple

import httpx2
import pytest

import dragoman
from dragoman import Router
from dragoman.core import sse
from dragoman.core.http import Timeouts
from support.demo_server import RunningDemo, demo_server
from support.gateway import gateway

TEXT = " ".join(first + second for first in "abc" for second in ascii_lowercase)[: 57 * 3 - 1]
"""Streamed as 60 events: the role, 57 pieces of text, the finish reason, [DONE]."""
EVENTS = 60
HELLO = [{"role": "user", "content": TEXT}]


class Case(NamedTuple):
    """`model`: the troubled deployment's parameters, `quiet` its stream_timeout, `total` the seconds that the client gives.

    What is seen and how often it is called, `alone` and as one of a `pair` (with the calls to the good one). "whole" is the
    text, all of it; anything else is the error's type.
    """

    model: str
    alone: tuple[str, int]
    pair: tuple[str, int, int] = ("whole", 1, 1)
    quiet: float | None = None
    total: float | None = None


CUT, STALL, ERROR = "stream_interrupted", "timeout", "overloaded_error"
CASES = {
    "cut before the first token": Case("fail=cut&fail_after=0", ("api_connection_error", 2)),
    "cut after the role": Case("fail=cut&fail_after=1", ("api_connection_error", 2)),
    "cut in the middle": Case("fail=cut&fail_after=30", (CUT, 1)),
    "cut before the finish": Case("fail=cut&fail_after=58", (CUT, 1)),
    "silence before the first token": Case("fail=stall&fail_after=0", (STALL, 2), quiet=0.2),
    "silence in the middle": Case("fail=stall&fail_after=30", (CUT, 1), quiet=0.2),
    "a malformed event": Case("fail=malformed&fail_after=30", ("whole", 1), ("whole", 1, 0)),
    "garbage, and then the end": Case("fail=garbage&fail_after=30", (CUT, 1)),
    "an error event at the beginning": Case("fail=error_event&fail_after=0", (ERROR, 2)),
    "an error event in the middle": Case("fail=error_event&fail_after=30", (CUT, 1)),
    "429 with Retry-After": Case("fail=429&retry_after=600", ("rate_limit_error", 1)),
    "401": Case("fail=401", ("authentication_error", 1)),
    "503": Case("fail=503", (ERROR, 2)),
    "no answer": Case("fail=timeout", (STALL, 2), quiet=0.2),
    "reset": Case("fail=refuse", ("api_connection_error", 2)),
    "hang at connect": Case("hang", (STALL, 0), ("whole", 0, 1), quiet=0.2),
    "slow drip": Case("tokens_per_second=25", (CUT, 1), (CUT, 1, 0), total=0.5),
}
RELAYED = {"cut after the role": (CUT, 1)}
"""Alone, where it is something else: bytes are relayed from the first event on, and the role is one."""
CUTS = {f"cut-{place}": Case(f"fail=cut&fail_after={place}", (CUT, 1)) for place in range(EVENTS)}


# -------------------------------------------------------------------------------------------------------------- upstreams
@contextmanager
def deaf() -> Iterator[str]:
    """A port at which connections are neither taken nor refused: nobody accepts, and the kernel's queue is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


class Places(NamedTuple):
    troubled: RunningDemo
    good: RunningDemo
    deaf: str

    def entries(self) -> list[dict[str, Any]]:
        """Of the configuration of a gateway; a Router's are made of them."""
        return [entry for group, case in groups().items() for entry in self._group(group, case)]

    def _group(self, group: str, case: Case) -> list[dict[str, Any]]:
        base = self.deaf if case.model == "hang" else self.troubled.openai_url
        known = {"name": group, "api_key": "sk-test", "prefill": True}
        first = {**known, "model": f"openai/echo?{case.model}", "api_base": base, "order": 0, "stream_timeout": case.quiet}
        second = {**known, "model": "openai/echo", "api_base": self.good.openai_url, "order": 1}
        return [first] if group.startswith("alone") else [first, second]

    def calls(self) -> tuple[int, int]:
        """(to the troubled one, to the good one) since the last time."""
        counted = self.troubled.stats()["requests"], self.good.stats()["requests"]
        self.troubled.reset()
        self.good.reset()
        return counted


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    with demo_server() as troubled, demo_server() as good, deaf() as silent:
        yield Places(troubled, good, silent)


# ------------------------------------------------------------------------------------------------------------------- ways
KINDS = ("alone", "pair")
Ask = Callable[[str, float | None], str]
"""Stream an answer of a group, within so many seconds: the text, or the type of the error it ended in."""


def groups() -> dict[str, Case]:
    return {f"{kind}-{number}": case for kind in KINDS for number, case in enumerate(CASES.values())} | CUTS


def by_sdk(places: Places, *, awaited: bool) -> Iterator[Ask]:
    listed = [
        {
            "model_name": entry["name"],
            "litellm_params": {name: entry.get(name) for name in ("model", "api_key", "api_base", "order", "stream_timeout")},
            "model_info": {"supports_assistant_prefill": entry["prefill"]},
        }
        for entry in places.entries()
    ]
    router = Router(model_list=listed, env={}, num_retries=1, disable_cooldowns=True)

    def in_a_thread(group: str, timeouts: Timeouts) -> str:
        stream = router.completion(group, HELLO, stream=True, timeout=timeouts)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    async def in_a_task(group: str, timeouts: Timeouts) -> str:
        stream = await router.acompletion(group, HELLO, stream=True, timeout=timeouts)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    def ask(group: str, total: float | None = None) -> str:
        timeouts = Timeouts(total=total)
        try:
            return runner.run(in_a_task(group, timeouts)) if awaited else in_a_thread(group, timeouts)
        except dragoman.DragomanError as error:
            return error.type

    with router, asyncio.Runner() as runner:
        yield ask
        runner.run(router.aclose())


def by_gateway(places: Places, *, relayed: bool) -> Iterator[Ask]:
    config = {"models": places.entries(), "retries": 1, "router": {"cooldown": {"enabled": False}}}
    path = "/v1/chat/completions" if relayed else "/v1/messages"
    with gateway(json.dumps(config)) as running, httpx2.Client(base_url=running.url, trust_env=False) as client:

        def ask(group: str, total: float | None = None) -> str:
            body = {"model": group, "messages": HELLO, "stream": True, "max_tokens": 1000}
            headers = {} if total is None else {"x-dragoman-timeout": str(total)}
            answer = client.post(path, json=body, headers=headers)
            if answer.status_code != 200:
                return STATUS_TYPES.get(answer.status_code) or str(answer.json()["error"]["type"])
            return read(answer.content)

        yield ask


STATUS_TYPES = {
    401: "authentication_error",
    429: "rate_limit_error",
    502: "api_connection_error",
    503: ERROR,
    504: STALL,
    529: ERROR,
}
"""Dialects have words of their own for a failure; its status is the same in each."""


def read(data: bytes) -> str:
    """The text of a stream, or that it ended in an error event: a break has no other name here."""
    text, ended = "", False
    for event in sse.SSEDecoder().feed(data):
        if event.data == b"[DONE]":
            ended = True
            continue
        value = json.loads(event.data)
        if value.get("error"):
            assert not ended, "an error behind the mark of a clean end"
            return CUT
        finished = [choice for choice in value.get("choices", ()) if choice["finish_reason"]]
        ended = ended or bool(finished) or value.get("type") == "message_stop"
        text += "".join(choice["delta"].get("content") or "" for choice in value.get("choices", ()))
        text += (value.get("delta") or {}).get("text", "")
    return text if ended else "no end"


WAYS = {
    "SDK, thread": lambda places: by_sdk(places, awaited=False),
    "SDK, task": lambda places: by_sdk(places, awaited=True),
    "gateway, relayed": lambda places: by_gateway(places, relayed=True),
    "gateway, rewritten": lambda places: by_gateway(places, relayed=False),
}


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.replace(", ", "-"))
def way(request: pytest.FixtureRequest, places: Places) -> Iterator[tuple[str, Ask]]:
    for ask in WAYS[request.param](places):
        yield request.param, ask


# ------------------------------------------------------------------------------------------------------------------ tests
def seen(text: str) -> str:
    return "whole" if text == TEXT else text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("number", "name"), list(enumerate(CASES)), ids=list(CASES))
def test_a_fault(way: tuple[str, Ask], places: Places, number: int, name: str, kind: str) -> None:
    said, ask = way
    case = CASES[name]
    places.calls()
    found = seen(ask(f"{kind}-{number}", case.total))
    troubled, good = places.calls()
    print(f"\n{said:<20}{kind:<7}{name:<34}{found:<24}{troubled} + {good}", end="")
    alone = RELAYED.get(name, case.alone) if said == "gateway, relayed" else case.alone
    expected = (*alone, 0) if kind == "alone" else case.pair
    # A connection that has served before and is reset without a byte was stale, for all one can know: asked once more.
    stale = troubled - expected[1] if name == "reset" and said.startswith("gateway") else 0
    assert stale in (0, 1)
    assert (found, troubled - stale, good) == expected


def test_a_cut_at_every_event_of_a_stream_is_seen_by_nobody(way: tuple[str, Ask], places: Places) -> None:
    said, ask = way
    places.calls()
    answers = [seen(ask(group, None)) for group in CUTS]
    troubled, good = places.calls()
    print(f"\n{said:<20}pair   a cut at each of {EVENTS} events: {answers.count('whole')} whole, {troubled} + {good}", end="")
    assert answers == ["whole"] * EVENTS
    assert troubled == EVENTS
    assert good == EVENTS - 1, "with its finish reason the answer is complete"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_silent_answer_is_hedged(places: Places, stream: bool) -> None:
    """Once it is known how long answers take there. The one that is slower is cancelled at its provider."""
    entry = {"name": "fast", "model": "openai/echo", "api_key": "sk-test"}
    entries = [
        {**entry, "api_base": demo.openai_url, "order": order} for order, demo in enumerate((places.troubled, places.good))
    ]
    config = {"models": entries, "router": {"hedge": {"share": 1.0, "at_least": 0.2}}}
    with gateway(json.dumps(config)) as running, httpx2.Client(base_url=running.url, trust_env=False) as client:
        body = {"model": "fast", "messages": HELLO, "stream": stream}
        for _ in range(20):
            assert client.post("/v1/chat/completions", json=body).headers["x-dragoman-attempts"] == "1"
        places.calls()
        slow = client.post("/v1/chat/completions", json={**body, "demo": {"latency": 1000}})
        assert slow.status_code == 200
        assert slow.headers["x-dragoman-trail"].count(";cancelled") == 1
        cancelled = places.troubled.stats()["cancelled"] + places.good.stats()["cancelled"]
        assert (places.calls(), cancelled) == ((1, 1), 1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_silent_answer_is_hedged_for_a_thread_too(places: Places, stream: bool) -> None:
    params = {"model": "openai/echo", "api_key": "sk-test"}
    entries = [
        {"model_name": "fast", "litellm_params": {**params, "api_base": demo.openai_url, "order": order}}
        for order, demo in enumerate((places.troubled, places.good))
    ]

    def ask(**more: Any) -> Any:
        answer = router.completion("fast", HELLO, stream=stream, **more)
        if not stream:
            return answer, answer.choices[0].message.content
        chunks = list(answer)
        return chunks[-1], "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    with Router(model_list=entries, env={}, hedge={"share": 1.0, "at_least": 0.2}) as router:
        for _ in range(20):
            assert ask()[1] == TEXT
        places.calls()
        slow, text = ask(extra_body={"demo": {"latency": 1000}})
        assert text == TEXT
        assert [step["error"] for step in slow._hidden_params["trail"]] == ["cancelled", None]
        cancelled = places.troubled.stats()["cancelled"] + places.good.stats()["cancelled"]
        assert (places.calls(), cancelled) == ((1, 1), 1)
        assert [state["in_flight"] for state in router.explain()] == [0, 0]
