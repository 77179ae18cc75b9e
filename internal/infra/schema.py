"""Tells a database with foreign or outdated tables from other database errors.

No retry helps and no order is the cause, so the process that finds it stops with an explanation.
"""

import sqlalchemy as sa

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
