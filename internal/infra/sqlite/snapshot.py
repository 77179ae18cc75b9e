"""Copies SQLite files while they are in use, all of them as they were at one moment.

By SQLite's backup interface. Only the first file's writers wait, for as long as it takes to begin
a read of every file.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from internal.infra.data_folder import private
from internal.infra.sqlite import integrity, meaning

PAGES_A_STEP = 4_096
LOCK_WAIT_MS = 60_000
"""A busy engine commits one transaction after another; the lock is got between two of them."""


@contextlib.contextmanager
def taken(first: Path, others: Sequence[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Yield one connection per file, each with a read that began while the first was locked.

    Args:
        first: the file whose rows are written before those of the others, and again after them.
        others: files that are written in between.

    Raises:
        DatabaseAway: the lock is not to be had, or a file cannot be opened.
        DatabaseDamaged: a file is damaged.
    """
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(integrity.opened(path)) for path in (first, *others)]
        with integrity.opened(first) as locking:
            locking.execute(f"PRAGMA busy_timeout={LOCK_WAIT_MS}")
            locking.execute("BEGIN IMMEDIATE")
            for connection in connections:
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            locking.execute("ROLLBACK")
        yield connections


def copy(source: sqlite3.Connection, path: Path) -> None:
    """Copy the file of an open connection, as its transaction sees it, to a new private file.

    Raises:
        DatabaseAway: the copy cannot be written.
        DatabaseDamaged: the source is damaged.
        OSError: the new file cannot be made.
    """
    private.make_file(path)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as target:
            source.backup(target, pages=PAGES_A_STEP)
    except sqlite3.Error as error:
        known = meaning.of_error(error, path)
        if known is None:
            raise
        raise known from error


def finish(path: Path) -> None:
    """Check a copy, make it one file without a log beside it, and wait until it is on the disk.

    Raises:
        DatabaseDamaged: the copy is damaged: so is its source.
        DatabaseAway: it cannot be written.
        OSError: it cannot be written.
    """
    with integrity.opened(path) as connection:
        integrity.require_whole(connection, path)
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    private.sync(path)
