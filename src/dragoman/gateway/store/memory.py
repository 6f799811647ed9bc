"""A store in memory: for tests and for a gateway whose keys stand in its configuration. Nothing of it outlives the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from dragoman.core.errors import ConflictError, NotFoundError
from dragoman.gateway.governance.batches import StoredBatch
from dragoman.gateway.governance.budgets import CounterKey
from dragoman.gateway.governance.directory import FoundKey
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store.base import FIRST_HASH, Change, Entry, Filter, News, Problem, Spending, charged_by, conflict, sealed

_ROW_FIELDS = ("key", "team", "user", "organization", "end_user", "model", "request_id", "session")
_SCOPE_FIELDS = ("team", "user", "organization", "alias")


class MemoryStore:
    """See `base.Store`."""

    def __init__(self) -> None:
        self._scopes: dict[Reference, Scope] = {}
        self._entries: dict[Reference, Entry] = {}
        self._hashes: dict[str, tuple[str, float | None]] = {}
        self._rows: dict[str, Row] = {}
        self._batches: dict[str, StoredBatch] = {}
        self._counters: dict[CounterKey, int] = {}
        self._moved: dict[CounterKey, float] = {}
        self._changes: list[Change] = []
        self._holds: dict[str, tuple[float, dict[CounterKey, int]]] = {}

    async def close(self) -> None:
        """Nothing is open."""

    # what the governance reads
    async def key(self, digest: str) -> FoundKey | None:
        key, until = self._hashes.get(digest, ("", None))
        scope = self._scopes.get(Reference("key", key))
        return None if scope is None else FoundKey(digest, scope, until)

    async def scopes(self, references: Iterable[Reference]) -> Mapping[Reference, Scope]:
        return {reference: self._scopes[reference] for reference in references if reference in self._scopes}

    async def spent(self, counters: Iterable[CounterKey]) -> Mapping[CounterKey, int]:
        return {key: self._counters[key] for key in counters if key in self._counters}

    # scopes
    async def create(self, scope: Scope, change: Change, digest: str = "") -> None:
        if scope.reference in self._scopes:
            raise ConflictError(f"the {scope.kind} {scope.id!r} is there already", attempts=0)
        if digest in self._hashes:
            raise ConflictError("this key is there already", attempts=0)
        self._scopes[scope.reference] = scope
        if digest:
            self._hashes[digest] = (scope.id, None)
        self._log(change)

    async def replace(self, scope: Scope, change: Change) -> None:
        if scope.reference not in self._scopes:
            raise NotFoundError(f"there is no {scope.kind} {scope.id!r}", attempts=0)
        self._scopes[scope.reference] = scope
        self._log(change)

    async def rotate(self, scope: Scope, digest: str, until: float, change: Change) -> None:
        if digest in self._hashes:
            raise ConflictError("this key is there already", attempts=0)
        await self.replace(scope, change)
        for old, (key, ends) in self._hashes.items():
            if key == scope.id:
                self._hashes[old] = (key, until if ends is None else min(ends, until))
        self._hashes[digest] = (scope.id, None)

    async def delete(self, references: Sequence[Reference], change: Change) -> int:
        found = [reference for reference in references if self._scopes.pop(reference, None) is not None]
        gone = {reference.id for reference in found if reference.kind == "key"}
        self._hashes = {digest: held for digest, held in self._hashes.items() if held[0] not in gone}
        for reference in found:
            self._log(_of(change, reference))
        return len(found)

    async def listed(self, kind: str, found: Filter, *, limit: int, offset: int) -> tuple[list[Scope], int]:
        matching = [scope for scope in self._scopes.values() if scope.kind == kind and _same(scope, found, _SCOPE_FIELDS)]
        matching.sort(key=lambda scope: (-scope.created, scope.id))
        return matching[offset : offset + limit], len(matching)

    async def changes(self, after: int, limit: int = 1000) -> list[Change]:
        return self._changes[after : after + limit]

    async def last_change(self) -> int:
        return len(self._changes)

    # configuration
    async def entries(self, references: Iterable[Reference] | None = None) -> list[Entry]:
        wanted = None if references is None else set(references)
        found = [entry for entry in self._entries.values() if wanted is None or entry.reference in wanted]
        return sorted(found, key=lambda entry: (entry.created, entry.id))

    async def put_entry(self, entry: Entry, change: Change, *, over: Entry | None) -> None:
        if self._entries.get(entry.reference) != over:
            raise ConflictError(conflict(entry, over), attempts=0)
        self._entries[entry.reference] = entry
        self._log(change)

    async def delete_entry(self, reference: Reference, change: Change) -> None:
        if self._entries.pop(reference, None) is None:
            raise NotFoundError(f"there is no {reference.kind} {reference.id!r}", attempts=0)
        self._log(change)

    # ledger
    async def ship(self, rows: Sequence[Row], now: float) -> Mapping[CounterKey, int]:
        new = [row for row in {row.id: row for row in rows}.values() if row.id not in self._rows]
        self._rows |= {row.id: row for row in new}
        for key, nano in charged_by(new).items():
            self._counters[key] = self._counters.get(key, 0) + nano
            self._moved[key] = now
        return await self.spent(charged_by(rows))

    async def moved(self, since: float) -> Mapping[CounterKey, int]:
        return {key: self._counters[key] for key, when in self._moved.items() if when >= since}

    async def rows(self, found: Filter, *, limit: int, offset: int) -> list[Row]:
        return sorted(self._matching(found), key=lambda row: (-row.ended, row.id))[offset : offset + limit]

    async def each(self, found: Filter) -> AsyncIterator[Row]:
        for row in sorted(self._matching(found), key=lambda row: (row.ended, row.id)):
            yield row

    async def charged(self, ids: Sequence[str]) -> Mapping[str, int]:
        return {id_: self._rows[id_].charged for id_ in ids if id_ in self._rows}

    async def spending(self, by: str, found: Filter) -> list[Spending]:
        groups: dict[str, list[Row]] = {}
        for row in self._matching(found):
            for group in _groups(by, row):
                groups.setdefault(group, []).append(row)
        return sorted((_summed(group, rows) for group, rows in groups.items()), key=lambda sums: (-sums.nano, sums.group))

    async def prune(self, before: float, limit: int = 10_000) -> int:
        old = [row.id for row in self._rows.values() if row.ended < before][:limit]
        for id_ in old:
            del self._rows[id_]
        return len(old)

    async def verify(self) -> list[Problem]:
        sums = charged_by(self._rows.values())
        return [
            Problem(key, self._counters.get(key, 0), sums.get(key, 0))
            for key in sorted(sums.keys() | self._counters.keys())
            if self._counters.get(key, 0) != sums.get(key, 0)
        ]

    # batches
    async def put_batch(self, batch: StoredBatch) -> None:
        self._batches[batch.id] = batch

    async def keep_batch(self, batch: StoredBatch) -> bool:
        known = self._batches.get(batch.id)
        if known is None or known.due is None:
            return False
        self._batches[batch.id] = batch
        return True

    async def end_batch(self, batch: StoredBatch, now: float) -> Mapping[CounterKey, int] | None:
        known = self._batches.get(batch.id)
        if known is None or known.due is None:
            return None
        self._batches[batch.id] = batch
        if not batch.upstream:
            del self._batches[batch.id]
        return await self.ship([batch.row], now)

    async def batch(self, provider: str, upstream: str) -> StoredBatch | None:
        found = (batch for batch in self._batches.values() if (batch.provider, batch.upstream) == (provider, upstream))
        return next(found, None)

    async def batches(self, owner: str, dialect: str, *, before: float, limit: int) -> list[StoredBatch]:
        made = (batch for batch in self._batches.values() if batch.upstream and batch.row.began < before)
        mine = [batch for batch in made if (batch.owner, batch.row.dialect) == (owner, dialect)]
        return sorted(mine, key=lambda batch: (-batch.row.began, batch.id))[:limit]

    async def due_batches(self, now: float, until: float, limit: int) -> list[StoredBatch]:
        waiting = (batch for batch in self._batches.values() if batch.due is not None and batch.due <= now)
        due = sorted(waiting, key=lambda batch: batch.due or 0.0)[:limit]
        self._batches |= {batch.id: replace(batch, due=until) for batch in due}
        return due

    async def reserved(self) -> Mapping[CounterKey, int]:
        held: dict[CounterKey, int] = {}
        for batch in self._batches.values():
            for key in batch.row.charges if batch.due is not None else ():
                held[key] = held.get(key, 0) + batch.row.held
        return held

    async def news(self, worker: str, *, after: int, since: float, now: float) -> News:
        return News(
            changes=len(self._changes) > after,
            moved=any(when >= since for when in self._moved.values()),
            held=any(name != worker and now < ends and held for name, (ends, held) in self._holds.items()),
            reserved=any(batch.due is not None and batch.row.charges for batch in self._batches.values()),
        )

    async def share(self, worker: str, held: Mapping[CounterKey, int], until: float, now: float) -> Mapping[CounterKey, int]:
        self._holds[worker] = (until, dict(held))
        others: dict[CounterKey, int] = {}
        for name, (ends, counters) in self._holds.items():
            for key, nano in counters.items() if name != worker and now < ends else ():
                others[key] = others.get(key, 0) + nano
        return others

    def _matching(self, found: Filter) -> list[Row]:
        return [
            row
            for row in self._rows.values()
            if _same(row, found, _ROW_FIELDS)
            and found.since <= row.ended
            and (not found.until or row.ended < found.until)
            and (not found.tag or found.tag in row.tags)
        ]

    def _log(self, change: Change) -> None:
        line = sealed(change, self._changes[-1].hash if self._changes else FIRST_HASH)
        self._changes.append(_numbered(line, len(self._changes) + 1))


def _numbered(change: Change, seq: int) -> Change:
    return Change(**{name: getattr(change, name) for name in Change.__struct_fields__} | {"seq": seq})


def _of(change: Change, reference: Reference) -> Change:
    return Change(at=change.at, actor=change.actor, action=change.action, detail=change.detail, **reference._asdict())


def _same(value: Scope | Row, found: Filter, fields: tuple[str, ...]) -> bool:
    return all(not getattr(found, field) or getattr(value, field) == getattr(found, field) for field in fields)


def _groups(by: str, row: Row) -> list[str]:
    made = _GROUPED.get(by)
    return made(row) if made else [getattr(row, by)]


_GROUPED: dict[str, Callable[[Row], list[str]]] = {
    "tag": lambda row: list(row.tags),
    "day": lambda row: [datetime.fromtimestamp(row.ended, UTC).date().isoformat()],
}


def _summed(group: str, rows: list[Row]) -> Spending:
    used = [row.usage for row in rows if row.usage is not None]
    return Spending(
        group=group,
        calls=len(rows),
        failed=sum(row.outcome != "success" for row in rows),
        input_tokens=sum(usage.input_tokens for usage in used),
        output_tokens=sum(usage.output_tokens for usage in used),
        nano=sum(row.charged for row in rows),
    )
