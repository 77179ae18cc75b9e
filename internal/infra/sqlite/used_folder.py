"""Looks at the databases of a data folder: damage, loss and older copies are told apart from news.

An empty file beside an engine's other files is not a new shop. Must not change a database.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from internal.infra import schema
from internal.infra.data_folder import files, history
from internal.infra.sqlite import integrity, meaning
from internal.kernel import errors

USED = "this folder's engine has used it before"


def require_usable(
    folder: Path, ledgers: Sequence[Path] = (), *, is_quick: bool = False
) -> history.History | None:
    """Check the databases of a used folder, and return its history; a new folder has none.

    Args:
        folder: the data folder.
        ledgers: other databases that the engine keeps there.
        is_quick: read through small files only. An engine that was not stopped properly has all of
            them read through at its next start.

    Raises:
        DatabaseDamaged: one is damaged, missing, empty, or older than it was.
        DatabaseAway: one cannot be opened.
        Misconfigured: the tables are from a newer Souk.
        OSError: the folder cannot be read.
    """
    path, known = folder / files.DATABASE, history.read(folder)
    names = known.databases if known else names_without_history(folder, ledgers)
    for name in names:
        integrity.require_file(folder / name, USED)
    if integrity.is_missing(path):
        return None
    bytes_max = _readable_bytes(known, is_quick=is_quick)
    for file in (path, *ledgers):
        if not integrity.is_missing(file):
            integrity.check(file, bytes_max=bytes_max)
    with integrity.opened(path) as connection:
        _require_tables(connection, path, is_used=bool(names))
        if known:
            _require_newest(connection, path, known)
    return known


def _readable_bytes(known: history.History | None, *, is_quick: bool) -> int | None:
    """Return how large a file may be to be read through; None if any may."""
    if is_quick:
        return integrity.QUICKLY_CHECKED_BYTES
    is_doubtful = known is None or not known.is_closed
    return None if is_doubtful else integrity.ALWAYS_CHECKED_BYTES


def names_without_history(folder: Path, ledgers: Sequence[Path]) -> tuple[str, ...]:
    """Return the databases that must be in a folder of an older Souk, by what else is there."""
    log = folder / f"{files.DATABASE}-wal"
    is_used = any(not integrity.is_missing(it) for it in (folder / files.DEMO_KEY, *ledgers, log))
    return (files.DATABASE,) if is_used else ()


def _require_tables(connection: sqlite3.Connection, path: Path, *, is_used: bool) -> None:
    found = integrity.value(connection, "alembic_version", "version_num")
    if found is None and is_used:
        raise errors.DatabaseDamaged(
            f"{path} has lost its tables, and {USED}: its -wal was removed; put it back, or"
            f" `souk restore` a backup into a new folder; {meaning.RUNBOOK}"
        )
    if found is not None and found not in schema.versions():
        raise errors.Misconfigured(f"{path}: {schema.other_version(str(found))}")


def _require_newest(connection: sqlite3.Connection, path: Path, known: history.History) -> None:
    found = integrity.value(connection, "sqlite_sequence", "seq", "name = 'bus_messages'")
    found = found if isinstance(found, int) else 0
    if found < known.messages:
        raise errors.DatabaseDamaged(
            f"{path} is older than it was (message {found}, {known.messages} before): its -wal was"
            " removed, or this is an old copy. Put back the newest one with its -wal, or"
            f" `souk restore` a backup into a new folder; {meaning.RUNBOOK}"
        )
