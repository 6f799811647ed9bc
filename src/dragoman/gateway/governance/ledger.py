"""The ledger's rows, and how they stand in the journal: one row a call, appended, never changed.

A row is written twice to the journal: opened before the call goes out, with what is held for it, and closed with what became
of it. After a kill an open row without its close becomes a row of outcome "interrupted" that costs what was held. Frames
carry their length and a checksum, so a torn last frame is seen and left out. Pure: bytes in, rows out, no file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from zlib import crc32

import msgspec
from msgspec import Struct

from dragoman.catalog.cost import Cost, Line
from dragoman.core.chat import Usage
from dragoman.engine.call import Attempt, Call
from dragoman.gateway.governance.budgets import CounterKey

OPEN = ""
OUTCOMES = ("success", "error", "cancelled", "interrupted")
MAX_COUNT = 10**15
"""Of tokens, and nano-dollars of one call (a million USD): so every sum fits 64 bits, whatever a provider reports."""
MAX_TEXT, MAX_LISTED = 256, 16
"""Characters of a text from outside, and items of a list, that a row keeps: so a frame has a bounded size."""

_HEAD = struct.Struct("<II")


class Try(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt of a call: `milliseconds` until its answer began or it failed; `error` is the class of our error."""

    deployment: str
    milliseconds: int = 0
    error: str = ""
    status: int = 0


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to one call. Times are Unix seconds, money is nano-dollars; `cost` None means: nobody knows the price.
    `session`: the conversation that it belongs to, by its client's name for it.

    `asked`: the model that the client had asked for, where `model` stood in for it.
    `charged` went to the counters in `charges`. `estimated`: usage was not told, so `charged` is what was held.
    """

    id: str
    began: float
    ended: float = 0.0
    outcome: str = OPEN
    status: int = 0
    error: str = ""
    request_id: str = ""
    client: str = ""
    key: str = ""
    organization: str = ""
    team: str = ""
    user: str = ""
    end_user: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()
    route: str = ""
    operation: str = ""
    dialect: str = ""
    model: str = ""
    asked: str = ""
    provider: str = ""
    upstream_model: str = ""
    deployment: str = ""
    stream: bool = False
    usage: Usage | None = None
    cost: int | None = None
    cost_lines: tuple[tuple[str, float, int], ...] = ()
    cost_notes: tuple[str, ...] = ()
    charged: int = 0
    estimated: bool = False
    held: int = 0
    tries: tuple[Try, ...] = ()
    charges: tuple[CounterKey, ...] = ()


def closed(row: Row, call: Call, usage: Usage | None, cost: Cost | None, now: float) -> Row:
    """The row of a call that has ended, but for what it is charged."""
    settlement, attempts = call.settlement, call.attempts
    error = settlement.error if settlement else None
    target = attempts[-1].deployment.target if attempts else None
    return msgspec.structs.replace(
        row,
        ended=now,
        outcome="cancelled" if settlement is None or settlement.cancelled else "error" if error else "success",
        status=getattr(error, "status_code", 500) if error else 200,
        error=type(error).__name__ if error else "",
        provider=target.provider.name if target else "",
        upstream_model=plain(target.model) if target else "",
        deployment=plain(attempts[-1].deployment.id) if attempts else "",
        usage=usage,
        cost=min(cost.nano_dollars, MAX_COUNT) if cost and cost.nano_dollars is not None else None,
        cost_lines=tuple([_line(line) for line in cost.lines[:MAX_LISTED]]) if cost else (),
        cost_notes=_notes(cost) if cost else (),
        tries=tuple([_try(attempt) for attempt in attempts[-MAX_LISTED:]]),
    )


def released(row: Row, error: BaseException | None, now: float) -> Row:
    """The row of a call that never went out."""
    return msgspec.structs.replace(
        row,
        ended=now,
        outcome="error" if error else "cancelled",
        status=getattr(error, "status_code", 500) if error else 0,
        error=type(error).__name__ if error else "",
    )


def interrupted(row: Row, now: float) -> Row:
    """The row of a call whose worker died: what was held for it is taken as spent."""
    return msgspec.structs.replace(row, ended=now, outcome="interrupted", charged=row.held, estimated=True)


def plain(text: str) -> str:
    """A text from outside as every database takes it: printable, and not too long."""
    return text[:MAX_TEXT] if text.isprintable() else "".join(filter(str.isprintable, text))[:MAX_TEXT]


def kept(usage: Usage | None) -> Usage | None:
    """Usage without what only its provider knows, and none that cannot be true."""
    if usage is None or not (0 <= usage.input_tokens <= MAX_COUNT and 0 <= usage.output_tokens <= MAX_COUNT):
        return None
    if usage.extra or max(msgspec.structs.astuple(usage)[:-1]) > MAX_COUNT:
        counts = {name: min(getattr(usage, name), MAX_COUNT) for name in usage.__struct_fields__ if name != "extra"}
        return Usage(**counts)
    return usage


def _line(line: Line) -> tuple[str, float, int]:
    return line.kind, min(line.quantity, MAX_COUNT), line.rate


def _notes(cost: Cost) -> tuple[str, ...]:
    notes = (cost.reason, *cost.notes) if cost.reason else cost.notes
    return tuple(note[:MAX_TEXT] for note in notes[:MAX_LISTED])


def _try(attempt: Attempt) -> Try:
    error = attempt.error
    return Try(
        deployment=plain(attempt.deployment.id),
        milliseconds=round(((attempt.ended or attempt.began) - attempt.began) * 1000),
        error=type(error).__name__ if error else "cancelled" if attempt.cancelled else "",
        status=getattr(error, "status_code", 0) if error else 0,
    )


# ------------------------------------------------------------------------------------------------------------- frames
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode


def frame(row: Row) -> bytes:
    """A row as the journal holds it: length, checksum, JSON."""
    body = _encode(row)
    return _HEAD.pack(len(body), crc32(body)) + body


def frames(data: bytes | memoryview) -> Iterator[Row]:
    """The rows of a journal's beginning, up to the first place where there is no whole frame."""
    position = 0
    while position + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, position)
        body = bytes(data[position + _HEAD.size : position + _HEAD.size + length])
        if not length or len(body) < length or crc32(body) != checksum:
            return
        yield _decode(body)
        position += _HEAD.size + length


def recovered(rows: Iterable[Row], now: float) -> list[Row]:
    """What a dead worker's journal says, in order: closed rows as they stand, open ones as interrupted."""
    last: dict[str, Row] = {}
    for row in rows:
        last[row.id] = row
    return [row if row.outcome else interrupted(row, now) for row in last.values()]
