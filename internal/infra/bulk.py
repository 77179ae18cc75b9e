"""Any number of rows in one statement with one parameter: the only place that knows how a dialect unpacks JSON.

SQLite reads rows with json_each, MySQL and MariaDB with JSON_TABLE. A row travels as a JSON array; what it holds is told
by a `Shape`. Values may be int, str, bool (as 0 or 1) or None. Nobody else writes bulk SQL by hand.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.kernel import errors

Row = Sequence[int | str | bool | None]
ROWS_MAX = 50_000
"""More rows than this in one statement are a bug in the caller's batching."""

_encode = msgspec.json.Encoder().encode


class Shape(msgspec.Struct, frozen=True):
    """The columns of a row: ((name, table column that gives the type), …), in the order of the values."""

    columns: tuple[tuple[str, sa.Column[Any]], ...]


def shape_of(table: sa.Table, *names: str, **others: sa.Column[Any]) -> Shape:
    """Describe rows whose values are columns of `table`, then `others` as name=column of the same type."""
    return Shape((*((name, table.c[name]) for name in names), *others.items()))


def insert(connection: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Insert `rows`, whose values stand in the order of `names`. Return how many were inserted.

    Raises:
        IntegrityError: a key exists already; nothing of this statement was inserted.
    """
    if not rows:
        return 0
    sql = _insert_sql(connection.dialect.name, table, names)
    return connection.execute(sql, {"rows": encode(rows)}).rowcount


def update(
    connection: sa.Connection,
    table: sa.Table,
    shape: Shape,
    keys: tuple[str, ...],
    changes: str,
    rows: Sequence[Row],
    guard: str = "",
) -> int:
    """Update `t` (the table) from `w` (the rows) where the `keys` agree and `guard` holds; return the rows matched.

    `changes` and `guard` are SQL that both dialects read: "reserved = t.reserved + w.quantity". A row of the table must
    be matched by one row of `w` at most.
    """
    if not rows:
        return 0
    sql = _update_sql(connection.dialect.name, table, shape, keys, changes, guard)
    return connection.execute(sql, {"rows": encode(rows)}).rowcount


def select(
    connection: sa.Connection, shape: Shape, query: str, rows: Sequence[Row], *, lock: bool = False
) -> Sequence[sa.Row[Any]]:
    """Run `query`, in which `{w}` stands for the rows as a table called w, and return all of the answer.

    Write "SELECT … FROM {w} CROSS JOIN orders t ON …": SQLite then walks the rows and looks each up, never the other
    way round. `lock` holds the rows found until the transaction ends (SQLite's writer holds everything anyway).
    """
    if not rows:
        return []
    sql = _select_sql(connection.dialect.name, shape, query, lock)
    return connection.execute(sql, {"rows": encode(rows)}).all()


def replace(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    rows: Sequence[Row],
) -> None:
    """Put `rows` in the place of those with the same `keys` (which must lead `names`), or add them."""
    shape = shape_of(table, *names)
    if rows:
        connection.execute(_delete_sql(connection.dialect.name, table, shape, keys), {"rows": encode(rows)})
    insert(connection, table, names, rows)


def encode(rows: Sequence[Row]) -> str:
    """Return the rows as the JSON text that the statements take.

    Raises:
        ValueError: more rows than ROWS_MAX.
    """
    if len(rows) > ROWS_MAX:
        raise ValueError(f"{len(rows)} rows in one statement, at most {ROWS_MAX}")
    return _encode(rows).decode()


def _sqlite_source(shape: Shape) -> str:
    values = ", ".join(f"value ->> {place} AS {name}" for place, (name, _) in enumerate(shape.columns))
    return f"(SELECT {values} FROM json_each(:rows)) AS w"


def _mysql_source(shape: Shape) -> str:
    def column(place: int, name: str, like: sa.Column[Any]) -> str:
        return f"{name} {_mysql_type(like)} PATH '$[{place}]'"

    columns = ", ".join(column(place, name, like) for place, (name, like) in enumerate(shape.columns))
    return f"JSON_TABLE(:rows, '$[*]' COLUMNS({columns})) AS w"


def _mysql_type(like: sa.Column[Any]) -> str:
    if isinstance(like.type, sa.Text) or not isinstance(like.type, sa.String):
        text = like.type.compile(dialect=_mysql_dialect())
    else:
        text = f"VARCHAR({like.type.length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    return text.split(" COLLATE ")[0] if isinstance(like.type, sa.Text) else text


@lru_cache(maxsize=1)
def _mysql_dialect() -> sa.Dialect:
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - only where MySQL is spoken

    return mysql.dialect()


SOURCES: Mapping[str, Callable[[Shape], str]] = {
    "sqlite": _sqlite_source,
    "mysql": _mysql_source,
    "mariadb": _mysql_source,
}


def source(dialect: str, shape: Shape) -> str:
    """Return the SQL of a table called `w` made from the parameter :rows.

    Raises:
        Misconfigured: a dialect that Souk does not speak.
    """
    try:
        return SOURCES[dialect](shape)
    except KeyError:
        raise errors.Misconfigured(f"no bulk SQL for the database dialect {dialect!r}") from None


@lru_cache(maxsize=256)
def _insert_sql(dialect: str, table: sa.Table, names: tuple[str, ...]) -> sa.TextClause:
    columns = ", ".join(names)
    rows = source(dialect, shape_of(table, *names))
    return sa.text(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {rows}")  # noqa: S608


@lru_cache(maxsize=256)
def _update_sql(  # noqa: PLR0917 - the cache's key
    dialect: str, table: sa.Table, shape: Shape, keys: tuple[str, ...], changes: str, guard: str
) -> sa.TextClause:
    rows, on = source(dialect, shape), _conditions(f"t.{key} = w.{key}" for key in keys)
    where = _conditions(filter(None, (on, guard)))
    if dialect == "sqlite":
        return sa.text(f"UPDATE {table.name} AS t SET {changes} FROM {rows} WHERE {where}")  # noqa: S608
    qualified = ", ".join(f"t.{change.strip()}" for change in changes.split(","))
    return sa.text(f"UPDATE {table.name} AS t JOIN {rows} ON {on} SET {qualified} WHERE {guard or '1 = 1'}")  # noqa: S608


@lru_cache(maxsize=256)
def _select_sql(dialect: str, shape: Shape, query: str, lock: bool) -> sa.TextClause:  # noqa: FBT001
    suffix = " FOR UPDATE" if lock and dialect != "sqlite" else ""
    return sa.text(query.format(w=source(dialect, shape)) + suffix)


@lru_cache(maxsize=64)
def _delete_sql(
    dialect: str, table: sa.Table, shape: Shape, keys: tuple[str, ...]
) -> sa.TextClause:
    on = _conditions(f"w.{key} = {table.name}.{key}" for key in keys)
    rows = source(dialect, shape)
    return sa.text(f"DELETE FROM {table.name} WHERE EXISTS (SELECT 1 FROM {rows} WHERE {on})")  # noqa: S608


def _conditions(parts: Iterable[str]) -> str:
    return " AND ".join(parts)
