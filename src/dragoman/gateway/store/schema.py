"""The tables. What is asked for by column is a column, the rest of a record is JSON beside it. Migrations make them.

`ledger` and `changes` are appended to and never updated. Money is nano-dollars in 64 bits (up to 9 billion dollars a sum).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

REVISION = "0004"
"""The last migration: after it the tables are these."""


def _counter_key() -> list[Column[Any]]:
    """Those of a `budgets.CounterKey`."""
    widths = {"kind": 16, "id": 260, "part": 280, "window": 64}
    return [Column(name, String(width), primary_key=True) for name, width in widths.items()]


scopes = Table(
    "scopes",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", String(260), primary_key=True),
    Column("alias", String(256), nullable=False),
    Column("organization", String(256), nullable=False),
    Column("team", String(256), nullable=False),
    Column("user", String(256), nullable=False),
    Column("created", Double, nullable=False),
    Column("record", Text, nullable=False),
    Index("scopes_created", "kind", "created"),
    Index("scopes_alias", "kind", "alias"),
    Index("scopes_team", "kind", "team"),
    Index("scopes_user", "kind", "user"),
    Index("scopes_organization", "kind", "organization"),
)

key_hashes = Table(
    "key_hashes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key", String(256), nullable=False),
    Column("until", Double, nullable=True),
    Index("key_hashes_key", "key"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("ended", Double, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("request_id", String(256), nullable=False),
    Column("key", String(256), nullable=False),
    Column("team", String(256), nullable=False),
    Column("user", String(256), nullable=False),
    Column("organization", String(256), nullable=False),
    Column("end_user", String(256), nullable=False),
    Column("model", String(256), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    Column("session", String(256), nullable=False, server_default=""),
    Index("ledger_ended", "ended"),
    Index("ledger_key", "key", "ended"),
    Index("ledger_team", "team", "ended"),
    Index("ledger_user", "user", "ended"),
    Index("ledger_request", "request_id"),
    Index("ledger_session", "session", "ended"),
)

ledger_tags = Table(
    "ledger_tags",
    metadata,
    Column("tag", String(256), primary_key=True),
    Column("row", String(64), primary_key=True),
    Column("ended", Double, nullable=False),
    Index("ledger_tags_ended", "ended"),
)

counters = Table(
    "counters",
    metadata,
    *_counter_key(),
    Column("nano", BigInteger, nullable=False),
    Column("moved", Double, nullable=False),
    Index("counters_moved", "moved"),
)

holds = Table(
    "holds",
    metadata,
    Column("worker", String(64), primary_key=True),
    *_counter_key(),
    Column("nano", BigInteger, nullable=False),
    Column("until", Double, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("action", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("id", String(260), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("upstream", String(256), nullable=False),
    Column("began", Double, nullable=False),
    Column("due", Double, nullable=True),
    Column("record", Text, nullable=False),
    Index("batches_owner", "owner", "dialect", "began"),
    Index("batches_upstream", "upstream"),
    Index("batches_due", "due"),
)

batch_holds = Table(
    "batch_holds",
    metadata,
    Column("batch", String(64), primary_key=True),
    *_counter_key(),
    Column("nano", BigInteger, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", String(260), primary_key=True),
    Column("created", Double, nullable=False),
    Column("record", Text, nullable=False),
    Column("sealed", Text, nullable=False),
)
"""Models and credentials of the admin API. `sealed` is encrypted, and says nothing without a key that no database has."""
