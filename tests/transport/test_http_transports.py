"""What every HTTP transport does with a request and its answer, on both event loops: the same cases over all of them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure, header
from support.transports import (
    PATIENT,
    every_loop,
    every_transport,
    outcome,
    post,
    says,
    serving,
)
from support.upstream import CHUNKED, LAST_CHUNK, OK, Peer, Upstream, chunk, run, serve_ok


# ------------------------------------------------------------------------------------------------------------- requests
@every_transport
@every_loop
def test_a_request_arrives_as_it_was_given(make: Any, loop: Any) -> None:
    async def main() -> None:
        async with serving(make, serve_ok) as (transport, upstream):
            body = b"x" * 200_000
            await transport.send(post(upstream, body, (("Authorization", "Bearer k"), ("x-note", "caf\xe9"))), PATIENT)
            [(head, got)] = upstream.peers[0].requests
        assert got == body
        lines = head.rstrip().split(b"\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines[1:])}
        assert lines[0] == b"POST /v1/chat?x=1 HTTP/1.1"
        assert fields[b"host"] == f"127.0.0.1:{upstream.port}".encode()
        assert fields[b"authorization"] == b"Bearer k"
        assert fields[b"x-note"] == b"caf\xe9"
        assert fields[b"accept-encoding"] == b"identity"
        assert fields[b"content-length"] == b"200000"

    run(main(), loop)


@every_transport
@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("x", "a\r\nevil: 1"),)),
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("x", "a\nb"),)),
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("x", "a\0b"),)),
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("x: y\r\nz", "a"),)),
        HttpRequest(method="POST", url="http://h.invalid/a\r\nevil: 1"),
        HttpRequest(method="POST", url="http://h.invalid/a b"),
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("content-length", "9"),)),
        HttpRequest(method="POST", url="http://h.invalid/", headers=(("Transfer-Encoding", "chunked"),)),
        HttpRequest(method="POST", url="ftp://h.invalid/"),
        HttpRequest(method="POST", url="http:///nowhere"),
        HttpRequest(method="POST", url="http://user:secret@h.invalid/"),
    ],
    ids=repr,
)
def test_what_must_not_be_sent_is_refused(make: Any, request_: HttpRequest) -> None:
    async def main() -> None:
        transport = make()
        with pytest.raises(ValueError, match=r"header|url") as caught:
            await transport.send(request_, PATIENT)
        await transport.aclose()
        assert "secret" not in str(caught.value)
        assert "evil" not in str(caught.value) or "header name" in str(caught.value)

    run(main())


# ------------------------------------------------------------------------------------------------------------ responses
LONG = b"hello " * 50_000
GZIPPED = gzip.compress(LONG)
RAW_DEFLATE = zlib.compress(b"hello hello")[2:-4]
RESPONSES = {
    "content-length": ((OK,), b"hi"),
    "head in two reads": ((OK[:20], OK[20:]), b"hi"),
    "informational first": ((b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", OK), b"hi"),
    "chunked": ((CHUNKED, chunk(b"one "), chunk(b"two"), LAST_CHUNK), b"one two"),
    "chunked with a trailer": ((CHUNKED, chunk(b"one"), b"0\r\nx-sum: 1\r\n\r\n"), b"one"),
    "until the connection closes": ((b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall ", b"of it"), b"all of it"),
    "HTTP/1.0": ((b"HTTP/1.0 200 OK\r\n\r\nold",), b"old"),
    "no content": ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
    "gzip": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(GZIPPED), GZIPPED), LONG),
    "gzip, chunked, cut anywhere": (
        (CHUNKED.replace(b"content-type", b"Content-Encoding: GZip\r\ncontent-type"),
         *(chunk(GZIPPED[at : at + 100]) for at in range(0, len(GZIPPED), 100)), LAST_CHUNK),
        LONG,
    ),
    "deflate": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\n\r\n" + zlib.compress(b"hello hello"),), b"hello hello"),
    "deflate without its header": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\n\r\n" + RAW_DEFLATE,), b"hello hello"),
    "an error status is a response": ((b"HTTP/1.1 429 Slow Down\r\ncontent-length: 4\r\n\r\nwait",), b"wait"),
    "a redirect is a response": ((b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",), b""),
}  # fmt: skip


@every_transport
@every_loop
@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
def test_a_body_arrives_whole_however_it_is_framed(make: Any, loop: Any, streamed: bool) -> None:
    async def main() -> None:
        for name, (data, body) in RESPONSES.items():
            async with serving(make, says(*data)) as (transport, upstream):
                response = await outcome(transport, post(upstream), streamed=streamed)
                assert isinstance(response, HttpResponse), (name, response)
                assert response.body == body, name
                assert header(response.headers, "content-encoding") is None, name

    run(main(), loop)


@every_transport
def test_headers_come_in_order_with_lower_case_names_and_repeats(make: Any) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 201 Made\r\nX-One: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
        async with serving(make, says(answer)) as (transport, upstream):
            response = await transport.send(post(upstream), PATIENT)
        assert response.status == 201
        assert response.headers == (
            ("x-one", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-empty", ""), ("content-length", "0"),
        )  # fmt: skip

    run(main())


@every_transport
def test_cookies_are_not_kept(make: Any) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(OK.replace(b"\r\n\r\n", b"\r\nset-cookie: session=1\r\n\r\n", 1))

    async def main() -> None:
        async with serving(make, script) as (transport, upstream):
            for _ in range(2):
                await transport.send(post(upstream), PATIENT)
            assert all(b"session" not in head for peer in upstream.peers for head, _ in peer.requests)

    run(main())


@every_transport
@every_loop
def test_pieces_of_a_stream_arrive_one_by_one_while_it_is_still_being_written(make: Any, loop: Any) -> None:
    async def main() -> None:
        arrived = asyncio.Semaphore(0)

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED)
            for number in range(5):
                await arrived.acquire()  # nothing is written before the reader has what came before
                await peer.send(chunk(b"event %d" % number))
            await arrived.acquire()
            await peer.send(LAST_CHUNK)

        async with serving(make, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            assert header(stream.head.headers, "content-type") == "text/event-stream"
            for number in range(5):
                arrived.release()
                assert await stream.read() == b"event %d" % number
            arrived.release()
            assert await stream.read() == b""
            assert await stream.read() == b""
            await stream.aclose()

    run(main(), loop)


# ------------------------------------------------------------------------------------------------------------- failures
BROKEN = {
    "nothing at all": ((), "closed"),
    "half a head": ((b"HTTP/1.1 200 OK\r\ncontent-le",), "closed"),
    "half a body": ((b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",), "closed"),
    "a cut chunk": ((CHUNKED, chunk(b"one"), b"10\r\nhalf"), "closed"),
    "no last chunk": ((CHUNKED, chunk(b"one")), "closed"),
    "not HTTP": ((b"220 smtp.example ready\r\n\r\n",), "protocol"),
    "a bad chunk size": ((CHUNKED, b"zz\r\nhello\r\n"), "protocol"),
    "a cut gzip body": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + GZIPPED[:100],), "protocol"),
    "a damaged gzip body": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",), "protocol"),
    "an unknown coding": ((b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 4\r\n\r\nabcd",), "protocol"),
}


@every_transport
@every_loop
@pytest.mark.parametrize("streamed", [False, True], ids=["send", "stream"])
def test_a_broken_answer_is_a_failure_and_never_a_short_body(make: Any, loop: Any, streamed: bool) -> None:
    async def main() -> None:
        for name, (data, kind) in BROKEN.items():
            async with serving(make, says(*data)) as (transport, upstream):
                failure = await outcome(transport, post(upstream), streamed=streamed)
                assert isinstance(failure, TransportFailure), (name, failure)
                assert (failure.kind, failure.sent) == (kind, True), name

    run(main(), loop)


@every_transport
@every_loop
def test_a_reset_in_the_middle_of_a_stream_comes_after_the_pieces_before_it(make: Any, loop: Any) -> None:
    async def main() -> None:
        got = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.answer(CHUNKED, chunk(b"one"))
            await got.wait()
            peer.reset()

        async with serving(make, script) as (transport, upstream):
            stream = await transport.stream(post(upstream), PATIENT)
            assert await stream.read() == b"one"
            got.set()
            with pytest.raises(TransportFailure) as caught:
                await stream.read()
            await stream.aclose()
        assert caught.value.kind == "closed"

    run(main(), loop)


@every_transport
def test_nobody_listens(make: Any) -> None:
    async def main() -> None:
        async with Upstream(serve_ok) as upstream:
            request = post(upstream)
        transport = make()
        failure = await outcome(transport, request)
        await transport.aclose()
        assert (failure.kind, failure.sent) == ("connect", False)

    run(main())


@every_transport
def test_an_answer_over_the_size_limit(make: Any) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000
        async with serving(make, says(answer), max_body=50_000) as (transport, upstream):
            failure = await outcome(transport, post(upstream))
            assert failure.kind == "too_large"

    run(main())


@every_transport
def test_a_small_compressed_body_may_not_become_a_huge_one(make: Any) -> None:
    async def main() -> None:
        bomb = gzip.compress(bytes(20_000_000))
        answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb) + bomb
        async with serving(make, says(answer), max_body=1_000_000) as (transport, upstream):
            failure = await outcome(transport, post(upstream))
            assert failure.kind == "too_large"

    run(main())
