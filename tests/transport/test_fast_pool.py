"""Our own client's connections: the one retry, reuse, limits, queueing, closing."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from dragoman.core.http import Timeouts, TransportFailure
from dragoman.transport.fast import FastTransport, PoolLimits
from support.transports import PATIENT, every_loop, fast, post, serving
from support.upstream import CHUNKED, OK, Peer, Upstream, chunk, run, serve_ok


# ------------------------------------------------------------------------------------------------------------- the retry
@every_loop
def test_a_pooled_connection_that_dies_before_a_byte_came_back_is_replaced_once(loop: Any) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        await peer.request()  # and goes away without a word

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            for _ in range(3):
                assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert [len(peer.requests) for peer in upstream.peers] == [2, 2, 1]

    run(main(), loop)


@pytest.mark.parametrize("said", [b"H", CHUNKED, CHUNKED + chunk(b"one")], ids=["a byte", "a head", "a piece"])
def test_once_anything_came_back_there_is_no_second_request(said: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        await peer.answer(said)

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)
            with pytest.raises(TransportFailure) as caught:
                await transport.send(post(upstream), PATIENT)
            assert caught.value.kind == "closed"
            assert [len(peer.requests) for peer in upstream.peers] == [2]

    run(main())


def test_a_fresh_connection_that_dies_is_not_replaced() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            with pytest.raises(TransportFailure) as caught:
                await transport.send(post(upstream), PATIENT)
            assert (caught.value.kind, caught.value.sent) == ("closed", True)
            assert len(upstream.peers) == 1

    run(main())


def test_a_deadline_on_a_pooled_connection_is_not_retried() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        await peer.left()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)
            with pytest.raises(TransportFailure) as caught:
                await transport.send(post(upstream), Timeouts(first_token=0.05))
            assert caught.value.kind == "first_token"
            assert len(upstream.peers) == 1

    run(main())


# -------------------------------------------------------------------------------------------------------------- the pool
SURPLUS = {
    "garbage": b"garbage",
    "the beginning of another answer": b"HTT",
    "a whole answer": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong",
}


@every_loop
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
def test_what_follows_an_answer_spoils_the_connection_but_not_the_answer(loop: Any, surplus: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(OK + surplus)
        await peer.left()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            for _ in range(2):
                assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert [len(peer.requests) for peer in upstream.peers] == [1, 1]

    run(main(), loop)


@every_loop
@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
def test_bytes_on_an_idle_connection_close_it(loop: Any, surplus: bytes) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        await answered.wait()
        await peer.send(surplus)
        await peer.left()
        gone.set()

    answered = asyncio.Event()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)
            answered.set()
            await gone.wait()
            assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert len(upstream.peers) == 2

    run(main(), loop)


def test_the_newest_idle_connection_is_used_first() -> None:
    async def main() -> None:
        async with serving(fast, serve_ok) as (transport, upstream):
            await asyncio.gather(*(transport.send(post(upstream), PATIENT) for _ in range(5)))
            for _ in range(10):
                await transport.send(post(upstream), PATIENT)
            assert sorted(len(peer.requests) for peer in upstream.peers) == [1, 1, 1, 1, 11]

    run(main())


def test_a_keep_alive_header_that_allows_no_time_is_respected() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=1, max=100\r\n\r\n", 1))

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            for _ in range(3):
                await transport.send(post(upstream), PATIENT)
            assert [len(peer.requests) for peer in upstream.peers] == [1, 1, 1]

    run(main())


@every_loop
def test_a_connection_that_was_idle_too_long_is_closed(loop: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(OK)
            await peer.left()
            gone.set()

        async with serving(fast, script, limits=PoolLimits(idle_seconds=0.05)) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)
            await gone.wait()

    run(main(), loop)


def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    async def main() -> None:
        left: list[int] = []
        enough = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(OK)
            await peer.left()
            left.append(peer.number)
            if len(left) == 3:
                enough.set()

        async with serving(fast, script, limits=PoolLimits(max_idle=2)) as (transport, upstream):
            await asyncio.gather(*(transport.send(post(upstream), PATIENT) for _ in range(5)))
            await enough.wait()
            assert len(left) == 3

    run(main())


@every_loop
def test_with_a_limit_requests_wait_their_turn(loop: Any) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def script(peer: Peer) -> None:
            while True:
                _, body = await peer.request()
                seen.append(body)
                await peer.send(OK)

        async with serving(fast, script, limits=PoolLimits(max_connections=1)) as (transport, upstream):
            bodies = [b"%d" % number for number in range(20)]
            await asyncio.gather(*(transport.send(post(upstream, body), PATIENT) for body in bodies))
            assert seen == bodies
            assert len(upstream.peers) == 1

    run(main(), loop)


def test_a_waiting_request_gets_the_place_of_a_connection_that_broke() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(OK if peer.number else b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")

    async def main() -> None:
        async with serving(fast, script, limits=PoolLimits(max_connections=1)) as (transport, upstream):
            first, second = await asyncio.gather(
                *(transport.send(post(upstream), PATIENT) for _ in range(2)), return_exceptions=True
            )
            assert isinstance(first, TransportFailure)
            assert second.body == b"hi"

    run(main())


def test_waiting_for_a_connection_counts_as_connecting_and_a_wait_given_up_leaves_no_trace() -> None:
    async def main() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await go.wait()
            await peer.send(OK)
            await serve_ok(peer)

        async with serving(fast, script, limits=PoolLimits(max_connections=1)) as (transport, upstream):
            first = asyncio.create_task(transport.send(post(upstream), PATIENT))
            await asked.wait()
            cancelled = asyncio.create_task(transport.send(post(upstream), PATIENT))
            late = await asyncio.gather(transport.send(post(upstream), Timeouts(connect=0.05)), return_exceptions=True)
            assert (late[0].kind, late[0].sent) == ("connect_timeout", False)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            waiting = asyncio.create_task(transport.send(post(upstream), PATIENT))
            go.set()
            assert (await first).body == (await waiting).body == b"hi"
            assert len(upstream.peers) == 1

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the loops' own: they lose hold of half-made sockets
@every_loop
def test_a_request_cancelled_at_any_turn_of_connecting_leaves_no_trace(loop: Any) -> None:
    """uvloop closes such a connection without a word to its protocol, or tells it afterwards that it was made."""

    async def main() -> None:
        limits = PoolLimits(max_connections=1, max_idle=0)
        async with serving(fast, serve_ok, limits=limits) as (transport, upstream):
            for turns in range(12):
                cancelled = asyncio.create_task(transport.send(post(upstream), PATIENT))
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.gather(cancelled, return_exceptions=True)
                assert (await transport.send(post(upstream), Timeouts(connect=30))).body == b"hi"

    run(main(), loop)
    gc.collect()


@every_loop
def test_closing_the_transport_ends_what_is_in_flight_and_refuses_what_comes(loop: Any) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"one"))
            await peer.left()

        async with serving(fast, script, limits=PoolLimits(max_connections=1)) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            waiting = asyncio.create_task(transport.send(post(upstream), PATIENT))
            assert await stream.read() == b"one"
            await transport.aclose()
            for attempt in (stream.read(), waiting, transport.send(post(upstream), PATIENT)):
                with pytest.raises(TransportFailure, match="closed"):
                    await attempt

    run(main(), loop)


def test_a_transport_belongs_to_one_loop() -> None:
    transport = FastTransport()

    async def main() -> None:
        async with Upstream(serve_ok) as upstream:
            try:
                await transport.send(post(upstream), PATIENT)
            finally:
                await transport.aclose()

    run(main())
    with pytest.raises(RuntimeError, match="one for each loop"):
        run(main())
