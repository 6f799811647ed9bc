"""The event loop beside a thread: what is asked aside is run there, can be ended, and nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from dragoman.core.errors import APIConnectionError
from dragoman.core.http import HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure
from dragoman.transport.background import BackgroundTransport
from dragoman.transport.replay import ReplayTransport

GET = HttpRequest(method="GET", url="http://acme.test/", headers=(), body=b"")
HELD = Timeouts()


class Stream:
    head = ResponseHead(status=200, headers=())

    def __init__(self) -> None:
        self.pieces = [b"one", b"two"]
        self.closed = False

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    async def aclose(self) -> None:
        self.closed = True


class Upstream:
    """Its streams are short, and its answers never come. `threads`: where it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.threads: set[str] = set()
        self.opened: list[Stream] = []
        self.closed = False

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> Stream:
        self.threads.add(threading.current_thread().name)
        self.opened.append(Stream())
        return self.opened[-1]

    async def aclose(self) -> None:
        self.closed = True


def beside(upstream: Upstream) -> BackgroundTransport:
    return BackgroundTransport(ReplayTransport(HttpResponse(status=204, headers=(), body=b"")), lambda: upstream)


def background_threads() -> int:
    return sum(thread.name == "dragoman-background" for thread in threading.enumerate())


async def opened(transport: Any) -> Any:
    stream = await transport.stream(GET, HELD)
    assert await stream.read() == b"one"
    return stream


def test_a_stream_is_the_loops_while_the_race_runs_and_then_the_threads() -> None:
    upstream = Upstream()
    transport = beside(upstream)
    stream = transport.aside(opened)
    assert (stream.head, stream.read(), stream.read()) == (Stream.head, b"two", b"")
    stream.close()
    assert upstream.opened[0].closed
    assert upstream.threads == {"dragoman-background"}
    transport.close()
    assert upstream.closed
    stream.close()
    assert background_threads() == 0


def test_what_is_not_asked_aside_goes_the_plain_way() -> None:
    transport = beside(Upstream())
    assert transport.send(GET, HELD).status == 204
    assert background_threads() == 0, "nobody has raced"
    transport.close()


def test_after_it_was_closed_it_begins_anew() -> None:
    transport = beside(Upstream())
    late = transport.aside(opened)
    transport.close()
    with pytest.raises(TransportFailure, match="the client was closed"):
        late.read()
    assert transport.aside(opened).read() == b"two"
    transport.close()


def test_who_waits_while_it_is_closed_is_told() -> None:
    upstream = Upstream()
    transport = beside(upstream)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(transport.aside, lambda asked: asked.send(GET, HELD))
        upstream.asked.wait()
        transport.close()
        with pytest.raises(APIConnectionError, match="the client was closed"):
            waiting.result()


def test_who_asks_while_it_is_closed_is_told_too() -> None:
    async def nothing(_: Any) -> None: ...

    def ask_on(transport: BackgroundTransport) -> None:
        loop = transport._loop
        with suppress(TransportFailure):
            while loop is not None:
                loop.run(nothing(None))

    for _ in range(20):
        transport = beside(Upstream())
        transport.aside(nothing)
        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask_on, transport) for _ in range(4)]
            transport.close()
            for each in asking:
                each.result(30)


def test_what_fails_there_fails_here() -> None:
    async def failing(_: Any) -> None:
        raise LookupError("there")

    transport = beside(Upstream())
    with pytest.raises(LookupError, match="there"):
        transport.aside(failing)
    transport.close()


def test_one_that_is_forgotten_leaves_no_thread_behind() -> None:
    transport = beside(Upstream())
    transport.aside(opened).close()
    thread = next(thread for thread in threading.enumerate() if thread.name == "dragoman-background")
    del transport
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    transport = beside(Upstream())
    transport.aside(opened).close()
    child = os.fork()
    if not child:
        os._exit(0 if transport.aside(opened).read() == b"two" else 1)
    assert os.waitpid(child, 0)[1] == 0
    transport.close()
