"""What the gateway's protocol refuses: broken and ambiguous HTTP, too much of anything, clients that are too slow."""

from __future__ import annotations

import asyncio

import pytest

from dragoman.gateway.serving import Limits, Route
from support.fake_connection import FakeConnection, with_connection
from support.rawclient import RawResponse, chunked, post


async def echo(exchange) -> None:
    exchange.respond(200, [], exchange.body)


def dialect_error(error) -> bytes:
    return b"DIALECT %d %b" % (error.status_code, error.message.encode())


ROUTES = {("POST", b"/v1/echo"): Route(echo, dialect_error)}
LIMITS = Limits(
    max_header_bytes=1000, max_header_count=10, max_body_bytes=5000, head_timeout=10, body_timeout=20, write_timeout=30
)


def answers(*pieces: bytes, routes=ROUTES, **options) -> tuple[list[RawResponse], bool]:
    async def scenario(connection: FakeConnection):
        return await connection.exchange(*pieces), connection.ended

    return with_connection(scenario, routes, LIMITS, **options)


HEAD = b"POST /v1/echo HTTP/1.1\r\nhost: x\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SMUGGLED = post(body=b"smuggled")

BROKEN = {
    "both length headers": HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "both, the other way": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    "the same length twice": HEAD + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": HEAD + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": HEAD + b"content-length: +3\r\n\r\nabc",
    "a negative length": HEAD + b"content-length: -3\r\n\r\nabc",
    "a hexadecimal length": HEAD + b"content-length: 0x3\r\n\r\nabc",
    "no length in the header": HEAD + b"content-length: \r\n\r\nabc",
    "a length beyond 64 bits": HEAD + b"content-length: 18446744073709551616\r\n\r\n",
    "an unknown transfer coding": HEAD + b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked is not the last coding": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "space before the colon": HEAD + b"transfer-encoding : chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a folded header": HEAD + b"x: a\r\n transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r\n", b"\n") + b"content-length: 0\n\n",
    "one bare line feed": HEAD + b"x: y\ncontent-length: 0\r\n\r\n",
    "a bare carriage return": HEAD + b"x: a\rcontent-length: 3\r\n\r\n",
    "NUL in a header": HEAD + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "a header without a name": HEAD + b": x\r\ncontent-length: 0\r\n\r\n",
    "a header without a colon": HEAD + b"nonsense\r\ncontent-length: 0\r\n\r\n",
    "a chunk size that is no number": CHUNKED + b"x\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk that is longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk size that ends with a line feed": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "no method": b" /v1/echo HTTP/1.1\r\n\r\n",
    "an unknown method": b"POSTS /v1/echo HTTP/1.1\r\n\r\n",
    "an unknown version": b"POST /v1/echo HTTP/9.9\r\n\r\n",
    "another protocol": b"POST /v1/echo FTP/1.1\r\n\r\n",
    "bytes beyond ASCII in the path": b"POST /v1/\xffecho HTTP/1.1\r\n\r\n",
    "an absolute target without a path": b"POST http://host?x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_requests_get_one_400_and_the_end_of_the_connection(data: bytes, how: str) -> None:
    stream = data + SMUGGLED
    pieces = (stream,) if how == "whole" else tuple(stream[i : i + 1] for i in range(len(stream)))
    responses, ended = answers(*pieces)
    assert [response.status for response in responses] == [400]
    assert responses[0].header(b"connection") == b"close"
    assert ended


def test_a_broken_request_waits_for_its_turn() -> None:
    responses, ended = answers(post(body=b"1") + post(b"/asgi", b"2") + b"nonsense\r\n\r\n" + SMUGGLED)
    assert [response.status for response in responses] == [200, 200, 400]
    assert ended


def test_a_stream_is_not_cut_by_a_broken_request_behind_it() -> None:
    gate = asyncio.Event()

    async def stream(exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"one")
        await gate.wait()
        exchange.write(b"two")
        exchange.finish()

    async def scenario(connection: FakeConnection):
        await connection.exchange(post(), b"nonsense\r\n\r\n")
        gate.set()
        await connection.settle()
        return connection.responses, connection.ended

    responses, ended = with_connection(scenario, {("POST", b"/v1/echo"): Route(stream)}, LIMITS)
    assert [response.body[:6] for response in responses] == [b"onetwo", b'{"erro']
    assert ended


def test_what_follows_a_last_request_is_not_read() -> None:
    responses, ended = answers(post(b"/v1/echo", b"last", b"connection: close") + SMUGGLED)
    assert ([response.body for response in responses], ended) == ([b"last"], True)


def test_a_broken_body_on_its_way_to_the_asgi_app_is_a_400_if_the_app_has_not_answered() -> None:
    responses, ended = answers(CHUNKED.replace(b"/v1/echo", b"/asgi") + b"3\r\nabc\r\n", b"x\r\n")
    assert ([response.status for response in responses], ended) == ([400], True)


def test_a_broken_body_behind_an_answer_of_the_asgi_app_only_closes() -> None:
    async def hasty(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def scenario(connection: FakeConnection):
        await connection.exchange(CHUNKED.replace(b"/v1/echo", b"/asgi"))
        await connection.exchange(b"x\r\n")
        return [response.status for response in connection.responses], connection.ended

    assert with_connection(scenario, ROUTES, LIMITS, hasty) == ([200], True)


def test_a_broken_request_of_the_asgi_app_in_the_queue_is_answered_in_its_turn() -> None:
    bad = CHUNKED.replace(b"/v1/echo", b"/asgi") + b"x\r\n"
    responses, ended = answers(post(body=b"1") + post(body=b"2") + bad)
    assert ([response.status for response in responses], ended) == ([200, 200, 400], True)


LARGE = b"x" * 1000
TOO_MUCH = {
    "a header": (post(b"/v1/echo", b"", b"x: " + LARGE), 431),
    "headers together": (post(b"/v1/echo", b"", *(b"x%d: %b" % (i, b"y" * 200) for i in range(5))), 431),
    "many headers": (post(b"/v1/echo", b"", *(b"x%d: y" % i for i in range(9))), 431),
    "the path": (post(b"/v1/echo?" + LARGE), 431),
    "the path of the asgi app": (post(b"/asgi?" + LARGE), 431),
    "a declared body": (post(body=b"b" * 5001), 413),
    "a chunked body": (chunked([b"c" * 600] * 9), 413),
}


TOO_MUCH_BESIDE_THE_BODY = {
    "a trailer": (chunked([b"a"], trailers=(b"x: " + LARGE * 2,)), 431),
    "a chunk extension": (CHUNKED + b"1;x=" + LARGE * 2 + b"\r\na\r\n0\r\n\r\n", 431),
}
"""Bounded by what one read brings, so refused only when it comes in several."""


def cases(table: dict, sizes: list[int]) -> list:
    return [pytest.param(*case, size, id=f"{name}-{size}") for name, case in table.items() for size in sizes]


@pytest.mark.parametrize(("data", "status", "size"), cases(TOO_MUCH, [100, 10_000]) + cases(TOO_MUCH_BESIDE_THE_BODY, [1, 100]))
def test_too_much_is_refused_in_the_routes_dialect(data: bytes, status: int, size: int) -> None:
    responses, ended = answers(*(data[i : i + size] for i in range(0, len(data), size)))
    assert [response.status for response in responses] == [status]
    assert ended
    if b" /asgi" not in data and b"?xxx" not in data:
        assert responses[0].body.startswith(b"DIALECT %d " % status)


WITHIN = {
    "headers": post(b"/v1/echo", b"ok", b"x: " + b"y" * 900),
    "many headers": post(b"/v1/echo", b"ok", *(b"x%d: y" % i for i in range(8))),
    "a body": post(body=b"b" * 5000),
    "small chunks": chunked([b"c"] * 5000),
    "trailers": chunked([b"d"], trailers=(b"x: " + b"y" * 900,)),
}


@pytest.mark.parametrize("size", [1, 700, 100_000])
@pytest.mark.parametrize("data", WITHIN.values(), ids=WITHIN.keys())
def test_what_is_within_the_limits_is_taken(data: bytes, size: int) -> None:
    responses, ended = answers(*(data[i : i + size] for i in range(0, len(data), size)))
    assert ([response.status for response in responses], ended) == ([200], False)


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    responses, ended = answers(b"POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5001\r\n\r\n")
    assert ([response.status for response in responses], ended) == ([413], True)


def test_what_a_refused_client_still_sends_is_dropped_until_it_leaves() -> None:
    async def scenario(connection: FakeConnection):
        await connection.exchange(HEAD + b"content-length: 1000000\r\n\r\n")
        await connection.exchange(*[b"b" * 10_000] * 100, SMUGGLED)
        assert connection.transport.eof
        assert not connection.transport.closed
        return [response.status for response in connection.responses]

    assert with_connection(scenario, ROUTES, LIMITS) == [413]


# Slow clients. The sweeper asks with the loop's clock; here the test asks, with a later one.


def overdue(*pieces: bytes, seconds: float, then: bytes = b"", app=None) -> tuple[list[int], bool]:
    async def scenario(connection: FakeConnection):
        await connection.exchange(*pieces)
        connection.protocol.check_deadlines(asyncio.get_running_loop().time() + seconds)
        await connection.exchange(then)
        return [response.status for response in connection.responses], connection.ended

    return with_connection(scenario, ROUTES, LIMITS, **({"app": app} if app else {}), timeout_keep_alive=5)


SLOW = {
    "said nothing": ((), 10, [], True),
    "said nothing yet": ((), 9, [], False),
    "half a head": ((HEAD,), 10, [408], True),
    "half a head, in time": ((HEAD,), 9, [], False),
    "half a request line": ((b"PO",), 10, [408], True),
    "half a body": ((post(body=b"1234")[:-2],), 20, [408], True),
    "half a body, in time": ((post(body=b"1234")[:-2],), 19, [], False),
    "half a body for the asgi app": ((post(b"/asgi", b"1234")[:-2],), 20, [408], True),
    "half a chunk": ((chunked([b"1234"])[:-9],), 20, [408], True),
    "idle": ((post(),), 6, [200], True),
    "idle, in time": ((post(),), 4, [200], False),
    "idle, but for line ends": ((post(), b"\r\n", b"\r\n"), 6, [200], True),
    "a second head": ((post(), HEAD), 10, [200, 408], True),
    "a second head, in time": ((post(), HEAD), 9, [200], False),
    "refused and still there": ((b"nonsense\r\n\r\n",), 6, [400], True),
}


@pytest.mark.parametrize(("pieces", "seconds", "statuses", "ended"), SLOW.values(), ids=SLOW.keys())
def test_slow_clients(pieces: tuple[bytes, ...], seconds: float, statuses: list[int], ended: bool) -> None:
    assert overdue(*pieces, seconds=seconds) == (statuses, ended)


def test_a_head_that_drips_does_not_buy_time() -> None:
    async def scenario(connection: FakeConnection):
        await connection.exchange(*(HEAD[i : i + 1] for i in range(len(HEAD))))
        deadline = connection.protocol.read_deadline
        await connection.exchange(b"x", b": ")
        return deadline == connection.protocol.read_deadline

    assert with_connection(scenario, ROUTES, LIMITS)


def test_an_answer_may_take_its_time() -> None:
    async def forever(exchange) -> None:
        await asyncio.Event().wait()

    async def scenario(connection: FakeConnection):
        await connection.exchange(post() + post(body=b"1234")[:-2])
        for hours in range(1, 4):
            connection.protocol.check_deadlines(asyncio.get_running_loop().time() + hours * 3600)
        return connection.responses, connection.ended

    assert with_connection(scenario, {("POST", b"/v1/echo"): Route(forever)}, LIMITS) == ([], False)


@pytest.mark.parametrize(
    ("taken", "aborted"),
    [([100_000, 100_000, 100_000], True), ([100_000, 90_000, 80_000], False), ([100_000, 100_000, 0], False)],
)
@pytest.mark.parametrize("why", ["paused", "closing"])
def test_a_client_that_takes_nothing_is_cut_off(taken: list[int], aborted: bool, why: str) -> None:
    async def scenario(connection: FakeConnection):
        await connection.exchange(post())
        if why == "paused":
            connection.protocol.pause_writing()
        else:
            connection.transport.closed = True
        connection.protocol.read_deadline = float("inf")
        now = asyncio.get_running_loop().time()
        for step, size in enumerate(taken):
            connection.transport.buffered = size
            connection.protocol.check_deadlines(now + 20 * step)
        connection.transport.closed = False
        return connection.transport.aborted

    assert with_connection(scenario, ROUTES, LIMITS) is aborted
