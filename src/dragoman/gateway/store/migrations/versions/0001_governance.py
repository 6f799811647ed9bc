"""Scopes, hashes of keys, the ledger with its counters, reservations of workers, the audit log.

A migration is a picture of its day: it repeats what `schema` said then and never imports it, for that will change.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, String, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    _scopes()
    _ledger()
    _workers()


def _scopes() -> None:
    op.create_table(
        "scopes",
        Column("kind", String(16), primary_key=True),
        Column("id", String(260), primary_key=True),
        Column("alias", String(256), nullable=False),
        Column("organization", String(256), nullable=False),
        Column("team", String(256), nullable=False),
        Column("user", String(256), nullable=False),
        Column("created", Double, nullable=False),
        Column("record", Text, nullable=False),
    )
    op.create_index("scopes_created", "scopes", ["kind", "created"])
    op.create_index("scopes_alias", "scopes", ["kind", "alias"])
    op.create_index("scopes_team", "scopes", ["kind", "team"])
    op.create_index("scopes_user", "scopes", ["kind", "user"])
    op.create_index("scopes_organization", "scopes", ["kind", "organization"])
    op.create_table(
        "key_hashes",
        Column("digest", String(64), primary_key=True),
        Column("key", String(256), nullable=False),
        Column("until", Double, nullable=True),
    )
    op.create_index("key_hashes_key", "key_hashes", ["key"])


def _ledger() -> None:
    op.create_table(
        "ledger",
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
    )
    op.create_index("ledger_ended", "ledger", ["ended"])
    op.create_index("ledger_key", "ledger", ["key", "ended"])
    op.create_index("ledger_team", "ledger", ["team", "ended"])
    op.create_index("ledger_user", "ledger", ["user", "ended"])
    op.create_index("ledger_request", "ledger", ["request_id"])
    op.create_table(
        "ledger_tags",
        Column("tag", String(256), primary_key=True),
        Column("row", String(64), primary_key=True),
        Column("ended", Double, nullable=False),
    )
    op.create_index("ledger_tags_ended", "ledger_tags", ["ended"])


def _workers() -> None:
    op.create_table(
        "counters",
        Column("kind", String(16), primary_key=True),
        Column("id", String(260), primary_key=True),
        Column("part", String(280), primary_key=True),
        Column("window", String(64), primary_key=True),
        Column("nano", BigInteger, nullable=False),
        Column("moved", Double, nullable=False),
    )
    op.create_index("counters_moved", "counters", ["moved"])
    op.create_table(
        "holds",
        Column("worker", String(64), primary_key=True),
        Column("kind", String(16), primary_key=True),
        Column("id", String(260), primary_key=True),
        Column("part", String(280), primary_key=True),
        Column("window", String(64), primary_key=True),
        Column("nano", BigInteger, nullable=False),
        Column("until", Double, nullable=False),
    )
    op.create_table(
        "changes",
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
