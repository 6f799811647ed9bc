"""The commands `dragoman ledger verify | export`: whether the books agree, and their lines for others, from the database."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from dragoman.cli.keys import database_option

if TYPE_CHECKING:
    from dragoman.gateway.governance.ledger import Row
    from dragoman.gateway.store.sql import SqlStore


@click.group()
def ledger() -> None:
    """What was used and what it cost, call by call."""


@ledger.command()
@database_option
@click.option("--journal", type=click.Path(path_type=Path), help="The folder of the journals of this machine's workers.")
def verify(database: str, journal: Path | None) -> None:
    """Check that journal, database and the sums that budgets go by agree. Status 1 when they do not.

    It may be run beside a gateway. Where old rows were pruned, sums are more than their rows.
    """
    from dragoman.gateway.store.audit import Audit, audit  # noqa: PLC0415 - only this command needs the gateway

    found: Audit = with_store(database, lambda store: audit(store, journal))
    if journal is not None:
        click.echo(f"journal: {found.journalled} rows ended, {found.waiting} of them wait to be shipped; {found.open} are open")
    click.echo(f"database: {found.rows} rows, charged {found.charged} in all")
    for problem in found.problems:
        click.echo(problem)
    click.echo("all agree" if not found.problems else f"{len(found.problems)} disagreements")
    sys.exit(bool(found.problems))


@ledger.command()
@database_option
@click.option("--csv", "as_csv", is_flag=True, help="As CSV; else one JSON object a line.")
@click.option("--since", type=click.DateTime(), help="From this time (UTC), by the end of a call.")
@click.option("--until", type=click.DateTime(), help="Before this time (UTC).")
@click.option("--team", default="", help="Only those of this team.")
@click.option("--user", default="", help="Only those of this user.")
@click.option("--key", default="", help="Only those of the key with this id.")
@click.option("--output", "-o", type=click.File("w", encoding="utf-8"), default="-", help="A file; else the standard output.")
def export(database: str, output: IO[str], *, as_csv: bool, **chosen: Any) -> None:
    """Write the rows of the ledger, the oldest first."""
    from datetime import UTC  # noqa: PLC0415 - beside the others

    from dragoman.gateway.store.base import Filter  # noqa: PLC0415 - only this command needs the gateway

    times = {name: at.replace(tzinfo=UTC).timestamp() for name in ("since", "until") if (at := chosen.pop(name))}
    found = Filter(**chosen, **times)
    with_store(database, lambda store: _write(store.each(found), output, as_csv=as_csv))


async def _write(rows: AsyncIterator[Row], output: IO[str], *, as_csv: bool) -> None:
    from dragoman.gateway.admin import answers  # noqa: PLC0415 - as above
    from dragoman.gateway.admin.tables import Table, json_line  # noqa: PLC0415 - as above

    line = Table().line if as_csv else json_line
    read = True
    async for row in rows:
        if read:
            read = _printed(output, line(answers.row(row)))


def _printed(output: IO[str], line: str) -> bool:
    """Whether anybody still reads it."""
    try:
        output.write(line)
        output.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # what is left in its buffer goes nowhere
        return False
    return True


def with_store(database: str, work: Callable[[SqlStore], Awaitable[Any]]) -> Any:
    from dragoman.gateway.store.sql import open_store  # noqa: PLC0415 - as above

    async def run() -> Any:
        store = await open_store(database)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())
