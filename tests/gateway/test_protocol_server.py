"""The gateway's protocol class under a real uvicorn server, over real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme

from dragoman.gateway.serving import Limits, Route
from support.inprocess_server import LOOPS, run, serving
from support.rawclient import RawClient, parse_responses, post

on_both_loops = pytest.mark.parametrize("loop", LOOPS)


async def echo(exchange) -> None:
    exchange.respond(200, [(b"content-type", b"text/plain")], exchange.body)


ROUTES = {("POST", b"/v1/echo"): Route(echo)}


def routed(handler) -> dict:
    return {("POST", b"/v1/echo"): Route(handler)}


class Held:
    """A handler that streams one piece, then waits for the test to say "go on"."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.gone = asyncio.Event()
        self.disconnected = False

    async def __call__(self, exchange) -> None:
        exchange.on_disconnect(self.gone.set)
        exchange.start(200, [])
        exchange.write(b"first")
        await self.go_on.wait()
        exchange.write(b"second")
        exchange.finish()
        self.disconnected = exchange.disconnected


@on_both_loops
def test_a_kept_connection_serves_our_routes_and_the_asgi_app(loop: str) -> None:
    async def scenario() -> None:
        async with serving(ROUTES, server_header=False) as server, RawClient(server.port) as client:
            for path, body in [(b"/v1/echo", b"one"), (b"/asgi", b"asgi POST /asgi one"), (b"/v1/echo", b"one")]:
                await client.send(post(path, b"one"))
                response = await client.read_response()
                assert (response.status, response.body) == (200, body)
                assert response.header(b"date")
                assert response.header(b"server") is None

    run(scenario, loop)


@on_both_loops
def test_a_piece_arrives_when_it_is_written(loop: str) -> None:
    async def scenario() -> None:
        held = Held()
        async with serving(routed(held)) as server, RawClient(server.port) as client:
            await client.send(post())
            await client.read_head()
            assert await client.read_chunk() == b"first"
            held.go_on.set()
            assert await client.read_chunk() == b"second"
            assert await client.read_chunk() == b""

    run(scenario, loop)


@on_both_loops
def test_a_client_that_leaves_is_noticed_while_nothing_is_written(loop: str) -> None:
    async def scenario() -> None:
        held = Held()
        async with serving(routed(held)) as server:
            async with RawClient(server.port) as client:
                await client.send(post())
                await client.read_head()
            await asyncio.wait_for(held.gone.wait(), 10)
            held.go_on.set()
        assert held.disconnected

    run(scenario, loop)


@on_both_loops
def test_a_slow_reader_holds_the_writer_back(loop: str) -> None:
    piece = b"x" * 65536

    async def scenario() -> None:
        state = {"paused": asyncio.Event(), "written": 0}

        async def pour(exchange) -> None:
            resumed = asyncio.Event()
            exchange.on_pressure(state["paused"].set, resumed.set)
            exchange.start(200, [])
            while not state["paused"].is_set():
                exchange.write(piece)
                state["written"] += 1
                await asyncio.sleep(0)
            await exchange.drain()
            await resumed.wait()
            exchange.finish()

        async with serving(routed(pour)) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(client, post(b"/v1/echo", b"", b"connection: close"))
                await asyncio.wait_for(state["paused"].wait(), 10)
                received = bytearray()
                while data := await asyncio.get_running_loop().sock_recv(client, 2**20):
                    received += data
        [response] = parse_responses(bytes(received))
        assert response.complete
        assert response.body == piece * state["written"]

    run(scenario, loop)


@on_both_loops
@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_sends_far_too_much_reads_the_refusal(loop: str, tls: bool, tmp_path) -> None:
    server_tls, client_tls = certificates(tmp_path) if tls else ({}, None)

    async def scenario() -> None:
        limits = Limits(max_body_bytes=1000)
        async with serving(ROUTES, limits, **server_tls) as server, RawClient(server.port, tls=client_tls) as client:
            await client.send(post(body=b"b" * 50_000_000))
            response = await client.read_response()
            assert (response.status, response.header(b"connection")) == (413, b"close")
            if not tls:
                assert await client.read_to_end() == b""

    run(scenario, loop)


def certificates(folder) -> tuple[dict, ssl.SSLContext]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    path = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return {"ssl_certfile": str(path), "ssl_keyfile": str(path)}, client


@on_both_loops
def test_tls_serves_answers_and_streams(loop: str, tmp_path) -> None:
    server_tls, client_tls = certificates(tmp_path)

    async def scenario() -> None:
        held = Held()
        held.go_on.set()
        routes = ROUTES | {("POST", b"/v1/stream"): Route(held)}
        async with serving(routes, **server_tls) as server, RawClient(server.port, tls=client_tls) as client:
            await client.send(post(body=b"x" * 100_000))
            assert (await client.read_response()).body == b"x" * 100_000
            await client.send(post(b"/v1/stream"))
            assert (await client.read_response()).chunks == [b"first", b"second"]

    run(scenario, loop)


@on_both_loops
def test_slow_heads_and_bodies_get_408(loop: str) -> None:
    limits = Limits(head_timeout=0.1, body_timeout=0.1)

    async def scenario() -> None:
        async with serving(ROUTES, limits) as server:
            for data in (post()[:20], post(body=b"1234")[:-2]):
                async with RawClient(server.port) as client:
                    await client.send(data)
                    [response] = parse_responses(await client.read_to_end())
                    assert response.status == 408
            async with RawClient(server.port) as client:
                assert await client.read_to_end() == b""

    run(scenario, loop)


@on_both_loops
def test_an_idle_connection_is_closed(loop: str) -> None:
    async def scenario() -> None:
        async with (
            serving(ROUTES, Limits(head_timeout=0.4), timeout_keep_alive=0.1) as server,
            RawClient(server.port) as client,
        ):
            await client.send(post(body=b"hi"))
            [response] = parse_responses(await client.read_to_end())
            assert response.body == b"hi"

    run(scenario, loop)


@on_both_loops
def test_a_stop_waits_for_streams_and_closes_what_is_idle(loop: str) -> None:
    async def scenario() -> None:
        held = Held()
        routes = ROUTES | {("POST", b"/v1/stream"): Route(held)}
        async with serving(routes) as server, RawClient(server.port) as idle, RawClient(server.port) as busy:
            await idle.send(post())
            await idle.read_response()
            await busy.send(post(b"/v1/stream"))
            await busy.read_head()
            await busy.read_chunk()
            stopping = asyncio.create_task(server.stop())
            assert await idle.read_to_end() == b""
            assert not stopping.done()
            held.go_on.set()
            assert await busy.read_to_end() == b"6\r\nsecond\r\n0\r\n\r\n"
            await stopping

    run(scenario, loop)


@on_both_loops
def test_a_stop_does_not_wait_for_ever(loop: str) -> None:
    async def scenario() -> None:
        async with serving(routed(Held()), timeout_graceful_shutdown=0) as server, RawClient(server.port) as client:
            await client.send(post())
            await client.read_head()
            await server.stop()
            assert await client.read_to_end() == b"5\r\nfirst\r\n"

    run(scenario, loop)


@on_both_loops
def test_an_aborted_stream_over_http_1_0_is_reset(loop: str) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def abort(exchange) -> None:
            exchange.start(200, [])
            exchange.write(b"partial")
            await go_on.wait()
            exchange.abort()

        async with serving(routed(abort)) as server, RawClient(server.port) as client:
            await client.send(post(version=b"1.0"))
            await client.read_head()
            assert await client.reader.readexactly(7) == b"partial"
            go_on.set()
            with pytest.raises(ConnectionResetError):
                await client.read_to_end()

    run(scenario, loop)


@on_both_loops
def test_small_writes_do_not_wait_for_acknowledgements(loop: str) -> None:
    async def scenario() -> None:
        options = []

        async def look(exchange) -> None:
            sock = exchange.connection.transport.get_extra_info("socket")
            options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            exchange.respond(200, [], b"")

        async with serving(routed(look)) as server, RawClient(server.port) as client:
            await client.send(post())
            await client.read_response()
        assert options[0] != 0

    run(scenario, loop)
