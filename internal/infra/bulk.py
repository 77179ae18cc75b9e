"""Any number of rows in a few statements: the only place that knows how a dialect takes them.

SQLite takes them as bound VALUES, up to CHUNK_ROWS_MAX a statement: measured twice as fast as
unpacking JSON with json_each, and the whole chunk runs in one step, without Python's lock. MySQL
and MariaDB take all of them as one text: see mysql_bulk. Values may be int, str, bool (as 0 or 1)
or None. Nobody else writes bulk SQL by hand.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

import aiomysql
import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from internal.infra.mysql import bulk as mysql_bulk
from internal.infra.mysql import errors as mysql_errors
from internal.kernel import errors

Value = int | str | bool | None
Values = Sequence[Value]
Row = Any
"""A row of an answer: a named tuple of its columns."""
ROWS_MAX = 50_000
"""More rows than this in one call are a bug in the caller's batching."""
CHUNK_ROWS_MAX = 256
"""SQLite: rows in one statement. Chunks are powers of two, so that few statements have to be
prepared.
"""
BOUND_VALUES_MAX = 32_000
"""SQLite: its own limit on bound values is 32,766."""


class Shape(msgspec.Struct, frozen=True):
    """The columns of a row.

    ((name, table column that gives the type), …), in the order of the values.
    """

    columns: tuple[tuple[str, sa.Column[Any]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(name for name, _ in self.columns)


def shape_of(table: sa.Table, *names: str, **others: sa.Column[Any]) -> Shape:
    """Describe rows: columns of `table`, then `others` as name=column of the same type."""
    return Shape((*((name, table.c[name]) for name in names), *others.items()))


def insert(
    connection: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Values]
) -> int:
    """Insert `rows`, whose values stand in the order of `names`. Return how many were inserted.

    Raises:
        IntegrityError: a key exists already; the caller must roll back.
    """
    sql = _insert_sql(table, names)
    return _count(connection, _table_shape(table, names), sql, rows)


def insert_deferred(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    rows: Sequence[Values],
    conflict: str = "",
) -> None:
    """Insert `rows` together with the next statement of the transaction, or before its commit.

    A lone order costs a server half as much so; SQLite inserts at once.

    Raises:
        Conflict: `conflict`, then: a key exists already; IntegrityError without such a text.
    """
    sql = _insert_sql(table, names)
    _run_soon(connection, _table_shape(table, names), sql, rows, partial(_insert_verdict, conflict))


class Guard(NamedTuple):
    """What must hold of a row that is updated, and what is said when not every row was met.

    Without such a text nobody asks.
    """

    sql: str = ""
    conflict: str = ""


NO_GUARD = Guard()


def update_deferred(
    connection: sa.Connection,
    table: sa.Table,
    shape: Shape,
    keys: tuple[str, ...],
    changes: str,
    rows: Sequence[Values],
    guard: Guard = NO_GUARD,
) -> None:
    """Do what `update` does together with the next statement, or before the commit.

    Raises:
        Conflict: the guard's, then: a row was not met.
    """
    sql = _update_sql(connection.dialect.name, table, keys, changes, guard.sql)
    wanted = len(rows) if guard.conflict else None
    _run_soon(connection, shape, sql, rows, partial(_update_verdict, guard.conflict, wanted))


def flush(connection: sa.Connection) -> None:
    """Wait until all that was to be done soon is done.

    Raises:
        Conflict: see `insert_deferred` and `update_deferred`; and all that they raise.
    """
    own: Any = connection.connection.dbapi_connection
    try:
        own.run_async(lambda link: link.flush())
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(connection.dialect, error) from error


def _insert_verdict(conflict: str, answer: int | Exception) -> BaseException | None:
    if isinstance(answer, int):
        return None
    is_known = isinstance(mysql_errors.as_integrity(answer) or answer, _INTEGRITY)
    return errors.Conflict(conflict) if conflict and is_known else answer


_INTEGRITY = (aiomysql.IntegrityError, sa.exc.IntegrityError)


def _update_verdict(
    conflict: str, wanted: int | None, answer: int | Exception
) -> BaseException | None:
    if not isinstance(answer, int):
        return answer
    return errors.Conflict(conflict) if wanted is not None and answer != wanted else None


def update(
    connection: sa.Connection,
    table: sa.Table,
    shape: Shape,
    keys: tuple[str, ...],
    changes: str,
    rows: Sequence[Values],
    guard: str = "",
) -> int:
    """Update `t` (the table) from `w` (the rows) where the `keys` agree and `guard` holds.

    `changes` and `guard` are SQL that both dialects read: "reserved = t.reserved + w.quantity". A
    row of the table must be matched by one row of `w` at most.

    Returns:
        How many rows were matched.
    """
    sql = _update_sql(connection.dialect.name, table, keys, changes, guard)
    return _count(connection, shape, sql, rows)


def select(
    connection: sa.Connection,
    shape: Shape,
    query: str,
    rows: Sequence[Values],
    *,
    lock: bool = False,
) -> list[Row]:
    """Run `query`, in which `{w}` stands for the rows as a table called w.

    And return all of the answer.

    Write "SELECT … FROM {w} CROSS JOIN orders t ON …": SQLite then walks the rows and looks each
    up, never the other way round. `lock` holds the rows found until the transaction ends (SQLite's
    writer holds everything anyway). On SQLite the rows come in chunks: ORDER BY and aggregates hold
    within a row of `w`, not across them.
    """
    sql = query + (" FOR UPDATE" if lock and connection.dialect.name != "sqlite" else "")
    found: list[Row] = []
    for cursor in _run(connection, shape, sql, rows):
        row_of = _row_type(tuple(column[0] for column in cursor.description))
        found += map(row_of._make, cursor.fetchall())
    return found


class Query(NamedTuple):
    """What `select` takes; nothing is locked."""

    shape: Shape
    query: str
    rows: Sequence[Values]


def select_many(connection: sa.Connection, queries: Sequence[Query]) -> list[list[Row]]:
    """Ask several queries at once; return the answer to each.

    For a lone order, most of what a query costs is waking the server, and being woken by it.
    """
    link: Any = connection.connection.driver_connection
    if not hasattr(link, "send_deferred"):
        return [select(connection, *query) for query in queries]
    answers: list[list[Any]] = []
    for query in queries:
        answers.append([])
        for statement, _ in _statements(connection, *query) if query.rows else ():
            link.send_deferred(statement, answers=answers[-1])
    flush(connection)
    return [[row for answer in parts for row in _rows_of(answer)] for parts in answers]


def _rows_of(answer: Any) -> Iterable[Row]:  # noqa: ANN401 - the driver's
    return map(_row_type(tuple(column[0] for column in answer.description))._make, answer.rows)


def replace(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    names: tuple[str, ...],
    rows: Sequence[Values],
) -> None:
    """Put `rows` in the place of those with the same `keys`, or add them; keys lead `names`."""
    sql = _delete_sql(connection.dialect.name, table, keys)
    width = len(keys)
    for _ in _run(connection, _table_shape(table, keys), sql, [row[:width] for row in rows]):
        pass
    insert(connection, table, names, rows)


_table_shape = lru_cache(maxsize=256)(lambda table, names: shape_of(table, *names))


@lru_cache(maxsize=256)
def _insert_sql(table: sa.Table, names: tuple[str, ...]) -> str:
    columns = ", ".join(names)
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {{w}}"  # noqa: S608


@lru_cache(maxsize=256)
def _update_sql(
    dialect: str, table: sa.Table, keys: tuple[str, ...], changes: str, guard: str
) -> str:
    if dialect != "sqlite":
        return mysql_bulk.update_sql(table.name, keys, changes, guard)
    on = " AND ".join(f"t.{key} = w.{key}" for key in keys)
    where = f"{on} AND ({guard})" if guard else on
    return f"UPDATE {table.name} AS t SET {changes} FROM {{w}} WHERE {where}"  # noqa: S608


@lru_cache(maxsize=256)
def _delete_sql(dialect: str, table: sa.Table, keys: tuple[str, ...]) -> str:
    if dialect == "sqlite":
        columns = ", ".join(keys)
        return f"DELETE FROM {table.name} WHERE ({columns}) IN (SELECT {columns} FROM {{w}})"  # noqa: S608
    on = " AND ".join(f"t.{key} = w.{key}" for key in keys)
    return f"DELETE t FROM {{w}} CROSS JOIN {table.name} AS t ON {on}"


@lru_cache(maxsize=256)
def _row_type(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a class made here
    return collections.namedtuple("Row", names, rename=True)


Judge = Callable[[int | Exception], BaseException | None]
"""Takes how many rows a statement met, or its error; returns what is to be raised for that."""


def _run_soon(
    connection: sa.Connection, shape: Shape, sql: str, rows: Sequence[Values], judge: Judge
) -> None:
    """Leave a statement with a link that sends it with the next one; else run it now.

    So is what takes more than one statement: only all of them together can be judged.
    """
    link: Any = connection.connection.driver_connection
    if rows and hasattr(link, "send_deferred"):
        first, *more = _statements(connection, shape, sql, rows)
        if not more:
            link.send_deferred(first[0], judge)
            return
    answer: int | Exception
    try:
        answer = _count(connection, shape, sql, rows)
    except sa.exc.IntegrityError as error:
        answer = error
    if wrong := judge(answer):
        raise wrong


def _count(connection: sa.Connection, shape: Shape, sql: str, rows: Sequence[Values]) -> int:
    return sum(cursor.rowcount for cursor in _run(connection, shape, sql, rows))


def _run(
    connection: sa.Connection, shape: Shape, sql: str, rows: Sequence[Values]
) -> Iterator[DBAPICursor]:
    """Run `sql` over the rows, in as few statements as the dialect can.

    On the driver's own cursor: SQLAlchemy's execution costs five times what SQLite needs for a few
    rows, and a single order pays some forty statements. Its errors are SQLAlchemy's all the same.
    """
    statements = _statements(connection, shape, sql, rows)
    if not rows:
        return
    cursor = connection.connection.cursor()
    try:
        for statement, parameters in statements:
            cursor.execute(statement, parameters)
            yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_sqlalchemy(connection.dialect, error) from error
    finally:
        cursor.close()


def _statements(
    connection: sa.Connection, shape: Shape, sql: str, rows: Sequence[Values]
) -> "Statements":
    if len(rows) > ROWS_MAX:
        raise ValueError(f"{len(rows)} rows at once, at most {ROWS_MAX}")
    try:
        speaker = _SPEAKERS[connection.dialect.name]
    except KeyError:
        what = f"no bulk SQL for the database dialect {connection.dialect.name!r}"
        raise errors.Misconfigured(what) from None
    return speaker(shape, sql, rows)


def _as_sqlalchemy(dialect: sa.Dialect, error: Exception) -> BaseException:
    """Return SQLAlchemy's error for a driver's, without the parameters: it goes into logs."""
    error = mysql_errors.as_integrity(error) or error
    return sa.exc.DBAPIError.instance(
        "bulk statement", None, error, dialect.loaded_dbapi.Error, hide_parameters=True
    )


Statements = Iterator[tuple[str | bytes, Sequence[Value] | None]]


def _sqlite_statements(shape: Shape, sql: str, rows: Sequence[Values]) -> Statements:
    for chunk in chunks(rows, len(shape.columns)):
        yield _sqlite_statement(shape, sql, len(chunk)), tuple(chain.from_iterable(chunk))


def chunks(rows: Sequence[Values], width: int) -> Iterable[Sequence[Values]]:
    """Cut rows of `width` values into runs whose lengths are powers of two, longest first."""
    size, start = CHUNK_ROWS_MAX, 0
    while size * width > BOUND_VALUES_MAX:
        size //= 2
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=1_024)
def _sqlite_statement(shape: Shape, sql: str, rows: int) -> str:
    row = f"({', '.join('?' * len(shape.columns))})"
    values = ", ".join([row] * rows)
    if sql.startswith("INSERT"):
        return f"{sql.partition(' SELECT ')[0]} VALUES {values}"
    names = ", ".join(f"column{place} AS {name}" for place, name in enumerate(shape.names, start=1))
    return sql.format(w=f"(SELECT {names} FROM (VALUES {values})) AS w")  # noqa: S608


def _mysql_statements(shape: Shape, sql: str, rows: Sequence[Values]) -> Statements:
    for statement in mysql_bulk.statements(shape.columns, sql, rows):
        yield statement, None


_SPEAKERS: dict[str, Callable[[Shape, str, Sequence[Values]], Statements]] = {
    "sqlite": _sqlite_statements,
    "mysql": _mysql_statements,
    "mariadb": _mysql_statements,
}
