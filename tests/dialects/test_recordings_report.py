"""All recordings, once each: who speaks the dialect of each, and that it is read. The table is printed with `pytest -s`.

`tests/golden/replayed.json` holds how many of each provider and kind are replayed and how many are left out on purpose, so that
neither number changes unseen. The tables of reasons are in `support.replaying`.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.dialects import registry
from dragoman.providers.registry import DEFAULT
from support import replaying
from support.recordings import Entry, everything

COUNTS = Path(__file__).parents[1] / "golden" / "replayed.json"
pytestmark = pytest.mark.skipif(not everything(), reason="the recordings do not lie beside this checkout")


class Replay(NamedTuple):
    """`dialect` None: not spoken, for this `reason`. `wrong`: what the dialect made of it, if that is wrong."""

    entry: Entry
    dialect: str | None
    reason: str | None = None
    wrong: str | None = None

    @property
    def cell(self) -> str:
        return f"{self.entry.provider} {self.entry.kind[0]}"


@cache
def report() -> tuple[Replay, ...]:
    return tuple(replayed(entry) for entry in everything())


def replayed(entry: Entry) -> Replay:
    exchange = entry.load()
    found = replaying.dialect_of(entry, exchange)
    if isinstance(found, replaying.Unspoken):
        return Replay(entry, None, reason=found.reason)
    return Replay(entry, found, wrong=replaying.replay(entry, exchange, registry.get(found)))


def counts() -> dict[str, dict[str, int]]:
    """Provider and kind -> how many are replayed, how many are left out on purpose."""
    cells: dict[str, dict[str, int]] = {}
    for replay in report():
        cell = cells.setdefault(replay.cell, {"replayed": 0, "left out": 0})
        cell["left out" if replay.dialect is None else "replayed"] += replay.wrong is None
    return dict(sorted(cells.items()))


def test_none_fails() -> None:
    assert [(replay.entry.id, replay.dialect, replay.wrong) for replay in report() if replay.wrong] == []


def test_as_many_are_replayed_as_ever() -> None:
    known, found = json.loads(COUNTS.read_text(encoding="utf-8")), counts()
    changed = {cell: found.get(cell) for cell in known | found if known.get(cell) != found.get(cell)}
    assert not changed, f"{COUNTS.name} knows other counts of these; if more are replayed now, write these into it"


def test_every_recording_is_counted() -> None:
    assert sum(sum(cell.values()) for cell in counts().values()) == len(everything())


@pytest.mark.parametrize("kind", replaying.NOT_SPOKEN)
def test_what_is_not_spoken_is_there(kind: str) -> None:
    """A reason that nothing needs any more must go."""
    assert any(entry.kind[0] == kind for entry in everything())


@pytest.mark.parametrize("name", replaying.NOT_ITS_DIALECT)
def test_what_is_another_dialect_is_refused(name: str) -> None:
    (entry,) = [entry for entry in everything() if entry.id == name]
    kind = entry.kind[0]
    dialect = registry.get(replaying.OF_PROVIDER.get((entry.provider, kind)) or replaying.OF_KIND[kind])
    with pytest.raises(DragomanError):
        dialect.decode_response(entry.load().response_bytes)


# ---------------------------------------------------------------------------------------------------------- rows and dialects
def spoken_by(provider: str) -> set[str] | None:
    """The dialects that the provider's row names; None where there is no row."""
    try:
        row = DEFAULT.get(replaying.ROW_OF.get(provider, provider))
    except ConfigurationError:
        return None
    further = (dialects.keys() for dialects in row.further.values())
    return set(row.dialects.values()).union(*(dialects.values() for dialects in row.model_dialects.values()), *further)


def test_rows_name_the_dialects_that_their_providers_were_recorded_with() -> None:
    """But for the cells that `NOT_IN_THE_ROW` gives a reason for. Lists of models, files and batches belong to no operation."""
    seen = {(replay.entry.provider, replay.dialect) for replay in report() if replay.dialect}
    rows = {provider: spoken_by(provider) for provider, _ in seen}
    missing = {
        (provider, dialect)
        for provider, dialect in seen
        if rows[provider] is not None
        and dialect not in rows[provider]
        and not dialect.endswith(("_models", "_files", "_batches"))
    }
    assert sorted(missing) == sorted(replaying.NOT_IN_THE_ROW)
    assert {provider for provider, row in rows.items() if row is None} == set(replaying.NO_ROW)


def test_the_table_can_be_printed() -> None:
    """With `-s`."""
    lines = list(table())
    print("\n" + "\n".join(lines))
    assert len(lines) == len(counts()) + len(reasons()) + 4


def reasons() -> Counter[str]:
    return Counter(f"{replay.entry.kind[0]}: {replay.reason}" for replay in report() if replay.dialect is None)


def table() -> list[str]:
    by_cell: dict[str, set[str]] = {}
    for replay in report():
        by_cell.setdefault(replay.cell, set()).update({replay.dialect} - {None})
    rows = [
        f"{cell:40} {found['replayed']:>8} {found['left out']:>8}  {', '.join(sorted(by_cell[cell]))}"
        for cell, found in counts().items()
    ]
    total = sum(found["replayed"] for found in counts().values())
    failing = sum(replay.wrong is not None for replay in report())
    return [
        f"{'provider, kind':40} {'replayed':>8} {'left out':>8}  dialect",
        *rows,
        f"{'all':40} {total:>8} {sum(reasons().values()):>8}  failing: {failing}",
        "",
        "left out",
        *(f"{count:>5}  {reason}" for reason, count in sorted(reasons().items())),
    ]
