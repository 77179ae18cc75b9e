"""Looks at SQLite files before they are used: whole, and with the rows that they had.

Opens each file by itself and closes it again. Must not create a file or change a row.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from internal.infra.sqlite import meaning
from internal.kernel import errors

ALWAYS_CHECKED_BYTES = 512 * 1_048_576
"""A quick check reads the whole file: measured 1.3 s per GiB from the cache, more from a disk."""
QUICKLY_CHECKED_BYTES = 64 * 1_048_576
"""The same for a command whose time must not grow with the orders: a tenth of a second."""
FOUND_MAX = 1
BUSY_S = 5.0


@contextlib.contextmanager
def opened(path: Path, *, is_read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """Open an existing file.

    Args:
        path: the file.
        is_read_only: write nothing, not even the log that a dead process has left.

    Raises:
        DatabaseDamaged: a statement found that it is damaged, or not a database.
        DatabaseAway: it cannot be opened or read, or stays locked.
    """
    uri = f"{path.absolute().as_uri()}?mode={'ro' if is_read_only else 'rw'}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_S)
        with contextlib.closing(connection):
            yield connection
    except sqlite3.Error as error:
        known = meaning.of_error(error, path)
        if known is None:
            raise
        raise known from error


def is_missing(path: Path) -> bool:
    """Tell whether there is nothing: no file, or an empty one, which SQLite takes for a new one."""
    return not path.is_file() or not path.stat().st_size


def check(path: Path, *, bytes_max: int | None) -> None:
    """Check a file's structure, unless it is larger than `bytes_max`.

    Raises:
        DatabaseDamaged: it is damaged.
        DatabaseAway: as for opened.
    """
    if bytes_max is None or path.stat().st_size <= bytes_max:
        with opened(path) as connection:
            require_whole(connection, path)


def require_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Check the structure of an open file.

    Raises:
        DatabaseDamaged: it is damaged.
    """
    found = connection.execute(f"PRAGMA quick_check({FOUND_MAX})").fetchall()
    if found != [("ok",)]:
        first = " ".join(str(found[0][0]).split()) if found else "no answer"
        raise meaning.damaged(path, first)


def value(connection: sqlite3.Connection, table: str, column: str, where: str = "1") -> object:
    """Return one value, or None if the table or the row is missing."""
    is_there = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    if not is_there:
        return None
    row = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()  # noqa: S608 - our own names
    return row[0] if row else None


def require_file(path: Path, why: str) -> None:
    """Check that a database that was here still is.

    Raises:
        DatabaseDamaged: it is missing or empty.
    """
    if is_missing(path):
        what = "empty" if path.is_file() else "missing"
        raise errors.DatabaseDamaged(
            f"{path} is {what}, and {why}: put it back with its -wal, or `souk restore` a backup"
            f" into a new folder; {meaning.RUNBOOK}"
        )
