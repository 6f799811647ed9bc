"""The journal: rows are there after kill -9, a torn frame is seen, a full disk refuses new calls and loses none."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalog.cost import Cost
from dragoman.core.chat import Usage
from dragoman.core.errors import ServiceUnavailableError
from dragoman.gateway.governance import keys, ledger
from dragoman.gateway.governance.budgets import Budget
from dragoman.gateway.governance.governance import Policy
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store import journal as journals
from dragoman.gateway.store.base import Filter
from dragoman.gateway.store.journal import FileJournal, abandoned
from dragoman.gateway.store.memory import MemoryStore
from dragoman.gateway.store.shipping import Pace, begin, recover
from dragoman.gateway.store.sql import open_store
from support.governing import ADDRESS, KEY, NOW, call, change, facts, header
from support.postgres import fresh_database

WORKER = Path(__file__).parents[1] / "support" / "ledger_worker.py"


def opened(id_: str, held: int = 0) -> Row:
    return Row(id=id_, began=NOW, held=held)


def ended(id_: str, charged: int = 0) -> Row:
    return Row(id=id_, began=NOW, ended=NOW, outcome="success", charged=charged)


@given(st.lists(st.text(max_size=20), max_size=8), st.data())
def test_a_journal_that_was_cut_anywhere_gives_its_whole_frames(names: list[str], data: st.DataObject) -> None:
    frames = [ledger.frame(Row(id=name, began=1.5)) for name in names]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    complete, position = 0, 0
    while complete < len(frames) and position + len(frames[complete]) <= cut:
        position += len(frames[complete])
        complete += 1
    found = list(ledger.frames(whole[:cut] + bytes(64)))
    assert [row.id for row in found] == names[:complete]


@given(st.data())
def test_a_frame_that_was_half_written_is_left_out(data: st.DataObject) -> None:
    good, torn = ledger.frame(ended("good")), bytearray(ledger.frame(ended("torn", charged=123456)))
    place = data.draw(st.integers(8, len(torn) - 1))
    torn[place:] = bytes(len(torn) - place)
    assert [row.id for row in ledger.frames(good + bytes(torn))] == ["good"]


def test_what_is_open_costs_what_it_held() -> None:
    rows = ledger.recovered([opened("a", 5), opened("b", 7), ended("b", 3), opened("c")], NOW)
    assert [(row.id, row.outcome, row.charged) for row in rows] == [
        ("a", "interrupted", 5),
        ("b", "success", 3),
        ("c", "interrupted", 0),
    ]


def test_the_files_of_the_living_are_left_alone(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, "alive", 4096)
    journal.append(opened("a"))
    with abandoned(tmp_path, NOW) as rows:
        assert rows == []
    journal.close()
    with abandoned(tmp_path, NOW) as rows:
        assert [row.id for row in rows] == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_files_stay_when_the_store_does_not_take_their_rows(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, "w", 4096)
    journal.append(opened("a"))
    journal.close()
    with pytest.raises(ServiceUnavailableError), abandoned(tmp_path, NOW):
        raise ServiceUnavailableError("away")
    with abandoned(tmp_path, NOW) as rows:
        assert len(rows) == 1


def test_a_file_goes_when_all_in_it_is_shipped(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, "w", 256)
    for number in range(20):
        journal.append(opened(str(number)))
    assert len(list(tmp_path.iterdir())) > 2
    for number in range(20):
        journal.append(ended(str(number)))
    journal.prepare()
    journal.sync()
    journal.shipped(str(number) for number in range(20))
    assert len(list(tmp_path.glob("*.journal"))) <= 2
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_refuses_new_calls_and_ends_running_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = FileJournal(tmp_path / "j", "w", 64)
    journal.append(opened("a"))
    shutil.rmtree(tmp_path / "j")  # no next file can be made
    with pytest.raises(ServiceUnavailableError, match="takes no calls"):
        journal.append(opened("b"))
    journal.append(ended("a"))
    assert "the row a is in memory alone" in caplog.text
    journal.shipped(["a"])
    journal.append(opened("b"))  # the file that is there serves again


async def _set_up(database: str) -> None:
    store = await open_store(database)
    team = Scope(kind="team", id="t", budgets=(Budget(nano=10**12, span="30d"),))
    key = Scope(kind="key", id="k", team="t", budgets=(Budget(nano=10**12),))
    await store.create(team, change(team))
    await store.create(key, change(key), keys.digest(KEY.encode()))
    await store.close()


async def _ledger(database: str, journal: Path) -> tuple[list[Row], list[Any], int]:
    store = await open_store(database)
    try:
        await recover(store, journal, NOW + 1)
        rows = await store.rows(Filter(), limit=10**6, offset=0)
        total = sum(each.nano for each in await store.spending("key", Filter()))
        return rows, await store.verify(), total
    finally:
        await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_9_loses_nothing_and_counts_nothing_twice(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A real worker is killed again and again at random instants. Its upstream's count is a pipe, which no kill empties."""
    database, journal = f"sqlite:///{tmp_path / 'gateway.db'}", tmp_path / "journal"
    if kind == "postgresql":
        database = asyncio.run(fresh_database(request.getfixturevalue("postgres")))
    asyncio.run(_set_up(database))
    chance = random.Random(7)
    upstream: dict[str, int] = {}
    for _ in range(4 if kind == "sqlite" else 2):
        for line in _killed(database, journal, chance.randrange(5, 400)):
            upstream[line["id"]] = line["cost"]
    rows, problems, total = asyncio.run(_ledger(database, journal))
    charged = {row.request_id: row.charged for row in rows if row.outcome == "success"}
    lost = [row for row in rows if row.outcome == "interrupted"]
    assert problems == []
    assert len({row.id for row in rows}) == len(rows)
    assert set(upstream) <= {row.request_id for row in rows}  # every call that the upstream saw is in the ledger
    assert all(upstream[id_] == cost for id_, cost in charged.items())
    assert all(row.charged == row.held > 0 for row in lost)
    assert total == sum(row.charged for row in rows)
    assert len(lost) <= 4 * 8  # no more than were in flight
    assert len(charged) > 20


def _killed(database: str, journal: Path, lines: int) -> list[dict[str, Any]]:
    """What a worker's upstream had counted when the worker was killed, after about so many calls."""
    command = [sys.executable, str(WORKER), database, str(journal), KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
    whole = b"".join(found) + rest
    return [json.loads(line) for line in whole.splitlines(keepends=True) if line.endswith(b"\n")]


def test_counters_after_a_restart_go_on_where_they_were(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'gateway.db'}"
    asyncio.run(_set_up(database))
    used = Usage(input_tokens=1)

    async def life(cost: int) -> int:
        governance, shipping = await begin(database=database, journal=tmp_path / "j", clock=lambda: NOW, pace=Pace(turn=60))
        identity = await governance.load(header(), ADDRESS, NOW)
        before = governance.book.counter("team", "t", "", "30d", NOW).spent
        hold = governance.admit(identity, facts(nano=50), NOW)
        governance.settle(hold, call(usage=used), used, Cost(nano_dollars=cost), NOW)
        await shipping.turn()
        after = governance.book.counter("team", "t", "", "30d", NOW)
        assert (after.spent, after.unshipped) == (before + cost, 0)
        await shipping.stop()
        return before

    assert [asyncio.run(life(cost)) for cost in (5, 7, 11)] == [0, 5, 12]


def test_rows_wait_while_the_store_is_away(tmp_path: Path) -> None:
    class Away(MemoryStore):
        away = True

        async def ship(self, rows: Any, now: float) -> Any:
            if self.away:
                raise ServiceUnavailableError("away")
            return await super().ship(rows, now)

    async def scenario() -> None:
        governance, shipping = await begin(journal=tmp_path, master_key=KEY, pace=Pace(turn=60))
        shipping.store = store = Away()
        identity = governance.identify(header(), NOW)
        assert identity is not None
        for _ in range(3):
            governance.release(governance.admit(identity, facts(), NOW), NOW)
        with pytest.raises(ServiceUnavailableError):
            await shipping.turn()
        assert len(governance.ended) == 3
        full = Policy(unshipped=3)
        governance.policy, usual = full, governance.policy
        with pytest.raises(ServiceUnavailableError, match="ledger cannot be written"):
            governance.admit(identity, facts(), NOW)
        governance.policy = usual
        store.away = False
        await shipping.turn()
        assert (len(governance.ended), len(await store.rows(Filter(), limit=9, offset=0))) == (0, 3)
        await shipping.stop()

    asyncio.run(scenario())


def test_two_workers_share_a_budget(tmp_path: Path) -> None:
    """What one holds the other hears of in its next turn; in between each knows only its own."""
    database = f"sqlite:///{tmp_path / 'gateway.db'}"

    async def scenario() -> None:
        await _set_up(database)
        first, shipping1 = await begin(database=database, journal=tmp_path / "j", clock=lambda: NOW, pace=Pace(turn=60))
        second, shipping2 = await begin(database=database, journal=tmp_path / "j", clock=lambda: NOW, pace=Pace(turn=60))
        one, two = await first.load(header(), ADDRESS, NOW), await second.load(header(), ADDRESS, NOW)
        hold = first.admit(one, facts(nano=6 * 10**11), NOW)
        await shipping1.turn()
        await shipping2.turn()
        second.release(second.admit(two, facts(nano=4 * 10**11), NOW), NOW)
        with pytest.raises(Exception, match="is used up"):
            second.admit(two, facts(nano=4 * 10**11 + 1), NOW)
        used = Usage(input_tokens=1)
        first.settle(hold, call(usage=used), used, Cost(nano_dollars=10**9), NOW)
        await shipping1.turn()
        await shipping2.turn()
        counter = second.book.counter("key", "k", "", "", NOW)
        assert (counter.spent, counter.elsewhere) == (10**9, 0)
        await shipping1.stop()
        await shipping2.stop()

    asyncio.run(scenario())


def test_where_nothing_happens_one_question_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    class Told(MemoryStore):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if callable(found) and not name.startswith("_"):
                asked.append(name)
            return found

    async def turn(shipping: Any) -> set[str]:
        asked.clear()
        await shipping.turn()
        return set(asked)

    async def scenario() -> None:
        governance, shipping = await begin(journal=tmp_path, master_key=KEY, clock=lambda: NOW, pace=Pace(turn=60))
        shipping.store = Told()
        identity = governance.identify(header(), NOW)
        assert identity is not None
        assert await turn(shipping) == {"news"}
        hold = governance.admit(identity, facts(nano=5), NOW)
        assert await turn(shipping) == {"news", "share"}
        governance.release(hold, NOW)
        assert await turn(shipping) >= {"news", "ship", "share"}  # that nothing is held any more is told once
        assert "share" not in await turn(shipping)
        await shipping.stop()

    asyncio.run(scenario())


def test_a_change_by_one_worker_holds_in_the_other_after_its_turn(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'gateway.db'}"

    async def scenario() -> None:
        await _set_up(database)
        governance, shipping = await begin(database=database, journal=tmp_path / "j", clock=lambda: NOW, pace=Pace(turn=60))
        await governance.load(header(), ADDRESS, NOW)
        elsewhere = await open_store(database)
        team = Scope(kind="team", id="t", blocked=True)
        await elsewhere.replace(team, change(team, "block"))
        await elsewhere.close()
        await shipping.turn()
        assert governance.identify(header(), NOW) is None
        await shipping.stop()

    asyncio.run(scenario())


def test_a_segment_has_its_disk_before_it_is_written(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, "w", 1 << 20)
    (file,) = tmp_path.glob("*" + journals.SUFFIX)
    assert file.stat().st_blocks * 512 >= 1 << 20
    assert file.stat().st_mode & 0o077 == 0
    journal.close()
