"""The gateway's protocol class, byte by byte, on a transport that only remembers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dragoman.core import json
from dragoman.gateway.protocol import make_protocol
from dragoman.gateway.serving import Limits, Route
from support.fake_connection import FakeConnection, with_connection
from support.rawclient import RawResponse, chunked, post

HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = [(b"content-type", b"application/json")]


def dialect_error(error) -> bytes:
    return b"DIALECT %d %b" % (error.status_code, error.message.encode())


async def echo(exchange) -> None:
    exchange.respond(200, JSON, b"|".join((exchange.method.encode(), exchange.path, exchange.query, exchange.body)))


ROUTES = {("POST", b"/v1/echo"): Route(echo, dialect_error)}


def routed(handler) -> dict:
    return {("POST", b"/v1/echo"): Route(handler, dialect_error)}


def answers(*pieces: bytes, routes=ROUTES, **options) -> tuple[list[RawResponse], bool]:
    """The responses to what a client sends, and whether the connection ended with them."""

    async def scenario(connection: FakeConnection):
        return await connection.exchange(*pieces), connection.ended

    return with_connection(scenario, routes, **options)


def only(*pieces: bytes, **options) -> RawResponse:
    responses, _ = answers(*pieces, **options)
    assert len(responses) == 1, responses
    return responses[0]


# What goes over the wire


def test_an_answer_is_one_write_with_its_length() -> None:
    async def scenario(connection: FakeConnection):
        connection.state.default_headers = [(b"date", b"now")]
        await connection.exchange(post(body=b"hi"))
        return connection.transport.writes

    head = HEAD + b"date: now\r\ncontent-type: application/json\r\ncontent-length: 17\r\nconnection: keep-alive\r\n\r\n"
    assert with_connection(scenario, ROUTES) == [head + b"POST|/v1/echo||hi"]


def test_a_streamed_answer_is_one_write_for_each_piece_with_the_head_in_the_first() -> None:
    async def stream(exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/event-stream")])
        exchange.write(b"one")
        exchange.write(b"")
        exchange.write(b"x" * 26)
        exchange.finish()

    async def scenario(connection: FakeConnection):
        await connection.exchange(post())
        return connection.transport.writes

    assert with_connection(scenario, routed(stream)) == [
        HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n3\r\none\r\n",
        b"1a\r\n" + b"x" * 26 + b"\r\n",
        b"0\r\n\r\n",
    ]


def test_a_streamed_answer_may_be_empty() -> None:
    async def stream(exchange) -> None:
        exchange.start(200, JSON)
        exchange.finish()

    response = only(post(), routes=routed(stream))
    assert (response.complete, response.chunks, response.body) == (True, [], b"")


def test_an_aborted_stream_has_no_clean_end() -> None:
    async def stream(exchange) -> None:
        exchange.start(200, JSON)
        exchange.write(b"partial")
        exchange.abort()

    responses, ended = answers(post(), routes=routed(stream))
    assert ended
    assert not responses[0].complete
    assert responses[0].chunks == [b"partial"]


@pytest.mark.parametrize(
    ("request_", "closes"),
    [
        (post(), False),
        (post(b"/v1/echo", b"", b"connection: close"), True),
        (post(version=b"1.0"), True),
        (post(b"/v1/echo", b"", b"connection: keep-alive", version=b"1.0"), False),
    ],
)
def test_the_answer_says_whether_the_connection_stays(request_: bytes, closes: bool) -> None:
    responses, ended = answers(request_)
    assert responses[0].header(b"connection") == (b"close" if closes else b"keep-alive")
    assert ended is closes


@pytest.mark.parametrize("headers", [(), (b"connection: keep-alive",)])
def test_to_http_1_0_a_stream_ends_with_the_connection(headers: tuple[bytes, ...]) -> None:
    async def stream(exchange) -> None:
        exchange.start(200, JSON)
        exchange.write(b"a")
        exchange.write(b"b")
        exchange.finish()

    responses, ended = answers(post(b"/v1/echo", b"", *headers, version=b"1.0"), routes=routed(stream))
    assert ended
    assert responses[0].header(b"transfer-encoding") is None
    assert responses[0].header(b"connection") == b"close"
    assert responses[0].body == b"ab"


# Who answers


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"POST /v1/echo", b"POST|/v1/echo||"),
        (b"POST /v1/echo?a=%20b?c", b"POST|/v1/echo|a=%20b?c|"),
        (b"POST http://host:1/v1/echo?q", b"POST|/v1/echo|q|"),
        (b"GET /v1/echo", b"asgi GET /v1/echo "),
        (b"OPTIONS /v1/echo", b"asgi OPTIONS /v1/echo "),
        (b"PUT /v1/echo", b"asgi PUT /v1/echo "),
        (b"POST /v1/echo/", b"asgi POST /v1/echo/ "),
        (b"POST /v1%2Fecho", b"asgi POST /v1%2Fecho "),
        (b"POST /v1/ech%6F", b"asgi POST /v1/ech%6F "),
        (b"POST /V1/echo", b"asgi POST /V1/echo "),
        (b"POST /v1/./echo", b"asgi POST /v1/./echo "),
        (b"POST /", b"asgi POST / "),
    ],
)
def test_a_route_is_an_exact_method_and_path_and_all_else_is_the_asgi_apps(line: bytes, answer: bytes) -> None:
    assert only(line + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").body == answer


def test_head_requests_on_our_paths_are_the_asgi_apps() -> None:
    async def scenario(connection: FakeConnection):
        await connection.exchange(b"HEAD /v1/echo HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection.output

    assert with_connection(scenario, ROUTES).endswith(b"\r\n\r\n")


def test_the_handler_sees_the_request() -> None:
    seen = {}

    async def look(exchange) -> None:
        seen.update({name: getattr(exchange, name) for name in ("method", "path", "query", "headers", "body", "client")})
        seen["header"] = exchange.header(b"x-a"), exchange.header(b"x-none")
        exchange.respond(200, [], b"")

    only(post(b"/v1/echo?q=1", b"body", b"X-A: first", b"x-a: second"), routes=routed(look))
    headers = [(b"host", b"test"), (b"x-a", b"first"), (b"x-a", b"second"), (b"content-length", b"4")]
    assert seen == {
        "method": "POST",
        "path": b"/v1/echo",
        "query": b"q=1",
        "headers": headers,
        "body": b"body",
        "client": "",
        "header": (b"first", None),
    }


@pytest.mark.parametrize(
    ("method", "path"), [("HEAD", b"/a"), ("CONNECT", b"/a"), ("post", b"/a"), ("POST", b"a"), ("POST", b"/a?b")]
)
def test_a_route_that_cannot_be_answered_is_refused_when_it_is_made(method: str, path: bytes) -> None:
    with pytest.raises(ValueError, match="no route here can be"):
        make_protocol({(method, path): Route(echo)})


# Bodies


def test_chunked_bodies_arrive_whole() -> None:
    assert only(chunked([b"ab", b"c" * 20, b"d"])).body == b"POST|/v1/echo||ab" + b"c" * 20 + b"d"


def test_requests_may_come_byte_by_byte() -> None:
    data = post(body=b"whole") + chunked([b"in", b"chunks"]) + post(b"/asgi", b"app")
    responses, ended = answers(*(data[i : i + 1] for i in range(len(data))))
    assert [response.body for response in responses] == [
        b"POST|/v1/echo||whole",
        b"POST|/v1/echo||inchunks",
        b"asgi POST /asgi app",
    ]
    assert not ended


def test_trailers_do_not_become_headers() -> None:
    async def count(exchange) -> None:
        exchange.respond(200, [], b"%d" % len(exchange.headers))

    assert only(chunked([b"a"], trailers=(b"authorization: x",)), routes=routed(count)).body == b"2"
    assert only(chunked([b"a"], path=b"/asgi", trailers=(b"authorization: x",))).header(b"x-headers") == b"2"


CONTINUE = b"expect: 100-continue"


@pytest.mark.parametrize(
    ("pieces", "statuses"),
    [
        ((post(b"/v1/echo", b"", CONTINUE, b"x: y")[:-2].replace(b"length: 0", b"length: 2") + b"\r\n", b"hi"), [100, 200]),
        ((post(b"/v1/echo", b"hi", CONTINUE),), [200]),
        ((post(b"/v1/echo", b"hi", CONTINUE, version=b"1.0")[:-2], b"hi"), [200]),
        ((post(b"/v1/echo", b"hi", CONTINUE)[:-2], b"h", b"i"), [100, 200]),
        ((post(b"/v1/echo", b"hi", b"Expect: 100-Continue")[:-2], b"hi"), [100, 200]),
        ((post(b"/asgi", b"hi", CONTINUE)[:-2], b"hi"), [100, 200]),
        ((post(b"/v1/echo", b"x" * 101, CONTINUE)[:-101],), [413]),
        ((post(body=b"a") + post(b"/v1/echo", b"hi", CONTINUE)[:-2], b"hi"), [200, 100, 200]),
    ],
)
def test_a_client_that_asks_first_is_told_to_go_on_once(pieces: tuple[bytes, ...], statuses: list[int]) -> None:
    async def scenario(connection: FakeConnection):
        for piece in pieces:
            await connection.exchange(piece)
        return [response.status for response in connection.responses]

    assert with_connection(scenario, ROUTES, Limits(max_body_bytes=100)) == statuses


# Pipelines


def test_a_request_is_handled_when_the_answer_before_it_is_complete() -> None:
    log = []

    async def slow(exchange) -> None:
        log.append(b"begin " + exchange.body)
        await asyncio.sleep(0)
        exchange.start(200, [])
        exchange.write(exchange.body)
        await asyncio.sleep(0)
        exchange.finish()
        log.append(b"end " + exchange.body)

    responses, ended = answers(post(body=b"1") + post(body=b"2") + post(b"/asgi", b"3") + post(body=b"4"), routes=routed(slow))
    assert [response.body for response in responses] == [b"1", b"2", b"asgi POST /asgi 3", b"4"]
    assert log == [b"begin 1", b"end 1", b"begin 2", b"end 2", b"begin 4", b"end 4"]
    assert not ended


def test_a_long_pipeline_is_answered() -> None:
    async def later(exchange) -> None:
        await asyncio.sleep(0)
        exchange.respond(200, [], exchange.body)

    responses, _ = answers(b"".join(post(body=b"%d" % i) for i in range(700)), routes=routed(later))
    assert [response.body for response in responses] == [b"%d" % i for i in range(700)]


def test_the_answers_version_is_that_of_its_own_request() -> None:
    gate: list[asyncio.Future] = []

    async def stream(exchange) -> None:
        gate.append(asyncio.get_running_loop().create_future())
        await gate[-1]
        exchange.start(200, [])
        exchange.write(b"x")
        exchange.finish()

    async def scenario(connection: FakeConnection):
        await connection.exchange(post() + post(version=b"1.0"))
        gate[0].set_result(None)
        await connection.settle()
        gate[1].set_result(None)
        await connection.settle()
        return connection.responses

    first, second = with_connection(scenario, routed(stream))
    assert (first.header(b"transfer-encoding"), first.header(b"connection")) == (b"chunked", b"keep-alive")
    assert (second.header(b"transfer-encoding"), second.header(b"connection")) == (None, b"close")


# Upgrades


def test_an_offer_of_another_protocol_is_ignored_and_the_body_read() -> None:
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    responses, ended = answers(post(b"/v1/echo", b"hello", *offer) + post(body=b"next"))
    assert [response.body for response in responses] == [b"POST|/v1/echo||hello", b"POST|/v1/echo||next"]
    assert not ended


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n", 405),
        (post(b"/v1/echo", b"", b"connection: upgrade", b"upgrade: h2c") * 3, 400),
    ],
)
def test_upgrades_that_are_refused(data: bytes, status: int) -> None:
    responses, ended = answers(data)
    assert responses[-1].status == status
    assert ended


# Handlers that fail


@pytest.mark.parametrize("bad", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_that_would_split_the_answer_is_not_sent(bad: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def inject(exchange) -> None:
        exchange.respond(200, [(b"x-echo", bad)], b"")

    assert only(post(), routes=routed(inject)).status == 500
    assert "a line break or NUL in the response headers" in caplog.text


def test_a_failure_before_the_answer_is_a_500_in_the_routes_dialect(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(exchange) -> None:
        exchange.start(200, JSON)
        raise KeyError("reason")

    responses, ended = answers(post(body=b"secret prompt") + post(body=b"again"), routes=routed(fail))
    assert [response.status for response in responses] == [500, 500]
    assert responses[0].body.startswith(b"DIALECT 500 The gateway failed")
    assert not ended
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "secret prompt" not in caplog.text
    assert "The handler of POST /v1/echo failed" in caplog.text


def test_a_failure_inside_the_answer_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(exchange) -> None:
        exchange.start(200, JSON)
        exchange.write(b"part")
        raise KeyError("reason")

    responses, ended = answers(post(), routes=routed(fail))
    assert (responses[0].complete, responses[0].chunks, ended) == (False, [b"part"], True)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("begin", [False, True])
def test_an_answer_that_is_not_finished_is_a_failure(begin: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def forget(exchange) -> None:
        if begin:
            exchange.start(200, JSON)
            exchange.write(b"part")

    responses, ended = answers(post(), routes=routed(forget))
    assert (responses[0].status, ended) == ((200, True) if begin else (500, False))
    assert "ended without finishing its answer" in caplog.text


MISUSES = {
    "respond twice": lambda exchange: (exchange.respond(200, [], b"1"), exchange.respond(200, [], b"2")),
    "write before start": lambda exchange: exchange.write(b"x"),
    "finish before start": lambda exchange: exchange.finish(),
    "start after respond": lambda exchange: (exchange.respond(200, [], b"1"), exchange.start(200, [])),
    "write after finish": lambda exchange: (exchange.start(200, []), exchange.finish(), exchange.write(b"x")),
    "finish twice": lambda exchange: (exchange.start(200, []), exchange.finish(), exchange.finish()),
    "respond in a stream": lambda exchange: (exchange.start(200, []), exchange.write(b"x"), exchange.respond(200, [], b"")),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES.keys())
def test_a_handler_that_breaks_the_order_of_calls_is_told(misuse, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange) -> None:
        misuse(exchange)

    responses, _ = answers(post(), routes=routed(handler))
    assert len(responses) == 1
    assert "RuntimeError" in caplog.text


# The client's side: gone, slow


def held_stream():
    """A handler that streams one piece and then holds; the list gets its exchange, then what happens to it."""
    seen: list = []

    async def handler(exchange) -> None:
        seen.append(exchange)
        exchange.on_disconnect(lambda: seen.append("disconnected"))
        exchange.on_pressure(lambda: seen.append("pause"), lambda: seen.append("resume"))
        exchange.start(200, [])
        exchange.write(b"first")
        await exchange.drain()
        seen.append("drained")
        await asyncio.Event().wait()

    return handler, seen


@pytest.mark.parametrize("how", ["eof", "lost"])
def test_a_client_that_leaves_is_noticed_at_once_and_once(how: str) -> None:
    handler, seen = held_stream()

    async def scenario(connection: FakeConnection):
        await connection.exchange(post())
        exchange = seen[0]
        if how == "eof":
            connection.protocol.eof_received()
        else:
            connection.protocol.connection_lost(ConnectionResetError())
        assert seen[1:] == ["drained", "disconnected"]
        assert exchange.disconnected
        written = len(connection.output)
        exchange.write(b"nobody")
        exchange.finish()
        exchange.on_disconnect(lambda: seen.append("late"))
        assert len(connection.output) == written
        await connection.lose()
        return seen[3:]

    assert with_connection(scenario, routed(handler)) == ["late"]


def test_after_the_answer_a_client_may_leave_unnoticed() -> None:
    called = []

    async def handler(exchange) -> None:
        exchange.on_disconnect(lambda: called.append(1))
        exchange.respond(200, [], b"")

    async def scenario(connection: FakeConnection) -> None:
        await connection.exchange(post())
        await connection.lose()

    with_connection(scenario, routed(handler))
    assert not called


def test_the_request_being_answered_is_told_not_the_one_behind_it() -> None:
    handler, seen = held_stream()

    async def scenario(connection: FakeConnection) -> None:
        await connection.exchange(post() + post(b"/asgi"))
        await connection.lose()

    with_connection(scenario, routed(handler))
    assert seen[1:] == ["drained", "disconnected"]


def test_an_asgi_app_behind_which_a_request_waits_is_told_too() -> None:
    messages = []

    async def app(scope, receive, send) -> None:
        await receive()
        messages.append((await receive())["type"])

    async def scenario(connection: FakeConnection) -> None:
        await connection.exchange(post(b"/asgi") + post())
        await connection.lose()

    with_connection(scenario, ROUTES, app=app)
    assert messages == ["http.disconnect"]


def test_pressure_reaches_the_writer_and_drain_waits_for_it() -> None:
    handler, seen = held_stream()

    async def scenario(connection: FakeConnection) -> None:
        connection.protocol.pause_writing()
        await connection.exchange(post())
        assert seen[1:] == ["pause"]
        connection.protocol.resume_writing()
        await connection.settle()
        assert seen[1:] == ["pause", "resume", "drained"]
        connection.protocol.pause_writing()
        assert seen[4:] == ["pause"]

    with_connection(scenario, routed(handler))


def test_a_client_that_leaves_frees_a_writer_that_waits() -> None:
    handler, seen = held_stream()

    async def scenario(connection: FakeConnection) -> None:
        connection.protocol.pause_writing()
        await connection.exchange(post())
        connection.protocol.eof_received()
        await connection.settle()

    with_connection(scenario, routed(handler))
    assert seen[1:] == ["pause", "disconnected", "drained"]


# uvicorn's settings


def test_over_the_limit_of_concurrency_the_answer_is_503_in_the_routes_dialect() -> None:
    responses, ended = answers(post(), limit_concurrency=1)
    assert (responses[0].status, ended) == (503, True)
    assert responses[0].body.startswith(b"DIALECT 503 ")


def test_requests_are_in_uvicorns_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.access")
    answers(post(b"/v1/echo?q=1") + b"bad request\r\n\r\n", access_log=True, log_level="info")
    assert [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"] == [
        ' - "POST /v1/echo?q=1 HTTP/1.1" 200',
        ' - "-  HTTP/1.1" 400',
    ]


def test_shutdown_lets_the_answer_finish_and_closes_what_is_idle() -> None:
    handler, seen = held_stream()

    async def scenario(connection: FakeConnection):
        connection.feed(post())
        await connection.settle()
        connection.protocol.shutdown()
        assert not connection.ended
        seen[0].finish()
        return connection.responses[0], connection.ended

    async def idle(connection: FakeConnection):
        await connection.exchange(post())
        connection.protocol.shutdown()
        return connection.responses[0], connection.ended

    assert [with_connection(scenario, routed(handler))[1], with_connection(idle, ROUTES)[1]] == [True, True]


def test_an_answer_begun_after_shutdown_says_that_the_connection_closes() -> None:
    async def scenario(connection: FakeConnection):
        connection.feed(post(body=b"1234")[:-2])
        connection.protocol.shutdown()
        return await connection.exchange(b"34"), connection.ended

    responses, ended = with_connection(scenario, ROUTES)
    assert (responses[0].header(b"connection"), ended) == (b"close", True)


def test_a_kept_connection_keeps_no_request() -> None:
    async def scenario(connection: FakeConnection):
        await connection.exchange(post(body=b"large"))
        return connection.protocol.cycle, connection.protocol.answering

    assert with_connection(scenario, ROUTES) == (None, None)


def test_where_no_dialect_is_known_an_error_is_plain_json() -> None:
    assert json.decode(only(b"nonsense\r\n\r\n").body)["error"]["type"] == "invalid_request_error"
