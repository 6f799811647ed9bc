"""Batches and the money that they hold until their results are settled."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, String, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "batches",
        Column("id", String(64), primary_key=True),
        Column("owner", String(64), nullable=False),
        Column("dialect", String(32), nullable=False),
        Column("provider", String(64), nullable=False),
        Column("upstream", String(256), nullable=False),
        Column("began", Double, nullable=False),
        Column("due", Double, nullable=True),
        Column("record", Text, nullable=False),
    )
    op.create_index("batches_owner", "batches", ["owner", "dialect", "began"])
    op.create_index("batches_upstream", "batches", ["upstream"])
    op.create_index("batches_due", "batches", ["due"])
    op.create_table(
        "batch_holds",
        Column("batch", String(64), primary_key=True),
        Column("kind", String(16), primary_key=True),
        Column("id", String(260), primary_key=True),
        Column("part", String(280), primary_key=True),
        Column("window", String(64), primary_key=True),
        Column("nano", BigInteger, nullable=False),
    )
