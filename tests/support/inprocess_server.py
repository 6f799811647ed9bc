"""A real uvicorn server with the gateway's protocol class, inside the test's own event loop, on a free port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import uvloop

from dragoman.gateway.protocol import make_protocol
from dragoman.gateway.serving import Limits, Routes
from support.fake_connection import asgi_echo

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class RunningServer:
    def __init__(self, server: uvicorn.Server, port: int, task: asyncio.Task[None]) -> None:
        self.server = server
        self.port = port
        self.task = task

    async def stop(self) -> None:
        """As SIGTERM does: wait until running requests are answered, or uvicorn's patience is over."""
        self.server.should_exit = True
        await self.task


@asynccontextmanager
async def serving(
    routes: Routes | None, limits: Limits | None = None, app: Any = asgi_echo, **settings: Any
) -> AsyncIterator[RunningServer]:
    """`routes` None: uvicorn's own protocol, for ASGI apps."""
    http = "httptools" if routes is None else make_protocol(routes, limits or Limits())
    defaults = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none", "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(app, http=http, **(defaults | settings)))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, not an event
            await asyncio.sleep(0)
        running = RunningServer(server, port, task)
        try:
            yield running
        finally:
            await running.stop()


def run(scenario: Callable[[], Coroutine[Any, Any, Any]], loop: str = "asyncio") -> Any:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(scenario())
