"""Whether the books agree: what workers wrote to their journals, the ledger in the database, the counters of budgets.

Reads only, and may be run beside a gateway: rows that a worker has not shipped yet are counted as waiting, never as wrong.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from dragoman.gateway.governance import ledger
from dragoman.gateway.governance.budgets import dollars
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.store.base import Filter, Store
from dragoman.gateway.store.journal import SUFFIX


class Audit(Struct, frozen=True, kw_only=True):
    """`journalled`: rows in journals that have ended; `waiting`: those of them that the database does not have; `open`: calls
    that run, or whose worker died. `charged` is in USD. `problems` are sentences.
    """

    journalled: int
    waiting: int
    open: int
    rows: int
    charged: str
    problems: tuple[str, ...]


async def audit(store: Store, journal: Path | None) -> Audit:
    """`journal`: the folder with this machine's journals."""
    last = _journalled(journal) if journal is not None else {}
    ended = {id_: row for id_, row in last.items() if row.outcome}
    stored = await store.charged(list(ended))
    sums = await store.spending("operation", Filter())
    problems = [
        f"row {id_}: the journal says {row.charged} nano-dollars, the database {stored[id_]}"
        for id_, row in ended.items()
        if id_ in stored and stored[id_] != row.charged
    ]
    problems += [
        f"{' '.join(found.key)}: counted {dollars(found.counter)}, its rows are {dollars(found.ledger)}"
        for found in await store.verify()
    ]
    return Audit(
        journalled=len(ended),
        waiting=len(ended) - len(stored),
        open=len(last) - len(ended),
        rows=sum(each.calls for each in sums),
        charged=dollars(sum(each.nano for each in sums)),
        problems=tuple(problems),
    )


def _journalled(folder: Path) -> dict[str, Row]:
    """The last word on each row. A file that goes meanwhile was shipped."""
    last: dict[str, Row] = {}
    for path in sorted(folder.glob("*" + SUFFIX)):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        for row in ledger.frames(data):
            last[row.id] = row
    return last
