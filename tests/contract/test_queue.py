"""Calls that wait for their turn, over real sockets: threads, tasks, the gateway's requests. The test holds the provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from dragoman import Router
from dragoman.core.errors import NoDeploymentError, RateLimitError
from dragoman.core.http import Timeouts
from support.gated_upstream import Asked, GatedUpstream, gated_upstream
from support.gateway import gateway
from support.requests import until

HELLO = [{"role": "user", "content": "hello"}]
CALLS = (("x1", "x", 100), ("x2", "x", 100), ("late", "z", 200), ("y1", "y", 100), ("urgent", "x", 0))
ORDER = ["running", "urgent", "x1", "y1", "x2", "late"]


def answer(asked: Asked) -> str:
    """Let it have its answer: the name it gave itself."""
    name: str = asked.body["messages"][0]["content"]
    choice = {"index": 0, "message": {"role": "assistant", "content": name}, "finish_reason": "stop"}
    counts = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    asked.answer(200, json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": counts}).encode())
    return name


@pytest.fixture
def upstream() -> Iterator[GatedUpstream]:
    with gated_upstream() as made:
        yield made


def routed(upstream: GatedUpstream, **given: Any) -> Router:
    params = {"model": "openai/any", "api_key": "sk-test", "api_base": f"{upstream.url}/v1", "max_parallel_requests": 1}
    return Router(model_list=[{"model_name": "m", "litellm_params": params}], env={}, **{"queue": {"max_wait": 60}, **given})


def waiting(router: Router) -> int:
    found: int = router.explain()[0]["waiting"]
    return found


def say(name: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": name}]


def test_threads_stand_in_line(upstream: GatedUpstream) -> None:
    with routed(upstream) as router, ThreadPoolExecutor(10) as pool:
        calls: list[Future[Any]] = [pool.submit(router.completion, "m", say("running"))]
        asked = upstream.next()
        for number, (name, user, priority) in enumerate(CALLS, 1):
            calls.append(pool.submit(router.completion, "m", say(name), user=user, priority=priority))
            until(lambda wanted=number: waiting(router) == wanted)
        seen = [answer(asked)] + [answer(upstream.next()) for _ in CALLS]
        assert seen == ORDER
        assert sorted(call.result().choices[0].message.content for call in calls) == sorted(ORDER)
        assert waiting(router) == 0


def test_tasks_stand_in_line_and_one_that_is_cancelled_leaves_it(upstream: GatedUpstream) -> None:
    router = routed(upstream)

    async def scenario() -> list[str]:
        tasks = [asyncio.create_task(router.acompletion("m", say("running")))]
        asked = await asyncio.to_thread(upstream.next)
        for name, user, priority in (*CALLS, ("leaves", "a", 0)):
            tasks.append(asyncio.create_task(router.schedule_acompletion("m", say(name), priority, user=user)))
            await until_waiting(router, len(tasks) - 1)
        tasks.pop().cancel()
        await until_waiting(router, len(CALLS))
        seen = [answer(asked)] + [answer(await asyncio.to_thread(upstream.next)) for _ in CALLS]
        await asyncio.gather(*tasks)
        await router.aclose()
        return seen

    assert asyncio.run(scenario()) == ORDER
    assert waiting(router) == 0


async def until_waiting(router: Router, number: int) -> None:
    while waiting(router) != number:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)


def test_it_waits_as_long_as_it_may_and_says_when_to_come_again(upstream: GatedUpstream) -> None:
    with routed(upstream, queue={"max_wait": 0.05}) as router, ThreadPoolExecutor(1) as pool:
        running = pool.submit(router.completion, "m", say("running"))
        asked = upstream.next()
        for own in ({}, {"patience": 3600, "timeout": Timeouts(total=0.05)}):
            with pytest.raises(RateLimitError, match="waited for its turn for as long as it may") as caught:
                router.completion("m", HELLO, **own)
            assert isinstance(caught.value, NoDeploymentError)
            assert caught.value.retry_after is not None
        answer(asked)
        running.result()
        assert upstream.waiting == 0, "nobody was asked for those who gave up"


def test_a_priority_has_a_call_wait_where_nothing_is_configured(upstream: GatedUpstream) -> None:
    """As in LiteLLM."""
    with routed(upstream, queue=None) as router, ThreadPoolExecutor(2) as pool:
        running = pool.submit(router.completion, "m", say("running"))
        asked = upstream.next()
        with pytest.raises(RateLimitError):
            router.completion("m", HELLO)
        prior = pool.submit(router.completion, "m", say("prior"), priority=1)
        until(lambda: waiting(router) == 1)
        assert [answer(asked), answer(upstream.next())] == ["running", "prior"]
        running.result(), prior.result()


@pytest.mark.parametrize(
    "own", [{"priority": -1}, {"priority": "high"}, {"priority": 1.5}, {"patience": -1}, {"patience": "x"}]
)
def test_what_makes_no_sense_is_refused(own: dict[str, Any]) -> None:
    router = Router(model_list=[{"model_name": "m", "litellm_params": {"model": "demo/echo", "rpm": 1}}], env={})
    with pytest.raises(Exception, match=next(iter(own))):
        router.completion("m", HELLO, **own)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_gateways_requests_wait_and_are_served_one_at_a_time(upstream: GatedUpstream, stream: bool) -> None:
    entry = {"name": "m", "model": "openai/any", "api_key": "k", "api_base": f"{upstream.url}/v1", "max_parallel": 1}
    config = {"models": [entry], "router": {"queue": {"max_wait": 60, "max_length": 2}}}
    with gateway(json.dumps(config)) as running, ThreadPoolExecutor(5) as pool:
        post = lambda name: httpx2.post(  # noqa: E731 - asked five times
            f"{running.url}/v1/chat/completions", json={"model": "m", "messages": say(name), "stream": stream}, timeout=60
        )
        first = pool.submit(post, "0")
        asked = upstream.next()
        others = [pool.submit(post, str(number)) for number in range(1, 5)]
        until(lambda: sum(other.done() for other in others) == 2)
        refused = [other.result() for other in others if other.done()]
        assert [one.status_code for one in refused] == [429, 429]
        assert all("2 calls wait for it already" in one.text and "retry-after" in one.headers for one in refused)
        for _ in range(3):
            assert upstream.waiting == 0
            answer(asked)
            asked = upstream.next() if _ < 2 else asked
        served = [first.result(), *(other.result() for other in others if other.result().status_code == 200)]
        assert len(served) == 3
