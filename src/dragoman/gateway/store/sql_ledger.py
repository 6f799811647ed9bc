"""The ledger's half of the SQL store: rows appended once, counters kept with them in one transaction, sums for reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Dialect, Table, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.store import schema
from dragoman.gateway.store.base import Filter, Problem, Spending, charged_by

Item = TypeVar("Item")

CHUNK = 500
"""Rows of one statement: both databases bound the number of its parameters."""

_FIELDS = tuple("id ended outcome request_id key team user organization end_user model provider session".split())
_FILTERED = ("key", "team", "user", "organization", "end_user", "model", "request_id", "session")


class LedgerSql(ABC):
    """See `base.Store`."""

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads."""

    @abstractmethod
    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that writes."""

    async def spent(self, counters: Iterable[CounterKey]) -> Mapping[CounterKey, int]:
        async with self.reading() as connection:
            return await _spent(connection, sorted(set(counters)))

    async def moved(self, since: float) -> Mapping[CounterKey, int]:
        table = schema.counters.c
        query = select(table.kind, table.id, table.part, table.window, table.nano).where(table.moved >= since)
        async with self.reading() as connection:
            return {CounterKey(*line[:4]): int(line[4]) for line in await connection.execute(query)}

    async def ship(self, rows: Sequence[Row], now: float) -> Mapping[CounterKey, int]:
        async with self.writing() as connection:
            return await appended(connection, rows, now)

    async def rows(self, found: Filter, *, limit: int, offset: int) -> list[Row]:
        table = schema.ledger.c
        query = select(table.record).where(*_wanted(found)).order_by(table.ended.desc(), table.id)
        async with self.reading() as connection:
            return [_decode(record) for (record,) in await connection.execute(query.limit(limit).offset(offset))]

    async def each(self, found: Filter) -> AsyncIterator[Row]:
        table = schema.ledger.c
        query = select(table.record).where(*_wanted(found)).order_by(table.ended, table.id)
        async with self.reading() as connection:
            async for (record,) in await connection.stream(query):
                yield _decode(record)

    async def charged(self, ids: Sequence[str]) -> Mapping[str, int]:
        table, found = schema.ledger.c, {}
        async with self.reading() as connection:
            for chunk in _chunks(list(ids)):
                query = select(table.id, table.charged).where(table.id.in_(chunk))
                found.update({id_: int(nano) for id_, nano in await connection.execute(query)})
        return found

    async def spending(self, by: str, found: Filter) -> list[Spending]:
        table = schema.ledger.c
        async with self.reading() as connection:
            group = _grouping(by, connection.dialect.name)
            nano = func.sum(table.charged)
            failed = func.count().filter(table.outcome != "success")
            sums = (func.count(), failed, func.sum(table.input_tokens), func.sum(table.output_tokens), nano)
            query = select(group, *sums).where(*_wanted(found)).group_by(group).order_by(nano.desc(), group)
            if by == "tag":
                query = query.join_from(schema.ledger, schema.ledger_tags, schema.ledger_tags.c.row == table.id)
            return [Spending(line[0], *(int(value) for value in line[1:])) for line in await connection.execute(query)]

    async def prune(self, before: float, limit: int = 10_000) -> int:
        table, tags = schema.ledger, schema.ledger_tags
        old = select(table.c.id).where(table.c.ended < before).order_by(table.c.ended).limit(limit)
        async with self.writing() as connection:
            ids = [id_ for (id_,) in await connection.execute(old)]
            for chunk in _chunks(ids):
                await connection.execute(tags.delete().where(tags.c.row.in_(chunk)))
                await connection.execute(table.delete().where(table.c.id.in_(chunk)))
        return len(ids)

    async def verify(self) -> list[Problem]:
        sums: dict[CounterKey, int] = {}
        async with self.reading() as connection:
            records = await connection.stream(select(schema.ledger.c.record))
            async for (record,) in records:
                for key, nano in charged_by([_decode(record)]).items():
                    sums[key] = sums.get(key, 0) + nano
            table = schema.counters.c
            query = select(table.kind, table.id, table.part, table.window, table.nano)
            counters = {CounterKey(*line[:4]): line[4] for line in await connection.execute(query)}
        keys = sorted(sums.keys() | counters.keys())
        pairs = [Problem(key, counters.get(key, 0), sums.get(key, 0)) for key in keys]
        return [pair for pair in pairs if pair.counter != pair.ledger]


async def appended(connection: AsyncConnection, rows: Sequence[Row], now: float) -> dict[CounterKey, int]:
    """`Store.ship`, in a transaction that is there."""
    by_id = {row.id: row for row in rows}
    while (new := await _appended(connection, by_id)) is None:
        continue  # somebody else has appended some of them meanwhile
    tags = [{"tag": tag, "row": row.id, "ended": row.ended} for row in new for tag in dict.fromkeys(row.tags)]
    if tags:
        await connection.execute(schema.ledger_tags.insert(), tags)
    await _count(connection, charged_by(new), now)
    return await _spent(connection, list(charged_by(rows)))


async def _appended(connection: AsyncConnection, by_id: Mapping[str, Row]) -> list[Row] | None:
    """Those of the rows that were not there before; None, and nothing is done, when another transaction came between."""
    table, known = schema.ledger.c, set[str]()
    for chunk in _chunks(list(by_id)):
        known.update([id_ for (id_,) in await connection.execute(select(table.id).where(table.id.in_(chunk)))])
    new = [row for row in by_id.values() if row.id not in known]
    if new:
        statement, order = _append(connection.dialect)
        try:
            async with connection.begin_nested():
                await connection.exec_driver_sql(statement, [_values(row, order) for row in new])
        except IntegrityError:
            return None
    return new


@lru_cache(maxsize=8)
def _append(dialect: Dialect) -> tuple[str, Sequence[str]]:
    """The INSERT of a row for the driver itself, and the order of its columns. By SQLAlchemy a row costs twice as much."""
    compiled = schema.ledger.insert().compile(dialect=dialect)
    return str(compiled), compiled.positiontup or ()


def _values(row: Row, order: Sequence[str]) -> tuple[Any, ...]:
    columns = _columns(row)
    return tuple([columns[name] for name in order])


def insert(connection: AsyncConnection, table: Table) -> Any:
    """The database's own INSERT, which may end in ON CONFLICT."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


async def _count(connection: AsyncConnection, charges: dict[CounterKey, int], now: float) -> None:
    table = schema.counters
    statement = insert(connection, table)
    added = {"nano": table.c.nano + statement.excluded.nano, "moved": statement.excluded.moved}
    upsert = statement.on_conflict_do_update(index_elements=table.primary_key.columns, set_=added)
    if charges:
        await connection.execute(upsert, [{**key._asdict(), "nano": nano, "moved": now} for key, nano in charges.items()])


async def _spent(connection: AsyncConnection, keys: list[CounterKey]) -> dict[CounterKey, int]:
    table, found = schema.counters.c, {}
    for chunk in _chunks(keys):
        place = tuple_(table.kind, table.id, table.part, table.window)
        query = select(table.kind, table.id, table.part, table.window, table.nano).where(place.in_(chunk))
        found.update({CounterKey(*line[:4]): int(line[4]) for line in await connection.execute(query)})
    return found


def _columns(row: Row) -> dict[str, Any]:
    usage = row.usage
    return {name: getattr(row, name) for name in _FIELDS} | {
        "operation": row.operation,
        "input_tokens": usage.input_tokens if usage else 0,
        "output_tokens": usage.output_tokens if usage else 0,
        "charged": row.charged,
        "record": msgspec.json.encode(row).decode(),
    }


def _wanted(found: Filter) -> list[ColumnElement[bool]]:
    table, tags = schema.ledger.c, schema.ledger_tags.c
    wanted: list[ColumnElement[bool]] = [table[name] == value for name in _FILTERED if (value := getattr(found, name))]
    if found.since:
        wanted.append(table.ended >= found.since)
    if found.until:
        wanted.append(table.ended < found.until)
    if found.tag:
        wanted.append(table.id.in_(select(tags.row).where(tags.tag == found.tag)))
    return wanted


def _grouping(by: str, dialect: str) -> ColumnElement[Any]:
    if by == "tag":
        return schema.ledger_tags.c.tag
    if by != "day":
        return schema.ledger.c[by]
    ended = schema.ledger.c.ended
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", func.to_timestamp(ended)), "YYYY-MM-DD")
    return func.strftime("%Y-%m-%d", ended, "unixepoch")


def _chunks(items: list[Item]) -> Iterable[list[Item]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


_decode = msgspec.json.Decoder(Row).decode
