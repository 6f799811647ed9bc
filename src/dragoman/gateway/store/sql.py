"""The store over SQLAlchemy Core: SQLite by aiosqlite, PostgreSQL by asyncpg, the same statements for both.

A URL chooses: `sqlite:///FILE` or `postgresql://...`. `open_store` migrates it first. Every method is one transaction. SQLite
runs with a write-ahead log; a transaction that writes takes the lock when it begins, so that it can never fail for it halfway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, CursorResult, bindparam, event, exists, func, inspect, select, text, tuple_
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from dragoman.core.errors import ConfigurationError, ConflictError, NotFoundError, ServiceUnavailableError
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.directory import FoundKey
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store import schema
from dragoman.gateway.store.base import FIRST_HASH, Change, Entry, Filter, News, conflict, sealed
from dragoman.gateway.store.sql_batches import BatchesSql

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_BUSY_SECONDS = 10
_FILTERED = ("team", "user", "organization", "alias")
_LOCK = 0x6472_6167
"""Of PostgreSQL: who changes scopes or the schema holds it, so the audit log has one end."""


async def open_store(url: str) -> SqlStore:
    """Connect, migrate, and be ready. Raises ConfigurationError for a bad URL or a newer schema, ServiceUnavailableError."""
    engine = engine_for(url)
    store = SqlStore(engine)
    try:
        async with store.writing() as connection:
            await _lock(connection)
            if await connection.run_sync(_revision) != schema.REVISION:
                from dragoman.gateway.store.migrate import upgrade  # noqa: PLC0415 - alembic costs a quarter of a second

                await connection.run_sync(upgrade)
    except BaseException:
        await engine.dispose()
        raise
    return store


def _revision(connection: Connection) -> str | None:
    """Where a database is that was migrated before."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def engine_for(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        driver = _DRIVERS.get(parsed.drivername, parsed.drivername)
        engine = create_async_engine(parsed.set(drivername=driver), pool_pre_ping=driver.startswith("postgresql"))
    except (ArgumentError, NoSuchModuleError):
        raise ConfigurationError("database: expected sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f"database: this one needs {missing.name}: pip install 'dragoman[postgres]'") from None
    if driver.startswith("sqlite"):
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _lock(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


class SqlStore(BatchesSql):
    """See `base.Store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with _reachable(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        async with _reachable(), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    # what the governance reads
    async def key(self, digest: str) -> FoundKey | None:
        hashes, scopes = schema.key_hashes.c, schema.scopes.c
        query = select(hashes.digest, hashes.until, scopes.record).join_from(
            schema.key_hashes, schema.scopes, (scopes.kind == "key") & (scopes.id == hashes.key)
        )
        async with self.reading() as connection:
            found = (await connection.execute(query.where(hashes.digest == digest))).one_or_none()
        return None if found is None else FoundKey(found.digest, _scope(found.record), found.until)

    async def scopes(self, references: Iterable[Reference]) -> Mapping[Reference, Scope]:
        table, found = schema.scopes, {}
        wanted = sorted(set(references))
        if not wanted:
            return {}
        async with self.reading() as connection:
            for kind in {reference.kind for reference in wanted}:
                ids = [reference.id for reference in wanted if reference.kind == kind]
                query = select(table.c.record).where(table.c.kind == kind, table.c.id.in_(ids))
                for (record,) in await connection.execute(query):
                    scope = _scope(record)
                    found[scope.reference] = scope
        return found

    # scopes
    async def create(self, scope: Scope, change: Change, digest: str = "") -> None:
        async def create(connection: AsyncConnection) -> None:
            await connection.execute(schema.scopes.insert().values(_columns(scope)))
            if digest:
                await connection.execute(schema.key_hashes.insert().values(digest=digest, key=scope.id, until=None))

        await self._changing(create, change, f"the {scope.kind} {scope.id!r}, or its key, is there already")

    async def replace(self, scope: Scope, change: Change) -> None:
        await self._changing(lambda connection: _replace(connection, scope), change)

    async def rotate(self, scope: Scope, digest: str, until: float, change: Change) -> None:
        table = schema.key_hashes

        async def rotate(connection: AsyncConnection) -> None:
            await _replace(connection, scope)
            old = table.update().where(table.c.key == scope.id, table.c.until.is_(None) | (table.c.until > until))
            await connection.execute(old.values(until=until))
            await connection.execute(table.insert().values(digest=digest, key=scope.id, until=None))

        await self._changing(rotate, change, "this key is there already")

    async def delete(self, references: Sequence[Reference], change: Change) -> int:
        found = await self.scopes(references)
        scopes, hashes = schema.scopes.c, schema.key_hashes.c
        async with self.writing() as connection:
            await _lock(connection)
            for reference in found:
                gone = (scopes.kind == reference.kind) & (scopes.id == reference.id)
                await connection.execute(schema.scopes.delete().where(gone))
                if reference.kind == "key":
                    await connection.execute(schema.key_hashes.delete().where(hashes.key == reference.id))
                await _log(connection, msgspec.structs.replace(change, kind=reference.kind, id=reference.id))
        return len(found)

    async def listed(self, kind: str, found: Filter, *, limit: int, offset: int) -> tuple[list[Scope], int]:
        table = schema.scopes.c
        wanted = [table.kind == kind]
        wanted += [
            table[name] == value for name in ("team", "user", "organization", "alias") if (value := getattr(found, name))
        ]
        page = select(table.record).where(*wanted).order_by(table.created.desc(), table.id).limit(limit).offset(offset)
        async with self.reading() as connection:
            total = await connection.scalar(select(func.count()).select_from(schema.scopes).where(*wanted))
            records = [record for (record,) in await connection.execute(page)]
        return [_scope(record) for record in records], total or 0

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        table = schema.changes
        query = table.select().where(table.c.seq > after).order_by(table.c.seq).limit(limit)
        async with self.reading() as connection:
            return [Change(**line._mapping) for line in await connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name

    async def last_change(self) -> int:
        async with self.reading() as connection:
            return await connection.scalar(select(func.max(schema.changes.c.seq))) or 0

    # configuration
    async def entries(self, references: Iterable[Reference] | None = None) -> list[Entry]:
        table = schema.entries.c
        query = select(table.record, table.sealed).order_by(table.created, table.id)
        if references is not None:
            query = query.where(tuple_(table.kind, table.id).in_([tuple(reference) for reference in references]))
        async with self.reading() as connection:
            found = (await connection.execute(query)).all()
        return [msgspec.structs.replace(_entry(record), sealed=sealed) for record, sealed in found]

    async def put_entry(self, entry: Entry, change: Change, *, over: Entry | None) -> None:
        table, said = schema.entries, conflict(entry, over)
        plain = msgspec.json.encode(msgspec.structs.replace(entry, sealed="")).decode()
        columns = {"kind": entry.kind, "id": entry.id, "created": entry.created, "record": plain, "sealed": entry.sealed}

        async def put(connection: AsyncConnection) -> None:
            if over is None:
                await connection.execute(table.insert().values(columns))
                return
            as_it_was = _is(entry.reference) & (table.c.sealed == over.sealed)  # no two things are sealed alike
            if not (await connection.execute(table.update().where(as_it_was).values(columns))).rowcount:
                raise ConflictError(said, attempts=0)

        await self._changing(put, change, said)

    async def delete_entry(self, reference: Reference, change: Change) -> None:
        async def delete(connection: AsyncConnection) -> None:
            gone = await connection.execute(schema.entries.delete().where(_is(reference)))
            _there(reference, gone)

        await self._changing(delete, change)

    async def news(self, worker: str, *, after: int, since: float, now: float) -> News:
        asked = {"worker": worker, "after": after, "since": since, "now": now}
        async with self.reading() as connection:
            return News(*map(bool, (await connection.execute(_NEWS, asked)).one()))

    async def share(self, worker: str, held: Mapping[CounterKey, int], until: float, now: float) -> Mapping[CounterKey, int]:
        table = schema.holds
        if not held and not await self._holds(worker):
            async with self.reading() as connection:
                return await _elsewhere(connection, worker, now)
        async with self.writing() as connection:
            await connection.execute(table.delete().where((table.c.worker == worker) | (table.c.until <= now)))
            if held:
                rows = [{"worker": worker, "until": until, "nano": nano, **key._asdict()} for key, nano in held.items()]
                await connection.execute(table.insert(), rows)
            return await _elsewhere(connection, worker, now)

    async def _holds(self, worker: str) -> bool:
        async with self.reading() as connection:
            query = select(schema.holds.c.worker).where(schema.holds.c.worker == worker).limit(1)
            return await connection.scalar(query) is not None

    async def _changing(
        self, work: Callable[[AsyncConnection], Awaitable[None]], change: Change, conflict: str = "it is there already"
    ) -> None:
        try:
            async with self.writing() as connection:
                await _lock(connection)
                await work(connection)
                await _log(connection, change)
        except IntegrityError:
            raise ConflictError(conflict, attempts=0) from None


_holds = schema.holds.c
_NEWS = select(
    exists(select(schema.changes.c.seq).where(schema.changes.c.seq > bindparam("after"))),
    exists(select(schema.counters.c.nano).where(schema.counters.c.moved >= bindparam("since"))),
    exists(select(_holds.nano).where(_holds.worker != bindparam("worker"), _holds.until > bindparam("now"))),
    exists(select(schema.batch_holds.c.nano)),
)
"""Made once: it is asked four times a second, whether anything happens or not."""


async def _elsewhere(connection: AsyncConnection, worker: str, now: float) -> dict[CounterKey, int]:
    table = schema.holds.c
    key = (table.kind, table.id, table.part, table.window)
    query = select(*key, func.sum(table.nano)).where(table.worker != worker, table.until > now).group_by(*key)
    return {CounterKey(*line[:4]): int(line[4]) for line in await connection.execute(query)}


async def _replace(connection: AsyncConnection, scope: Scope) -> None:
    table = schema.scopes
    there = (table.c.kind == scope.kind) & (table.c.id == scope.id)
    _there(scope.reference, await connection.execute(table.update().where(there).values(_columns(scope))))


def _is(reference: Reference) -> ColumnElement[bool]:
    return (schema.entries.c.kind == reference.kind) & (schema.entries.c.id == reference.id)


def _there(reference: Reference, changed: CursorResult[Any]) -> None:
    """Raises NotFoundError when nothing was changed."""
    if not changed.rowcount:
        raise NotFoundError(f"there is no {reference.kind} {reference.id!r}", attempts=0)


async def _log(connection: AsyncConnection, change: Change) -> None:
    table = schema.changes
    last = await connection.scalar(select(table.c.hash).order_by(table.c.seq.desc()).limit(1))
    line = msgspec.structs.asdict(sealed(change, last or FIRST_HASH))
    del line["seq"]
    await connection.execute(table.insert().values(line))


def _columns(scope: Scope) -> dict[str, Any]:
    named = ("kind", "id", "alias", "organization", "team", "user", "created")
    return {name: getattr(scope, name) for name in named} | {"record": msgspec.json.encode(scope).decode()}


def _scope(record: str) -> Scope:
    return _decode(record)


_decode = msgspec.json.Decoder(Scope).decode
_entry = msgspec.json.Decoder(Entry).decode


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """The database's own failures as ours: without statements and values, which belong in no answer."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, OSError) as problem:
        raise ServiceUnavailableError(
            f"the gateway's database does not answer: {type(problem).__name__}", attempts=0
        ) from problem
