"""Our own client's streams: pushing, back-pressure, and the bounds of what it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman.core.http import Timeouts, TransportFailure
from support.transports import PATIENT, every_loop, fast, post, serving
from support.upstream import CHUNKED, LAST_CHUNK, Peer, chunk, run, serve_ok


# --------------------------------------------------------------------------------------------------------------- pushing
@every_loop
def test_relay_pushes_what_has_come_and_then_each_piece_as_it_comes(loop: Any) -> None:
    async def main() -> None:
        came = asyncio.Semaphore(0)

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"first"))
            for number in range(5):
                await came.acquire()
                await peer.send(chunk(b"%d" % number))
            await came.acquire()
            await peer.send(LAST_CHUNK)
            await serve_ok(peer)

        got: list[bytes] = []

        def on_data(piece: bytes) -> None:
            got.append(piece)
            came.release()

        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            await stream.relay(on_data)
            assert got == [b"first", b"0", b"1", b"2", b"3", b"4"]
            assert await stream.read() == b""
            assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert len(upstream.peers) == 1

    run(main(), loop)


BREAKS = {
    "cut": ((CHUNKED, chunk(b"one")), "closed"),
    "garbage": ((CHUNKED, chunk(b"one"), b"zz\r\n"), "protocol"),
}


@every_loop
@pytest.mark.parametrize(("data", "kind"), BREAKS.values(), ids=BREAKS)
def test_relay_raises_when_the_answer_breaks(loop: Any, data: tuple[bytes, ...], kind: str) -> None:
    async def main() -> None:
        async with serving(fast, lambda peer: peer.answer(*data)) as (transport, upstream):
            got: list[bytes] = []
            stream = await transport.stream(post(upstream), PATIENT)
            with pytest.raises(TransportFailure) as caught:
                await stream.relay(got.append)
            assert (got, caught.value.kind) == ([b"one"], kind)

    run(main(), loop)


@pytest.mark.parametrize("timeouts", [Timeouts(idle=0.05), Timeouts(total=0.05)], ids=["idle", "total"])
def test_relay_keeps_the_deadlines(timeouts: Timeouts) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED, chunk(b"one"))
        await peer.left()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), timeouts)
            with pytest.raises(TransportFailure) as caught:
                await stream.relay(lambda _: None)
            assert caught.value.kind == ("total" if timeouts.total else "idle")

    run(main())


@every_loop
def test_what_a_taker_raises_comes_out_of_relay_and_ends_the_upstream_request(loop: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED)
            await relaying.wait()
            await peer.send(chunk(b"one"))
            await peer.left()
            gone.set()

        relaying = asyncio.Event()

        def broken(_: bytes) -> None:
            raise ZeroDivisionError

        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            relaying.set()
            with pytest.raises(ZeroDivisionError):
                await stream.relay(broken)
            await gone.wait()

    run(main(), loop)


@every_loop
def test_cancelling_a_relay_pushes_no_more_and_ends_the_upstream_request(loop: Any) -> None:
    async def main() -> None:
        gone, pushed = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"one"))
            await peer.left()
            gone.set()

        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            task = asyncio.create_task(stream.relay(lambda _: pushed.set()))
            await pushed.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await gone.wait()

    run(main(), loop)


@every_loop
def test_a_relay_that_is_paused_now_and_then_loses_nothing(loop: Any) -> None:
    size, pieces = 64 * 1024, 200  # far more than the kernel's buffers hold

    async def script(peer: Peer) -> None:
        await peer.answer(CHUNKED, *(chunk(bytes(size)) for _ in range(pieces)), LAST_CHUNK)
        await serve_ok(peer)

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            got = 0

            def on_data(piece: bytes) -> None:
                nonlocal got
                got += len(piece)
                stream.pause()
                asyncio.get_running_loop().call_soon(stream.resume)

            await stream.relay(on_data)
            assert got == size * pieces
            assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert len(upstream.peers) == 1

    run(main(), loop)


@every_loop
def test_a_stream_that_is_read_late_holds_the_upstream_back_and_loses_nothing(loop: Any) -> None:
    size, pieces = 64 * 1024, 400

    async def main() -> None:
        blocked = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED)
            for _ in range(pieces):
                peer.push(chunk(bytes(size)))
            peer.push(LAST_CHUNK)
            for _ in range(1000):  # turns of the loop both sides run on: all that can move has moved
                await asyncio.sleep(0)
            assert peer.unsent() > size * pieces // 4
            blocked.set()
            await peer.left()

        async with serving(fast, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            await blocked.wait()
            got = 0
            while piece := await stream.read():
                got += len(piece)
            assert got == size * pieces

    run(main(), loop)


# ---------------------------------------------------------------------------------------------------------------- limits
LIMITS = {
    "one endless header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 300_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"content-length: 0\r\n\r\n",
    "endless informational answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "an endless trailer": CHUNKED + b"0\r\nx: " + b"a" * 300_000,
}


@every_loop
@pytest.mark.parametrize("said", LIMITS.values(), ids=LIMITS)
def test_heads_and_trailers_are_bounded(loop: Any, said: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(said)
        await peer.left()

    async def main() -> None:
        async with serving(fast, script) as (transport, upstream):
            with pytest.raises(TransportFailure) as caught:
                await transport.send(post(upstream), PATIENT)
            assert caught.value.kind == "too_large"

    run(main(), loop)


def test_a_switch_of_protocols_that_nobody_asked_for() -> None:
    async def main() -> None:
        said = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI"
        async with serving(fast, lambda peer: peer.answer(said)) as (transport, upstream):
            with pytest.raises(TransportFailure) as caught:
                await transport.send(post(upstream), PATIENT)
            assert caught.value.kind == "protocol"

    run(main())
