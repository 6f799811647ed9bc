"""Alembic's entry: runs the versions on the connection that `migrate.upgrade` brings. Not for the `alembic` command."""

from __future__ import annotations

from alembic import context

from dragoman.gateway.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
