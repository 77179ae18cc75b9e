"""Triggers that refuse every change of a row that was written to an append-only table.

A correction is a new row. Only a column that is given once may be set later, such as the number
that the close of a day gives an entry. Whole partitions can still be dropped by an administrator.
"""

import sqlalchemy as sa

from internal.infra import columns

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
            connection.exec_driver_sql(_sql(table, action, is_sqlite=is_sqlite))


def trigger_name(table: str, action: str) -> str:
    """Return the name of the trigger that refuses this action."""
    return f"{table}_refuses_{action.lower()}"


def _sql(table: sa.Table, action: str, *, is_sqlite: bool) -> str:
    said = f"{table.name} is append-only"
    begin = f"{trigger_name(table.name, action)} BEFORE {action} ON {table.name}"
    same = "IS" if is_sqlite else "<=>"
    allowed = _allowed(table, same) if action == "UPDATE" else ""
    if is_sqlite:
        when = f" WHEN NOT ({allowed})" if allowed else ""
        return (
            f"CREATE TRIGGER IF NOT EXISTS {begin}{when} BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )
    refuse = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{said}'"
    if allowed:
        refuse = f"IF NOT ({allowed}) THEN {refuse}; END IF"
    return f"CREATE TRIGGER {begin} FOR EACH ROW {refuse}"


def _allowed(table: sa.Table, same: str) -> str:
    """Return the SQL of an allowed change: columns that are NULL get a value, all others stay."""
    given = [c.name for c in table.columns if c.info == columns.GIVEN_ONCE]
    if not given:
        return ""
    kept = [c.name for c in table.columns if c.name not in given]
    once = [f"(OLD.{name} IS NULL OR NEW.{name} {same} OLD.{name})" for name in given]
    return " AND ".join([*once, *(f"NEW.{name} {same} OLD.{name}" for name in kept)])
