"""Migrates a database's tables to the version that this code expects.

MySQL and MariaDB commit every change of a table by itself. So revisions can be resumed where they
were interrupted, and only one process at a time changes tables there.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import alembic.util
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from internal.infra import schema
from internal.kernel import errors

FOLDER = Path(__file__).with_name("migrations")
LOCK = "CONCAT('souk ', LEFT(SHA2(DATABASE(), 256), 40))"
"""The name of a lock is valid for the whole server, and short."""
LOCK_WAIT_S = 10


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
    """Apply the missing revisions, up to `revision`.

    A change that takes longer than the database's statement_timeout_s goes on in the server; the
    next upgrade waits for it.

    Raises:
        Misconfigured: the database is at a revision that this code does not know.
        DatabaseAway: another process is still changing the tables.
    """
    with _alone(connection):
        try:
            alembic.command.upgrade(_config(connection), revision)
        except alembic.util.CommandError as error:
            found = current(connection)
            unknown = revision if found in {None, *schema.versions()} else found
            raise errors.Misconfigured(schema.other_version(unknown)) from error


def downgrade(connection: sa.Connection, revision: str) -> None:
    """Revert revisions, down to `revision` ("base" for all of them).

    Their tables are dropped with all rows.

    Raises:
        DatabaseAway: as for upgrade.
    """
    with _alone(connection):
        alembic.command.downgrade(_config(connection), revision)


def current(connection: sa.Connection) -> str | None:
    """Return the revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Return the revision that this code expects."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    return head or ""


@contextlib.contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Keep other processes from changing tables; SQLite has only one writer anyway."""
    if connection.dialect.name == "sqlite":
        yield
        return
    if connection.exec_driver_sql(f"SELECT GET_LOCK({LOCK}, {LOCK_WAIT_S})").scalar() != 1:
        raise errors.DatabaseAway("another process is changing the tables")
    try:
        yield
        connection.exec_driver_sql(
            "COMMIT"
        )  # the revision's number must be visible before the lock is free
        connection.exec_driver_sql(f"SELECT RELEASE_LOCK({LOCK})")
    except BaseException:
        connection.invalidate()  # the lock goes with it
        raise


def _config(connection: sa.Connection) -> alembic.config.Config:
    if not connection.in_transaction():
        connection.begin()  # the caller commits; Alembic would do so otherwise
    config = alembic.config.Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
