"""The command `dragoman demo-upstream`: the demo provider over HTTP, for tests, benchmarks, users' CI and fault drills.

It prints one line with its address when it is ready, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Annotated, Any

import typer

from dragoman.cli.demo_server import DemoServer
from dragoman.core.errors import ConfigurationError
from dragoman.providers.demo import Settings
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import FAULTS, changed


def demo_upstream(  # noqa: PLR0917 - typer reads the options from the parameters
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 picks a free one.")] = 8090,
    require_key: Annotated[str | None, typer.Option(help="Answer 401 to every other key. Without it any key will do.")] = None,
    latency: Annotated[float | None, typer.Option(help="Milliseconds before every answer.")] = None,
    tokens_per_second: Annotated[float | None, typer.Option(help="The pace of the answers.")] = None,
    chunk: Annotated[int | None, typer.Option(help="Tokens in a streamed piece (1).")] = None,
    length: Annotated[int | None, typer.Option(help="Answer with so many words, whatever is asked.")] = None,
    fail: Annotated[str | None, typer.Option(help=f"How requests fail: {', '.join(FAULTS)}.")] = None,
    fail_rate: Annotated[float | None, typer.Option(help="The share of requests that fail, 0 to 1 (1).")] = None,
    fail_after: Annotated[int | None, typer.Option(help="Pieces before a cut, stall, garbage or error_event (half).")] = None,
    retry_after: Annotated[float | None, typer.Option(help="Seconds in the header retry-after of failing answers.")] = None,
) -> None:
    """Serve the demo provider over HTTP: a deterministic stand-in for OpenAI and Anthropic that fails on demand.

    Models: echo, canned, tools, json, reason, embed, image. Every parameter can be set for one request too, in the model's
    name (demo/echo?latency=200&fail=cut) or in a field of the body ({"demo": {"latency": 200}}). GET /demo/stats counts
    requests, POST /demo/reset begins anew.
    """
    written = {
        "latency": latency,
        "tokens_per_second": tokens_per_second,
        "chunk": chunk,
        "length": length,
        "fail": fail,
        "fail_rate": fail_rate,
        "fail_after": fail_after,
        "retry_after": retry_after,
    }
    settings = _settings({name: value for name, value in written.items() if value is not None})
    server = DemoServer(settings, host=host, port=port, require_key=require_key)
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
        typer.echo(f"dragoman demo-upstream listens on {server.url} (OpenAI: {server.url}/v1, Anthropic: {server.url})")
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
