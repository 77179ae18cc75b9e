"""Any number of rows in a few statements: the port for all bulk SQL.

A caller gives the rows and says what is to be done with them; the dialect's own module writes the
statement: see sqlite/bulk.py and mysql/bulk.py. SQL that a caller gives is a template: see
statements.py. Values may be int, str, bool (as 0 or 1) or None. No other module writes bulk SQL.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor

from internal.infra import statements
from internal.infra.mysql import bulk as mysql_bulk
from internal.infra.mysql import connection as mysql_connection
from internal.infra.mysql import errors as mysql_errors
from internal.infra.sqlite import bulk as sqlite_bulk
from internal.kernel import errors

Changes = statements.Changes
Shape = statements.Shape
Values = statements.Values
Row = Any
"""A row of an answer: a named tuple of its columns."""
ROWS_MAX = 20_000
"""More rows than this go in several statements: a batch of orders may have any number of lines, and
a statement of its rows is in memory as a whole.
"""


def shape_of(table: sa.Table, *names: str, **others: sa.Column[Any]) -> Shape:
    """Describe rows: columns of `table`, then `others` as name=column of the same type."""
    return Shape((*((name, table.c[name]) for name in names), *others.items()))


@lru_cache(maxsize=256)
def assign(*names: str) -> Changes:
    """Return the changes that give each of these columns the row's value of the same name."""
    return tuple((name, f"{{w.{name}}}") for name in names)


def insert(
    connection: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[Values]
) -> int:
    """Insert `rows`, with their values in the order of `names`. Return how many were inserted.

    Raises:
        IntegrityError: a key exists already; the caller must roll back.
    """
    return _count(connection, _insert(table, names), rows)


def insert_deferred(
    connection: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    rows: Sequence[Values],
    conflict: str = "",
) -> None:
    """Insert `rows` together with the next statement of the transaction, or before its commit.

    For a single order this halves the server's cost. SQLite inserts at once.

    Raises:
        Conflict: with the text `conflict`, if there is one: a key exists already.
        IntegrityError: the same, without such a text.
    """
    _defer(connection, _insert(table, names), rows, partial(_insert_verdict, conflict))


class Guard(NamedTuple):
    """A condition for a row to be updated, and the text of the Conflict if not all rows were.

    Without a text, the rows are not counted. `missed` is called before the Conflict is raised.
    """

    sql: str = ""
    conflict: str = ""
    missed: Callable[[], None] = lambda: None


NO_GUARD = Guard()


def update_deferred(
    connection: sa.Connection,
    table: sa.Table,
    shape: Shape,
    keys: tuple[str, ...],
    changes: Changes,
    rows: Sequence[Values],
    guard: Guard = NO_GUARD,
) -> None:
    """Do what `update` does together with the next statement, or before the commit.

    Raises:
        Conflict: with the guard's text, if there is one: a row was not matched.
    """
    statement = _update(table, shape, keys, changes, guard.sql)
    wanted = len(rows) if guard.conflict else None
    _defer(connection, statement, rows, partial(_update_verdict, guard, wanted))


def _insert_verdict(conflict: str, answer: int | Exception) -> BaseException | None:
    if isinstance(answer, int):
        return None
    return errors.Conflict(conflict) if conflict and _is_known_key(answer) else answer


def _is_known_key(error: Exception) -> bool:
    """Tell whether a key exists already: any other broken constraint lasts, and is no race."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    name = getattr(original, "sqlite_errorname", "")
    return name in _KNOWN_KEY or mysql_errors.number_of(original) in mysql_errors.KNOWN_KEY


_KNOWN_KEY = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID", "SQLITE_CONSTRAINT_UNIQUE")


def _update_verdict(
    guard: Guard, wanted: int | None, answer: int | Exception
) -> BaseException | None:
    if not isinstance(answer, int):
        return answer
    if wanted is None or answer == wanted:
        return None
    guard.missed()
    return errors.Conflict(guard.conflict)


def update(
    connection: sa.Connection,
    table: sa.Table,
    shape: Shape,
    keys: tuple[str, ...],
    changes: Changes,
    rows: Sequence[Values],
    guard: str = "",
) -> int:
    """Update `t` (the table) from `w` (the rows) where the `keys` agree and `guard` holds.

    `changes` and `guard` are templates of SQL that both dialects read: ("reserved", "t.reserved +
    {w.quantity}"). A row of the table must be matched by one row of `w` at most.

    Returns:
        How many rows were matched.
    """
    return _count(connection, _update(table, shape, keys, changes, guard), rows)


def select(
    connection: sa.Connection,
    shape: Shape,
    query: str,
    rows: Sequence[Values],
    *,
    lock: bool = False,
) -> list[Row]:
    """Run the template `query` on the rows, a table called w; return the whole answer.

    Write "SELECT … FROM {w} CROSS JOIN orders t ON t.order_key = {w.order_key}": SQLite then walks
    the rows and looks each up, never the other way round. `lock` holds the rows found until the
    transaction ends (SQLite's writer holds everything anyway). Many rows come in chunks:
    ORDER BY and aggregates hold within a row of `w`, not across them.
    """
    found: list[Row] = []
    for cursor in _run(connection, _select(shape, query, lock), rows):
        row_of = _row_type(tuple(column[0] for column in cursor.description))
        found += map(row_of._make, cursor.fetchall())
    return found


class Query(NamedTuple):
    """The arguments of one `select` of `select_many`; nothing is locked."""

    shape: Shape
    query: str
    rows: Sequence[Values]


def select_many(connection: sa.Connection, queries: Sequence[Query]) -> list[list[Row]]:
    """Run several queries at once; return the answer to each.

    For a single order, most of what a query costs is waking the server, and being woken by it.
    """
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "send_deferred"):
        return [select(connection, *query) for query in queries]
    answers: list[list[Any]] = []
    for shape, query, rows in queries:
        answers.append([])
        for sql, _ in _render(connection, _select(shape, query), rows):
            driver.send_deferred(sql, answers=answers[-1])
    mysql_connection.flush(connection)
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
    """Give the rows that have the same `keys` the values of `rows`, or add them; keys lead `names`.

    Columns that are not named keep their values: a newer Souk may have added them.

    Raises:
        IntegrityError: another transaction added one of them meanwhile, or a key is there twice.
    """
    shape, width = shape_of(table, *keys), len(keys)
    query = f"SELECT {', '.join(f't.{key}' for key in keys)} FROM {{w}} CROSS JOIN {table.name} t"  # noqa: S608 - our own names
    query = f"{query} ON {statements.same_in_both(keys)}"
    of_keys = [row[:width] for row in rows]
    known = set(map(tuple, select(connection, shape, query, of_keys, lock=True)))
    changed = [row for row in rows if tuple(row[:width]) in known]
    changes = assign(*names[width:])
    if changes:
        update(connection, table, shape_of(table, *names), keys, changes, changed)
    insert(connection, table, names, [row for row in rows if tuple(row[:width]) not in known])


# A statement from the cache has its hash already; a new one would compute it for every call.
_update = lru_cache(maxsize=256)(statements.Update)
_select = lru_cache(maxsize=256)(statements.Select)


@lru_cache(maxsize=256)
def _insert(table: sa.Table, names: tuple[str, ...]) -> statements.Insert:
    return statements.Insert(table, shape_of(table, *names))


@lru_cache(maxsize=256)
def _row_type(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - a class made here
    return collections.namedtuple("Row", names, rename=True)


Verdict = Callable[[int | Exception], BaseException | None]
"""Takes how many rows a statement matched, or its error; returns the exception to raise, if any."""


def _defer(
    connection: sa.Connection,
    statement: statements.Statement,
    rows: Sequence[Values],
    verdict: Verdict,
) -> None:
    """Leave a statement to a driver that sends it with the next one; else run it now.

    Rows that take several statements are also sent now: only all of them together can be judged.
    """
    driver: Any = connection.connection.driver_connection
    if rows and hasattr(driver, "send_deferred"):
        (first, _), *more = _render(connection, statement, rows)
        if not more:
            driver.send_deferred(first, verdict)
            return
    answer: int | Exception
    try:
        answer = _count(connection, statement, rows)
    except sa.exc.IntegrityError as error:
        answer = error
    if wrong := verdict(answer):
        raise wrong


def _count(
    connection: sa.Connection, statement: statements.Statement, rows: Sequence[Values]
) -> int:
    return sum(cursor.rowcount for cursor in _run(connection, statement, rows))


def _run(
    connection: sa.Connection, statement: statements.Statement, rows: Sequence[Values]
) -> Iterator[DBAPICursor]:
    """Run a statement over the rows, in as few statements as the dialect can.

    A guarded change of all rows stays one: each row has its own guard, the matched rows of all
    parts are counted together, and the transaction undoes them together.

    It runs on the driver's own cursor: SQLAlchemy's execution costs five times what SQLite needs
    for a few rows, and a single order pays some forty statements. Its errors are SQLAlchemy's all
    the same.
    """
    rendered = _render(connection, statement, rows)
    if not rows:
        return
    cursor = connection.connection.cursor()
    try:
        for sql, parameters in rendered:
            cursor.execute(sql, parameters)
            yield cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise mysql_errors.as_sqlalchemy(connection.dialect, error) from error
    finally:
        cursor.close()


Rendered = Iterator[tuple[Any, Values | None]]
"""(SQL as the driver takes it, bound values), …."""


def _render(
    connection: sa.Connection, statement: statements.Statement, rows: Sequence[Values]
) -> Rendered:
    try:
        render = _RENDERERS[connection.dialect.name]
    except KeyError:
        what = f"no bulk SQL for the database dialect {connection.dialect.name!r}"
        raise errors.Misconfigured(what) from None
    if len(rows) <= ROWS_MAX:
        return render(statement, rows) if rows else iter(())
    parts = (rows[start : start + ROWS_MAX] for start in range(0, len(rows), ROWS_MAX))
    return chain.from_iterable(render(statement, part) for part in parts)


_RENDERERS: dict[str, Callable[[statements.Statement, Sequence[Values]], Rendered]] = {
    "sqlite": sqlite_bulk.render,
    "mysql": mysql_bulk.render,
    "mariadb": mysql_bulk.render,
}
