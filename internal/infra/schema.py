"""Tells a database with foreign, outdated or newer tables from other database errors.

No retry helps and no order is the cause, so the process that finds it stops with an explanation.
"""

from functools import cache
from pathlib import Path

import sqlalchemy as sa

from internal.kernel import errors

VERSIONS = Path(__file__).with_name("migrations") / "versions"
VERSION = sa.text("SELECT version_num FROM alembic_version")
NUMBERS = frozenset({1054, 1146, 1364})
"""MySQL and MariaDB: no such column, no such table, a column without default and value."""
TEXTS = ("no such table", "no such column", "has no column named")
"""SQLite has no error numbers for these."""


def is_foreign(error: BaseException) -> bool:
    """Tell whether a statement failed because the tables are not those of this Souk."""
    if not isinstance(error, sa.exc.DBAPIError) or error.orig is None:
        return False
    number = error.orig.args[0] if error.orig.args else None
    return number in NUMBERS or any(text in str(error.orig) for text in TEXTS)


def explain(error: sa.exc.DBAPIError) -> str:
    """Return what is wrong and how to fix it."""
    said = " ".join(map(str, error.orig.args)) if error.orig else str(error)
    return f"the tables are not those of this Souk ({said}): `souk migrate` brings them up to date"


@cache
def versions() -> tuple[str, ...]:
    """Return the versions of the tables that this Souk knows, oldest first."""
    return tuple(sorted(file.name.partition("_")[0] for file in VERSIONS.glob("[0-9]*.py")))


def version_of(connection: sa.Connection) -> str | None:
    """Return the version of a database's tables; None without tables."""
    try:
        return connection.execute(VERSION).scalar()
    except sa.exc.DBAPIError as error:
        if is_foreign(error):
            return None
        raise


def require_current(connection: sa.Connection) -> None:
    """Check that the tables are of this Souk's version.

    Raises:
        Misconfigured: they are older, newer, or missing; the message says what to do.
    """
    found = version_of(connection)
    if found != versions()[-1]:
        raise errors.Misconfigured(other_version(found))


def other_version(found: str | None) -> str:
    """Say what to do with tables of a version that is not this Souk's newest."""
    newest = versions()[-1]
    if found is None:
        return (
            "the database has no tables of Souk: `souk migrate` makes them in a new one;"
            " `souk restore` brings a backup back"
        )
    if found in versions():
        return (
            f"the tables are at version {found}, older than this Souk ({newest}): make a backup,"
            " then `souk migrate` brings them up to date"
        )
    return (
        f"the tables are at version {found}, which this Souk ({newest}) does not know: use the"
        " newer Souk that wrote them, or restore a backup from before its `souk migrate`"
    )
