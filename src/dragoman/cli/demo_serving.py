"""Runs the demo server until a signal says to stop. `demo_upstream` has the options."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import click

from dragoman.cli.demo_server import DemoServer
from dragoman.core.errors import ConfigurationError
from dragoman.providers.demo import Settings
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import changed


def run(written: dict[str, Any], host: str, port: int, require_key: str | None) -> None:
    """`written`: the settings that were given, by name. Raises ConfigurationError for a bad one, or a port that is taken."""
    server = DemoServer(_settings(written), host=host, port=port, require_key=require_key)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, f"{host}:{port}"))


def _settings(written: dict[str, Any]) -> Settings:
    try:
        return changed(Settings(), written)
    except Refusal as refusal:
        raise ConfigurationError(refusal.message) from None


async def _serve(server: DemoServer, address: str) -> None:
    """Until a signal says to stop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await server.start()
    except (OSError, socket.gaierror) as error:
        raise ConfigurationError(f"cannot listen on {address}: {error.strerror or error}; choose another --port") from None
    try:
        click.echo(f"dragoman demo-upstream listens on {server.url} (OpenAI: {server.url}/v1, Anthropic: {server.url})")
        await stopping.wait()
    finally:
        await server.stop()


def _loop_factory() -> Any:
    """The loop of uvloop, where that is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
