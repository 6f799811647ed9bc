"""Brings a database to the schema of this version, forward only. A database of a newer version is refused, never touched."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from dragoman.core.errors import ConfigurationError


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in the transaction of this connection. Raises ConfigurationError."""
    with as_file(files("dragoman.gateway.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        newer = set(MigrationContext.configure(connection).get_current_heads()) - known
        if newer:
            raise ConfigurationError(
                f"database: its schema ({', '.join(sorted(newer))}) was made by a newer version of dragoman; "
                "run that version, or restore a backup from before"
            )
        command.upgrade(config, "head")
