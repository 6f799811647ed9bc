"""Conversations by name: calls that go on from one another can be found together."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("ledger", Column("session", String(256), nullable=False, server_default=""))
    op.create_index("ledger_session", "ledger", ["session", "ended"])
