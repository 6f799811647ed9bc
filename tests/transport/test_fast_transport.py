"""Where our own client connects to, and when it is not the one to ask."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from dragoman.core.http import HttpRequest
from dragoman.transport.fast import FastTransport, default_context, wants_httpx
from dragoman.transport.fast_request import Origin, split_url
from support.transports import PATIENT, every_loop, fast, post, serving
from support.upstream import OK, Upstream, run, serve_ok


# ----------------------------------------------------------------------------------------------------- addresses and TLS
@pytest.mark.parametrize(
    ("url", "origin", "target", "authority"),
    [
        ("http://h.example", Origin(False, "h.example", 80), "/", "h.example"),
        ("https://h.example/a?b=c#d", Origin(True, "h.example", 443), "/a?b=c", "h.example"),
        ("https://H.Example:8443/%2F", Origin(True, "h.example", 8443), "/%2F", "h.example:8443"),
        ("http://[::1]:8080/x", Origin(False, "::1", 8080), "/x", "[::1]:8080"),
        ("http://b\xfcr.de/\xfc?q=\xfc", Origin(False, "xn--br-xka.de", 80), "/%C3%BC?q=%C3%BC", "xn--br-xka.de"),
    ],
)  # fmt: skip
def test_where_a_url_leads(url: str, origin: Origin, target: str, authority: str) -> None:
    assert split_url(url) == (origin, target, authority)


@every_loop
def test_an_ipv6_literal(loop: Any) -> None:
    async def main() -> None:
        heads: list[bytes] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
            await reader.read()
            writer.close()

        try:
            server = await asyncio.start_server(accept, "::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = server.sockets[0].getsockname()[1]
        transport = FastTransport()
        response = await transport.send(HttpRequest(method="GET", url=f"http://[::1]:{port}/"), PATIENT)
        await transport.aclose()
        server.close()
        await server.wait_closed()
        assert response.body == b"hi"
        assert b"host: [::1]:%d\r\n" % port in heads[0]

    run(main(), loop)


@every_loop
def test_connections_have_no_nagle_delay(loop: Any) -> None:
    async def main() -> None:
        async with serving(fast, serve_ok) as (transport, upstream):
            await transport.send(post(upstream), PATIENT)
            [pool] = transport._pools.values()
            sock = pool.take(0.0)._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    run(main(), loop)


def test_the_default_verification_reads_ssl_cert_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


@every_loop
def test_tls_names_the_server_and_speaks_http_1(loop: Any) -> None:
    authority, server, client = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    server.set_alpn_protocols(["h2", "http/1.1"])
    names: list[str | None] = []
    server.sni_callback = lambda _sock, name, _context: names.append(name)

    async def main() -> None:
        async with Upstream(serve_ok, tls=server) as upstream:
            transport = FastTransport(ssl_context=client)
            request = HttpRequest(method="POST", url=f"https://localhost:{upstream.port}/", body=b"x" * 100_000)
            assert (await transport.send(request, PATIENT)).body == b"hi"
            await transport.aclose()
        assert names == ["localhost"]

    run(main(), loop)


# ----------------------------------------------------------------------------------------------------------- environment
@pytest.mark.parametrize(
    ("url", "env", "through"),
    [
        ("https://api.example/v1", {}, False),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1"}, True),
        ("https://api.example/v1", {"https_proxy": "http://p:1"}, True),
        ("https://api.example/v1", {"HTTPS_PROXY": ""}, False),
        ("http://api.example/v1", {"HTTPS_PROXY": "http://p:1"}, False),
        ("http://api.example/v1", {"ALL_PROXY": "socks5://p:1"}, True),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, False),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, example"}, False),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "no_proxy": ".example"}, False),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample"}, True),
        ("http://127.0.0.1:8080/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "localhost,127.0.0.1"}, False),
    ],
)
def test_when_the_environment_asks_for_a_proxy(url: str, env: dict[str, str], through: bool) -> None:
    assert wants_httpx(url, env) is through
