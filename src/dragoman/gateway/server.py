"""`dragoman serve`: uvicorn with our protocol class. Sockets, TLS, signals and the graceful stop are uvicorn's."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType

import uvicorn

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.app import Gateway
from dragoman.gateway.protocol import make_protocol

logger = logging.getLogger("dragoman.gateway")

GRACE = 0.25
"""Seconds for the first request of a connection that came just before the end."""


class GatewayServer(uvicorn.Server):
    """uvicorn's, but that a signal which was obeyed is not raised again afterwards: a stop that was asked for is no failure.

    `unguarded`: others than this machine may reach it, and no key is asked for. `ready` is called when it can be asked.
    """

    unguarded = False
    ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.ready is not None:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a signal handler
        """The first signal lets open answers finish, the second does not wait for them."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Who has come may ask; nobody else. When forced, uvicorn leaves what it runs and the app's lifespan as they are."""
        for listening in self.servers:
            listening.close()
        if self.server_state.connections and not self.force_exit:
            await asyncio.sleep(GRACE)
        await super().shutdown(sockets)
        if self.force_exit:
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()


def server(gateway: Gateway, *, host: str | None = None, port: int | None = None) -> GatewayServer:
    """A server that is ready to run. `host` and `port` win over the configuration's. Raises ConfigurationError."""
    settings = gateway.config.server
    config = uvicorn.Config(
        gateway.app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        http=make_protocol(gateway.routes, gateway.limits),
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
    )
    try:
        config.load()
    except OSError as problem:  # of TLS alone; an ssl.SSLError is one too
        files = " and ".join(file for file in (settings.ssl_certfile, settings.ssl_keyfile) if file)
        raise ConfigurationError(f"server.ssl_certfile, server.ssl_keyfile: cannot use {files}: {problem}") from None
    running = GatewayServer(config)
    running.unguarded = settings.api_key is None and not _is_loopback(config.host)
    return running


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def bind(running: GatewayServer) -> socket.socket:
    """A socket that listens before the server runs, so that its port is known and nobody who knows it is refused.

    Raises ConfigurationError.
    """
    host, port = running.config.host, running.config.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family=family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(running.config.backlog)
    except (OSError, OverflowError, UnicodeError) as problem:
        listening.close()
        reason = getattr(problem, "strerror", None) or str(problem)
        raise ConfigurationError(f"cannot listen on {host}:{port}: {reason}; choose another with --host and --port") from None
    listening.set_inheritable(True)
    if running.unguarded:
        logger.warning("Whoever reaches %s may use every model and its key: set server.api_key", host)
    return listening


def url(listening: socket.socket, *, tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"
