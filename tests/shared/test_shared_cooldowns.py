"""A deployment that one worker's router takes out is left alone by the others, over a real Valkey."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dragoman.core.errors import AuthenticationError, BadRequestError, CallError, InternalServerError, RateLimitError
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.providers import registry
from dragoman.router import health
from dragoman.router.deployment import Deployment
from dragoman.router.model_list import ModelList
from dragoman.router.outcome import failure
from dragoman.router.policy import Policy
from dragoman.router.state import Node
from dragoman.shared.cooldowns import CHANNEL, Cooldowns
from dragoman.shared.valkey import Valkey

NOW = 1000.0


def policy() -> Policy:
    """A group of four, of which two share a credential."""
    keys = ("sk-one", "sk-one", "sk-two", "sk-three")
    targets = [registry.resolve("openai/gpt-4o-mini", api_key=key, env={}) for key in keys]
    group = tuple(Deployment(target, group="m", id=f"m#{number}") for number, target in enumerate(targets))
    return Policy(ModelList(groups={"m": group}))


def node(of: Policy, number: int = 0) -> Node:
    return of.group("m").nodes[number]


def failed(of: Policy, error: CallError, times: int = 1) -> Call:
    """A call whose attempt at the first deployment has failed, as the router's session tells it."""
    at = node(of)
    for _ in range(times):
        health.record(at.health, at.group.health, failure(error), began=NOW, now=NOW)
    call = Call(operation="chat", dialect="openai_chat", model="m", body=b"{}", deployments=(at.deployment,))
    call.attempts.append(Attempt(deployment=at.deployment, began=NOW, ended=NOW, error=error))
    call.settle(Settlement(error=error))
    return call


class Worker:
    def __init__(self, valkey: Valkey, name: str) -> None:
        self.policy = policy()
        self.valkey = valkey
        self.cooldowns = Cooldowns(valkey, self.policy, name, clock=lambda: NOW)
        self.heard = asyncio.Event()
        valkey.hear("end", lambda _: self.heard.set())


@asynccontextmanager
async def workers(url: str) -> AsyncIterator[tuple[Worker, Worker]]:
    prefix = secrets.token_hex(8)
    one, two = (Worker(Valkey(url, prefix), name) for name in ("one", "two"))
    await one.valkey.start()
    await two.valkey.start()
    try:
        yield one, two
    finally:
        await one.valkey.stop()
        await two.valkey.stop()


async def told(one: Worker, two: Worker, call: Call) -> None:
    """What the first says of this call has come to the second."""
    one.cooldowns.observe(call)
    one.cooldowns.observe(call)  # it is said once
    await asyncio.sleep(0)
    await asyncio.gather(*one.valkey.begun)
    await one.valkey.publish("end", b"")
    await two.heard.wait()


@pytest.mark.parametrize(
    "error, times, why",
    [
        (InternalServerError("it broke"), 5, "server"),
        (RateLimitError("slow down", retry_after=30.0), 1, "rate_limit"),
        (AuthenticationError("no such key"), 1, "credential"),
    ],
    ids=["failures in a row", "a named wait", "a refused credential"],
)
def test_what_is_out_here_is_out_there_as_long(valkey: str, error: CallError, times: int, why: str) -> None:
    async def scenario() -> None:
        async with workers(valkey) as (one, two):
            await told(one, two, failed(one.policy, error, times))
            ours, theirs = node(one.policy).health, node(two.policy).health
            assert (theirs.out, theirs.until, theirs.told) == (why, ours.until, ours.told)
            assert not health.admits(theirs, node(two.policy).group.health, NOW)
            assert bool(node(two.policy, 1).health.out) is (why == "credential"), "who shares a refused credential is out too"
            assert not node(two.policy, 2).health.out
            assert health.admits(theirs, node(two.policy).group.health, theirs.until), "it comes back by itself"

    asyncio.run(scenario())


def test_a_request_that_is_wrong_tells_nothing(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey) as (one, two):
            await told(one, two, failed(one.policy, BadRequestError("no such field")))
            assert not node(two.policy).health.out

    asyncio.run(scenario())


def test_guesses_of_others_heed_the_cap(valkey: str) -> None:
    async def scenario() -> None:
        async with workers(valkey) as (one, two):
            for number in (1, 2, 3):
                at = node(two.policy, number)
                health.eject(at.health, at.group.health, "server", 5.0, NOW)
            await told(one, two, failed(one.policy, InternalServerError("it broke"), 5))
            assert not node(two.policy).health.out

    asyncio.run(scenario())


def test_one_who_fails_over_a_message_goes_on_listening(valkey: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with workers(valkey) as (one, two):
            two.valkey.hear(CHANNEL, lambda message: message.decode())
            await one.valkey.publish(CHANNEL, b"\xff")
            await one.valkey.publish("end", b"")
            await two.heard.wait()

    asyncio.run(scenario())
    assert "A message of another worker could not be taken up" in caplog.text


STRANGER = b'{"worker": "x", "group": "nobody", "deployment": "m#0", "why": "server", "seconds": 1}'


@pytest.mark.parametrize("message", [b"", b"{}", b"\xff", STRANGER])
def test_what_cannot_be_read_or_is_not_ours_changes_nothing(valkey: str, message: bytes) -> None:
    async def scenario() -> None:
        async with workers(valkey) as (one, two):
            await one.valkey.publish(CHANNEL, message)
            await one.valkey.publish("end", b"")
            await two.heard.wait()
            assert not any(each.health.out for each in two.policy.group("m").nodes)

    asyncio.run(scenario())
