"""CPU time of the HTTP transports alone: microseconds of this process per request and per streamed chunk.

    python bench/fast_client.py [--requests 20000] [--loop uvloop|asyncio]

A trivial upstream runs in a process of its own; its CPU does not count. Rounds are interleaved and the median is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import httpx2

from dragoman.core.http import HttpRequest, Timeouts
from dragoman.transport.fast import FastTransport
from dragoman.transport.http import HttpTransport
from dragoman.transport.http_async import HttpAsyncTransport

CHUNKS = 150
EVENT = b"data: " + b"x" * 274 + b"\n\n"
ANSWER = json.dumps({"object": "chat.completion", "content": "y" * 715}).encode()
HEADERS = (
    b"date: Tue, 24 Nov 2026 06:00:00 GMT\r\nserver: upstream\r\nx-request-id: req_0123456789abcdef\r\n"
    b"openai-processing-ms: 12\r\nx-ratelimit-remaining-requests: 9999\r\ncache-control: no-store\r\n"
)
WHOLE = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (HEADERS, len(ANSWER), ANSWER)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\n%bcontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" % HEADERS
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "z" * 890}]}).encode()
PAUSE = 0.002


class Upstream(asyncio.Protocol):
    """Answers a request of known size, whatever it says: `/stream` with CHUNKS paced writes, all else whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(BODY):
            return
        if self.buffer.startswith(b"POST /stream"):
            self.transport.write(STREAM_HEAD)
            asyncio.get_running_loop().call_later(PAUSE, self.push, CHUNKS)
        else:
            self.transport.write(WHOLE)
        self.buffer = b""

    def push(self, left: int) -> None:
        if not left:
            self.transport.write(b"0\r\n\r\n")
            return
        self.transport.write(CHUNK)
        asyncio.get_running_loop().call_later(PAUSE, self.push, left - 1)


def run_upstream(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    runner("uvloop")(serve())


def runner(name: str) -> Callable[[Awaitable[None]], None]:
    if name == "asyncio":
        return asyncio.run
    import uvloop  # noqa: PLC0415 - optional

    return uvloop.run


class Bare:
    """httpx2 as a program would use it, for comparison."""

    def __init__(self) -> None:
        self.client = httpx2.AsyncClient()

    async def send(self, request: HttpRequest, _: Timeouts) -> None:
        await self.client.post(request.url, content=request.body, headers=request.headers)

    async def aclose(self) -> None:
        await self.client.aclose()


async def plain(transport: object, request: HttpRequest, requests: int, concurrency: int) -> float:
    """Microseconds of CPU for each request."""

    async def one_after_another(count: int) -> None:
        for _ in range(count):
            await transport.send(request, Timeouts())

    await asyncio.gather(*(one_after_another(20) for _ in range(concurrency)))
    began = time.process_time()
    await asyncio.gather(*(one_after_another(requests // concurrency) for _ in range(concurrency)))
    return (time.process_time() - began) / (requests // concurrency * concurrency) * 1e6


async def blocking(send: Callable[[], object], requests: int) -> float:
    """The same for calls that block, one at a time."""
    for _ in range(20):
        send()
    began = time.process_time()
    for _ in range(requests):
        send()
    return (time.process_time() - began) / requests * 1e6


async def streamed(transport: object, request: HttpRequest, streams: int) -> float:
    """Microseconds of CPU for each chunk, the start of the stream included."""
    sizes: list[int] = []

    async def one() -> None:
        stream = await transport.stream(request, Timeouts())
        before = len(sizes)
        if hasattr(stream, "relay"):
            await stream.relay(lambda piece: sizes.append(len(piece)))
        else:
            while piece := await stream.read():
                sizes.append(len(piece))
        await stream.aclose()
        if len(sizes) == before:
            raise RuntimeError("a stream was empty")

    began = time.process_time()
    await asyncio.gather(*(one() for _ in range(streams)))
    spent = time.process_time() - began
    if sum(sizes) != streams * CHUNKS * len(EVENT):
        raise RuntimeError("a stream was not whole")
    return spent / (streams * CHUNKS) * 1e6


async def measure(port: int, requests: int, rounds: int) -> None:
    headers = (("content-type", "application/json"), ("authorization", "Bearer sk-0123456789"), ("user-agent", "bench"))
    whole, stream = (
        HttpRequest(method="POST", url=f"http://127.0.0.1:{port}/{path}", headers=headers, body=BODY)
        for path in ("whole", "stream")
    )
    fast, http_async, bare = FastTransport(), HttpAsyncTransport(), Bare()
    http_sync, bare_sync = HttpTransport(), httpx2.Client()
    few = max(1000, requests // 10)
    cases: dict[str, Callable[[], Awaitable[float]]] = {
        "fast, 1 at a time": lambda: plain(fast, whole, requests, 1),
        "fast, 32 at a time": lambda: plain(fast, whole, requests, 32),
        "httpx2 transport, 1 at a time": lambda: plain(http_async, whole, few, 1),
        "httpx2 transport, 32 at a time": lambda: plain(http_async, whole, few, 32),
        "httpx2 bare, 1 at a time": lambda: plain(bare, whole, few, 1),
        "httpx2 bare, 32 at a time": lambda: plain(bare, whole, few, 32),
        "httpx2 sync transport": lambda: blocking(lambda: http_sync.send(whole, Timeouts()), few),
        "httpx2 sync bare": lambda: blocking(lambda: bare_sync.post(whole.url, content=BODY, headers=headers), few),
        "fast relay, 100 streams (per chunk)": lambda: streamed(fast, stream, 100),
        "httpx2 read, 20 streams (per chunk)": lambda: streamed(http_async, stream, 20),
    }
    results: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            results[name].append(await case())
    for name, figures in results.items():
        print(f"{name:40} {statistics.median(figures):8.1f} us  ({min(figures):.1f} - {max(figures):.1f})")
    await asyncio.gather(fast.aclose(), http_async.aclose(), bare.aclose())
    http_sync.close()
    bare_sync.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    chosen = options.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_upstream, args=(theirs,), daemon=True)
    process.start()
    try:
        runner(chosen.loop)(measure(ours.recv(), chosen.requests, chosen.rounds))
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
