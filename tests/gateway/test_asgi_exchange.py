"""The handlers as a plain ASGI app: under a scripted server, and under a real one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dragoman.gateway.asgi_exchange import HIGH_WATER, AnswerBrokenOffError, asgi_app
from dragoman.gateway.serving import Limits, Route
from support.inprocess_server import run, serving
from support.rawclient import RawClient, chunked, parse_responses, post


def dialect_error(error) -> bytes:
    return b"DIALECT %d" % error.status_code


async def echo(exchange) -> None:
    exchange.respond(200, [(b"x-a", b"b")], b"|".join((exchange.method.encode(), exchange.path, exchange.query, exchange.body)))


def routed(handler) -> dict:
    return {("POST", b"/v1/echo"): Route(handler, dialect_error)}


async def fallback(scope, receive, send) -> None:
    await send({"type": "fallback", "scope": scope["type"]})


class Script:
    """An ASGI server that sends `incoming`, then is silent, and remembers what it is sent."""

    def __init__(self, *incoming: dict[str, Any]) -> None:
        self.incoming = list(incoming)
        self.more = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        while not self.incoming:
            self.more.clear()
            await self.more.wait()
        return self.incoming.pop(0)

    def push(self, message: dict[str, Any]) -> None:
        self.incoming.append(message)
        self.more.set()

    async def send(self, message: dict[str, Any]) -> None:
        await self.may_send.wait()
        if self.gone:
            raise OSError("client is gone")
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def scope(method: str = "POST", path: bytes = b"/v1/echo", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"q",
        "headers": [(b"host", b"x")],
        "client": ("10.0.0.1", 5),
    } | more


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


GONE = {"type": "http.disconnect"}


def answer(handler, *incoming: dict[str, Any], limits: Limits | None = None, **scope_fields: Any) -> Script:
    async def scenario() -> Script:
        script = Script(*incoming)
        await asgi_app(routed(handler), fallback, limits or Limits())(scope(**scope_fields), script.receive, script.send)
        return script

    return run(scenario)


def test_an_answer_is_a_start_and_a_body() -> None:
    script = answer(echo, body(b"a", more=True), body(b"b"))
    assert script.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b"), (b"content-length", b"18")]},
        {"type": "http.response.body", "body": b"POST|/v1/echo|q|ab", "more_body": False},
    ]


def test_a_stream_is_a_message_for_each_piece() -> None:
    async def stream(exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"1")
        exchange.write(b"")
        await exchange.drain()
        exchange.write(b"2")
        exchange.finish()

    sent = answer(stream, body(b"")).sent
    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [(b"1", True), (b"2", True), (b"", False)]
    assert sent[0]["headers"] == []


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({}, True),
        ({"method": "GET"}, False),
        ({"path": b"/v1/ech%6F"}, False),
        ({"raw_path": None}, True),
        ({"path": b"/mount/v1/echo", "root_path": "/mount"}, True),
        ({"path": b"/mount/v1/echo"}, False),
        ({"type": "lifespan"}, False),
        ({"type": "websocket", "path": b"/v1/echo"}, False),
    ],
)
def test_all_but_our_routes_is_the_fallback_apps(fields: dict[str, Any], ours: bool) -> None:
    sent = answer(echo, body(b""), **fields).sent
    assert sent[0]["type"] == ("http.response.start" if ours else "fallback")


@pytest.mark.parametrize(
    ("incoming", "headers", "status"),
    [
        ([body(b"x" * 11)], [], 413),
        ([body(b"x" * 6, more=True), body(b"x" * 6)], [], 413),
        ([], [(b"content-length", b"11")], 413),
        ([], [], 408),
        ([body(b"x" * 6, more=True)], [], 408),
        ([body(b"x" * 10)], [(b"content-length", b"10")], 200),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_bodies_are_bounded_in_size_and_time(incoming: list, headers: list, status: int, version: str) -> None:
    limits = Limits(max_body_bytes=10, body_timeout=0.02)
    script = answer(echo, *incoming, limits=limits, headers=headers, http_version=version)
    assert script.sent[0]["status"] == status
    closes = (b"connection", b"close") in script.sent[0]["headers"]
    assert closes == (status != 200 and version == "1.1")
    assert script.body.startswith(b"POST" if status == 200 else b"DIALECT %d" % status)


def test_a_client_that_leaves_before_its_body_is_complete_is_not_served() -> None:
    assert answer(echo, body(b"a", more=True), GONE).sent == []


@pytest.mark.parametrize("how", ["http.disconnect", "send fails"])
def test_a_client_that_leaves_is_noticed(how: str) -> None:
    async def scenario() -> list[str]:
        script, log = Script(body(b"")), []

        async def handler(exchange) -> None:
            gone = asyncio.Event()
            exchange.on_disconnect(gone.set)
            exchange.start(200, [])
            if how == "http.disconnect":
                script.push(GONE)
            else:
                script.gone = True
                exchange.write(b"x")
            await gone.wait()
            exchange.write(b"nobody")
            exchange.finish()
            exchange.on_disconnect(lambda: log.append("late"))
            log.append(str(exchange.disconnected))

        await asgi_app(routed(handler), fallback)(scope(), script.receive, script.send)
        assert script.sent == []
        return log

    assert run(scenario) == ["late", "True"]


def test_a_slow_server_holds_the_writer_back() -> None:
    async def scenario() -> list[str]:
        script, log = Script(body(b"")), []
        script.may_send.clear()

        async def handler(exchange) -> None:
            exchange.on_pressure(lambda: log.append("pause"), lambda: log.append("resume"))
            exchange.start(200, [])
            exchange.write(b"x" * HIGH_WATER)
            assert not log
            exchange.write(b"y")
            script.may_send.set()
            await exchange.drain()
            log.append("drained")
            exchange.finish()

        await asgi_app(routed(handler), fallback)(scope(), script.receive, script.send)
        assert script.body == b"x" * HIGH_WATER + b"y"
        return log

    assert run(scenario) == ["pause", "resume", "drained"]


def test_a_broken_stream_is_an_exception_for_the_server() -> None:
    async def handler(exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"part")
        exchange.abort()

    with pytest.raises(AnswerBrokenOffError):
        answer(handler, body(b""))


def test_a_failure_before_the_answer_is_a_500_in_the_routes_dialect(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange) -> None:
        exchange.start(200, [])
        raise KeyError("reason")

    script = answer(handler, body(b""))
    assert (script.sent[0]["status"], script.body) == (500, b"DIALECT 500")
    assert len(caplog.records) == 1


MISUSES = {
    "respond twice": lambda exchange: (exchange.respond(200, [], b""), exchange.respond(200, [], b"")),
    "write before start": lambda exchange: exchange.write(b"x"),
    "finish twice": lambda exchange: (exchange.start(200, []), exchange.finish(), exchange.finish()),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES.keys())
def test_a_handler_that_breaks_the_order_of_calls_is_told(misuse, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange) -> None:
        misuse(exchange)

    answer(handler, body(b""))
    assert "RuntimeError" in caplog.text


def test_a_cancelled_app_takes_its_handler_with_it() -> None:
    async def scenario() -> bool:
        started, cancelled, script = asyncio.Event(), [], Script(body(b""))

        async def handler(_) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        app = asyncio.create_task(asgi_app(routed(handler), fallback)(scope(), script.receive, script.send))
        await started.wait()
        app.cancel()
        await asyncio.gather(app, return_exceptions=True)
        return cancelled

    assert run(scenario) == [True]


def test_under_a_real_server() -> None:
    async def handler(exchange) -> None:
        exchange.start(200, [])
        for piece in (b"one", b"two"):
            exchange.write(piece)
        if exchange.body == b"break":
            exchange.abort()
        else:
            exchange.finish()

    async def scenario() -> None:
        routes = routed(echo) | {("POST", b"/v1/stream"): Route(handler)}
        async with serving(None, app=asgi_app(routes, fallback)) as server, RawClient(server.port) as client:
            await client.send(chunked([b"a", b"b"]))
            assert (await client.read_response()).body == b"POST|/v1/echo||ab"
            await client.send(post(b"/v1/stream"))
            assert (await client.read_response()).chunks == [b"one", b"two"]
            await client.send(post(b"/v1/stream", b"break"))
            [broken] = parse_responses(await client.read_to_end())
            assert (broken.complete, broken.chunks) == (False, [b"one", b"two"])

    run(scenario)
