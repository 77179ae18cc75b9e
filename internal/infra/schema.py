"""Tells a database that is not ours, or not migrated, from everything else that goes wrong with it.

No patience cures it and no order is to blame: whoever meets it stops and says so.
"""

import sqlalchemy as sa

NUMBERS = frozenset({1054, 1146, 1364})
"""MySQL and MariaDB: no such column, no such table, a column without default that nobody fills."""
WORDS = ("no such table", "no such column", "has no column named")
"""SQLite, which has no numbers for it."""


def is_foreign(error: BaseException) -> bool:
    """Tell whether a statement met tables that are not those of this Souk."""
    if not isinstance(error, sa.exc.DBAPIError) or error.orig is None:
        return False
    number = error.orig.args[0] if error.orig.args else None
    return number in NUMBERS or any(words in str(error.orig) for words in WORDS)


def explain(error: sa.exc.DBAPIError) -> str:
    """Say what is wrong and what helps."""
    said = " ".join(map(str, error.orig.args)) if error.orig else str(error)
    return f"the tables are not those of this Souk ({said}): `souk migrate` brings them up to date"
