"""The embedded database file as operators' commands use it: one transaction, then closed.

Must not make a file that is not there; `souk migrate` alone does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from internal.admin import folder
from internal.infra import db, files, settings
from internal.kernel import errors

T = TypeVar("T")


def read(data: Path | None, work: db.Work[T]) -> T:
    """Run `work` on one snapshot.

    Raises:
        DatabaseAway: there is no such file, it is no database, or it stays locked.
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


def use(data: Path | None, task: Callable[[db.SqliteDatabase], Awaitable[T]]) -> T:
    """Open the database, await `task` of it, close it.

    Raises:
        DatabaseAway: as for read.
        Misconfigured: as for read.
    """
    storage = folder.storage_of(data)
    path = storage.data_dir / files.DATABASE
    if not path.is_file():
        raise errors.DatabaseAway(
            f"there is no database {path}: `scripts/start --data {storage.data_dir}` makes a demo"
            f" shop there, `souk migrate --data {storage.data_dir}` an empty one;"
            " or name another folder with --data"
        )
    return run(path, storage, task)


def run(
    path: Path, storage: settings.StorageSettings, task: Callable[[db.SqliteDatabase], Awaitable[T]]
) -> T:
    """Open this file, or make it, await `task` of it, close it.

    Raises:
        DatabaseAway: it is no database, or stays locked.
        Misconfigured: its tables are of another version.
    """
    try:
        return asyncio.run(_with(path, storage, task))
    except sa.exc.DatabaseError as error:
        raise _said(error, path) from error


async def _with(
    path: Path, storage: settings.StorageSettings, task: Callable[[db.SqliteDatabase], Awaitable[T]]
) -> T:
    """Do it with one reader: a command does one thing."""
    database = db.SqliteDatabase(
        path,
        readers=1,
        busy_timeout_ms=storage.busy_timeout_ms,
        synchronous=storage.synchronous,
        cache_mib=storage.cache_mib,
    )
    try:
        return await task(database)
    finally:
        await database.close()


def _said(error: sa.exc.DatabaseError, path: Path) -> Exception:
    """Say what the file's contents are to blame for; return anything else as it is."""
    text = str(error.orig)
    if "no such table" in text or "no such column" in text:
        what = f"the tables in {path} are not those of this souk ({text})"
        return errors.Misconfigured(
            f"{what}: `souk migrate --data {path.parent}` brings them up to date"
        )
    if "not a database" in text or "malformed" in text:
        return errors.DatabaseAway(f"{path} is no database that can be read: {text}")
    return error
