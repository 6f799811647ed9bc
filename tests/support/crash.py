"""A gateway under load while its workers are killed: what its upstream counted beside what its ledger says, for each key.

The upstream answers each call with as many tokens as it may have, so that what is held for a call is what it costs: a call
that a kill interrupted is charged what the upstream counted. Used by the test and by `bench/crash.py`, which does it longer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2

from dragoman.gateway.store.base import Filter
from dragoman.gateway.store.shipping import recover
from dragoman.gateway.store.sql import open_store
from support.gateway import RunningGateway, workers_of

MASTER = "sk-master-of-the-crash-test"
NANO_PER_TOKEN = 1_000_000

Disturbance = Callable[[], Awaitable[None]]


@dataclass
class Findings:
    """`seen`: request id -> (key, tokens) of the upstream. `delivered`: ids whose whole answer a client has. `unseen`: calls in
    the ledger that the upstream never got, by how they ended. The rest is empty when nothing is wrong.
    """

    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    interrupted: int = 0
    unseen: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        names = ("lost", "doubled", "wrong", "unbalanced")
        return {name: found for name in names if (found := getattr(self, name))}

    def __str__(self) -> str:
        return (
            f"{len(self.seen)} calls reached the upstream, {len(self.delivered)} were answered whole; "
            f"the ledger has {self.rows} rows, {self.interrupted} of them interrupted; "
            f"never sent: {dict(self.unseen)}; other answers: {dict(self.statuses)}; faults: {self.faults or 'none'}"
        )


class CountingUpstream:
    """OpenAI's chat completions. A call's first message is its id, its `user` the key it was made with."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                body = json.loads(await reader.readexactly(length))
                id_, tokens = body["messages"][0]["content"], body["max_tokens"]
                self._findings.seen[id_] = (body["user"], tokens)
                await (self._stream if body.get("stream") else self._whole)(writer, tokens)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _whole(self, writer: asyncio.StreamWriter, tokens: int) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": "x" * tokens}, "finish_reason": "stop"}
        answer = json.dumps({"id": "1", "model": "m", "choices": [choice], "usage": _usage(tokens)}).encode()
        await asyncio.sleep(0.002)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, tokens: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for part in range(4):
            delta = {"content": "x"} if part < 3 else {}
            choice = {"index": 0, "delta": delta, "finish_reason": None if part < 3 else "stop"}
            await _event(writer, json.dumps({"id": "1", "model": "m", "choices": [choice]}))
            await asyncio.sleep(0.002)
        await _event(writer, json.dumps({"id": "1", "model": "m", "choices": [], "usage": _usage(tokens)}))
        await _event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _event(writer: asyncio.StreamWriter, text: str) -> None:
    data = f"data: {text}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}


class Load:
    """So many lanes ask one after the other, plain and streaming in turn, with the keys in turn, until stopped."""

    def __init__(self, address: tuple[str, int], keys: list[str], findings: Findings) -> None:
        self._address = address
        self._keys = keys
        self._findings = findings
        self._stopping = False

    async def run(self, lanes: int) -> None:
        await asyncio.gather(*(self._lane(number) for number in range(lanes)))

    def stop(self) -> None:
        self._stopping = True

    async def _lane(self, lane: int) -> None:
        number = 0
        while not self._stopping:
            number += 1
            place = (lane + number) % len(self._keys)
            try:
                await self._ask(f"call-{lane}-{number}", place, stream=bool(number % 2))
            except (OSError, asyncio.IncompleteReadError):
                self._findings.statuses["broken off"] += 1
                await asyncio.sleep(0.01)

    async def _ask(self, id_: str, place: int, *, stream: bool) -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": id_}], "max_tokens": 5 + len(id_), "stream": stream}
        content = json.dumps({**body, "user": f"key-{place}"}).encode()
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
                b"authorization: Bearer %b\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
                % (self._keys[place].encode(), id_.encode(), len(content), content)
            )
            answer = await reader.read(-1)
        finally:
            writer.close()
        if answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"0\r\n\r\n" if stream else b"}"):
            self._findings.delivered.add(id_)
        else:
            self._findings.statuses[answer[9:12].decode() or "broken off"] += 1


def gateway_config(upstream: str, database: str, journal: Path, *, workers: int, shared: str | None = None) -> str:
    lines = f"""
models: [{{name: m, model: openai/m, api_base: '{upstream}/v1', api_key: k, input_price: 0, output_price: 1000}}]
server: {{api_key: {MASTER}, workers: {workers}, drain_seconds: 10}}
governance: {{database: '{database}', journal: '{journal}'}}
retries: 0
"""
    return lines + (f"shared: {{url: '{shared}'}}\n" if shared else "")


async def issue(served: RunningGateway, number: int, **terms: Any) -> list[str]:
    """So many keys on these terms."""
    headers = {"authorization": f"Bearer {MASTER}"}
    async with httpx2.AsyncClient(base_url=served.url, headers=headers, timeout=60, trust_env=False) as admin:
        return [(await admin.post("/key/generate", json=terms)).json()["key"] for _ in range(number)]


def kill_a_worker(served: RunningGateway, rng: Random) -> Disturbance:
    """One of those that run now."""

    async def kill() -> None:
        running = sorted(workers_of(served))
        if running:
            os.kill(rng.choice(running), signal.SIGKILL)

    return kill


async def disturbed(load: Load, findings: Findings, plan: list[Disturbance], rng: Random, lanes: int = 12) -> None:
    """Each disturbance comes after a random number of calls, so at no instant in particular."""
    running = asyncio.create_task(load.run(lanes))
    for disturb in plan:
        target = len(findings.seen) + rng.randrange(5, 80)
        while len(findings.seen) < target and not running.done():  # noqa: ASYNC110 - the upstream counts, nobody tells
            await asyncio.sleep(0.001)
        await disturb()
    target = len(findings.delivered) + 50
    while len(findings.delivered) < target and not running.done():  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    load.stop()
    await running


async def compare(findings: Findings, database: str, journal: Path) -> None:
    """Fill in what the ledger says, with what the last worker may have left."""
    store = await open_store(database)
    try:
        await recover(store, journal, 2_000_000_000.0)
        rows = await store.rows(Filter(), limit=10**9, offset=0)
        problems = await store.verify()
    finally:
        await store.close()
    findings.rows = len(rows)
    findings.interrupted = sum(row.outcome == "interrupted" for row in rows)
    times = Counter(row.request_id for row in rows)
    findings.lost = sorted(findings.seen.keys() - times.keys())
    findings.doubled = sorted(id_ for id_, number in times.items() if number > 1)
    findings.unseen = Counter(row.outcome for row in rows if row.request_id not in findings.seen)
    sums: dict[str, list[int]] = {}
    for row in rows:
        if row.request_id in findings.seen:
            user, tokens = findings.seen[row.request_id]
            both = sums.setdefault(user, [0, 0])
            both[0] += row.charged
            both[1] += tokens * NANO_PER_TOKEN
            findings.wrong += _wrong(row, tokens, delivered=row.request_id in findings.delivered)
    different = [(user, ours, theirs) for user, (ours, theirs) in sums.items() if ours != theirs]
    findings.unbalanced = [f"{user}: ledger {ours}, upstream {theirs}" for user, ours, theirs in different]
    findings.unbalanced += [f"{problem.key}: {problem.counter} is not {problem.ledger}" for problem in problems]


def _wrong(row: Any, tokens: int, *, delivered: bool) -> list[str]:
    if row.outcome == "success" and (row.usage is None or row.usage.output_tokens != tokens):
        return [f"{row.request_id}: {row.usage} where the upstream counted {tokens}"]
    if delivered and row.outcome != "success":
        return [f"{row.request_id}: the client has all of it, and the ledger calls it {row.outcome}"]
    return []
