"""The throughput guard over real sockets: a deployment that drips, in the SDK (threads, event loop) and at the gateway.

The demo upstream sets the pace. What the client gets, and how often which upstream was asked.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from dragoman import Router
from dragoman.core.errors import ConfigurationError
from support.demo_server import RunningDemo, demo_server
from support.gateway import gateway

HELLO = [{"role": "user", "content": "hello there"}]
WHOLE = "every caravan needs a guide who knows both"
DRIP, QUICK = "echo?length=8&tokens_per_second=20", "echo?length=8"
"""WHOLE at twenty tokens a second, and at once."""
LATE, DOWN = "echo?length=8&latency=60000", "echo?fail=500"
GUARD = {"tokens_per_second": 50, "window": 0.15}


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


class Seen(NamedTuple):
    """`asked`: how often the upstreams were."""

    text: str
    trail: list[tuple[str, str | None]]
    asked: int


def router(demo: RunningDemo, *models: str, guard: Any = GUARD, prefill: bool = True, **given: Any) -> Router:
    """The models in order, each a deployment of one group."""
    entries = [
        {
            "model_name": "m",
            "litellm_params": {"model": f"openai/{model}", "api_base": demo.openai_url, "api_key": "sk-test", "order": place},
            "model_info": {"id": f"m-{place}", "supports_assistant_prefill": prefill},
        }
        for place, model in enumerate(models)
    ]
    return Router(model_list=entries, env={}, num_retries=0, throughput_guard=guard, **given)


def read(asked: Router, **given: Any) -> list[Any]:
    return list(asked.completion("m", HELLO, stream=True, **given))


def aread(asked: Router, **given: Any) -> list[Any]:
    async def run() -> list[Any]:
        found = [chunk async for chunk in await asked.acompletion("m", HELLO, stream=True, **given)]
        await asked.aclose()
        return found

    return asyncio.run(run())


@pytest.fixture(params=[read, aread], ids=["sync", "async"])
def stream(request: pytest.FixtureRequest, demo: RunningDemo) -> Any:
    def streamed(*models: str, asking: dict[str, Any] | None = None, **given: Any) -> Seen:
        before = demo.stats()["requests"]
        with router(demo, *models, **given) as asked:
            chunks = request.param(asked, **(asking or {}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        trail = [(step["deployment"], step["error"]) for step in chunks[-1]._hidden_params["trail"]]
        return Seen(text, trail, demo.stats()["requests"] - before)

    return streamed


def test_the_rest_comes_from_another(stream: Any) -> None:
    assert stream(DRIP, QUICK) == Seen(WHOLE, [("m-0", "SlowStreamError"), ("m-1", None)], 2)


@pytest.mark.parametrize(("other", "most_wait"), [(DOWN, 5), (LATE, 0.2)])
def test_nobody_is_worse_off_when_the_other_fails(stream: Any, other: str, most_wait: float) -> None:
    text, trail, asked = stream(DRIP, other, guard={**GUARD, "most_wait": most_wait})
    assert (text, asked) == (WHOLE, 2)
    assert [deployment for deployment, _ in trail] == ["m-1", "m-0"]
    assert trail[1] == ("m-0", None)


UNTOUCHED: dict[str, dict[str, Any]] = {
    "it is off": {"guard": None},
    "nobody writes on": {"prefill": False},
    "JSON": {"asking": {"response_format": {"type": "json_object"}}},
}


@pytest.mark.parametrize("given", UNTOUCHED.values(), ids=UNTOUCHED)
def test_a_slow_stream_is_left_alone(stream: Any, given: dict[str, Any]) -> None:
    assert stream(DRIP, QUICK, **given) == Seen(WHOLE, [("m-0", None)], 1)


def test_a_quick_stream_is_left_alone(stream: Any) -> None:
    assert stream(QUICK, DRIP) == Seen(WHOLE, [("m-0", None)], 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"guard": {"tokens_per_second": 0}}, "throughput_guard: .*tokens_per_second"),
        ({"guard": {"floor": 5}}, "throughput_guard: .*floor"),
        ({"guard": 5}, "throughput_guard: "),
        ({"continuation": False}, "throughput_guard: .* continuation"),
    ],
)
def test_a_guard_that_makes_no_sense_is_named(demo: RunningDemo, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        router(demo, DRIP, **given)


# ----------------------------------------------------------------------------------------------------------- the gateway
GROUPS = {"handed": (DRIP, QUICK), "kept": (DRIP, DOWN), "quick": (QUICK, DRIP)}


@pytest.fixture(scope="module")
def served(demo: RunningDemo) -> Iterator[str]:
    """Its address. Each group has an OpenAI provider; `claude-...` the same of Anthropic's."""
    lines = ["models:"]
    for group, models in GROUPS.items():
        for place, model in enumerate(models):
            terms = f"api_key: k, order: {place}, prefill: true"
            lines += [
                f"  - {{name: {group}, model: 'openai/{model}', api_base: '{demo.openai_url}', {terms}}}",
                f"  - {{name: claude-{group}, model: 'anthropic/{model}', api_base: '{demo.anthropic_url}', {terms}}}",
            ]
    lines += [f"router: {{throughput_guard: {json.dumps(GUARD)}}}", "retries: 0"]
    with gateway("\n".join(lines)) as running:
        yield running.url


def ask(url: str, path: str, model: str) -> tuple[str, list[str]]:
    """The text of a stream in either dialect, and its comments."""
    body = {"model": model, "max_tokens": 100, "messages": HELLO, "stream": True}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"] if event.get("choices") else event.get("delta", {}) for event in events]
    assert not [event for event in events if "error" in event]
    return "".join(delta.get("content") or delta.get("text") or "" for delta in deltas), [
        line for line in lines if line.startswith(": ")
    ]


WAYS = {
    "relayed": ("/v1/chat/completions", ""),
    "relayed, of Anthropic": ("/v1/messages", "claude-"),
    "rewritten": ("/v1/messages", ""),
    "rewritten, of Anthropic": ("/v1/chat/completions", "claude-"),
}


@pytest.mark.parametrize(("path", "prefix"), WAYS.values(), ids=WAYS)
def test_the_gateway_hands_over_and_says_so(demo: RunningDemo, served: str, path: str, prefix: str) -> None:
    before = demo.stats()["requests"]
    text, (comment,) = ask(served, path, f"{prefix}handed")
    assert text == WHOLE
    assert "was given up as slow after" in comment
    assert demo.stats()["requests"] == before + 2


@pytest.mark.parametrize(("path", "prefix"), WAYS.values(), ids=WAYS)
def test_at_the_gateway_too_the_stream_goes_on_when_nobody_takes_over(
    demo: RunningDemo, served: str, path: str, prefix: str
) -> None:
    before = demo.stats()["requests"]
    assert ask(served, path, f"{prefix}kept") == (WHOLE, [])
    assert demo.stats()["requests"] == before + 2


@pytest.mark.parametrize(("path", "prefix"), WAYS.values(), ids=WAYS)
def test_the_gateway_leaves_a_quick_stream_alone(demo: RunningDemo, served: str, path: str, prefix: str) -> None:
    before = demo.stats()["requests"]
    assert ask(served, path, f"{prefix}quick") == (WHOLE, [])
    assert demo.stats()["requests"] == before + 1


def test_it_is_counted(served: str) -> None:
    ask(served, "/v1/chat/completions", "handed")
    with urllib.request.urlopen(f"{served}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    assert [line for line in lines if line.startswith("dragoman_attempts_total{") and 'outcome="SlowStreamError"' in line]
    assert [line for line in lines if line.startswith("dragoman_retries_total{") and 'reason="SlowStreamError"' in line]
