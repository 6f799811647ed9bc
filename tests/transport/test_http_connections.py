"""What every HTTP transport does with time and connections: deadlines, closing early, pooling, TLS; on both event loops."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import trustme

from dragoman.core.http import HttpRequest, Timeouts, TransportFailure
from support.transports import (
    PATIENT,
    every_loop,
    every_transport,
    fast,
    http_async,
    outcome,
    post,
    read_all,
    serving,
)
from support.upstream import CHUNKED, LAST_CHUNK, OK, Peer, Upstream, chunk, run, serve_ok

# ------------------------------------------------------------------------------------------------------------- deadlines
SILENT = {
    "first_token of a whole answer, silent": (b"", Timeouts(first_token=0.1), False, "first_token"),
    "first_token of a whole answer, in the body": (CHUNKED + chunk(b"one"), Timeouts(first_token=0.1), False, "first_token"),
    "first_token of a stream, silent": (b"", Timeouts(first_token=0.1), True, "first_token"),
    "first_token of a stream, after the head": (CHUNKED, Timeouts(first_token=0.1), True, "first_token"),
    "idle, first_token longer": (CHUNKED + chunk(b"one"), Timeouts(first_token=60, idle=0.1), True, "idle"),
    "idle, first_token shorter": (CHUNKED + chunk(b"one"), Timeouts(first_token=0.1, idle=0.2), True, "idle"),
    "idle, first_token never": (CHUNKED + chunk(b"one"), Timeouts(first_token=None, idle=0.1), True, "idle"),
    "total of a whole answer": (b"", Timeouts(total=0.1), False, "total"),
    "total of a stream, silent": (b"", Timeouts(total=0.1), True, "total"),
    "total of a stream, in the body": (CHUNKED + chunk(b"one"), Timeouts(total=0.1, idle=None), True, "total"),
}


@every_transport
@every_loop
@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT)
def test_each_deadline_ends_a_silent_upstream(make: Any, loop: Any, case: tuple[bytes, Timeouts, bool, str]) -> None:
    said, timeouts, streamed, kind = case

    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(OK)
            await peer.answer(said)
            await peer.left()
            gone.set()

        async with serving(make, script) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)  # so that the time goes by on a connection that stands
            failure = await outcome(transport, post(upstream), timeouts, streamed=streamed)
            assert isinstance(failure, TransportFailure), failure
            assert (failure.kind, failure.sent) == (kind, True)
            await gone.wait()  # the upstream request has ended with it

    run(main(), loop)


@every_transport
@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
def test_the_total_deadline_ends_an_upstream_that_drips(make: Any, streamed: bool) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED)
            while True:
                await peer.send(chunk(b"d"))
                await asyncio.sleep(0)

        async with serving(make, script) as (transport, upstream):
            failure = await outcome(transport, post(upstream), Timeouts(total=0.2), streamed=streamed)
            assert failure.kind == "total"

    run(main())


@every_transport
@every_loop
def test_a_server_that_never_shakes_hands_ends_in_a_connect_timeout(make: Any, loop: Any) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.left()

        async with serving(make, script) as (transport, upstream):
            request = HttpRequest(method="POST", url=upstream.url.replace("http", "https"), body=b"{}")
            for timeouts, kinds in (
                (Timeouts(connect=0.3), {"connect_timeout"}),
                (Timeouts(connect=5, total=0.3), {"total", "connect_timeout"}),
            ):
                failure = await outcome(transport, request, timeouts)
                assert failure.kind in kinds
                assert make is not fast or failure.sent is False

    run(main(), loop)


# -------------------------------------------------------------------------------------------------------- closing early
@every_transport
@every_loop
def test_closing_a_stream_early_ends_the_upstream_request_at_once(make: Any, loop: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"one"))
            await peer.left()
            gone.set()

        async with serving(make, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            assert await stream.read() == b"one"
            await stream.aclose()
            await gone.wait()
            await stream.aclose()  # twice is once

    run(main(), loop)


@pytest.mark.parametrize("make", [fast, http_async])
@every_loop
def test_closing_a_stream_wakes_the_task_that_reads_it(make: Any, loop: Any) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"one"))
            await peer.left()

        async with serving(make, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            await stream.read()
            reading = asyncio.create_task(stream.read())
            await asyncio.sleep(0)
            await stream.aclose()
            with pytest.raises(TransportFailure) as caught:
                await reading
        assert caught.value.kind == "closed"

    run(main(), loop)


@pytest.mark.parametrize("make", [fast, http_async])
@every_loop
@pytest.mark.parametrize("said", [b"", CHUNKED + chunk(b"one")], ids=["before the head", "inside the body"])
def test_cancelling_the_task_ends_the_upstream_request_at_once(make: Any, loop: Any, said: bytes) -> None:
    async def main() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(said)
            asked.set()
            await peer.left()
            gone.set()

        async with serving(make, script) as (transport, upstream):
            task = asyncio.create_task(transport.send(post(upstream), PATIENT))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await gone.wait()

    run(main(), loop)


# --------------------------------------------------------------------------------------------------------------- pooling
@every_transport
@every_loop
def test_one_after_another_they_use_one_connection(make: Any, loop: Any) -> None:
    async def main() -> None:
        async with serving(make, serve_ok) as (transport, upstream):
            for _ in range(5):
                assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            stream = await transport.stream(post(upstream), PATIENT)
            await read_all(stream)
            await stream.aclose()
            assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert len(upstream.peers) == 1

    run(main(), loop)


@every_transport
@every_loop
def test_a_connection_that_the_server_closed_meanwhile_is_not_used(make: Any, loop: Any) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(OK)

        async with serving(make, script) as (transport, upstream):
            for _ in range(4):
                assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert len(upstream.peers) == 4

    run(main(), loop)


@every_transport
def test_a_response_that_says_close_is_not_followed_by_another_request(make: Any) -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.answer(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
            await peer.left()

        async with serving(make, script) as (transport, upstream):
            for _ in range(3):
                await transport.send(post(upstream), PATIENT)
            assert [len(peer.requests) for peer in upstream.peers] == [1, 1, 1]

    run(main())


@pytest.mark.parametrize("make", [fast, http_async])
@every_loop
def test_a_hundred_at_once_then_a_hundred_more_on_the_same_connections(make: Any, loop: Any) -> None:
    async def main() -> None:
        async with serving(make, serve_ok) as (transport, upstream):
            for _ in range(2):
                answers = await asyncio.gather(*(transport.send(post(upstream), PATIENT) for _ in range(100)))
                assert {answer.body for answer in answers} == {b"hi"}
            assert len(upstream.peers) <= 100

    run(main(), loop)


# ------------------------------------------------------------------------------------------------------------------- TLS
@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@every_transport
@every_loop
def test_tls_with_a_trusted_authority(make: Any, loop: Any, authority: trustme.CA) -> None:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        await peer.answer(CHUNKED, chunk(b"one"), LAST_CHUNK)
        await peer.left()

    async def main() -> None:
        async with Upstream(script, tls=server) as upstream:
            transport = make(client)
            assert (await transport.send(post(upstream), PATIENT)).body == b"hi"
            assert (await outcome(transport, post(upstream), streamed=True)).body == b"one"
            assert len(upstream.peers) == 1
            await transport.aclose()

    run(main(), loop)


@every_transport
@every_loop
def test_tls_with_a_stranger(make: Any, loop: Any, authority: trustme.CA) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)

    async def main() -> None:
        async with Upstream(serve_ok, tls=server) as upstream:
            transport = make()
            failure = await outcome(transport, post(upstream))
            await transport.aclose()
        assert (failure.kind, failure.sent) == ("connect", False)
        assert "certificate" in failure.message

    run(main(), loop)
