"""Whatever a client sends, cut anywhere: no exception escapes, whole valid requests are answered once and in order, and
after a refusal nothing more is answered and the connection ends.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dragoman.gateway.serving import Limits, Route
from support.fake_connection import FakeConnection, with_connection
from support.rawclient import RawResponse, chunked, post

LIMITS = Limits(max_header_bytes=600, max_header_count=12, max_body_bytes=300)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def respond(exchange) -> None:
    exchange.respond(200, [], b"ours " + exchange.body)


async def stream(exchange) -> None:
    await asyncio.sleep(0)
    exchange.start(200, [])
    for byte in b"ours " + exchange.body:
        exchange.write(bytes([byte]))
        await exchange.drain()
    exchange.finish()


ROUTES = {("POST", b"/respond"): Route(respond), ("POST", b"/stream"): Route(stream)}

bodies = st.binary(max_size=40)
paths = st.sampled_from([b"/respond", b"/stream", b"/asgi"])


@st.composite
def valid_requests(draw) -> tuple[bytes, bytes]:
    """The bytes of a request, and the body of the answer to it."""
    path, body = draw(paths), draw(bodies)
    if draw(st.booleans()):
        size = draw(st.integers(1, 41))
        data = chunked([body[i : i + size] for i in range(0, len(body), size)], path=path)
    else:
        data = post(path, body)
    return data, (b"asgi POST /asgi " if path == b"/asgi" else b"ours ") + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in pairwise(edges)]


def answers(pieces: list[bytes], *, gone_after: int | None = None) -> tuple[list[RawResponse], bool]:
    async def scenario(connection: FakeConnection):
        for count, piece in enumerate(pieces):
            connection.feed(piece)
            if count % 2:
                await asyncio.sleep(0)
            if count == gone_after:
                connection.protocol.eof_received()
                await connection.lose()
        await connection.settle()
        assert not connection.state.tasks
        return connection.responses, connection.ended

    return with_connection(scenario, ROUTES, LIMITS)


@quick
@given(st.lists(valid_requests(), min_size=1, max_size=6), st.lists(st.integers(0, 2000), max_size=12))
def test_every_whole_valid_request_is_answered_once_and_in_order(requests, places) -> None:
    responses, ended = answers(cut(b"".join(data for data, _ in requests), places))
    assert [(response.status, response.body) for response in responses] == [(200, answer) for _, answer in requests]
    assert all(response.complete for response in responses)
    assert not ended


@quick
@given(
    st.lists(valid_requests(), max_size=3), st.lists(valid_requests(), max_size=2), st.lists(st.integers(0, 999), max_size=8)
)
def test_a_refusal_comes_in_its_turn_and_is_the_last_word(before, after, places) -> None:
    bad = b"POST /respond HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"
    stream_ = b"".join([data for data, _ in before] + [bad] + [data for data, _ in after])
    responses, ended = answers(cut(stream_, places))
    assert [response.status for response in responses] == [200] * len(before) + [400]
    assert [response.body for response in responses[:-1]] == [answer for _, answer in before]
    assert ended


fragments = st.sampled_from(
    [
        b"POST /respond HTTP/1.1\r\n",
        b"POST /stream HTTP/1.0\r\n",
        b"GET /asgi HTTP/1.1\r\n",
        b"POST http://x/respond?y HTTP/1.1\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n",
        b"POST http://x HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"host: x\r\n",
        b"content-length: 3\r\n",
        b"content-length: 999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"expect: 100-continue\r\n",
        b"connection: upgrade\r\n",
        b"connection: close\r\n",
        b"upgrade: h2c\r\n",
        b"upgrade: websocket\r\n",
        b"x: " + b"y" * 200 + b"\r\n",
        b"\r\n",
        b"\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"3;a=b\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"\0",
        b"\xff",
    ]
)


@st.composite
def mutated(draw) -> bytes:
    """Valid requests with bytes changed, dropped and repeated, or built from pieces of requests."""
    if draw(st.booleans()):
        return b"".join(draw(st.lists(fragments, max_size=14)))
    data = bytearray(b"".join(data for data, _ in draw(st.lists(valid_requests(), min_size=1, max_size=3))))
    for place, change in draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(-2, 255)), min_size=1, max_size=4)):
        at = place % max(1, len(data))
        if change == -1:
            del data[at : at + 3]
        elif change == -2:
            data[at:at] = data[at : at + 5]
        else:
            data[at : at + 1] = bytes([change])
    return bytes(data)


def check(pieces: list[bytes], caplog, **options) -> None:
    caplog.clear()
    responses, ended = answers(pieces, **options)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    final = [response for response in responses if response.status != 100]
    statuses = [response.status for response in final]
    assert set(statuses) <= {200, 400, 405, 408, 413, 431}
    refused = [status != 200 for status in statuses]
    assert not any(refused[:-1]), "nothing is answered after a refusal"
    if any(refused):
        assert ended
        assert final[-1].header(b"connection") == b"close"
    elif not ended:
        assert all(response.complete for response in responses)


@quick
@example(b"POST http://x HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", [])
@example(b"POST /respond HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc" * 3, [])
@example(b"POST /asgi HTTP/1.1\r\nexpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", [80])
@given(mutated(), st.lists(st.integers(0, 2000), max_size=8))
def test_nothing_a_client_sends_is_an_exception(caplog, data: bytes, places: list[int]) -> None:
    check(cut(data, places), caplog)


@quick
@given(mutated(), st.lists(st.integers(0, 2000), min_size=1, max_size=8), st.integers(0, 8))
def test_a_client_may_leave_at_any_time(caplog, data: bytes, places: list[int], when: int) -> None:
    caplog.clear()
    answers(cut(data, places), gone_after=when)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@quick
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_random_bytes(caplog, pieces: list[bytes]) -> None:
    check(pieces, caplog)
