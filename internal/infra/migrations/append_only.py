"""Triggers that refuse every change of a row that was written to an append-only table.

A correction is a new row. Whole partitions can still be dropped by an administrator.
"""

import sqlalchemy as sa

ACTIONS = ("UPDATE", "DELETE")
_EXISTING = sa.text(
    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
)


def protect(connection: sa.Connection, table: sa.Table) -> None:
    """Create the triggers of a table, or those that an interrupted run has left out."""
    is_sqlite = connection.dialect.name == "sqlite"
    existing = set() if is_sqlite else set(connection.execute(_EXISTING).scalars())
    for action in ACTIONS:
        if trigger_name(table.name, action) not in existing:
            connection.exec_driver_sql(_sql(table.name, action, is_sqlite=is_sqlite))


def trigger_name(table: str, action: str) -> str:
    """Return the name of the trigger that refuses this action."""
    return f"{table}_refuses_{action.lower()}"


def _sql(table: str, action: str, *, is_sqlite: bool) -> str:
    said = f"{table} is append-only"
    name = trigger_name(table, action)
    if is_sqlite:
        return (
            f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {action} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )
    return (
        f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW"
        f" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{said}'"
    )
