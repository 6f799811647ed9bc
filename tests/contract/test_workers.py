"""Several workers behind one socket: a dead one is replaced, a stop lets answers finish, a reload turns nobody away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.demo_server import RunningDemo
from support.gated_upstream import Asked, GatedUpstream, gated_upstream
from support.gateway import RunningGateway, gateway, workers_of
from support.requests import ask, chat, client, connected, read_to_end, read_until, request_bytes, text_of, until
from support.valkey import valkey_server

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the workers in")

MASTER = "sk-master-of-this-test"
PIECE = b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "first"}}]}\n\n'
END = b'data: {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture(scope="module")
def upstream() -> Iterator[GatedUpstream]:
    with gated_upstream() as running:
        yield running


def begun(served: RunningGateway, upstream: GatedUpstream, stack: ExitStack) -> tuple[socket.socket, Asked]:
    """A stream whose first piece has come."""
    connection = stack.enter_context(connected(served.address, request_bytes("openai", chat("m", stream=True))))
    asked = upstream.next()
    asked.begin()
    asked.write(PIECE)
    read_until(connection, b"first")
    return connection, asked


def finished(connection: socket.socket, asked: Asked) -> None:
    """It comes to its good end."""
    asked.write(END)
    asked.end()
    assert read_to_end(connection).endswith(b"0\r\n\r\n")


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(demo: RunningDemo, tmp_path: Path) -> None:
    config = f"models: [{{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served:
        before = until(lambda: len(now := ready(served)) == 2 and now)
        os.kill(min(before), signal.SIGKILL)
        after = until(lambda: (now := workers_of(served)) != before and len(now) == 2 and now)
        assert len(after & before) == 1
        assert text_of("openai", ask(served.url, "openai", chat("echo"))) == "hello there, gateway"
    assert "another takes its place" in (tmp_path / "log").read_text()


def test_open_streams_are_finished_when_it_is_told_to_stop(upstream: GatedUpstream, tmp_path: Path) -> None:
    config = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served, ExitStack() as stack:
        connection, asked = begun(served, upstream, stack)
        until(lambda: len(workers_of(served)) == 2)
        served.process.send_signal(signal.SIGTERM)
        until(lambda: len(workers_of(served)) == 1)
        finished(connection, asked)
        assert served.process.wait(60) == 0
    assert (tmp_path / "log").read_text() == ""


def test_a_reload_serves_what_is_new_and_turns_nobody_away(demo: RunningDemo, tmp_path: Path) -> None:
    entry = f"{{name: NAME, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}"
    config = f"models: [{entry.replace('NAME', 'old')}]\nserver: {{workers: 2}}"
    stop, failed = threading.Event(), []

    def load(served: RunningGateway) -> None:
        while not stop.is_set():
            answer = ask(served.url, "openai", chat("old"))
            if answer.status_code not in (200, 404):
                failed.append(answer.status_code)

    with gateway(config, log=tmp_path / "log") as served, ThreadPoolExecutor(2) as threads, ExitStack() as stack:
        stack.callback(stop.set)
        before = until(lambda: len(now := workers_of(served)) == 2 and now)
        running = [threads.submit(load, served) for _ in range(2)]
        served.config.write_text(config.replace("old", "new"))
        served.process.send_signal(signal.SIGHUP)
        until(lambda: not workers_of(served) & before)
        assert ask(served.url, "openai", chat("new")).status_code == 200
        stop.set()
        for each in running:
            each.result(60)
    assert failed == []
    assert (tmp_path / "log").read_text() == ""


def ready(served: RunningGateway) -> set[int]:
    """The workers that have told that they serve: from then on they write where errors go."""

    def output(pid: int) -> str:
        try:
            return str(Path(f"/proc/{pid}/fd/1").readlink())
        except FileNotFoundError:  # it has ended since it was listed
            return "pipe:"

    return {pid for pid in workers_of(served) if not output(pid).startswith("pipe:")}


def test_a_bad_new_configuration_leaves_the_old_one_serving(demo: RunningDemo, tmp_path: Path) -> None:
    config = f"models: [{{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served:
        until(lambda: len(ready(served)) == 2)
        served.config.write_text("models: [")
        served.process.send_signal(signal.SIGHUP)
        until(lambda: "does not serve" in (tmp_path / "log").read_text())
        assert ask(served.url, "openai", chat("echo")).status_code == 200


def test_a_stop_amid_a_reload_lets_answers_finish(upstream: GatedUpstream, tmp_path: Path) -> None:
    config = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served, ExitStack() as stack:
        connection, asked = begun(served, upstream, stack)
        before = until(lambda: len(now := ready(served)) == 2 and now)
        served.process.send_signal(signal.SIGHUP)
        until(lambda: workers_of(served) - before)
        served.process.send_signal(signal.SIGTERM)
        until(lambda: len(workers_of(served)) == 1)
        finished(connection, asked)
        assert served.process.wait(60) == 0
    assert (tmp_path / "log").read_text() == ""


def test_a_stop_waits_for_a_worker_that_a_reload_has_replaced(upstream: GatedUpstream, tmp_path: Path) -> None:
    config = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served, ExitStack() as stack:
        connection, asked = begun(served, upstream, stack)
        before = until(lambda: len(now := ready(served)) == 2 and now)
        served.process.send_signal(signal.SIGHUP)
        until(lambda: len(ready(served) - before) == 2 and len(workers_of(served) & before) == 1)
        (replaced,) = workers_of(served) & before
        served.process.send_signal(signal.SIGTERM)
        until(lambda: workers_of(served) == {replaced})
        with pytest.raises(subprocess.TimeoutExpired):  # whoever waits for this process would end all others after it
            served.process.wait(1)
        finished(connection, asked)
        assert served.process.wait(60) == 0


def test_workers_stop_when_nobody_looks_after_them(demo: RunningDemo, tmp_path: Path) -> None:
    config = f"models: [{{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}]\nserver: {{workers: 2}}"
    with gateway(config, log=tmp_path / "log") as served:
        assert ask(served.url, "openai", chat("echo")).status_code == 200
        served.process.kill()
        until(lambda: refuses(served.address))


def test_the_limit_of_a_key_is_one_over_four_workers(demo: RunningDemo, tmp_path: Path) -> None:
    """Over fresh connections, so that all workers are asked."""
    with valkey_server() as shared:
        config = f"""
models: [{{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k}}]
server: {{api_key: {MASTER}, workers: 4}}
governance: {{database: 'sqlite:///{tmp_path}/ledger.db', journal: '{tmp_path}/journal'}}
shared: {{url: '{shared}', prefix: {tmp_path.name}}}
"""
        with gateway(config) as served, ThreadPoolExecutor(8) as threads:
            with client(served.url, headers={"authorization": f"Bearer {MASTER}"}) as admin:
                limits = {"limits": [{"kind": "requests", "amount": 60, "time_period": "12mo"}]}
                key = admin.post("/key/generate", json=limits).json()["key"]
            asks = [threads.submit(ask, served.url, "openai", chat("echo"), authorization=f"Bearer {key}") for _ in range(120)]
            statuses = [each.result(60).status_code for each in asks]
    assert (statuses.count(200), statuses.count(429)) == (60, 60)
