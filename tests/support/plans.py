"""Every statement that Souk's code runs in a test is explained: no table that grows may be scanned.

A statement is explained once in each process of a run, on the database where it is first seen.
SQLite chooses its plans without statistics, so few rows are enough. A server reads small tables as
a whole whatever their indexes; there it counts whether an index could be used at all.
"""

import contextlib
import re
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pymysql.cursors
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
OURS, BELOW = str(ROOT / "internal"), str(ROOT / "internal/infra")
LAB = str(ROOT / "internal/lab")
"""What judges a run reads all of it."""
SMALL = {
    "account_balances",
    "accounts",
    "actors",
    "api_keys",
    "business_day_sums",
    "business_days",
    "currencies",
    "fixed_settings",
    "gateway_accounts",
    "merchants",
    "operator_log",
    "products",
    "receipt_counters",
    "stock",
    "stage_attempts",
    "stock_exceptions",
    "stores",
    "tax_code_rates",
    "tax_rates",
}
"""Tables that grow with shops, articles, days and people only: they may be scanned. And the crash
counts: they have rows after a crash only, for a month.
"""
WIDE = {
    "kind",
    "location_id",
    "merchant_id",
    "source_kind",
    "state",
    "store_id",
    "subject_kind",
}
"""Columns with few values: an index from which only these are used is a scan."""
TABLES = re.compile(
    r'\b(?:FROM|JOIN|UPDATE|INTO)\s+"?`?(\w+)"?`?(?:\s+(?:AS\s+)?(\w+))?', re.IGNORECASE
)
READS = ("SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE", "WITH", "(SELECT")
USED = re.compile(r"(\w+)([=<>])")
SQLITE_STEP = re.compile(r"(SCAN|SEARCH) (\w+)(?: USING (?:[A-Z ]+?)?(?:\w+ )?\((.*)\))?")


class Scan(NamedTuple):
    """A statement that reads a table that grows as a whole."""

    place: str
    """The function that runs it: "orders/store.py:find"."""
    step: str
    sql: str


class Plans:
    """The statements seen so far, and those that scan."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], str] = {}
        """{(dialect, SQL): place}."""
        self.scans: list[Scan] = []
        self._is_paused = False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Explain nothing for a while: a test has taken a table's indexes away."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def taken(self) -> list[Scan]:
        """Return the scans that nobody has taken yet."""
        taken, self.scans = self.scans, []
        return taken

    def see(self, dialect: str, sql: str, explain: Any) -> None:  # noqa: ANN401 - a cursor's method
        """Explain a statement if Souk's own code runs it, and if it was not seen before."""
        if self._is_paused or (dialect, sql) in self.seen:
            return
        if not sql.lstrip().upper().startswith(READS):
            return
        place = _place()
        if place is None:
            return
        steps = list(explain())
        if steps:
            self.seen[dialect, sql] = place
        if place not in ALLOWED:
            found = scans_of(dialect, sql, steps)
            self.scans += [Scan(place, step, " ".join(sql.split())) for step in found]


PLANS = Plans()
ALLOWED = {"checks/invariants.py:_count_matches"}
"""It searches all text for card numbers; tests and chaos runs only."""


def _place() -> str | None:
    """Return the innermost function above infra that runs a statement; None for tests and lab."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(LAB):
            return None
        if name.startswith(OURS) and not name.startswith(BELOW):
            return f"{name.removeprefix(OURS)[1:]}:{frame.f_code.co_name}"
        if name.startswith(str(ROOT / "tests")) and Path(name) != Path(__file__):
            return None
        frame = frame.f_back  # type: ignore[assignment]
    return None


def tables_of(sql: str) -> dict[str, str]:
    """Return {alias: table}; a table is an alias of itself, too."""
    known = sa_tables()
    found: dict[str, str] = {}
    for table, alias in TABLES.findall(sql):
        if table in known:
            found |= {table: table} | ({alias: table} if alias else {})
    return found


def sa_tables() -> set[str]:
    """Return the names of all tables that grow."""
    from internal.infra import db  # noqa: PLC0415 - conftest reads this module first

    return set(db.METADATA.tables) - SMALL


def scans_of(dialect: str, sql: str, steps: Sequence[Sequence[Any]]) -> list[str]:
    """Return the steps of a plan that read all of a table that grows.

    A page is not all of it: a walk along an index that ends at a LIMIT.
    """
    tables = tables_of(sql)
    is_sqlite = dialect == "sqlite"
    is_sorted = any("TEMP B-TREE" in str(it) or "filesort" in str(it) for it in steps)
    if " LIMIT " in sql.upper() and not is_sorted:
        return []
    is_scan = _is_scan_of_sqlite if is_sqlite else _is_scan_of_mysql
    return [str(step) for step in steps if is_scan(step, tables)]


def _is_scan_of_sqlite(step: Sequence[Any], tables: dict[str, str]) -> bool:
    found = SQLITE_STEP.match(str(step[3]))
    if not found or found[2] not in tables:
        return False
    used = USED.findall(found[3] or "")
    is_first_or_last = found[1] == "SEARCH" and not used
    return not is_first_or_last and all(_is_wide(column, sign) for column, sign in used)


def _is_wide(column: str, sign: str) -> bool:
    """Tell whether a part of an index is most of it: days up to one are, days since it are not."""
    return column in WIDE or (column == "business_day" and sign == "<")


def _is_scan_of_mysql(step: Sequence[Any], tables: dict[str, str]) -> bool:
    how, table, kind, possible = step[1:5]
    return how != "INSERT" and table in tables and kind in {"ALL", "index"} and possible is None


class SqliteCursor(sqlite3.Cursor):
    """A cursor that shows its statements to PLANS."""

    def execute(self, sql: str, parameters: Any = ()) -> "SqliteCursor":  # noqa: ANN401
        """See sqlite3."""

        def explain() -> Iterator[Any]:
            plain = sqlite3.Cursor(self.connection)
            return iter(plain.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall())

        PLANS.see("sqlite", sql, explain)
        super().execute(sql, parameters)
        return self


class SqliteConnection(sqlite3.Connection):
    """A connection with such cursors."""

    def cursor(self, factory: Any = SqliteCursor) -> Any:  # noqa: ANN401 - as sqlite3 has it
        """See sqlite3."""
        return super().cursor(factory)


class MysqlCursor(pymysql.cursors.Cursor):  # type: ignore[misc]  # it ships no types
    """A cursor that shows its statements to PLANS."""

    def execute(self, query: str | bytearray, args: Any = None) -> int:  # noqa: ANN401 - as the driver has it
        """See pymysql."""
        sql = query if isinstance(query, str) else query.decode()

        def explain() -> Iterator[Any]:
            plain = pymysql.cursors.Cursor(self.connection)
            plain.execute(f"EXPLAIN {sql}", args)
            return (step for step in plain.fetchall() if step[2] is not None)

        PLANS.see("mysql", sql, explain)
        rows: int = super().execute(query, args)
        return rows


def watch() -> None:
    """Let every engine that is made from now on show its statements."""

    @sa.event.listens_for(sa.Engine, "do_connect")
    def connect(dialect: Any, _record: Any, _given: Any, named: dict[str, Any]) -> None:  # noqa: ANN401
        if dialect.name == "sqlite":
            named.setdefault("factory", SqliteConnection)
        elif dialect.driver == "pymysql":
            named.setdefault("cursorclass", MysqlCursor)
