"""The demo upstream in a thread of the test process, on a free port, for tests that need a provider on a socket."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dragoman.cli.demo_server import DemoServer
from dragoman.providers.demo import Settings

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RunningDemo:
    """`url` has no path; `openai_url` and `anthropic_url` are what the clients call base URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.openai_url = f"{url}/v1"
        self.anthropic_url = url

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def stats(self) -> dict[str, Any]:
        with _DIRECT.open(f"{self.url}/demo/stats", timeout=30) as answer:
            return json.load(answer)

    def reset(self) -> None:
        _DIRECT.open(f"{self.url}/demo/reset", data=b"", timeout=30).close()


@contextmanager
def demo_server(*, require_key: str | None = None, **settings: Any) -> Iterator[RunningDemo]:
    """`settings` are the defaults of every request, as in `providers.demo.Settings`."""
    server = DemoServer(Settings(**settings), port=0, require_key=require_key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="demo-upstream")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield RunningDemo(server.url)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
