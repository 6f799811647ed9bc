"""Teams and usage on the command line, straight in the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dragoman.cli.app import app
from dragoman.core.chat import Usage
from dragoman.core.errors import NotFoundError
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.store.sql import open_store

NOW = 1_800_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gateway.db'}"


def said(database: str, *arguments: str) -> str:
    found = CliRunner().invoke(app, [*arguments, "--database", database], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_team_is_made_listed_and_deleted(database: str) -> None:
    id_ = said(database, "teams", "create", "--alias", "search", "--max-budget", "5", "--model", "gpt*", "--rpm", "9").strip()
    [team] = json.loads(said(database, "teams", "list", "--json"))
    expected = {"team_id": id_, "team_alias": "search", "max_budget": 5.0, "models": ["gpt*"], "rpm_limit": 9}
    assert expected.items() <= team.items()
    [line] = said(database, "teams", "list").splitlines()
    assert line.split() == [id_, "search", "$0.0000", "of", "$5", "good"]
    said(database, "keys", "create", "--team", id_)
    assert said(database, "teams", "delete", id_) == f"deleted {id_} and 1 keys\n"
    assert said(database, "teams", "list") == ""
    with pytest.raises(NotFoundError, match="there is no team"):
        said(database, "teams", "delete", id_)


def test_its_id_may_be_chosen_and_all_of_it_printed(database: str) -> None:
    made = json.loads(said(database, "teams", "create", "--id", "t", "--budget-duration", "1d", "--max-budget", "1", "--json"))
    assert (made["team_id"], made["budget_duration"]) == ("t", "1d")


def test_usage_is_summed_up(database: str) -> None:
    def row(id_: str, **fields: Any) -> Row:
        return Row(id=id_, began=NOW, ended=NOW, outcome="success", **fields)

    async def filled() -> None:
        store = await open_store(database)
        used = Usage(input_tokens=3, output_tokens=4)
        rows = [
            row("a", model="m1", team="t", charged=2_000_000_000, usage=used),
            row("b", model="m2", team="t", charged=500_000_000, usage=used),
            row("c", model="m2", team="u"),
        ]
        await store.ship(rows, NOW)
        await store.close()

    asyncio.run(filled())
    one, two, total = said(database, "usage", "--by", "model").splitlines()
    assert one.split() == ["m1", "$2.0000", "1", "calls;", "3", "in,", "4", "out"]
    assert two.split()[:4] == ["m2", "$0.5000", "2", "calls;"]
    assert total.split() == ["in", "all", "$2.5000"]
    found = json.loads(said(database, "usage", "--by", "team", "--json"))
    assert [(each["team"], each["spend"], each["requests"]) for each in found] == [("t", 2.5, 2), ("u", 0.0, 1)]
    assert json.loads(said(database, "usage", "--team", "u", "--json"))[0]["day"] == "2027-01-15"
    assert json.loads(said(database, "usage", "--since", "2027-01-16", "--json")) == []
