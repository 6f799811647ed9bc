"""The gateway's hot path with no sockets: the real protocol objects of both sides on fake transports, N times.

    python bench/sansio.py plain|stream|large|governed N

`governed` is `plain` asked with a virtual key that has a budget and two limits, each call going to the ledger's journal.

Everything between the two wires runs: llhttp, our server protocol, the pipeline, the engine, our client's connection. It
is what `instructions.py` counts, and what a profiler is best pointed at.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from payloads import BODIES, MODEL, answer, stream_pieces
from uvicorn.server import ServerState

from dragoman.gateway.admission import Admission
from dragoman.gateway.app import Gateway, assemble
from dragoman.gateway.config import read
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.budgets import Budget
from dragoman.gateway.governance.governance import Governance, Policy
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.protocol import make_protocol
from dragoman.gateway.store.base import Change
from dragoman.gateway.store.journal import FileJournal
from dragoman.gateway.store.memory import MemoryStore
from dragoman.transport.by_scheme import AsyncSchemeTransport
from dragoman.transport.fast import FastTransport

CONFIG = f"metrics: {{enabled: false}}\nmodels:\n  - {{name: {MODEL}, model: openai/{MODEL}, api_key: k, api_base: 'http://127.0.0.1:9/v1'}}\n"
PORT = 9
KEY = b"sk-bench-0123456789abcdef"


class FakeTransport(asyncio.Transport):
    """Takes writes and tells `written`; reads are whatever is fed to the protocol."""

    def __init__(self, written: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", PORT)})
        self.written = written

    def write(self, data: bytes) -> None:
        self.written(data)

    def writelines(self, data: Any) -> None:
        self.written(b"".join(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class Loop(asyncio.SelectorEventLoop):
    """Connects to an upstream that is a list of pieces: each is one read, all of them follow a request at once."""

    pieces: list[bytes]

    def time(self) -> float:
        """Stands still: timers that fire or not by the speed of the machine would blur the count."""
        return 1000.0

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:
        protocol = factory()
        transport = FakeTransport(lambda data: self._reply(protocol, data))
        protocol.connection_made(transport)
        return transport, protocol

    def _reply(self, protocol: Any, data: bytes) -> None:
        """A request ends with its body, which may come in a write of its own."""
        if data.endswith(b"}"):
            for piece in self.pieces:
                self.call_soon(protocol.data_received, piece)


def http_request(body: bytes) -> bytes:
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:4000\r\naccept: application/json\r\n"
        b"accept-encoding: identity\r\n"
        b"authorization: Bearer " + KEY + b"\r\nuser-agent: bench/1\r\nx-trace: 0123456789abcdef\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
    )
    return head % len(body) + body


@asynccontextmanager
async def governed(gateway: Gateway) -> AsyncIterator[None]:
    """The bench's key, with a budget and limits that never end. What ends is forgotten, as if it were shipped."""
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryStore()
        limits = (Limit(kind="requests", amount=10**9), Limit(kind="tokens", amount=10**12))
        scope = Scope(kind="key", id="bench", budgets=(Budget(nano=10**15, span="1d"),), limits=limits)
        await store.create(scope, Change(at=0.0, actor="bench", action="create", kind="key", id="bench"), keys.digest(KEY))
        journal = FileJournal(Path(folder), "bench")
        governance = Governance(store, journal, worker="bench", policy=Policy(unpriced="allow"))
        gateway.routes["POST", b"/v1/chat/completions"].handler.pipeline.admission = Admission(governance)
        await governance.load({b"authorization": b"Bearer " + KEY}.get, "bench", time.time())
        yield
        journal.shipped([row.id for row in governance.ended])
        journal.close()


async def run(mode: str, count: int) -> None:
    config, policy = read(CONFIG, file="bench", env={})
    fast = FastTransport()
    gateway = assemble(config, policy, AsyncSchemeTransport({"http": fast}))
    if mode == "governed":
        async with governed(gateway):
            await serve("plain", count, gateway, fast)
    else:
        await serve(mode, count, gateway, fast)


async def serve(mode: str, count: int, gateway: Gateway, fast: FastTransport) -> None:
    protocol_class = make_protocol(gateway.routes, gateway.limits)
    settings = uvicorn.Config(gateway.app, http=protocol_class, lifespan="off", log_level="error", access_log=False)
    settings.load()
    state = ServerState()
    protocol = settings.http_protocol_class(config=settings, server_state=state, app_state={})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.pieces = stream_pieces(50) if mode == "stream" else [answer()]
    end = b"0\r\n\r\n" if mode == "stream" else b"}"
    request = http_request(BODIES[mode])
    done = asyncio.Event()
    seen = 0

    def written(data: bytes) -> None:
        nonlocal seen
        if data.endswith(end):
            seen += 1
            if seen < count:
                loop.call_soon(protocol.data_received, request)
            else:
                done.set()

    protocol.connection_made(FakeTransport(written))
    if count:
        protocol.data_received(request)
        await done.wait()
    protocol.connection_lost(None)
    await fast_closed(fast)


async def fast_closed(fast: FastTransport) -> None:
    """The fake transports never lose their connections, so closing is told to forget them."""
    for pool in fast._pools.values():
        pool._open.clear()
    await fast.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run(sys.argv[1], int(sys.argv[2])))
