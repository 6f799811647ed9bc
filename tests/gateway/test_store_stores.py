"""Every store keeps the same promises: in memory, in SQLite, in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dragoman.core.chat import Usage
from dragoman.core.errors import ConfigurationError, ConflictError, NotFoundError, ServiceUnavailableError
from dragoman.gateway.governance.batches import StoredBatch
from dragoman.gateway.governance.budgets import Budget, CounterKey, Increase
from dragoman.gateway.governance.ledger import Row, Try
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store import base
from dragoman.gateway.store.base import Entry, Filter, Spending, Store
from dragoman.gateway.store.memory import MemoryStore
from dragoman.gateway.store.sql import engine_for, open_store
from support.governing import NOW, change
from support.postgres import fresh_database

Scenario = Callable[[Store], Awaitable[None]]
DIGEST, OTHER = "a" * 64, "b" * 64
WHOLE = Scope(
    kind="key",
    id="k1",
    alias="Ann's \U0001f511",
    team="t",
    user="u",
    models=("gpt*",),
    rights=("read",),
    budgets=(Budget(nano=5, span="1d", model="x", increases=(Increase(3, NOW),)),),
    limits=(Limit(kind="requests", amount=5),),
    tags=("a", "b"),
    metadata={"deep": {"list": [1, None, "ü"]}},
    expires=NOW + 5,
    created=NOW,
)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on a new store of each kind."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""

    async def opened() -> Store:
        if request.param == "memory":
            return MemoryStore()
        return await open_store(await fresh_database(server) if server else f"sqlite:///{tmp_path / 'gateway.db'}")

    async def whole(scenario: Scenario) -> None:
        store = await opened()
        try:
            await scenario(store)
        finally:
            await store.close()

    return lambda scenario: asyncio.run(whole(scenario))


def row(id_: str, **fields: Any) -> Row:
    charges = (CounterKey("key", "k", "", ""), CounterKey("key", "k", "", "1d#1"))
    defaults = {"key": "k", "began": NOW, "ended": NOW, "outcome": "success", "charged": 10, "charges": charges, "model": "m"}
    return Row(id=id_, **(defaults | fields))


def test_a_scope_comes_back_as_it_went_in(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.create(WHOLE, change(WHOLE), DIGEST)
        found = await store.key(DIGEST)
        assert found is not None
        assert (found.digest, found.scope, found.until) == (DIGEST, WHOLE, None)
        assert await store.key(OTHER) is None
        assert await store.scopes([WHOLE.reference, Reference("key", "k2"), Reference("team", "k1")]) == {
            WHOLE.reference: WHOLE
        }

    run(scenario)


def test_nothing_is_there_twice_and_a_failed_change_leaves_no_trace(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.create(WHOLE, change(WHOLE), DIGEST)
        second = Scope(kind="key", id="k2")
        for scope, digest in ((WHOLE, OTHER), (second, DIGEST)):
            with pytest.raises(ConflictError):
                await store.create(scope, change(scope), digest)
        with pytest.raises(NotFoundError):
            await store.replace(second, change(second))
        assert await store.scopes([second.reference]) == {}
        assert [line.id for line in await store.changes(0)] == ["k1"]

    run(scenario)


def test_rotation_ends_the_old_hash_and_never_later_than_it_was_to_end(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.create(WHOLE, change(WHOLE), DIGEST)
        await store.rotate(WHOLE, OTHER, NOW + 60, change(WHOLE, "regenerate"))
        await store.rotate(WHOLE, "c" * 64, NOW + 90, change(WHOLE, "regenerate"))
        ends = [found and found.until for found in [await store.key(d) for d in (DIGEST, OTHER, "c" * 64)]]
        assert ends == [NOW + 60, NOW + 90, None]
        assert await store.delete([WHOLE.reference], change(WHOLE, "delete")) == 1
        assert [await store.key(d) for d in (DIGEST, OTHER, "c" * 64)] == [None] * 3
        assert await store.delete([WHOLE.reference], change(WHOLE, "delete")) == 0

    run(scenario)


def test_pages_the_newest_first(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        for number in range(5):
            scope = Scope(kind="key", id=f"k{number}", team="t" if number % 2 else "s", created=NOW + number)
            await store.create(scope, change(scope))
        found, total = await store.listed("key", Filter(), limit=2, offset=1)
        assert ([scope.id for scope in found], total) == (["k3", "k2"], 5)
        found, total = await store.listed("key", Filter(team="t"), limit=9, offset=0)
        assert ([scope.id for scope in found], total) == (["k3", "k1"], 2)

    run(scenario)


def test_a_row_counts_once_however_often_it_comes(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        total, day = row("1").charges
        assert await store.ship([row("1"), row("2"), row("2")], NOW) == {total: 20, day: 20}
        assert await store.ship([row("2"), row("3", charged=5)], NOW) == {total: 25, day: 25}
        assert await store.spent([total, CounterKey("key", "nobody", "", "")]) == {total: 25}
        assert [found.id for found in await store.rows(Filter(), limit=9, offset=0)] == ["1", "2", "3"]
        assert await store.verify() == []
        await asyncio.gather(*(store.ship([row(str(n)) for n in range(4, 40)], NOW) for _ in range(4)))
        assert await store.spent([total]) == {total: 25 + 36 * 10}
        assert await store.verify() == []

    run(scenario)


def test_counters_that_moved(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        one, two = (CounterKey("key", name, "", "") for name in ("one", "two"))
        await store.ship([row("1", charges=(one,))], NOW)
        await store.ship([row("2", charges=(one, two))], NOW + 60)
        await store.ship([row("1", charges=(one,))], NOW + 90)  # it was there: nothing moves
        assert await store.moved(NOW) == {one: 20, two: 10}
        assert await store.moved(NOW + 60) == {one: 20, two: 10}
        assert await store.moved(NOW + 61) == {}

    run(scenario)


def test_more_rows_than_one_statement_takes(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        rows = [row(str(n), charges=(CounterKey("key", f"k{n}", "", ""),)) for n in range(1201)]
        assert len(await store.ship(rows, NOW)) == 1201
        assert await store.verify() == []

    run(scenario)


def test_rows_come_back_whole_and_by_every_filter(run: Callable[[Scenario], None]) -> None:
    full = row(
        "full",
        team="t",
        user="u",
        end_user="e",
        request_id="r",
        session="s",
        tags=("a", "b"),
        usage=Usage(input_tokens=3, output_tokens=4, cache_read_tokens=1),
        cost=None,
        cost_lines=(("input", 3, 150),),
        tries=(Try(deployment="d", milliseconds=5, error="Timeout", status=504),),
        ended=NOW + 5,
    )

    async def scenario(store: Store) -> None:
        await store.ship([full, row("other", ended=NOW)], NOW)
        for found in (
            Filter(team="t"),
            Filter(user="u"),
            Filter(end_user="e"),
            Filter(request_id="r"),
            Filter(session="s"),
            Filter(tag="b"),
            Filter(since=NOW + 5),
        ):
            assert await store.rows(found, limit=9, offset=0) == [full]
        assert [found.id for found in await store.rows(Filter(until=NOW + 5), limit=9, offset=0)] == ["other"]
        assert [found.id for found in await store.rows(Filter(key="k"), limit=1, offset=1)] == ["other"]

    run(scenario)


def test_sums(run: Callable[[Scenario], None]) -> None:
    used = Usage(input_tokens=3, output_tokens=4)

    async def scenario(store: Store) -> None:
        await store.ship(
            [
                row("1", team="s", usage=used, charged=5, tags=("a",)),
                row("2", team="t", usage=used, charged=50, tags=("a", "b"), ended=NOW + 86400),
                row("3", team="t", charged=0, outcome="error"),
            ],
            NOW,
        )
        assert await store.spending("team", Filter()) == [Spending("t", 2, 1, 3, 4, 50), Spending("s", 1, 0, 3, 4, 5)]
        assert [(each.group, each.nano) for each in await store.spending("tag", Filter())] == [("a", 55), ("b", 50)]
        days = await store.spending("day", Filter())
        assert [(each.group, each.nano) for each in days] == [("2027-01-16", 50), ("2027-01-15", 5)]
        assert await store.spending("model", Filter(team="nobody")) == []

    run(scenario)


def test_old_rows_go_and_sums_of_budgets_stay(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        await store.ship([row(str(n), ended=NOW + n, tags=("a",)) for n in range(10)], NOW)
        assert await store.prune(NOW + 5, limit=3) == 3
        assert await store.prune(NOW + 5) == 2
        assert await store.prune(NOW + 5) == 0
        assert len(await store.rows(Filter(tag="a"), limit=99, offset=0)) == 5
        assert list((await store.spent([row("1").charges[0]])).values()) == [100]

    run(scenario)


def test_the_audit_log_is_a_chain(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        assert await store.last_change() == 0
        scopes = [Scope(kind="team", id=f"t{n}") for n in range(3)]
        await asyncio.gather(*(store.create(scope, change(scope, detail='{"a":1}')) for scope in scopes))
        await store.delete([scope.reference for scope in scopes[:2]], change(scopes[0], "delete"))
        lines = await store.changes(0)
        assert [line.seq for line in lines] == [1, 2, 3, 4, 5]
        assert {line.id for line in lines[3:]} == {"t0", "t1"}
        assert base.broken(lines) is None
        assert base.broken(await store.changes(2), lines[1].hash) is None
        assert await store.last_change() == 5
        forged = [lines[0], *lines[2:]]
        assert base.broken(forged) == lines[2]

    run(scenario)


def test_entries_come_back_as_they_went_in_and_are_changed_by_who_knows_them(run: Callable[[Scenario], None]) -> None:
    first = Entry(kind="model", id="m", plain={"name": "ü", "deep": [1, None]}, sealed="s1", created=NOW + 1, created_by="k")
    second = Entry(kind="credential", id="m", plain={}, sealed="s2", created=NOW)

    def told(entry: Entry, action: str) -> base.Change:
        return base.Change(at=NOW, actor="test", action=action, kind=entry.kind, id=entry.id)

    async def scenario(store: Store) -> None:
        for entry in (first, second):
            await store.put_entry(entry, told(entry, "create"), over=None)
        assert await store.entries() == [second, first]
        assert await store.entries([first.reference, Reference("model", "n")]) == [first]
        assert await store.entries([]) == []
        changed = replace(first, sealed="s3", updated=NOW + 5)
        await store.put_entry(changed, told(changed, "update"), over=first)
        for entry, over, said in ((first, None, "is there already"), (first, first, "meanwhile")):
            with pytest.raises(ConflictError, match=said):
                await store.put_entry(entry, told(entry, "update"), over=over)
        assert await store.entries([first.reference]) == [changed]
        await store.delete_entry(second.reference, told(second, "delete"))
        with pytest.raises(NotFoundError):
            await store.delete_entry(second.reference, told(second, "delete"))
        with pytest.raises(ConflictError, match="meanwhile"):
            await store.put_entry(second, told(second, "update"), over=second)
        lines = await store.changes(0)
        assert [(line.kind, line.action) for line in lines] == [
            ("model", "create"),
            ("credential", "create"),
            ("model", "update"),
            ("credential", "delete"),
        ]
        assert base.broken(lines) is None

    run(scenario)


def test_workers_hear_what_others_hold_until_it_expires(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        key = CounterKey("team", "t", "", "30d#1")
        assert await store.share("w1", {key: 100}, NOW + 10, NOW) == {}
        assert await store.share("w2", {key: 30}, NOW + 10, NOW) == {key: 100}
        assert await store.share("w3", {}, NOW + 10, NOW) == {key: 130}
        assert await store.share("w1", {key: 5}, NOW + 20, NOW + 9) == {key: 30}
        assert await store.share("w3", {}, NOW + 20, NOW + 10) == {key: 5}  # w2 is dead: nothing of it is held any more

    run(scenario)


def test_there_are_news_as_long_as_there_is_something_to_tell(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: Store) -> None:
        async def news(now: float = NOW, after: int = 0, since: float = NOW, worker: str = "w1") -> set[str]:
            found = await store.news(worker, after=after, since=since, now=now)
            return {name for name, there in found._asdict().items() if there}

        key = CounterKey("team", "t", "", "")
        assert await news() == set()
        await store.create(WHOLE, change(WHOLE), DIGEST)
        seen = await store.last_change()
        assert (await news(), await news(after=seen)) == ({"changes"}, set())
        await store.ship([row("a")], NOW)
        assert (await news(after=seen), await news(after=seen, since=NOW + 1)) == ({"moved"}, set())
        await store.share("w2", {key: 5}, NOW + 10, NOW)
        for worker, now, there in (("w1", NOW + 9, {"held"}), ("w2", NOW + 9, set()), ("w1", NOW + 10, set())):
            assert await news(now=now, after=seen, since=NOW + 1, worker=worker) == there
        await store.share("w2", {}, NOW + 10, NOW)
        open_ = StoredBatch(row=row("b", outcome="", held=3), owner="k", provider="openai", upstream="x", due=NOW + 5)
        await store.put_batch(open_)
        assert await news(after=seen, since=NOW + 1) == {"reserved"}
        await store.end_batch(replace(open_, due=None, row=row("b")), NOW)
        assert await news(after=seen, since=NOW + 1) == set()

    run(scenario)


@pytest.mark.parametrize("url", ["nonsense", "mysql2000://x/y", "sqlite+nothing:///x"])
def test_a_bad_url_is_explained(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database: "):
        asyncio.run(open_store(url))


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailableError, match="does not answer") as problem:
        asyncio.run(open_store("postgresql://someone:hunter2@127.0.0.1:9/none"))
    assert "hunter2" not in str(problem.value)


def test_connections_that_the_server_dropped_are_made_anew(postgres: str) -> None:
    async def scenario() -> None:
        import asyncpg

        url = await fresh_database(postgres)
        store = await open_store(url)
        await store.ship([row("1")], NOW)
        connection = await asyncpg.connect(postgres)
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await connection.close()
        await store.ship([row("2")], NOW)
        assert len(await store.rows(Filter(), limit=9, offset=0)) == 2
        await store.close()

    asyncio.run(scenario())


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "gateway.db"

    async def made() -> None:
        await (await open_store(f"sqlite:///{file}")).close()

    asyncio.run(made())
    asyncio.run(made())  # migrating again changes nothing
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigurationError, match=r"9999.*newer version"):
        asyncio.run(made())


def test_the_revision_that_is_taken_for_the_last_is_the_last() -> None:
    from alembic.script import ScriptDirectory

    from dragoman.gateway.store import migrations, schema

    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == schema.REVISION


def test_migrations_make_the_tables_that_the_code_uses(postgres: str, tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from dragoman.gateway.store.schema import metadata

    async def differences(url: str) -> Any:
        store = await open_store(url)
        try:
            async with store.reading() as connection:
                return await connection.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
        finally:
            await store.close()

    assert asyncio.run(differences(f"sqlite:///{tmp_path / 'x.db'}")) == []

    async def on_postgres() -> Any:
        return await differences(await fresh_database(postgres))

    assert asyncio.run(on_postgres()) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_of_the_first_version_is_brought_forward_with_all_that_is_in_it(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = request.getfixturevalue("postgres") if kind == "postgresql" else ""

    async def scenario() -> None:
        url = await fresh_database(server) if server else f"sqlite:///{tmp_path / 'old.db'}"
        engine = engine_for(url)
        async with engine.begin() as connection:
            await connection.run_sync(_of_the_first_version)
        await engine.dispose()
        store = await open_store(url)
        try:
            assert await store.scopes([WHOLE.reference]) == {WHOLE.reference: WHOLE}
            assert await store.entries() == []
            await store.create(Scope(kind="team", id="t"), change(WHOLE))
            lines = await store.changes(0)
            assert (len(lines), base.broken(lines)) == (2, None)
        finally:
            await store.close()

    asyncio.run(scenario())


def _of_the_first_version(connection: Any) -> None:
    """A key and its line in the audit log, as version 0001 wrote them."""
    import msgspec
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    from dragoman.gateway.store import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")
    fields = {name: getattr(WHOLE, name) for name in ("kind", "id", "alias", "organization", "team", "user", "created")}
    names = ", ".join(f'"{name}"' for name in fields)
    values = ", ".join(f":{name}" for name in fields)
    record = msgspec.json.encode(WHOLE).decode()
    connection.execute(text(f"INSERT INTO scopes ({names}, record) VALUES ({values}, :record)"), {**fields, "record": record})
    line = msgspec.structs.asdict(base.sealed(change(WHOLE), base.FIRST_HASH))
    del line["seq"]
    names, values = ", ".join(line), ", ".join(f":{name}" for name in line)
    connection.execute(text(f"INSERT INTO changes ({names}) VALUES ({values})"), line)
