"""`dragoman serve`: in this process, or with several workers under a supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from tempfile import TemporaryDirectory

import click

from dragoman.gateway.app import build
from dragoman.gateway.observing.logs import set_up
from dragoman.gateway.observing.observing import secrets
from dragoman.gateway.observing.worker_files import VARIABLE
from dragoman.gateway.server import bind, server, url
from dragoman.gateway.workers import Supervisor, advice, run_worker

logger = logging.getLogger("dragoman.gateway")


def run(config: str | None, *, host: str | None, port: int | None, workers: int | None) -> None:
    """Listen, say where, and serve until told to stop. `workers`: None for what the configuration says.

    One worker that was asked for has a supervisor too, and with it the reload.
    """
    gateway = build(config)
    running = server(gateway, host=host, port=port)
    set_up(gateway.config.logs, secrets(gateway.config, gateway.policy))
    listening = bind(running)
    number = workers or gateway.config.server.workers
    address = url(listening, tls=gateway.config.server.ssl_certfile is not None)
    by = f" by {number} workers" if number > 1 else ""

    def tell() -> None:
        click.echo(f"dragoman serves {len(gateway.policy.names)} models at {address}/v1{by} (stop with Ctrl-C)")

    if number == 1 and workers is None:
        running.ready = tell
        _keep_on_hangup()
        running.run(sockets=[listening])
        return
    tell()
    for note in advice(gateway.config, gateway.policy, number):
        click.echo(f"note: {note}", err=True)
    command = [sys.executable, "-m", "dragoman", "serve", *(["--config", config] if config else [])]
    with TemporaryDirectory(prefix="dragoman-") as folder:
        os.environ.setdefault(VARIABLE, folder)
        status = asyncio.run(Supervisor(command, listening, number).run())
    if status:
        sys.exit(status)


def _keep_on_hangup() -> None:
    """Without a supervisor nothing can be reloaded; to end for being asked to would cut what is open."""
    if hasattr(signal, "SIGHUP") and not sys.stdin.isatty():

        def told(*_: object) -> None:
            logger.warning("SIGHUP is ignored: a gateway that was started with --workers (1 will do) reloads its configuration")

        signal.signal(signal.SIGHUP, told)


def run_as_worker(config: str | None, descriptor: int) -> None:
    gateway = build(config)
    running = server(gateway)
    set_up(gateway.config.logs, secrets(gateway.config, gateway.policy))
    run_worker(running, descriptor)
