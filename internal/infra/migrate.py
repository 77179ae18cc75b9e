"""Bringing a database's tables to the version that this code expects."""

from pathlib import Path

import alembic.command
import alembic.config
import alembic.util
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from internal.kernel import errors

FOLDER = Path(__file__).with_name("migrations")


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Apply what is missing, up to `revision`.

    Raises:
        Misconfigured: the database is at a revision that this code does not know.
    """
    try:
        alembic.command.upgrade(_config(connection), revision)
    except alembic.util.CommandError as error:
        what = f"the tables are at version {current(connection)}, which this Souk does not know"
        raise errors.Misconfigured(f"{what}: {error}") from error


def downgrade(connection: sa.Connection, revision: str) -> None:
    """Take revisions back, down to `revision` ("base" for all of them).

    Their tables go with their rows.
    """
    alembic.command.downgrade(_config(connection), revision)


def current(connection: sa.Connection) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Return the revision that this code expects."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    return head or ""


def _config(connection: sa.Connection) -> alembic.config.Config:
    if not connection.in_transaction():
        connection.begin()  # the caller commits; Alembic would do so otherwise
    config = alembic.config.Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
