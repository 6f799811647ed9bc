"""`dragoman ledger`: the books are checked, and their lines come out as CSV or JSON."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dragoman.cli.ledger import ledger
from dragoman.core.chat import Usage
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.store.journal import FileJournal
from dragoman.gateway.store.sql import SqlStore, open_store
from support.governing import NOW

KEY = CounterKey("key", "k", "", "")


def row(number: int, **fields: Any) -> Row:
    named = {"id": f"w-{number}", "began": NOW, "ended": NOW + number, "outcome": "success", "key": "k", "charges": (KEY,)}
    return Row(**(named | {"charged": number * 10**6, "usage": Usage(input_tokens=number), **fields}))


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def stored(database: str, *rows: Row) -> None:
    async def ship(store: SqlStore) -> None:
        await store.ship(rows, NOW)

    with_store(database, ship)


def with_store(database: str, work: Callable[[SqlStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await open_store(database)
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(run())


def command(*arguments: str) -> Result:
    return CliRunner().invoke(ledger, arguments, catch_exceptions=False)


def test_books_that_agree(database: str, tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal", "w", 1 << 16)
    for each in (row(1), row(2), row(3), row(4, outcome="", charged=0)):
        journal.append(each)
    stored(database, row(1), row(2))
    found = command("verify", "--database", database, "--journal", str(tmp_path / "journal"))
    journal.close()
    assert found.output.splitlines() == [
        "journal: 3 rows ended, 1 of them wait to be shipped; 1 are open",
        "database: 2 rows, charged $0.003 in all",
        "all agree",
    ]
    assert found.exit_code == 0


def test_a_row_that_differs_and_a_counter_that_differs(database: str, tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal", "w", 1 << 16)
    journal.append(row(1))
    stored(database, row(1, charged=5 * 10**6), row(2))
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE counters SET nano = nano + 1000000")
    connection.close()
    found = command("verify", "--database", database, "--journal", str(tmp_path / "journal"))
    journal.close()
    assert "row w-1: the journal says 1000000 nano-dollars, the database 5000000" in found.output
    assert "key k  : counted $0.008, its rows are $0.007" in found.output
    assert found.output.endswith("2 disagreements\n")
    assert found.exit_code == 1


def test_rows_as_csv(database: str) -> None:
    stored(database, row(2, end_user="=cmd()", tags=("a", "b")), row(1), row(3, team="other"))
    found = command("export", "--csv", "--database", database)
    lines = list(csv.DictReader(found.output.splitlines()))
    assert [line["ledger_id"] for line in lines] == ["w-1", "w-2", "w-3"]
    assert [line["spend"] for line in lines] == ["0.001", "0.002", "0.003"]
    assert lines[1]["end_user"] == "'=cmd()", "no formula for a spreadsheet"
    assert json.loads(lines[1]["request_tags"]) == ["a", "b"]


def test_who_reads_no_further_is_no_failure(database: str) -> None:
    stored(database, *(row(number, user="u" * 200) for number in range(1, 400)))
    export = [sys.executable, "-m", "dragoman", "ledger", "export", "--database", database]
    with subprocess.Popen(export, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b'"w-1"' in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "chosen, expected",
    [
        (["--team", "other"], ["w-3"]),
        (["--until", "2027-01-15T08:00:02"], ["w-1"]),
        (["--since", "2027-01-15T08:00:02"], ["w-2", "w-3"]),
        (["--key", "nobody"], []),
    ],
)
def test_rows_as_json_by_choice(database: str, chosen: list[str], expected: list[str]) -> None:
    stored(database, row(1), row(2), row(3, team="other"))
    found = command("export", "--database", database, *chosen)
    assert [json.loads(line)["ledger_id"] for line in found.output.splitlines()] == expected
