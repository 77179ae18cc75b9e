"""The meaning of SQLite's errors: damaged, away for now, or a bug.

A damaged file is no order's fault and no retry cures it, so the process that finds it stops.
"""

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from internal.kernel import errors

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""The file is damaged, or is not a database."""
FULL = sqlite3.SQLITE_FULL
AWAY = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
    FULL,
})  # fmt: skip
"""Another process holds the lock, or the disk does not do what it should."""
PRIMARY_CODE = 0xFF
"""The low bits of an extended error code."""
FULL_TOLD = "the disk of this server is full"
RUNBOOK = "docs/operations-embedded.md#damaged-missing-or-older"


def of_error(error: BaseException, path: Path) -> errors.SoukError | None:
    """Return the exception to raise instead of SQLite's or SQLAlchemy's; None for a bug."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = code_of(original)
    if code in DAMAGED:
        return damaged(path, str(original))
    if code == sqlite3.SQLITE_INTERRUPT:
        return errors.TooMuchAtOnce(f"{path}: {original}")
    if code in AWAY:
        away = errors.DatabaseAway(f"{path}: {original}")
        away.told = FULL_TOLD if code == FULL else ""
        return away
    return None


def code_of(error: BaseException | None) -> int:
    """Return SQLite's primary error code; 0 if the error has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & PRIMARY_CODE if isinstance(code, int) else 0


def damaged(path: Path, found: str) -> errors.DatabaseDamaged:
    """Return the error for a file that cannot be trusted, with the way out."""
    return errors.DatabaseDamaged(
        f"{path} is damaged, or not a database that can be read ({found}): keep a copy of the"
        f" folder, then `souk restore` the last backup into a new one; {RUNBOOK}"
    )
