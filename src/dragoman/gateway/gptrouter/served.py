"""GPTRouter's face in a running gateway: made when it is first asked for, or with the server where the configuration names it.

Without a `gptrouter` in the configuration nothing here is imported before the first request, prompts and health live as long
as the process, and health begins with that request. With one, health is told of the calls of all faces from the start.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from dragoman.gateway.late_routes import LateRoutes
from dragoman.gateway.serving import Route, Routes

if TYPE_CHECKING:
    from dragoman.engine.call import CallOptions
    from dragoman.gateway.config import Config
    from dragoman.gateway.gptrouter.parts import Parts
    from dragoman.gateway.pipeline import Pipeline

logger = logging.getLogger("dragoman.gateway")

_BASES = (b"/api/v1", b"//api/v1", b"/api/api/v1")
KEYS = (
    ("GET", b"/healthcheck"),
    ("GET", b"/api/openapi.json"),
    *((method, base + b"/*") for base in _BASES for method in ("GET", "POST", "PUT", "DELETE")),
)
"""What the face answers, configured or not."""
SAVED_EVERY = 15.0
"""Seconds between two looks at what is to be saved, and at who is to be probed."""


class Served:
    """`start` and `stop` are called once, on the server's loop."""

    def __init__(self, config: Config, pipeline: Pipeline, options: CallOptions) -> None:
        self._config = config
        self._pipeline = pipeline
        self._options = options
        self._task: asyncio.Task[None] | None = None

    @cached_property
    def _parts(self) -> Parts:
        """Raises ConfigurationError when a file cannot be used."""
        from dragoman.gateway.gptrouter.entry import GPTRouterEntry  # noqa: PLC0415 - 3 MB and a tenth of a second
        from dragoman.gateway.gptrouter.parts import Parts  # noqa: PLC0415 - as above

        key = self._config.server.api_key
        secret = b"" if key is None else sha256(b"tokens of GPTRouter's face\0" + key.encode()).digest()
        return Parts(self._config.gptrouter or GPTRouterEntry(), self._pipeline, self._options, token_secret=secret)

    def routes(self) -> Routes:
        """Those of the face, of its status page, and of the faces that run stored prompts as well."""
        keys: list[tuple[str, bytes]] = [*KEYS]
        entry = self._config.gptrouter
        if entry is not None and entry.status != "off":
            keys += [("GET", b"/status"), ("GET", b"/status/badge/*")]
        late = LateRoutes(self._made, keys).routes
        return late if entry is None or entry.prompts is None else late | self._prompted()

    def _made(self) -> Routes:
        return self._parts.routes()

    def _prompted(self) -> dict[tuple[str, bytes], Route]:
        from dragoman.gateway.gptrouter.prompted import prompted_routes  # noqa: PLC0415 - as above

        return prompted_routes(self._pipeline, lambda: self._parts.prompts)

    async def start(self) -> None:
        if self._config.gptrouter is not None:
            parts = self._parts
            parts.load()
            self._task = asyncio.create_task(self._attend(parts))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._parts.close()

    async def _attend(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(SAVED_EVERY)
            try:
                await parts.save()
                await parts.probe()
            except Exception:
                logger.exception("What is known of the models' health could not be saved, or nothing probed; it is tried again")
