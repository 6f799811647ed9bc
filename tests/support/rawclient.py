"""HTTP at the level of bytes: a parser of response streams, and a client that shows exactly what a server sends."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self


@dataclass
class RawResponse:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = True

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


def parse_head(head: bytes) -> RawResponse:
    status_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    version, status, _ = status_line.split(b" ", 2)
    assert version == b"HTTP/1.1", status_line
    pairs = [tuple(line.split(b": ", 1)) for line in lines]
    assert all(len(pair) == 2 for pair in pairs), lines
    return RawResponse(int(status), pairs)


def parse_responses(data: bytes) -> list[RawResponse]:
    """All responses in what a server sent. The last one may be incomplete, or end with the connection."""
    found: list[RawResponse] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert end, f"not a response head: {data[:200]!r}"
        response = parse_head(head + end)
        found.append(response)
        if response.status < 200:
            data = rest
        elif response.header(b"transfer-encoding") == b"chunked":
            data = _take_chunks(response, rest)
        elif (length := response.header(b"content-length")) is not None:
            response.body, data = rest[: int(length)], rest[int(length) :]
            response.complete = len(response.body) == int(length)
        else:
            response.body, data = rest, b""
    return found


def _take_chunks(response: RawResponse, data: bytes) -> bytes:
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            response.complete = False
            return b""
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", rest[:200]
        data = rest[length + 2 :]
        if length == 0:
            response.body = b"".join(response.chunks)
            return data
        response.chunks.append(rest[:length])


class RawClient:
    """One connection. Use as an async context manager."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls

    async def __aenter__(self) -> Self:
        hostname = "localhost" if self._tls else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._tls, server_hostname=hostname, limit=2**26
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_chunk(self) -> bytes:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def read_head(self) -> RawResponse:
        return parse_head(await self.reader.readuntil(b"\r\n\r\n"))

    async def read_response(self) -> RawResponse:
        response = await self.read_head()
        if response.header(b"transfer-encoding") == b"chunked":
            while chunk := await self.read_chunk():
                response.chunks.append(chunk)
            response.body = b"".join(response.chunks)
        else:
            response.body = await self.reader.readexactly(int(response.header(b"content-length") or b"0"))
        return response

    async def read_to_end(self) -> bytes:
        return await self.reader.read(-1)


def post(path: bytes = b"/v1/echo", body: bytes = b"", *headers: bytes, version: bytes = b"1.1") -> bytes:
    """A request with a content-length. `headers` are lines without their end."""
    lines = (b"POST %b HTTP/%b" % (path, version), b"host: test", *headers, b"content-length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)


def chunked(body: list[bytes], *headers: bytes, path: bytes = b"/v1/echo", trailers: tuple[bytes, ...] = ()) -> bytes:
    head = b"\r\n".join((b"POST %b HTTP/1.1" % path, b"host: test", b"transfer-encoding: chunked", *headers, b"", b""))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body)
    return head + chunks + b"\r\n".join((b"0", *trailers, b"", b""))
