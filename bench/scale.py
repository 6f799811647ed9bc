"""What does not show at one request at a time: memory of open streams, and the cost of a virtual key among very many.

    python bench/scale.py streams [--count 9000]     KB that one open stream holds in the gateway, relayed and rewritten
    python bench/scale.py keys [--count 1000000]     microseconds to find a key that is in memory, and one that is not

Each stream has shown its first event and is then silent. Both ends of it are sockets of the gateway, so a limit of 20,000 open
files allows for about 9,900. The keys are rows of SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from process_tree import resident_bytes
from sqlalchemy import insert

from dragoman.gateway.governance import keys
from dragoman.gateway.governance.governance import Governance
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store import schema, sql

GATEWAY, UPSTREAM = 9121, 9122
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None}],
}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PATHS = {"relayed": "/v1/chat/completions", "rewritten": "/v1/messages"}
AT_ONCE = 200
BATCH = 10_000


async def silent_upstream() -> None:
    """Answers each request with one event, and then nothing more."""
    event = f"data: {json.dumps(CHUNK)}\n\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(length)
        writer.write(HEAD + b"%x\r\n%b\r\n" % (len(event), event))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", UPSTREAM, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


async def open_streams(path: str, count: int) -> list[asyncio.StreamWriter]:
    """So many streams whose first event has come."""
    said = {"model": "m", "stream": True, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
    body = json.dumps(said).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> asyncio.StreamWriter:
        async with turn:
            reader, writer = await asyncio.open_connection("127.0.0.1", GATEWAY)
            writer.write(head.encode() + body)
            while b"hello" not in await reader.readline():
                pass
            return writer

    return await asyncio.gather(*(one() for _ in range(count)))


def started(command: list[str], stack: ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()
    return process


async def measured(pid: int, path: str, count: int) -> dict[str, float]:
    before = resident_bytes(pid)
    streams = await open_streams(path, count)
    held = resident_bytes(pid) - before
    for stream in streams:
        stream.transport.abort()
    return {"streams": count, "kb_per_stream": round(held / count / 1024, 2), "mb": round(held / 1e6, 1)}


def measure_streams(count: int) -> None:
    for name, path in PATHS.items():
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            config = Path(folder) / "dragoman.yaml"
            model = f"{{name: m, model: openai/m, api_base: 'http://127.0.0.1:{UPSTREAM}/v1', api_key: k}}"
            config.write_text(f"models: [{model}]\nserver: {{port: {GATEWAY}}}\n")
            started([sys.executable, __file__, "upstream"], stack)
            gateway = started([str(Path(sys.executable).with_name("dragoman")), "serve", "-c", str(config)], stack)
            asyncio.run(open_streams(path, 1))
            print(f"{name}: {json.dumps(asyncio.run(measured(gateway.pid, path, count)))}", flush=True)


# ------------------------------------------------------------------------------------------------------------------- keys
class NoJournal:
    def append(self, row: object) -> None: ...


async def filled(path: Path, count: int) -> tuple[sql.SqlStore, list[str]]:
    """A store with so many keys, and their texts."""
    store = await sql.open_store(f"sqlite:///{path}")
    texts = [keys.generate(secrets.token_bytes(keys.RANDOM_BYTES)) for _ in range(count)]
    for begin in range(0, count, BATCH):
        batch = range(begin, min(count, begin + BATCH))
        async with store.writing() as connection:
            await connection.execute(insert(schema.scopes), [sql._columns(_key(number)) for number in batch])
            rows = [{"digest": keys.digest(texts[number].encode()), "key": _key(number).id, "until": None} for number in batch]
            await connection.execute(insert(schema.key_hashes), rows)
    return store, texts


def _key(number: int) -> Scope:
    return Scope(kind="key", id=f"key-{number}", created=float(number))


async def measure_keys(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, texts = await filled(Path(folder) / "keys.db", count)
        governance = Governance(store, NoJournal(), worker="bench")
        probes = [texts[number * (count // 2000)] for number in range(min(2000, count))]
        cold = [await _timed(governance, text) for text in probes]
        warm = [_timed_warm(governance, text) for text in probes]
        await store.close()
        found = {"keys": count, "in_memory_us": round(median(warm), 2), "out_of_sqlite_us": round(median(cold), 1)}
        print(f"keys: {json.dumps(found)}")


async def _timed(governance: Governance, text: str) -> float:
    began = time.perf_counter()
    await governance.load({b"authorization": b"Bearer " + text.encode()}.get, "bench", time.time())
    return (time.perf_counter() - began) * 1e6


def _timed_warm(governance: Governance, text: str) -> float:
    header, now = {b"authorization": b"Bearer " + text.encode()}.get, time.time()
    began = time.perf_counter()
    assert governance.identify(header, now) is not None
    return (time.perf_counter() - began) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("streams", "keys", "upstream"))
    parser.add_argument("--count", type=int)
    chosen = parser.parse_args()
    if chosen.what == "streams":
        measure_streams(chosen.count or 9000)
    elif chosen.what == "keys":
        asyncio.run(measure_keys(chosen.count or 1_000_000))
    else:
        asyncio.run(silent_upstream())


if __name__ == "__main__":
    main()
