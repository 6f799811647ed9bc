"""The batches' half of the SQL store: what each holds, and its end, which is its ledger row in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dragoman.gateway.governance.batches import StoredBatch
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.store import schema
from dragoman.gateway.store.sql_ledger import LedgerSql, appended

KEPT = 60 * 86400
"""Seconds that a batch which has ended can be listed; no provider keeps its results that long."""


class BatchesSql(LedgerSql):
    """See `base.Store`."""

    async def put_batch(self, batch: StoredBatch) -> None:
        held = [{"batch": batch.id, "nano": batch.row.held, **key._asdict()} for key in batch.row.charges]
        async with self.writing() as connection:
            await connection.execute(schema.batches.insert(), [_columns(batch)])
            if held:
                await connection.execute(schema.batch_holds.insert(), held)

    async def keep_batch(self, batch: StoredBatch) -> bool:
        async with self.writing() as connection:
            return await _kept(connection, batch)

    async def end_batch(self, batch: StoredBatch, now: float) -> Mapping[CounterKey, int] | None:
        table, holds = schema.batches, schema.batch_holds
        async with self.writing() as connection:
            if not await _kept(connection, batch):
                return None
            if not batch.upstream:
                await connection.execute(table.delete().where(table.c.id == batch.id))
            await connection.execute(holds.delete().where(holds.c.batch == batch.id))
            return await appended(connection, [batch.row], now)

    async def batch(self, provider: str, upstream: str) -> StoredBatch | None:
        table = schema.batches.c
        query = select(table.record).where(table.upstream == upstream, table.provider == provider)
        async with self.reading() as connection:
            record = await connection.scalar(query)
        return None if record is None else _decode(record)

    async def batches(self, owner: str, dialect: str, *, before: float, limit: int) -> list[StoredBatch]:
        table = schema.batches.c
        mine = (table.owner == owner, table.dialect == dialect, table.upstream != "", table.began < before)
        query = select(table.record).where(*mine).order_by(table.began.desc(), table.id).limit(limit)
        async with self.reading() as connection:
            return [_decode(record) for (record,) in await connection.execute(query)]

    async def due_batches(self, now: float, until: float, limit: int) -> list[StoredBatch]:
        table = schema.batches
        query = select(table.c.id, table.c.record).where(table.c.due <= now).order_by(table.c.due).limit(limit)
        async with self.reading() as connection:
            found = (await connection.execute(query)).all()
        if not found:
            return []
        async with self.writing() as connection:
            await connection.execute(table.delete().where(table.c.due.is_(None), table.c.began < now - KEPT))
            return [_decode(record) for id_, record in found if await _claimed(connection, id_, now, until)]

    async def reserved(self) -> Mapping[CounterKey, int]:
        table = schema.batch_holds.c
        key = (table.kind, table.id, table.part, table.window)
        query = select(*key, func.sum(table.nano)).group_by(*key)
        async with self.reading() as connection:
            return {CounterKey(*line[:4]): int(line[4]) for line in await connection.execute(query)}


async def _kept(connection: AsyncConnection, batch: StoredBatch) -> bool:
    """As `keep_batch`."""
    table = schema.batches
    change = table.update().where(table.c.id == batch.id, table.c.due.is_not(None)).values(_columns(batch))
    return bool((await connection.execute(change)).rowcount)


async def _claimed(connection: AsyncConnection, id_: str, now: float, until: float) -> bool:
    """Of several workers who see that a batch is due, one looks."""
    table = schema.batches
    claim = table.update().where(table.c.id == id_, table.c.due <= now).values(due=until)
    return bool((await connection.execute(claim)).rowcount)


def _columns(batch: StoredBatch) -> dict[str, Any]:
    named = {name: getattr(batch, name) for name in ("id", "owner", "provider", "upstream", "due")}
    return named | {"dialect": batch.row.dialect, "began": batch.row.began, "record": msgspec.json.encode(batch).decode()}


_decode = msgspec.json.Decoder(StoredBatch).decode
