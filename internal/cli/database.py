"""The engine's database for operators' commands: opened for one transaction, then closed.

Must not make a missing file; only `souk migrate` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from internal.console import lazy_modules
from internal.infra.data_folder import files
from internal.kernel import errors

if TYPE_CHECKING:
    import sqlalchemy as sa

    from internal.console import installation
    from internal.infra import backends, db, schema, settings
else:
    installation = lazy_modules.lazy("internal.console.installation")
    sa = lazy_modules.lazy("sqlalchemy")
    backends = lazy_modules.lazy("internal.infra.backends")
    schema = lazy_modules.lazy("internal.infra.schema")

T = TypeVar("T")


def read(data: Path | None, work: db.Work[T]) -> T:
    """Run `work` on one snapshot.

    Raises:
        DatabaseAway: the file is missing, cannot be opened, or stays locked.
        DatabaseDamaged: it is damaged, or is not a database.
        Misconfigured: its tables are of another version.
    """
    return use(data, lambda database: database.read(work))


def write(data: Path | None, work: db.Work[T]) -> T:
    """Run `work` in one transaction.

    Raises:
        DatabaseAway: as for read.
        Misconfigured: as for read.
    """
    return use(data, lambda database: database.write(work))


def use(data: Path | None, task: Callable[[db.Database], Awaitable[T]]) -> T:
    """Open the database, await `task` with it, close it.

    Raises:
        DatabaseAway: as for read.
        Misconfigured: as for read.
    """
    with installation.chosen(data) as found:
        require(found.settings)
        return run(found.settings, on_our_tables(task))


def require(options: settings.Settings) -> None:
    """Check that there is a database; a server's is taken to be there.

    Raises:
        DatabaseAway: the file is missing; the message says what makes one.
        OSError: the data folder cannot be read.
    """
    storage = options.storage
    path = storage.data_dir / files.DATABASE
    if storage.engine == "embedded" and not path.is_file():
        raise errors.DatabaseAway(
            f"there is no database {path}: `scripts/start --data {storage.data_dir}` makes a demo"
            f" shop there, `souk migrate --data {storage.data_dir}` an empty one;"
            " or name another folder with --data"
        )


def on_our_tables(
    task: Callable[[db.Database], Awaitable[T]],
) -> Callable[[db.Database], Awaitable[T]]:
    """Let a task begin only on tables of this version."""

    async def checked(database: db.Database) -> T:
        await database.read(schema.require_current)
        return await task(database)

    return checked


def run(options: settings.Settings, task: Callable[[db.Database], Awaitable[T]]) -> T:
    """Open the database of these settings, await `task` with it, close it.

    A missing file is made.

    Raises:
        DatabaseAway: it cannot be opened, or stays locked.
        DatabaseDamaged: it is damaged, or is not a database.
        Misconfigured: its tables are of another version.
    """
    try:
        return asyncio.run(_with(options, task))
    except sa.exc.DatabaseError as error:
        raise _explained(error, options) from error


async def _with(options: settings.Settings, task: Callable[[db.Database], Awaitable[T]]) -> T:
    """Open one reader only: a command does one thing."""
    database = backends.open_database(options, readers=1)
    try:
        return await task(database)
    finally:
        await database.close()


def name_of(options: settings.Settings) -> str:
    """Return the name of the database for people."""
    if options.storage.engine == "full":
        chosen = options.mysql
        return f"{chosen.database} on {chosen.host}:{chosen.port}"
    return str(options.storage.data_dir / files.DATABASE)


def _explained(error: sa.exc.DatabaseError, options: settings.Settings) -> Exception:
    """Return the error for wrong contents of the database; any other error as it is."""
    if schema.is_foreign(error):
        return errors.Misconfigured(f"{name_of(options)}: {schema.explain(error)}")
    return error
