"""Models and credentials that come by the admin API."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, String, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "entries",
        Column("kind", String(16), primary_key=True),
        Column("id", String(260), primary_key=True),
        Column("created", Double, nullable=False),
        Column("record", Text, nullable=False),
        Column("sealed", Text, nullable=False),
    )
