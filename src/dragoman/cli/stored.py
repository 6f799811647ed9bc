"""What the database of a gateway holds of its configuration: its models, for `dragoman models`, and `dragoman reseal`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dragoman.cli.explain import config_option
from dragoman.cli.ledger import with_store

if TYPE_CHECKING:
    from dragoman.gateway.store.base import Entry
    from dragoman.gateway.store.sql import SqlStore


def stored_models(database: str) -> list[Entry]:
    """Without their secrets, which are not needed here."""

    async def read(store: SqlStore) -> list[Entry]:
        return [entry for entry in await store.entries() if entry.kind == "model"]

    found: list[Entry] = with_store(database, read) if _is_there(database) else []
    return found


@click.command()
@config_option
def reseal(config: str | None) -> None:
    """Encrypt what the database holds anew, with the first of the encryption keys. After that the others can go.

    It may be run beside a gateway that has the new key as well.
    """
    from dragoman.gateway.config import load  # noqa: PLC0415 - only the gateway pays for its libraries
    from dragoman.gateway.stored.sealing import Sealing  # noqa: PLC0415 - as above

    found, _ = load(config, env=os.environ)
    keys = found.server.encryption_key
    if found.governance is None or not isinstance(keys, tuple):
        raise click.UsageError("the configuration has no database (governance) and encryption key")
    sealing = Sealing(keys)
    number = with_store(found.governance.database, lambda store: _resealed(store, sealing))
    click.echo(f"{number} models and credentials are encrypted with the first of {len(keys)} keys")


async def _resealed(store: SqlStore, sealing: Any) -> int:
    from msgspec.structs import replace  # noqa: PLC0415 - as above

    from dragoman.gateway.store.base import Change  # noqa: PLC0415 - as above

    entries = await store.entries()
    for entry in entries:
        new = sealing.seal(entry.reference, sealing.open(entry.reference, entry.sealed))
        change = Change(at=time.time(), actor="command line", action="reseal", **entry.reference._asdict())
        await store.put_entry(replace(entry, sealed=new), change, over=entry)
    return len(entries)


def _is_there(database: str) -> bool:
    """To list what is in a file must not make one."""
    scheme, _, path = database.partition(":///")
    return not scheme.startswith("sqlite") or Path(path.partition("?")[0]).exists()
