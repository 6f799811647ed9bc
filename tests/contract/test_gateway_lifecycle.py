"""The gateway as a process: how it begins, how it ends, and what becomes of streams that are open then."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.gated_upstream import Asked, GatedUpstream, gated_upstream
from support.gateway import RunningGateway, gateway
from support.rawclient import parse_responses
from support.requests import ask, chat, connected, ends_cleanly, events_of, read_to_end, read_until, request_bytes, until

DIALECTS = ["openai", "anthropic"]
BEGIN = b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "first"}}]}\n\n'
MORE = b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "second"}}]}\n\n'
END = b'data: {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(scope="module")
def upstream() -> Iterator[GatedUpstream]:
    with gated_upstream() as running:
        yield running


@contextmanager
def serving(upstream: GatedUpstream, log: Path, drain_seconds: int = 60) -> Iterator[RunningGateway]:
    config = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: sk-upstream}}]\n"
    with gateway(config + f"server: {{drain_seconds: {drain_seconds}}}\n", log=log) as running:
        yield running


def opened(running: RunningGateway, upstream: GatedUpstream, dialect: str, stack: ExitStack) -> tuple[socket.socket, Asked]:
    """A stream whose first piece has come."""
    connection = stack.enter_context(connected(running.address, request_bytes(dialect, chat("m", stream=True))))
    asked = upstream.next()
    asked.begin()
    asked.write(BEGIN)
    read_until(connection, b"first")
    return connection, asked


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_hangup_ends_nothing_and_says_how_to_reload(upstream: GatedUpstream, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(upstream, log) as running, ExitStack() as stack:
        connection, asked = opened(running, upstream, "openai", stack)
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP is ignored" in log.read_text())
        asked.write(END)
        asked.end()
        read_until(connection, b"0\r\n\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_are_finished_when_it_is_told_to_stop(
    upstream: GatedUpstream, tmp_path: Path, number: signal.Signals
) -> None:
    with serving(upstream, tmp_path / "log") as running, ExitStack() as stack:
        streams = [opened(running, upstream, dialect, stack) for dialect in DIALECTS]
        idle = stack.enter_context(connected(running.address))
        running.process.send_signal(number)
        until(lambda: refuses(running.address))
        assert idle.recv(1) == b"", "who was not being answered is let go"
        for connection, asked in streams:
            asked.write(MORE)
            read_until(connection, b"second")
            assert running.process.poll() is None
        for connection, asked in streams:
            asked.write(END)
            asked.end()
            rest = read_to_end(connection)
            assert rest.endswith(b"0\r\n\r\n")
            assert b"[DONE]" in rest or b"message_stop" in rest
        assert running.process.wait(60) == 0
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(("signals", "drain_seconds"), [(2, 60), (1, 1)], ids=["told twice", "out of patience"])
def test_streams_are_broken_off_and_never_finished_when_it_may_not_wait(
    upstream: GatedUpstream, tmp_path: Path, signals: int, drain_seconds: int
) -> None:
    with serving(upstream, tmp_path / "log", drain_seconds) as running, ExitStack() as stack:
        streams = [opened(running, upstream, dialect, stack) for dialect in DIALECTS]
        for _ in range(signals):
            running.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(running.address))
        for connection, asked in streams:
            rest = read_to_end(connection)
            assert not rest.endswith(b"0\r\n\r\n")
            assert not ends_cleanly(events_of(rest))
            asked.wait_until_gone()
        assert running.process.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_killed_it_leaves_nothing_behind(upstream: GatedUpstream, tmp_path: Path) -> None:
    with serving(upstream, tmp_path / "log") as running, ExitStack() as stack:
        connection, asked = opened(running, upstream, "openai", stack)
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        assert not children.exists() or children.read_text() == ""
        running.process.kill()
        assert not read_to_end(connection).endswith(b"0\r\n\r\n")
        asked.wait_until_gone()
        running.process.wait(60)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(running.address)


def test_a_connection_is_taken_as_soon_as_the_address_is_told(upstream: GatedUpstream, tmp_path: Path) -> None:
    with serving(upstream, tmp_path / "log") as running:
        request = b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        with connected(running.address, request) as connection:
            (answer,) = parse_responses(read_to_end(connection))
        assert answer.status == 200
        assert answer.body == b'{"status":"ready","models":1}'
        assert ask(running.url, "openai", chat("nobody")).status_code == 404


def test_an_open_door_is_warned_of(upstream: GatedUpstream, tmp_path: Path) -> None:
    config = f"models: [{{name: m, model: openai/m, api_base: '{upstream.url}/v1', api_key: sk-upstream}}]\n"
    for settings, warned in (("host: 0.0.0.0", True), ("host: 0.0.0.0, api_key: sk-x", False)):
        with gateway(config + f"server: {{{settings}}}\n", log=tmp_path / "log"):
            pass
        assert ("set server.api_key" in (tmp_path / "log").read_text()) is warned
