"""Routers of several processes with one Redis: limits are exact together, and no call is lost when it goes away."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from dragoman import RateLimitError, Router
from support.valkey import OwnValkey

Found = TypeVar("Found")
ASKED = [{"role": "user", "content": "hello"}]


def router(url: str, name: str, **limits: Any) -> Router:
    entry = {"model_name": "m", "litellm_params": {"model": "demo/echo", **limits}, "model_info": {"id": name}}
    return Router(model_list=[entry], redis_url=url, num_retries=0, env={})


def served(asked: Router, number: int) -> int:
    """How many of so many calls by several threads are answered; the others are told that the limit is reached."""

    def one(_: int) -> bool:
        try:
            asked.completion("m", ASKED)
        except RateLimitError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one, range(number)))


def within_a_minute(act: Callable[[str], Found]) -> Found:
    """What came of it for a deployment of a new name, in one minute of the clock: limits begin anew with each."""
    while True:
        minute = time.time() // 60
        found = act(uuid4().hex)
        if time.time() // 60 == minute:
            return found


PROGRAM = """
import sys
from test_router_sharing import router, served
with router(sys.argv[1], sys.argv[2], rpm=int(sys.argv[3])) as asked:
    print("ready", flush=True)
    sys.stdin.readline()
    print(served(asked, int(sys.argv[4])), flush=True)
    sys.stdin.readline()
"""


def test_four_processes_serve_exactly_the_limit(valkey: str) -> None:
    def together(name: str) -> int:
        command = [sys.executable, "-c", PROGRAM, valkey, name, "50", "40"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))}
        with ExitStack() as stack:
            made = [
                stack.enter_context(Popen(command, stdin=PIPE, stdout=PIPE, text=True, bufsize=1, env=env)) for _ in range(4)
            ]
            said = [(process.stdin, process.stdout) for process in made]
            assert [written.readline() for _, written in said] == ["ready\n"] * 4
            for told, _ in said:
                told.write("go\n")
            return sum(int(written.readline()) for _, written in said)

    assert within_a_minute(together) == 50


def test_threads_and_event_loops_share_one_limit(valkey: str) -> None:
    async def ask(asked: Router) -> int:
        found = await asyncio.gather(*(asked.acompletion("m", ASKED) for _ in range(15)), return_exceptions=True)
        return sum(not isinstance(each, RateLimitError) for each in found)

    def together(name: str) -> int:
        with router(valkey, name, rpm=20) as one, router(valkey, name, rpm=20) as two:
            return served(one, 7) + asyncio.run(ask(two)) + served(one, 7)

    assert within_a_minute(together) == 20


def test_what_is_forgotten_or_closed_goes_on(valkey: str) -> None:
    def together(name: str) -> list[int]:
        asked = router(valkey, name, rpm=10)
        found = [served(asked, 3)]
        asked.reset()
        found.append(served(asked, 3))
        asked.close()
        with asked:
            found.append(served(asked, 9))
        return found

    assert within_a_minute(together) == [3, 3, 4]


def test_no_call_is_lost_while_redis_goes_and_comes_back() -> None:
    with closing(OwnValkey()) as server, router(server.url, "lasting", rpm=100_000) as asked, ThreadPoolExecutor(4) as pool:
        assert served(asked, 10) == 10
        load = [pool.submit(served, asked, 150) for _ in range(4)]
        server.stop()
        server.start()
        assert sum(part.result() for part in load) == 600


def test_a_bad_address_is_told_without_it() -> None:
    with pytest.raises(Exception, match=r"expected redis://") as raised:
        router("http://user:hunter2@host", "m")
    assert "hunter2" not in str(raised.value)
